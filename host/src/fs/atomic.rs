//! Files that are complete under their name, or not there at all: the one way in which msb writes a
//! file that must survive its process and the machine.
//!
//! Owns where the bytes go until they are complete, and the step that gives them their name. Where
//! the filesystem can do it (`O_TMPFILE`), the file has no name until then, so that a process that is
//! killed leaves nothing. A name that is taken needs a moment in which the new file stands next to
//! the old one, since Linux has no call that puts a file without a name in the place of another one.
//! It is called after its target then, and locked while its process lives: the next process that writes the target
//! next, or tidies the directory, removes what was left.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags};
use rustix::io::Errno;
use tempfile::TempPath;

use super::{parent, sync_directory};
use crate::digest::Digest;

/// How the names of files begin that are not complete.
const UNFINISHED: &str = ".msb-new-";
/// How the names began of files of settings that an msb of before was writing.
pub(crate) const FORMER_SETTINGS: &str = ".config.";
/// How the names began of files with passwords that an msb of before was writing.
pub(crate) const FORMER_PASSWORD: &str = ".tmp";
/// How many characters followed in those names.
const FORMER_DIGITS: usize = 6;
/// How many characters of the digest of its name stand for the target.
const TARGET_DIGITS: usize = 16;
/// How many names are tried beside the one that is called after the target.
const ATTEMPTS: usize = 100;

/// Who may do what with a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// This, whatever the umask.
    Exactly(u32),
    /// What the umask leaves of this.
    Within(u32),
}

/// A file that is being written. Dropped before it is put in its place, it was never there.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: File,
    target: PathBuf,
    /// Its name for now, where it has one.
    aside: Option<TempPath>,
}

/// Writes a whole file, in the place of the one that is there. Its bytes and its name are on the
/// disk when this returns.
pub(crate) fn write(target: &Path, mode: Mode, bytes: &[u8]) -> io::Result<()> {
    let file = AtomicFile::create(target, mode)?;
    file.file().write_all(bytes)?;
    file.put_in_place()
}

impl AtomicFile {
    /// Makes a file, empty for now, that is to be called `target`.
    pub(crate) fn create(target: &Path, mode: Mode) -> io::Result<Self> {
        remove_if_left(&named_after(target));
        let file = match create_unnamed(parent(target), mode.bits())? {
            Some(file) => {
                lock(&file);
                Self {
                    file,
                    target: target.to_owned(),
                    aside: None,
                }
            }
            None => Self::create_named(target, mode.bits())?,
        };
        if let Mode::Exactly(bits) = mode {
            file.file.set_permissions(Permissions::from_mode(bits))?;
        }
        Ok(file)
    }

    fn create_named(target: &Path, mode: u32) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(mode);
        for path in asides(target) {
            let file = match options.open(&path) {
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            let aside = TempPath::try_from_path(path)?;
            // Until it is locked, it looks like one that was left. One who looks whether it is locks
            // it for a moment, which is waited for.
            let _ = file.lock();
            if file.metadata()?.nlink() > 0 {
                return Ok(Self {
                    file,
                    target: target.to_owned(),
                    aside: Some(aside),
                });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Returns what the bytes are written to.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the complete file its name, which it takes from another one where there is one. Both
    /// bytes and name are on the disk when this returns.
    pub(crate) fn put_in_place(self) -> io::Result<()> {
        self.file.sync_all()?;
        let directory = parent(&self.target).to_owned();
        self.give_name()?;
        sync_directory(&directory)
    }

    /// The same for a file that is on the disk already; its name need not be.
    pub(crate) fn give_name(self) -> io::Result<()> {
        let aside = match self.aside {
            Some(aside) => aside,
            None => match link(&self.file, &self.target) {
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {
                    link_aside(&self.file, &self.target)?
                }
                linked => return linked,
            },
        };
        aside.persist(&self.target).map_err(|failed| failed.error)
    }

    /// Gives the complete file its name unless that is taken, and returns whether it did.
    pub(crate) fn put_if_free(self) -> io::Result<bool> {
        self.file.sync_all()?;
        let named = match self.aside {
            Some(aside) => aside
                .persist_noclobber(&self.target)
                .map_err(|failed| failed.error),
            None => link(&self.file, &self.target),
        };
        match named {
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            named => named?,
        }
        sync_directory(parent(&self.target))?;
        Ok(true)
    }
}

impl Mode {
    fn bits(self) -> u32 {
        let (Self::Exactly(bits) | Self::Within(bits)) = self;
        bits
    }
}

/// Gives what has another name already this one too, in the place of what has it now: `link` makes a
/// link at the path that it is given. Two that do this to one name take turns, which is up to them.
pub(crate) fn put_link(
    target: &Path,
    link: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let aside = named_after(target);
    // A process that was killed may have left one.
    let _ = std::fs::remove_file(&aside);
    link(&aside)?;
    let put = std::fs::rename(&aside, target);
    // Where both are names of one file already, renaming leaves both.
    let _ = std::fs::remove_file(&aside);
    put
}

/// A file that is about to be removed, under a name that says so: if this process is killed, it is
/// one of those that were left.
#[derive(Debug)]
pub(crate) struct SetAside {
    target: PathBuf,
    aside: PathBuf,
    _lock: File,
}

/// Takes its name from a file, if there is one.
pub(crate) fn set_aside(target: &Path) -> io::Result<Option<SetAside>> {
    let opened = match File::open(target) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    lock(&opened);
    let aside = named_after(target);
    std::fs::rename(target, &aside)?;
    Ok(Some(SetAside {
        target: target.to_owned(),
        aside,
        _lock: opened,
    }))
}

impl SetAside {
    /// Removes the file, durably.
    pub(crate) fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.aside)?;
        sync_directory(parent(&self.aside))
    }

    /// Gives the file its name back.
    pub(crate) fn restore(self) -> io::Result<()> {
        std::fs::rename(&self.aside, &self.target)
    }
}

/// Returns whether a file is called as those that are not complete.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(UNFINISHED))
}

