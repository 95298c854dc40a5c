//! The two halves of the road: reading, hashing and inflating on one thread, the rest on another.
//!
//! Owns the buffers that go between them and the digest of the blob.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::LayerError;
use crate::blob::{Compression, Decoder};
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::limits::Limits;
use crate::tar::TarInput;

const BUFFER: usize = 512 << 10;
/// Buffers on their way; more would not help and would cost memory.
const BUFFERS: usize = 4;
const SNIFFED: u64 = 512;

/// What a blob turned out to be.
#[derive(Clone, Debug)]
pub struct InspectedBlob {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// How they are compressed.
    pub compression: Compression,
}

/// Hashes a blob and recognises its compression, without undoing it.
pub fn inspect_blob(mut input: impl Read, cancel: &Cancel) -> Result<InspectedBlob, LayerError> {
    let mut hasher = Hasher::default();
    let mut size = 0;
    let mut compression = Compression::None;
    let mut buffer = vec![0; BUFFER];
    loop {
        cancel.check()?;
        let count = fill(&mut input, &mut buffer).map_err(LayerError::Read)?;
        if size == 0 {
            compression = Compression::sniff(&buffer[..count]);
        }
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
    Ok(InspectedBlob {
        digest: hasher.finish(),
        size,
        compression,
    })
}

/// The reading half: everything up to decompressed bytes.
pub(super) struct Producer<'a, R> {
    pub(super) input: R,
    pub(super) algorithm: Algorithm,
    pub(super) limits: &'a Limits,
    pub(super) cancel: &'a Cancel,
    pub(super) advanced: &'a (dyn Fn(u64) + Sync),
}

impl<R: Read> Producer<'_, R> {
    /// Reads to the end. Gives up silently when the other half has.
    pub(super) fn run(self, sender: &Sender) -> Result<InspectedBlob, LayerError> {
        let mut start = Vec::new();
        let mut input = self.input;
        (&mut input)
            .take(SNIFFED)
            .read_to_end(&mut start)
            .map_err(LayerError::Read)?;
        let compression = Compression::sniff(&start);
        let mut blob = HashingReader {
            input: io::Cursor::new(start).chain(input),
            hasher: Hasher::new(self.algorithm),
            bytes: 0,
            advanced: self.advanced,
            reported: 0,
        };
        // Whether the bytes are plain is said before the first of them: then their digest is the
        // diff_id as well, and hashing them once is enough.
        sender.announce(compression);
        let mut decoder = Decoder::new(&mut blob, compression, self.limits)?;
        loop {
            self.cancel.check()?;
            let Some(mut buffer) = sender.empty() else {
                break;
            };
            buffer.resize(BUFFER, 0);
            let count = fill(&mut decoder, &mut buffer).map_err(LayerError::Read)?;
            buffer.truncate(count);
            if count == 0 || !sender.send(buffer) {
                break;
            }
        }
        drop(decoder);
        blob.report();
        Ok(InspectedBlob {
            digest: blob.hasher.finish(),
            size: blob.bytes,
            compression,
        })
    }
}

/// Makes the two ends of the way between the halves.
pub(super) fn channel() -> (Sender, Chunks) {
    let (full, chunks) = sync_channel(BUFFERS);
    let (back, empty) = sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        // There is room for all of them.
        let _ = back.try_send(Vec::new());
    }
    let (announce, compression) = sync_channel(1);
    (
        Sender {
            full,
            empty,
            announce,
        },
        Chunks {
            full: chunks,
            back,
            compression,
            current: Vec::new(),
            used: 0,
            hasher: None,
            bytes: 0,
        },
    )
}

/// The end of the reading half.
pub(super) struct Sender {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    announce: SyncSender<Compression>,
}

impl Sender {
    fn announce(&self, compression: Compression) {
        let _ = self.announce.try_send(compression);
    }

    fn empty(&self) -> Option<Vec<u8>> {
        self.empty.recv().ok()
    }

    fn send(&self, buffer: Vec<u8>) -> bool {
        self.full.send(buffer).is_ok()
    }
}

/// The end of the writing half: the decompressed bytes, hashed as they are taken unless the other
/// half has hashed the same bytes already.
pub(super) struct Chunks {
    full: Receiver<Vec<u8>>,
    back: SyncSender<Vec<u8>>,
    compression: Receiver<Compression>,
    current: Vec<u8>,
    used: usize,
    hasher: Option<Hasher>,
    bytes: u64,
}

impl Chunks {
    /// Waits until the compression is known and prepares the digest of the contents.
    pub(super) fn start(&mut self) {
        self.hasher = match self.compression.recv() {
            Ok(Compression::None) | Err(_) => None,
            Ok(_) => Some(Hasher::default()),
        };
    }

    /// Returns the digest of the contents, if it was taken here, and their length.
    pub(super) fn into_digest(self) -> (Option<Digest>, u64) {
        (self.hasher.map(Hasher::finish), self.bytes)
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.current.len() {
            let spent = std::mem::take(&mut self.current);
            self.used = 0;
            if spent.capacity() > 0 {
                let _ = self.back.try_send(spent);
            }
            // A sender that is gone has said all; what went wrong there is known there.
            if let Ok(chunk) = self.full.recv() {
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&chunk);
                }
                self.bytes += chunk.len() as u64;
                self.current = chunk;
            }
        }
        Ok(&self.current[self.used..])
    }

    fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(self.current.len());
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let held = self.fill_buf()?;
        let count = held.len().min(buffer.len());
        buffer[..count].copy_from_slice(&held[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl TarInput for Chunks {}

/// Hashes what goes through and says how much that was.
struct HashingReader<'a, R> {
    input: R,
    hasher: Hasher,
    bytes: u64,
    advanced: &'a (dyn Fn(u64) + Sync),
    reported: u64,
}

impl<R> HashingReader<'_, R> {
    fn report(&mut self) {
        (self.advanced)(self.bytes - self.reported);
        self.reported = self.bytes;
    }
}

impl<R: Read> Read for HashingReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        if self.bytes - self.reported >= BUFFER as u64 {
            self.report();
        }
        Ok(count)
    }
}

/// Reads until the buffer is full or the input has ended.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match input.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
