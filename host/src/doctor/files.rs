//! The home: who owns it, who may read what, and the disk that it is on.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Check, Finding, Problem};
use crate::fs::{self, IfThere as _};
use crate::home::Home;
use crate::store::StoreError;

/// With less room than this, the next pull is likely to fail.
const LITTLE: u64 = 1 << 30;
/// What is below the home that others must not read, if it is there.
const PRIVATE: [&str; 4] = [
    "config.json",
    "secrets",
    "secrets/registries",
    "cache/plugins",
];
/// What belongs to the user, if it is there.
const OWN: [&str; 6] = [
    "",
    "db",
    "db/images.db",
    "cache",
    "cache/layers",
    "config.json",
];
/// Permissions of the group and of others.
const OF_OTHERS: u32 = 0o077;

/// Looks at who may do what in the home.
pub(super) fn home(home: &Home) -> Vec<Check> {
    const AREA: &str = "home";
    let root = home.root();
    let user = rustix::process::geteuid().as_raw();
    let mut checks = Vec::new();
    let failed = |error| Check::bad(AREA, crate::Error::from(StoreError::from(error)));
    for name in OWN {
        let path = below(root, name);
        match fs::metadata(&path).if_there() {
            Ok(Some(metadata)) if metadata.uid() != user => {
                let owner = metadata.uid();
                // It may be shared for reading, which works.
                let problem = Problem::OtherOwner { path, owner, user };
                checks.push(Check::doubtful(AREA, problem));
                break;
            }
            Ok(_) => {}
            Err(error) => checks.push(failed(error)),
        }
    }
    for name in PRIVATE {
        let path = below(root, name);
        match fs::metadata(&path).if_there() {
            Ok(Some(metadata)) if metadata.mode() & OF_OTHERS != 0 => {
                let mode = metadata.mode() & 0o7777;
                checks.push(Check::doubtful(AREA, Problem::OpenToOthers { path, mode }));
            }
            Ok(_) => {}
            Err(error) => checks.push(failed(error)),
        }
    }
    if let Some(there) = root.ancestors().find(|path| path.is_dir())
        && !is_writable(there)
    {
        let path = there.to_owned();
        checks.push(Check::bad(AREA, Problem::NotWritable { path }));
    }
    if root.exists() && !root.is_dir() {
        let path = root.to_owned();
        checks.push(Check::bad(AREA, Problem::NotWritable { path }));
    }
    if checks.is_empty() {
        let note = if root.is_dir() {
            ""
        } else {
            ", which will be made"
        };
        checks.push(Check::good(AREA, format!("`{}`{note}", root.display())));
    }
    checks
}

/// Looks at the room on the disk of the home.
pub(super) fn room(home: &Home) -> Check {
    const AREA: &str = "disk";
    let path = home.root();
    let there = path.ancestors().find(|path| path.is_dir()).unwrap_or(path);
    match rustix::fs::statvfs(there) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            if free < LITTLE {
                let path = path.to_owned();
                return Check::doubtful(AREA, Problem::LittleRoom { path, free });
            }
            Check {
                area: AREA,
                finding: Finding::Room(free),
            }
        }
        Err(errno) => {
            let error = StoreError::Io {
                operation: "look at the disk of",
                path: there.to_owned(),
                source: errno.into(),
            };
            Check::bad(AREA, crate::Error::from(error))
        }
    }
}

fn below(root: &Path, name: &str) -> std::path::PathBuf {
    if name.is_empty() {
        root.to_owned()
    } else {
        root.join(name)
    }
}

/// Returns whether this user, with the rights of this process, may make files in a directory.
fn is_writable(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    accessat(
        CWD,
        path,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )
    .is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_is_in_order_gets_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("new"));
        assert!(
            matches!(&*super::home(&home), [Check { finding: Finding::Good(text), .. }]
            if text.contains("will be made"))
        );
        std::fs::create_dir(home.root()).unwrap();
        assert!(matches!(
            &*super::home(&home),
            [Check {
                finding: Finding::Good(_),
                ..
            }]
        ));
        assert!(matches!(
            room(&home).finding,
            Finding::Room(_) | Finding::Doubtful(_)
        ));
    }

    #[test]
    fn passwords_that_others_can_read_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        std::fs::create_dir_all(home.root().join("secrets/registries")).unwrap();
        fs::set_mode(&home.root().join("secrets"), 0o700).unwrap();
        fs::set_mode(&home.root().join("secrets/registries"), 0o755).unwrap();
        let checks = super::home(&home);
        let [
            Check {
                finding: Finding::Doubtful(Problem::OpenToOthers { path, mode }),
                ..
            },
        ] = &*checks
        else {
            panic!("{checks:?}");
        };
        assert!(path.ends_with("registries"));
        assert_eq!(*mode, 0o755);
    }

    #[test]
    fn a_home_that_is_a_file_is_bad() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let checks = super::home(&Home::at(file.path()));
        assert!(
            checks
                .iter()
                .any(|check| matches!(check.finding, Finding::Bad(_))),
            "{checks:?}"
        );
    }
}
