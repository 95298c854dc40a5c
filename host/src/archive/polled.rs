//! Input that one may have to wait for: a pipe, a terminal, a socket.
//!
//! Owns the waiting. A read from a pipe without a writer does not return, so this asks the
//! system first whether there is something, and in between whether the user wants to stop.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::io::Errno;

use crate::cancel::Cancel;

/// How long one wait takes at most.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// A file that is read when there is something in it.
pub(super) struct Polled {
    file: File,
    cancel: Cancel,
}

impl Polled {
    pub(super) fn new(file: File, cancel: &Cancel) -> Self {
        Self {
            file,
            cancel: cancel.clone(),
        }
    }

    /// Opens a named pipe. The system would wait for a writer.
    pub(super) fn open(path: &Path, cancel: &Cancel) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = open(path, flags, Mode::empty())?.into();
        let polled = Self::new(file, cancel);
        polled.wait()?;
        let flags = fcntl_getfl(&polled.file)?;
        fcntl_setfl(&polled.file, flags - OFlags::NONBLOCK)?;
        Ok(polled)
    }

    /// Waits until there is something to read, or the end.
    fn wait(&self) -> io::Result<()> {
        loop {
            self.cancel.check().map_err(io::Error::other)?;
            let mut files = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut files, Some(&LOOK)) {
                Ok(0) | Err(Errno::INTR) => {}
                // What cannot be asked is read.
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }
}

impl Read for Polled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        self.file.read(buffer)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_read_from_a_pipe_that_nobody_writes_to_ends_when_the_user_asks() {
        let (reader, mut writer) = io::pipe().unwrap();
        let cancel = Cancel::default();
        let mut polled = Polled::new(OwnedFd::from(reader).into(), &cancel);
        writer.write_all(b"some").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(polled.read(&mut buffer).unwrap(), 4);
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| polled.read(&mut [0; 8]));
            cancel.cancel();
            assert!(reading.join().unwrap().is_err());
        });
        drop(writer);
    }

    #[test]
    fn a_named_pipe_is_read_once_somebody_writes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let cancel = Cancel::default();
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut text = String::new();
                let mut polled = Polled::open(&path, &cancel).unwrap();
                polled.read_to_string(&mut text).unwrap();
                text
            });
            std::fs::write(&path, "text").unwrap();
            assert_eq!(reading.join().unwrap(), "text");
            let waiting = scope.spawn(|| Polled::open(&path, &cancel).is_err());
            cancel.cancel();
            assert!(waiting.join().unwrap());
        });
    }
}