/// Returns whether a file was left unfinished by a process that is gone, also by an msb of before if
/// that began the names of such files with `former`.
pub(crate) fn is_left(path: &Path, former: Option<&str>) -> bool {
    former.is_some_and(|former| is_former(path, former)) || lock_if_left(path).is_some()
}

fn is_former(path: &Path, prefix: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let ending = name.and_then(|name| name.strip_prefix(prefix));
    let is_random = |ending: &str| {
        ending.len() == FORMER_DIGITS && ending.bytes().all(|it| it.is_ascii_alphanumeric())
    };
    let is_private =
        |metadata: std::fs::Metadata| metadata.is_file() && metadata.mode().trailing_zeros() >= 6;
    ending.is_some_and(is_random) && path.symlink_metadata().is_ok_and(is_private)
}

/// Removes a file if it was left unfinished by a process that is gone.
pub(crate) fn remove_if_left(path: &Path) {
    if let Some(_lock) = lock_if_left(path) {
        let _ = std::fs::remove_file(path);
    }
}

/// Removes the files in a directory that were [left](is_left), as far as that is possible.
pub(crate) fn remove_left(directory: &Path, former: Option<&str>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if former.is_some_and(|former| is_former(&path, former)) {
            let _ = std::fs::remove_file(&path);
        }
        remove_if_left(&path);
    }
}

/// Locks a file that was left. While the lock lasts, no other process takes its name.
fn lock_if_left(path: &Path) -> Option<File> {
    if !is_unfinished(path) || !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = File::options();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path).ok()?;
    file.try_lock().ok()?;
    // The name may lead to another file by now.
    let (locked, named) = (file.metadata().ok()?, path.symlink_metadata().ok()?);
    let is_same = (locked.dev(), locked.ino()) == (named.dev(), named.ino());
    is_same.then_some(file)
}

/// Shows others that the process of a file lives. Filesystems without locks have no such sign.
fn lock(file: &File) {
    let _ = file.try_lock();
}

/// Makes a file without a name in a directory; `None` where that cannot be done.
fn create_unnamed(directory: &Path, mode: u32) -> io::Result<Option<File>> {
    if !Path::new("/proc/self/fd").exists() {
        return Ok(None);
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags, rustix::fs::Mode::from_raw_mode(mode)) {
        Ok(file) => Ok(Some(file.into())),
        // The filesystem cannot do it, or the kernel does not know what is meant.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives a file without a name one that is not taken.
fn link(file: &File, path: &Path) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

/// Gives a file without a name one next to its target.
fn link_aside(file: &File, target: &Path) -> io::Result<TempPath> {
    for aside in asides(target) {
        match link(file, &aside) {
            Ok(()) => return TempPath::try_from_path(aside),
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Returns names next to a target, the first of which is always the same: what is left under it is
/// found by the next one to write the target.
fn asides(target: &Path) -> impl Iterator<Item = PathBuf> {
    let random = || std::iter::repeat_with(fastrand::alphanumeric).take(TARGET_DIGITS);
    let named = |ending: String| parent(target).join(format!("{UNFINISHED}{ending}"));
    let others = std::iter::repeat_with(move || named(random().collect()));
    std::iter::once(named_after(target)).chain(others.take(ATTEMPTS))
}

fn named_after(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default();
    let digest = Digest::of(name.as_encoded_bytes());
    let ending = digest.hex().get(..TARGET_DIGITS).unwrap_or_default();
    parent(target).join(format!("{UNFINISHED}{ending}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
