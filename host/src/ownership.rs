//! Who can change what a path leads to.
//!
//! Owns the walk along a path: its directories, and the symbolic links in it. Knows nothing of what
//! lies at the end.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::fs::{self, FileError};

/// Symbolic links that are followed on the way, as many as Linux follows.
const MAX_LINKS: u32 = 40;
/// Write permission of the group and of others.
const WRITABLE: u32 = 0o022;
/// In a directory with this bit, others can add names and change none that exist.
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// Why a path is not trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untrusted {
    /// A directory or a link on the way belongs to another user.
    #[error("`{}` belongs to the user with the ID {owner}", path.display())]
    Owner { path: PathBuf, owner: u32 },
    /// Others may change what is in a directory on the way.
    #[error("other users may write to `{}` (mode {mode:04o})", path.display())]
    Writable { path: PathBuf, mode: u32 },
    /// The way cannot be followed.
    #[error("could not read `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Follows `path`, which must be absolute, to a directory, and returns where that is, without
/// links. Nobody but this user and root can put another directory in its place: everything on the
/// way belongs to one of the two, and others may not write to it. A sticky directory such as `/tmp`
/// may be on the way, not at its end.
pub(crate) fn trusted_directory(path: &Path) -> Result<PathBuf, Untrusted> {
    let (end, metadata) = follow(path)?;
    if metadata.mode() & WRITABLE != 0 {
        return Err(writable(end, &metadata));
    }
    Ok(end)
}

/// The same for a directory that is to be made, with those above it: what is there of the way.
pub(crate) fn trusted_parent(path: &Path) -> Result<(), Untrusted> {
    for ancestor in path.ancestors().skip(1) {
        match follow(ancestor) {
            Err(Untrusted::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            followed => return followed.map(|_| ()),
        }
    }
    Ok(())
}

/// Returns whether a file or directory belongs to the user that this process acts for.
pub(crate) fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

fn follow(path: &Path) -> Result<(PathBuf, Metadata), Untrusted> {
    let mut place = PathBuf::from("/");
    let mut metadata = inspect(&place)?;
    check(&place, &metadata)?;
    let mut left = names(path);
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == OsStr::new("..") {
            // The place has no links in it: what is above it was checked on the way to it.
            place.pop();
            metadata = inspect(&place)?;
            continue;
        }
        let next = place.join(&name);
        let found = inspect(&next)?;
        if found.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                let source = io::Error::other("too many symbolic links");
                return Err(Untrusted::Io { path: next, source });
            }
            check_owner(&next, &found)?;
            let target = fs::read_link(&next).map_err(failed)?;
            if target.is_absolute() {
                place = PathBuf::from("/");
                metadata = inspect(&place)?;
            }
            left.extend(names(&target));
        } else if found.is_dir() {
            check(&next, &found)?;
            (place, metadata) = (next, found);
        } else {
            let source = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(Untrusted::Io { path: next, source });
        }
    }
    Ok((place, metadata))
}

/// Returns the names in a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.rev().collect()
}

fn check(path: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
    check_owner(path, metadata)?;
    if metadata.mode() & WRITABLE != 0 && metadata.mode() & STICKY == 0 {
        return Err(writable(path.to_owned(), metadata));
    }
    Ok(())
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
    if is_ours(metadata) || metadata.uid() == ROOT {
        return Ok(());
    }
    Err(Untrusted::Owner {
        path: path.to_owned(),
        owner: metadata.uid(),
    })
}

fn writable(path: PathBuf, metadata: &Metadata) -> Untrusted {
    let mode = metadata.mode() & 0o7777;
    Untrusted::Writable { path, mode }
}

fn inspect(path: &Path) -> Result<Metadata, Untrusted> {
    fs::link_metadata(path).map_err(failed)
}

fn failed(error: FileError) -> Untrusted {
    let FileError { path, source, .. } = error;
    Untrusted::Io { path, source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn folder(modes: &[(&str, u32)]) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().canonicalize().unwrap();
        for (name, mode) in modes {
            let path = place.join(name);
            fs::create_dir_all(&path).unwrap();
            set_mode(&path, *mode);
        }
        (root, place)
    }

    #[test]
    fn a_directory_below_the_sticky_one_of_all_users_is_trusted() {
        let (_root, place) = folder(&[("a", 0o755), ("a/b", 0o700)]);
        let end = trusted_directory(&place.join("a/../a/./b")).unwrap();
        assert_eq!(end, place.join("a/b"));
    }

    #[test]
    fn whoever_may_write_on_the_way_may_change_its_end() {
        for mode in [0o777, 0o775, 0o757, 0o772] {
            let (_root, place) = folder(&[("a", mode), ("a/b", 0o700)]);
            let error = trusted_directory(&place.join("a/b")).unwrap_err();
            assert!(matches!(error, Untrusted::Writable { .. }), "{error}");
            assert!(trusted_parent(&place.join("a/new/b")).is_err());
        }
    }

    #[test]
    fn a_sticky_directory_is_a_way_and_no_end() {
        let (_root, place) = folder(&[("a", 0o1777), ("a/b", 0o700)]);
        assert!(trusted_directory(&place.join("a/b")).is_ok());
        assert!(trusted_directory(&place.join("a")).is_err());
        assert!(trusted_parent(&place.join("a/new")).is_ok());
    }

    #[test]
    fn a_link_is_as_good_as_the_place_that_it_leads_to() {
        let (_root, place) = folder(&[("safe", 0o700), ("open", 0o777), ("open/in", 0o700)]);
        for (link, target, is_trusted) in [
            ("one", "safe", true),
            ("two", "open/in", false),
            ("three", "one", true),
            ("loop", "loop", false),
            ("dangling", "nowhere", false),
        ] {
            symlink(target, place.join(link)).unwrap();
            let end = trusted_directory(&place.join(link));
            assert_eq!(end.is_ok(), is_trusted, "{link}: {end:?}");
        }
        let absolute = place.join("absolute");
        symlink(place.join("safe"), &absolute).unwrap();
        assert_eq!(trusted_directory(&absolute).unwrap(), place.join("safe"));
    }

    #[test]
    fn what_belongs_to_another_user_is_not_trusted() {
        let (_root, place) = folder(&[("a", 0o755), ("a/b", 0o700)]);
        // Only root can give files away.
        if std::os::unix::fs::lchown(place.join("a"), Some(65_534), None).is_ok() {
            let error = trusted_directory(&place.join("a/b")).unwrap_err();
            assert!(
                matches!(error, Untrusted::Owner { owner: 65_534, .. }),
                "{error}"
            );
            symlink("b", place.join("link")).unwrap();
            std::os::unix::fs::lchown(place.join("link"), Some(65_534), None).unwrap();
            let error = trusted_directory(&place.join("link")).unwrap_err();
            assert!(matches!(error, Untrusted::Owner { .. }), "{error}");
        }
    }
}
