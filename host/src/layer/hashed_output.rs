//! An output that is hashed as it is written: what is long on a thread of its own, so that writing
//! and hashing do not wait for each other.
//!
//! Owns the buffers that go between the two threads. Must not know what is written.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::LayerError;
use crate::digest::{Algorithm, Digest, Hasher};

/// Bytes that are written and hashed at a time.
const BUFFER: usize = 1 << 20;
/// Buffers that are being hashed or wait for it.
const BUFFERS: usize = 2;

/// Collects bytes, writes them and hashes them.
pub(super) struct HashedOutput<'a> {
    output: &'a mut dyn Write,
    hashing: Hashing,
    /// As long as what is written at a time; the first `filled` bytes are neither written nor hashed.
    buffer: Vec<u8>,
    filled: usize,
    bytes: u64,
}

enum Hashing {
    /// What fits one buffer needs no second thread.
    Here(Hasher),
    There(HashingThread),
}

impl<'a> HashedOutput<'a> {
    pub(super) fn new(output: &'a mut dyn Write, algorithm: Algorithm) -> Self {
        Self {
            output,
            hashing: Hashing::Here(Hasher::new(algorithm)),
            buffer: vec![0; BUFFER],
            filled: 0,
            bytes: 0,
        }
    }

    /// Returns how many bytes it was given.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes bytes.
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> Result<(), LayerError> {
        while !bytes.is_empty() {
            let space = self.space()?;
            let (now, later) = bytes.split_at(bytes.len().min(space.len()));
            let (target, _) = space.split_at_mut(now.len());
            target.copy_from_slice(now);
            self.add(now.len());
            bytes = later;
        }
        Ok(())
    }

    /// Returns where the next bytes can be put, which is never empty. [`Self::add`] takes them.
    pub(super) fn space(&mut self) -> Result<&mut [u8], LayerError> {
        if self.filled == self.buffer.len() {
            self.hand_on()?;
        }
        Ok(self.buffer.get_mut(self.filled..).unwrap_or_default())
    }

    /// Takes the first `count` bytes of the space.
    pub(super) fn add(&mut self, count: usize) {
        self.filled = self.filled.saturating_add(count).min(self.buffer.len());
        self.bytes += count as u64;
    }

    /// Writes what is left, and returns the number of all bytes and their digest.
    pub(super) fn finish(self) -> Result<(u64, Digest), LayerError> {
        let rest = self.buffer.get(..self.filled).unwrap_or_default();
        self.output.write_all(rest).map_err(LayerError::Output)?;
        let mut hasher = match self.hashing {
            Hashing::Here(hasher) => hasher,
            Hashing::There(thread) => thread.end(),
        };
        hasher.update(rest);
        Ok((self.bytes, hasher.finish()))
    }

    /// Writes a full buffer, and hashes it while the next one is filled and written.
    fn hand_on(&mut self) -> Result<(), LayerError> {
        self.output
            .write_all(&self.buffer)
            .map_err(LayerError::Output)?;
        self.filled = 0;
        if let Hashing::Here(hasher) = &self.hashing
            && let Some(thread) = HashingThread::start(hasher.clone())
        {
            self.hashing = Hashing::There(thread);
        }
        match &mut self.hashing {
            Hashing::There(thread) => thread.hash(&mut self.buffer),
            // There are no more threads to be had.
            Hashing::Here(hasher) => hasher.update(&self.buffer),
        }
        Ok(())
    }
}

/// A thread that hashes full buffers in their order.
struct HashingThread {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Hasher>,
}

impl HashingThread {
    /// Returns none where the system starts no more threads.
    fn start(mut hasher: Hasher) -> Option<Self> {
        let (full, buffers) = sync_channel::<Vec<u8>>(BUFFERS);
        let (back, empty) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            // There is room for all of them.
            let _ = back.try_send(Vec::new());
        }
        let hash = move || {
            for buffer in buffers {
                hasher.update(&buffer);
                // After an error, the other end is gone.
                let _ = back.send(buffer);
            }
            hasher
        };
        let thread = thread::Builder::new().name("hash".to_owned()).spawn(hash);
        Some(Self {
            full,
            empty,
            thread: thread.ok()?,
        })
    }

    /// Hands over a full buffer, and leaves one that can be filled in its place.
    fn hash(&self, buffer: &mut Vec<u8>) {
        // The thread lives as long as this end of its channel, unless it panics, which `end` tells.
        let mut next = self.empty.recv().unwrap_or_default();
        next.resize(BUFFER, 0);
        let _ = self.full.send(std::mem::replace(buffer, next));
    }

    /// Waits until all is hashed.
    fn end(self) -> Hasher {
        drop(self.full);
        drop(self.empty);
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Around the ends of buffers, and of all that there are.
    #[test]
    fn what_is_put_is_written_and_hashed_whatever_its_length() {
        for length in [
            0,
            1,
            BUFFER - 1,
            BUFFER,
            BUFFER + 1,
            4 * BUFFER,
            9 * BUFFER + 7,
        ] {
            let bytes: Vec<u8> = (0..length)
                .map(|it| u8::try_from(it * 7 % 251).unwrap())
                .collect();
            for piece in [1000, BUFFER / 3, 2 * BUFFER] {
                for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                    let mut written = Vec::new();
                    let mut output = HashedOutput::new(&mut written, algorithm);
                    for piece in bytes.chunks(piece) {
                        output.put(piece).unwrap();
                    }
                    assert_eq!(output.bytes(), length as u64);
                    let mut hasher = Hasher::new(algorithm);
                    hasher.update(&bytes);
                    assert_eq!(output.finish().unwrap(), (length as u64, hasher.finish()));
                    assert!(written == bytes);
                }
            }
        }
    }

    #[test]
    fn an_output_that_fails_late_ends_it() {
        let mut room = vec![0; 3 * BUFFER];
        let mut left = &mut room[..];
        let mut output = HashedOutput::new(&mut left, Algorithm::Sha256);
        let error = loop {
            if let Err(error) = output.put(&[1; 4096]) {
                break error;
            }
        };
        assert!(matches!(error, LayerError::Output(_)));
    }
}
