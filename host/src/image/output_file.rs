//! The file that an archive is saved to: complete under its name, or not there at all.
//!
//! Owns where the bytes go until they are complete, and the step that gives them their name. Where
//! the filesystem can do it (`O_TMPFILE`), the file has no name until then, so that not even a
//! process that is killed leaves anything. A name that is taken needs a moment in which the new
//! file stands next to the old one under a name of its own, since Linux has no call that puts a
//! file without a name in the place of another one.

use std::fs::{File, FileType, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

/// How many links may be followed, as in Linux's path resolution.
const MAX_LINKS: usize = 40;
/// How a file begins that stands next to its place for a moment.
const PREFIX: &str = ".msb-save-";
/// How many names are tried for it.
const ATTEMPTS: usize = 100;
/// The mode of a new file, before the umask.
const MODE: u32 = 0o666;
/// The bits of the mode that a file takes over from the one whose place it takes.
const KEPT_BITS: u32 = 0o777;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct OutputFile {
    file: File,
    place: Place,
}

/// Where the file is, and where it is to be.
#[derive(Debug)]
enum Place {
    /// Written to as it is: a device, a pipe, a file that has lost its name.
    Direct,
    /// Without a name.
    Unnamed(PathBuf),
    /// Next to its place under another name, which vanishes if it stays incomplete.
    Aside(TempPath, PathBuf),
}

impl OutputFile {
    /// Opens a file that is to have the name `path`, and finds out what could be in its way. Links
    /// are followed as `open` follows them.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let target = resolve(path)?;
        let existing = match std::fs::symlink_metadata(&target) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if path.as_os_str().as_encoded_bytes().ends_with(b"/")
            || existing.as_ref().is_some_and(Metadata::is_dir)
        {
            return Err(Errno::ISDIR.into());
        }
        if let Some(existing) = &existing {
            // Not least for `/dev/stdout`, which leads to a name that need not be there any more.
            let seen = std::fs::metadata(path)?;
            let is_other = (seen.dev(), seen.ino()) != (existing.dev(), existing.ino());
            if is_other || !existing.is_file() {
                return Self::in_place(path, seen.file_type());
            }
            check_writable(&target)?;
        } else if let Ok(seen) = std::fs::metadata(path) {
            return Self::in_place(path, seen.file_type());
        }
        let (file, place) = create(target, existing.as_ref())?;
        if let Some(existing) = existing {
            take_over(&file, &existing)?;
        }
        Ok(Self { file, place })
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
        Ok(Self {
            file: options.truncate(kind.is_file()).open(path)?,
            place: Place::Direct,
        })
    }

    /// Returns what the bytes are written to.
    pub(super) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Gives the complete file its name. Both are on the disk when this returns.
    pub(super) fn put_in_place(self) -> io::Result<()> {
        let Self { file, place } = self;
        match place {
            Place::Direct => ignoring_what_cannot_be_synchronised(file.sync_all()),
            Place::Unnamed(target) => {
                file.sync_all()?;
                match link(&file, &target) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        let aside = link_aside(&file, &target)?;
                        aside.persist(&target).map_err(|error| error.error)?;
                    }
                    linked => linked?,
                }
                synchronise_directory(&target)
            }
            Place::Aside(aside, target) => {
                file.sync_all()?;
                aside.persist(&target).map_err(|error| error.error)?;
                synchronise_directory(&target)
            }
        }
    }
}

/// Returns the path behind all links at the end of a path, which need not lead to anything.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let link = match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => metadata,
            _ => return Ok(path),
        };
        let directory = parent(&path).to_owned();
        if !may_follow(&link, &std::fs::metadata(&directory)?) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "the link `{}` is another user's, in a folder where anybody may put one",
                    path.display()
                ),
            ));
        }
        path = directory.join(std::fs::read_link(&path)?);
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

/// Refuses a file that may not be written to: what takes its place would be what nobody may change.
fn check_writable(path: &Path) -> io::Result<()> {
    match rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) {
        // A kernel that cannot tell will tell when it is written.
        Err(error @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn create(target: PathBuf, existing: Option<&Metadata>) -> io::Result<(File, Place)> {
    let directory = parent(&target);
    // What comes in the place of a file is for those who could read that one, from its first byte.
    let mode = existing.map_or(MODE, |existing| existing.mode() & KEPT_BITS);
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    if Path::new("/proc/self/fd").exists() {
        match rustix::fs::open(directory, flags, Mode::from_raw_mode(mode)) {
            Ok(file) => return Ok((file.into(), Place::Unnamed(target))),
            // The filesystem cannot do it, or the kernel does not know what is meant.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let file = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(directory)
        // Its own words name a file that nobody has asked for.
        .map_err(|error| {
            error
                .raw_os_error()
                .map_or(error, io::Error::from_raw_os_error)
        })?;
    let (file, aside) = NamedTempFile::into_parts(file);
    Ok((file, Place::Aside(aside, target)))
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

/// Gives a file without a name one that is not taken.
fn link(file: &File, path: &Path) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

/// Gives a file without a name one next to its place.
fn link_aside(file: &File, target: &Path) -> io::Result<TempPath> {
    for _ in 0..ATTEMPTS {
        let random: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(8)
            .collect();
        let aside = parent(target).join(format!("{PREFIX}{random}"));
        match link(file, &aside) {
            Ok(()) => return TempPath::try_from_path(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn synchronise_directory(target: &Path) -> io::Result<()> {
    ignoring_what_cannot_be_synchronised(File::open(parent(target))?.sync_all())
}

/// Pipes, devices, and directories of some filesystems have no such thing.
fn ignoring_what_cannot_be_synchronised(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error)
            if matches!(
                Errno::from_io_error(&error),
                Some(Errno::INVAL | Errno::ROFS | Errno::NOTSUP)
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
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
    fn an_incomplete_file_is_not_there_and_a_complete_one_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        for text in ["one", "two"] {
            let before = names(directory.path());
            let file = OutputFile::open(&path).unwrap();
            file.writer().unwrap().write_all(b"half").unwrap();
            if matches!(file.place, Place::Unnamed(_)) {
                assert_eq!(names(directory.path()), before);
            }
            drop(file);
            assert_eq!(names(directory.path()), before);
            write(&path, text).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(names(directory.path()), ["out"]);
        }
    }

    #[test]
    fn a_filesystem_without_unnamed_files_has_named_ones() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        let aside = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempfile_in(directory.path())
            .unwrap();
        let (file, aside) = aside.into_parts();
        let place = Place::Aside(aside, target.clone());
        OutputFile { file, place }.put_in_place().unwrap();
        assert_eq!(names(directory.path()), ["out"]);
    }

    #[test]
    fn the_mode_of_a_file_that_is_replaced_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        for mode in [0o600, 0o644, 0o666, 0o640] {
            std::fs::write(&path, "old").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let file = OutputFile::open(&path).unwrap();
            assert_eq!(file.file.metadata().unwrap().mode() & 0o777, mode);
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
        assert!(!error.to_string().contains(PREFIX), "{error}");
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
