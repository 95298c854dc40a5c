//! The two halves of the data path: reading, hashing and inflating on one thread, all else on
//! another.
//!
//! Owns the buffers that go between them, and who hashes what: bytes that are not compressed are
//! their own contents and are hashed once, on the reading side.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::LayerError;
use super::source::Source;
use crate::blob::{Compression, Decoder, HashingReader};
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::limits::{Inflation, Limit, Limits};
use crate::tar::{self, TarInput};

/// Bytes that go from one half to the other at a time.
pub(super) const BUFFER: usize = 512 << 10;
/// Buffers on their way; more would not help and would cost memory.
const BUFFERS: usize = 4;
/// A tar header, and more than any magic number.
const SNIFFED: u64 = 512;

/// The reading half: everything up to decompressed bytes.
pub(super) struct Producer<'a, R> {
    pub(super) blob: HashingReader<Source<'a, R>>,
    pub(super) limits: &'a Limits,
    pub(super) inflation: Inflation,
    pub(super) cancel: &'a Cancel,
}

/// What the reading half has come to.
pub(super) struct Reading<'a, R> {
    /// Read to the end, unless something failed or the other half gave up.
    pub(super) blob: HashingReader<Source<'a, R>>,
    pub(super) compression: Compression,
    pub(super) outcome: Result<(), LayerError>,
}

impl<'a, R: Read> Producer<'a, R> {
    /// Reads to the end. Stops silently when the other half gave up.
    pub(super) fn run(self, sender: &Sender) -> Reading<'a, R> {
        let Self {
            mut blob,
            limits,
            inflation,
            cancel,
        } = self;
        let mut start = Vec::new();
        let sniffed = (&mut blob).take(SNIFFED).read_to_end(&mut start);
        let compression = sniff(&start);
        let outcome = match sniffed {
            Ok(_) => {
                let whole = io::Cursor::new(start).chain(&mut blob);
                let decoder = Decoder::new(whole, compression, limits);
                sender.announce(compression);
                match decoder {
                    Ok(decoder) => {
                        let decoder = decoder.counted_by(inflation);
                        produce(decoder, limits.layer_bytes, cancel, sender)
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => Err(LayerError::Read(error)),
        };
        let outcome = match outcome {
            Err(LayerError::Decompress(error)) if blob.get_ref().has_failed() => {
                Err(LayerError::Read(error))
            }
            outcome => outcome,
        };
        Reading {
            blob,
            compression,
            outcome,
        }
    }
}

/// Hands what a decoder gives to the other half, no more than `most` bytes.
fn produce(
    mut decoder: impl Read,
    most: u64,
    cancel: &Cancel,
    sender: &Sender,
) -> Result<(), LayerError> {
    let mut produced = 0;
    loop {
        cancel.check()?;
        let Some(mut buffer) = sender.empty() else {
            return Ok(());
        };
        buffer.resize(BUFFER, 0);
        let count = fill(&mut decoder, &mut buffer).map_err(LayerError::Decompress)?;
        buffer.truncate(count);
        produced += count as u64;
        if produced > most {
            return Err(LayerError::Limit {
                what: "bytes",
                max: most,
                limit: Limit::LayerBytes,
            });
        }
        if count == 0 || !sender.send(buffer) {
            return Ok(());
        }
    }
}

/// Tells how a layer is compressed. The name of the first file of a tar may begin like anything.
pub(super) fn sniff(start: &[u8]) -> Compression {
    if tar::is_header(start) {
        Compression::None
    } else {
        Compression::sniff(start)
    }
}

/// Makes the two ends of the way between the halves. The contents are hashed on the far side,
/// unless the blob is not compressed and its own hash function is the same.
pub(super) fn channel(blob: Algorithm, contents: Algorithm) -> (Sender, Chunks) {
    let (full, received) = sync_channel(BUFFERS);
    let (back, empty) = sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        // There is room for all of them.
        let _ = back.try_send(Vec::new());
    }
    let (announce, compression) = sync_channel(1);
    let sender = Sender {
        full,
        empty,
        announce,
    };
    let chunks = Chunks {
        full: received,
        back,
        compression,
        same_algorithm: blob == contents,
        hasher: Some(Hasher::new(contents)),
        current: Vec::new(),
        used: 0,
    };
    (sender, chunks)
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

/// The end of the writing half: the decompressed bytes, hashed as they are taken.
pub(super) struct Chunks {
    full: Receiver<Vec<u8>>,
    back: SyncSender<Vec<u8>>,
    compression: Receiver<Compression>,
    same_algorithm: bool,
    /// None where the blob's own digest is that of the contents.
    hasher: Option<Hasher>,
    current: Vec<u8>,
    used: usize,
}

impl Chunks {
    /// Waits until the compression is known, and with it who hashes.
    pub(super) fn start(&mut self) {
        if self.compression.recv() == Ok(Compression::None) && self.same_algorithm {
            self.hasher = None;
        }
    }

    /// Returns the digest of what was taken, unless it is the blob's.
    pub(super) fn into_digest(self) -> Option<Digest> {
        self.hasher.map(Hasher::finish)
    }

    fn held(&self) -> &[u8] {
        self.current.get(self.used..).unwrap_or_default()
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.held().is_empty() {
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
                self.current = chunk;
            }
        }
        Ok(self.held())
    }

    fn consume(&mut self, count: usize) {
        self.used = self.used.saturating_add(count).min(self.current.len());
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut held = self.fill_buf()?;
        let count = held.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl TarInput for Chunks {}

/// Reads until the buffer is full or the input has ended.
pub(super) fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(target) = buffer.get_mut(count..).filter(|target| !target.is_empty()) {
        match input.read(target) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
