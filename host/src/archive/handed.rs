//! Output that one may have to wait for: a pipe, a terminal, a socket.
//!
//! Owns the waiting. A write to a pipe without a reader does not return, so a thread of its own does
//! it, and the owner of the bytes waits for that thread or for the user to ask to stop. A thread that
//! is stuck then ends with the process.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::cancel::Cancel;

/// Buffers on their way.
const BUFFERS: usize = 2;
/// How long one wait takes at most.
const LOOK: Duration = Duration::from_millis(50);

/// Hands bytes over to a thread that writes them.
#[derive(Debug)]
pub(crate) struct Handed {
    full: SyncSender<Vec<u8>>,
    /// What became of each buffer, which comes back.
    done: Receiver<io::Result<Vec<u8>>>,
    spent: Vec<Vec<u8>>,
    under_way: usize,
    cancel: Cancel,
}

impl Handed {
    /// Starts the thread.
    pub(crate) fn over_to(mut writer: Box<dyn Write + Send>, cancel: &Cancel) -> io::Result<Self> {
        let (full, received) = sync_channel::<Vec<u8>>(BUFFERS);
        let (back, done) = sync_channel(BUFFERS);
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || {
                for buffer in received {
                    let written = writer.write_all(&buffer).and_then(|()| writer.flush());
                    let failed = written.is_err();
                    if back.send(written.map(|()| buffer)).is_err() || failed {
                        return;
                    }
                }
            })?;
        Ok(Self {
            full,
            done,
            spent: Vec::new(),
            under_way: 0,
            cancel: cancel.clone(),
        })
    }

    /// Waits until no more buffers than these are under way.
    fn wait_for(&mut self, most: usize) -> io::Result<()> {
        while self.under_way > most {
            self.cancel.check().map_err(io::Error::other)?;
            match self.done.recv_timeout(LOOK) {
                Ok(result) => {
                    self.under_way -= 1;
                    self.spent.push(result?);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.failure()),
            }
        }
        Ok(())
    }

    /// Returns why the other thread has ended.
    fn failure(&self) -> io::Error {
        let error = self.done.try_iter().find_map(Result::err);
        error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Handed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait_for(BUFFERS - 1)?;
        let mut buffer = self.spent.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        if self.full.send(buffer).is_err() {
            return Err(self.failure());
        }
        self.under_way += 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait_for(0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn all_bytes_come_through_in_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut read = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut handed = Handed::over_to(Box::new(writer), &Cancel::default()).unwrap();
                for part in bytes.chunks(70_001) {
                    handed.write_all(part).unwrap();
                }
                handed.flush().unwrap();
            });
            reader.read_to_end(&mut read).unwrap();
        });
        assert!(read == bytes);
    }

    #[test]
    fn a_write_that_nobody_takes_ends_when_the_user_asks() {
        let (reader, writer) = io::pipe().unwrap();
        let cancel = Cancel::default();
        let mut handed = Handed::over_to(Box::new(writer), &cancel).unwrap();
        thread::scope(|scope| {
            let writing = scope.spawn(|| handed.write_all(&vec![0; 1 << 20]).and(handed.flush()));
            cancel.cancel();
            assert!(writing.join().unwrap().is_err());
        });
        drop(reader);
    }

    #[test]
    fn an_output_that_fails_is_told() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut handed = Handed::over_to(Box::new(writer), &Cancel::default()).unwrap();
        let error = handed.write_all(b"some").and_then(|()| handed.flush());
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
