//! The file that an archive is saved to: complete under its name, or not there at all.
//!
//! Owns which file a path means (links are followed as other programs follow them) and what of it
//! stays: devices and pipes are written to as they are, and a file whose place is taken hands on its
//! mode and owner.

use std::fs::{File, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use crate::fs::atomic::{AtomicFile, Mode};
use crate::fs::{self, IfThere as _, ignoring_what_cannot_be_synchronised, parent};

/// How many links may be followed, as in Linux's path resolution.
const MAX_LINKS: usize = 40;
/// The mode of a new file, before the umask.
const MODE: u32 = 0o666;
/// The bits of the mode that a file takes over from the one whose place it takes.
const KEPT_BITS: u32 = 0o777;

/// A file that is being written.
#[derive(Debug)]
pub(super) enum OutputFile {
    /// Written to as it is: a device, a pipe, a file that has lost its name.
    InPlace(File),
    /// Not there until it is complete.
    Aside(AtomicFile),
}

impl OutputFile {
    /// Opens a file that is to have the name `path`, and finds out what could be in its way. Links
    /// are followed as `open` follows them.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let target = resolve(path)?;
        let existing = fs::link_metadata(&target).if_there()?;
        if path.as_os_str().as_encoded_bytes().ends_with(b"/")
            || existing.as_ref().is_some_and(Metadata::is_dir)
        {
            return Err(Errno::ISDIR.into());
        }
        if let Some(existing) = &existing {
            // Not least for `/dev/stdout`, which leads to a name that need not be there any more.
            let seen = fs::metadata(path)?;
            let is_other = (seen.dev(), seen.ino()) != (existing.dev(), existing.ino());
            if is_other || !existing.is_file() {
                return Self::in_place(path, seen.file_type());
            }
            check_writable(&target)?;
        } else if let Ok(seen) = fs::metadata(path) {
            return Self::in_place(path, seen.file_type());
        }
        // What comes in the place of a file is for those who could read that one, from its first
        // byte.
        let mode = existing
            .as_ref()
            .map_or(MODE, |existing| existing.mode() & KEPT_BITS);
        let file = AtomicFile::create(&target, Mode::Within(mode))?;
        if let Some(existing) = existing {
            take_over(file.file(), &existing)?;
        }
        Ok(Self::Aside(file))
    }

    fn in_place(path: &Path, kind: FileType) -> io::Result<Self> {
        let mut options = File::options();
        options.write(true);
        if kind.is_socket() {
            // The words of `open` for it are about no such device.
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is a socket",
            ));
        }
        let file = options.truncate(kind.is_file()).open(path)?;
        Ok(Self::InPlace(file))
    }

    /// Returns what the bytes are written to.
    pub(super) fn writer(&self) -> io::Result<File> {
        match self {
            Self::InPlace(file) => file.try_clone(),
            Self::Aside(file) => file.file().try_clone(),
        }
    }

    /// Returns whether its bytes can be written in any order, and read again.
    pub(super) fn is_seekable(&self) -> bool {
        match self {
            Self::InPlace(_) => false,
            Self::Aside(_) => true,
        }
    }

    /// Gives the complete file its name. Both are on the disk when this returns.
    pub(super) fn put_in_place(self) -> io::Result<()> {
        match self {
            Self::InPlace(file) => ignoring_what_cannot_be_synchronised(file.sync_all()),
            Self::Aside(file) => file.put_in_place(),
        }
    }
}

/// Returns the path behind all links at the end of a path, which need not lead to anything.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let link = match fs::link_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => metadata,
            _ => return Ok(path),
        };
        let directory = parent(&path).to_owned();
        if !may_follow(&link, &fs::metadata(&directory)?) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "the link `{}` is another user's, in a folder where anybody may put one",
                    path.display()
                ),
            ));
        }
        path = directory.join(fs::read_link(&path)?);
    }
    Err(Errno::LOOP.into())
}

