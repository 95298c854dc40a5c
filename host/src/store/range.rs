//! Locks on parts of a file: any number of them, by number, through one open file.
//!
//! They belong to the open file and not to the process (`F_OFD_SETLK` of fcntl(2)), so two
//! operations of one process exclude each other as well, and all end when it is closed.

use std::fs::File;
use std::io;

/// Takes the lock of a number unless another open file has it, and returns whether it did.
pub(super) fn try_lock(file: &File, number: u64) -> io::Result<bool> {
    imp::try_lock(file, number)
}

/// Gives the lock of a number back.
pub(super) fn unlock(file: &File, number: u64) -> io::Result<()> {
    imp::unlock(file, number)
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs::File;
    use std::io;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    pub(super) fn try_lock(file: &File, number: u64) -> io::Result<bool> {
        match set(file, number, libc::F_WRLCK) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn unlock(file: &File, number: u64) -> io::Result<()> {
        Ok(set(file, number, libc::F_UNLCK)?)
    }

    fn set(file: &File, number: u64, kind: libc::c_int) -> Result<(), Errno> {
        // These constants are small, and have other types than the fields on some systems.
        let narrow = |value: libc::c_int| libc::c_short::try_from(value).unwrap_or_default();
        let lock = libc::flock {
            l_type: narrow(kind),
            l_whence: narrow(libc::SEEK_SET),
            // A byte of its own, far below the largest offset.
            l_start: libc::off_t::try_from(number >> 4).unwrap_or_default(),
            l_len: 1,
            l_pid: 0,
        };
        fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
    }
}

/// Where there are no such locks, one is taken for all numbers: who makes one layer keeps the
/// others from making another one.
#[cfg(not(target_os = "linux"))]
mod imp {
    use std::fs::{File, TryLockError};
    use std::io;

    pub(super) fn try_lock(file: &File, _number: u64) -> io::Result<bool> {
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn unlock(_file: &File, _number: u64) -> io::Result<()> {
        Ok(())
    }
}
