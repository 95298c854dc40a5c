//! Locks on bytes of a file: any number of them, through one open file.
//!
//! They belong to the open file and not to the process (`F_OFD_SETLK` of fcntl(2)), so two
//! operations of one process exclude each other as well, and all end when it is closed.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Together with others who hold it so.
    Shared,
    /// Alone.
    Exclusive,
}

/// Takes the lock of a byte unless another open file has it, and returns whether it did.
pub(super) fn try_lock(file: &File, byte: u64, mode: Mode) -> io::Result<bool> {
    let kind = match mode {
        Mode::Shared => libc::F_RDLCK,
        Mode::Exclusive => libc::F_WRLCK,
    };
    match set(file, byte, 1, kind) {
        Ok(()) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Gives the lock of a byte back.
pub(super) fn unlock(file: &File, byte: u64) -> io::Result<()> {
    Ok(set(file, byte, 1, libc::F_UNLCK)?)
}

/// Gives all locks back. Closing the file does the same, unless a child process has it as well, as
/// each has until it runs another program.
pub(super) fn unlock_all(file: &File) -> io::Result<()> {
    // No length is all of it.
    Ok(set(file, 0, 0, libc::F_UNLCK)?)
}

fn set(file: &File, byte: u64, length: libc::off_t, kind: libc::c_int) -> Result<(), Errno> {
    // These constants are small, and have other types than the fields on some systems.
    let narrow = |value: libc::c_int| libc::c_short::try_from(value).unwrap_or_default();
    let lock = libc::flock {
        l_type: narrow(kind),
        l_whence: narrow(libc::SEEK_SET),
        l_start: libc::off_t::try_from(byte).map_err(|_| Errno::EINVAL)?,
        l_len: length,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
}