/// Returns whether a link may be followed: what `fs.protected_symlinks` says, which holds for the
/// calls that follow links and not for those that replace the file behind one.
fn may_follow(link: &Metadata, directory: &Metadata) -> bool {
    const STICKY: u32 = 0o1000;
    const WRITABLE_BY_ALL: u32 = 0o002;
    let is_shared = directory.mode() & STICKY != 0 && directory.mode() & WRITABLE_BY_ALL != 0;
    !is_shared || link.uid() == rustix::process::geteuid().as_raw() || link.uid() == directory.uid()
}

/// Refuses a file that may not be written to: replacing it would get around its permissions.
fn check_writable(path: &Path) -> io::Result<()> {
    match rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) {
        // A kernel that cannot tell will tell when it is written.
        Err(error @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Gives a file the mode and, where that is allowed, the owner of the one whose place it takes.
fn take_over(file: &File, existing: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (existing.uid(), existing.gid()) {
        // Without the right to do so the file is the user's own, as a new one would be.
        let _ = std::os::unix::fs::fchown(file, Some(existing.uid()), Some(existing.gid()));
    }
    file.set_permissions(std::fs::Permissions::from_mode(existing.mode() & KEPT_BITS))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(path: &Path, text: &str) -> io::Result<()> {
        let file = OutputFile::open(path)?;
        file.writer()?.write_all(text.as_bytes())?;
        file.put_in_place()
    }

    fn names(directory: &Path) -> Vec<String> {
        let names = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_mode_of_a_file_that_is_replaced_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        for mode in [0o600, 0o644, 0o666, 0o640] {
            std::fs::write(&path, "old").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let file = OutputFile::open(&path).unwrap();
            let own = file.writer().unwrap().metadata().unwrap();
            assert_eq!(own.mode() & 0o777, mode);
            file.put_in_place().unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, mode);
        }
    }

    #[test]
    fn directories_and_folders_that_are_missing_are_found_before_the_first_byte() {
        let directory = tempfile::tempdir().unwrap();
        let kind = |path: &Path| OutputFile::open(path).unwrap_err().kind();
        assert_eq!(kind(directory.path()), io::ErrorKind::IsADirectory);
        let to_be = directory.path().join("new/");
        assert_eq!(kind(&to_be), io::ErrorKind::IsADirectory);
        let missing = directory.path().join("missing/out");
        let error = OutputFile::open(&missing).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(".msb-"), "{error}");
        std::fs::write(directory.path().join("file"), "").unwrap();
        let below = directory.path().join("file/out");
        assert_eq!(kind(&below), io::ErrorKind::NotADirectory);
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn links_are_followed_whether_they_lead_to_something_or_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        symlink("two", path("one")).unwrap();
        symlink(path("target"), path("two")).unwrap();
        for text in ["new", "newer"] {
            write(&path("one"), text).unwrap();
            assert_eq!(std::fs::read_to_string(path("target")).unwrap(), text);
            assert!(std::fs::symlink_metadata(path("one")).unwrap().is_symlink());
        }
        symlink("circle", path("circle")).unwrap();
        let error = OutputFile::open(&path("circle")).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::LOOP));
    }

    #[test]
    fn a_link_of_another_user_where_anybody_may_put_one_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let shared = directory.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "kept").unwrap();
        let link = shared.join("out");
        symlink(&victim, &link).unwrap();
        let stranger = Some(65_534);
        if std::os::unix::fs::lchown(&link, stranger, stranger).is_err() {
            return; // Only root can make such a link.
        }
        for (mode, follows) in [(0o1777, false), (0o1755, true), (0o777, true)] {
            std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(mode)).unwrap();
            let written = write(&link, "new");
            assert_eq!(written.is_ok(), follows, "{mode:o}");
            if !follows {
                let error = written.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                assert_eq!(std::fs::read_to_string(&victim).unwrap(), "kept");
                assert_eq!(names(&shared), ["out"]);
            }
        }
    }
}
