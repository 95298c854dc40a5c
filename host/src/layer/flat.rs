//! An EROFS image that has all contents of the filesystem that layers show together, and needs no layers.
//!
//! Owns the order in which contents are copied, and the threads that compress them: one thread reads and
//! writes, the others compress what lies between. What is in memory at one time is counted in clusters,
//! whatever the sizes of files are.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use msb_erofs::{
    BLOCK_SIZE, Cluster, Compressor, Extent, FileCompression, ImageOptions, ImageWriter, InodeId,
    Kind, Summary,
};

use super::LayerError;
use super::merge::MergedTree;
use super::shared_contents::SharedContents;
use crate::cancel::Cancel;
use crate::limits::{Account, Budget, Purpose};

/// Bytes of a file that are copied at a time.
const BUFFER: usize = 256 << 10;
/// Clusters under way for each thread: the one at work, and the next one.
const CLUSTERS: u64 = 2;
/// Files and clusters under way, however small they are.
const UNDER_WAY: usize = 1024;
/// Bytes of memory that are counted for the clusters of a compressed file, and for each of them.
const MAP: u64 = 64;
const MAP_CLUSTER: u64 = 4;

/// How an image with all contents is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlatOptions {
    /// The UUID of the volume.
    pub uuid: [u8; 16],
    /// How files are compressed, those that get smaller by it.
    pub compression: Option<FileCompression>,
    /// How many threads compress: as many as there are processors, unless it is said. The image is the
    /// same with any number.
    pub threads: Option<NonZero<usize>>,
}

/// Part of a file on its way into the image.
struct Part {
    id: InodeId,
    /// Where the file lies in its layer.
    source: Extent,
    is_first: bool,
    is_last: bool,
    /// Bytes of the file.
    size: u64,
    cluster: Receiver<Cluster>,
}

/// Bytes to be compressed, and who waits for them.
type Job = (Vec<u8>, SyncSender<Cluster>);

impl MergedTree {
    /// Writes an image that has everything, and needs no layers. `advanced` is told how many bytes of
    /// files were copied. The same layers and options give the same bytes.
    pub fn write_flat(
        mut self,
        file: File,
        options: &FlatOptions,
        budget: &Budget,
        advanced: &dyn Fn(u64),
        cancel: &Cancel,
    ) -> Result<Summary, LayerError> {
        let image = ImageOptions {
            uuid: options.uuid,
            build_time: 0,
        };
        let mut account = budget.account();
        let mut writer = match options.compression {
            Some(compression) => ImageWriter::with_compression(file, compression)?,
            None => ImageWriter::new(file)?,
        };
        let mut copy = FlatCopy {
            tree: &mut self,
            writer: &mut writer,
            account: &mut account,
            shared: SharedContents::default(),
            buffer: Vec::new(),
            advanced,
            cancel,
        };
        match options.compression {
            Some(compression) => copy.compress_all(compression, options.threads)?,
            None => copy.copy_all()?,
        }
        let shared = copy.shared;
        shared.apply(&mut self.tree);
        Ok(writer.finish(&self.tree, &image, cancel.token())?)
    }
}

/// Takes the memory of the threads that compress, and returns how many there are: fewer than wanted
/// where the budget has no room for all of them.
fn threads(
    wanted: Option<NonZero<usize>>,
    compression: FileCompression,
    account: &mut Account,
) -> Result<usize, LayerError> {
    let wanted = wanted.map_or_else(
        || thread::available_parallelism().map_or(1, NonZero::get),
        NonZero::get,
    );
    let each = Compressor::memory(compression)
        + 2 * CLUSTERS * u64::from(compression.cluster_size())
        + UNDER_WAY as u64 * BLOCK_SIZE / wanted as u64;
    account.take(Purpose::Clusters, each)?;
    let mut threads = 1;
    while threads < wanted && account.take(Purpose::Clusters, each).is_ok() {
        threads += 1;
    }
    Ok(threads)
}

/// The copying of all files into an image.
struct FlatCopy<'a> {
    tree: &'a mut MergedTree,
    writer: &'a mut ImageWriter,
    account: &'a mut Account,
    /// Files that layers have in one place are so in the image, too.
    shared: SharedContents,
    /// For files that are copied as they are.
    buffer: Vec<u8>,
    advanced: &'a dyn Fn(u64),
    cancel: &'a Cancel,
}

impl FlatCopy<'_> {
    /// Copies all files as they are.
    fn copy_all(&mut self) -> Result<(), LayerError> {
        for id in self.tree.ids() {
            self.cancel.check()?;
            let Some(extent) = self.contents(id) else {
                continue;
            };
            if self.shared.has(id, extent) {
                (self.advanced)(extent.size);
                continue;
            }
            let extent = self.copy(extent, self.advanced)?;
            self.tree.tree.get_mut(id).kind = Kind::File(extent);
        }
        Ok(())
    }

    /// Returns where the contents of a file lie, `None` for an empty one and for all other inodes.
    fn contents(&self, id: InodeId) -> Option<Extent> {
        match self.tree.tree.get(id).kind {
            Kind::File(extent) if extent.size > 0 => Some(extent),
            _ => None,
        }
    }

    /// Copies one file as it is.
    fn copy(&mut self, extent: Extent, advanced: &dyn Fn(u64)) -> Result<Extent, LayerError> {
        self.buffer.resize(BUFFER, 0);
        self.writer.begin_file()?;
        let mut offset = 0;
        while offset < extent.size {
            self.cancel.check()?;
            let count = self.tree.read(extent, offset, &mut self.buffer)?;
            let bytes = self.buffer.get(..count).unwrap_or_default();
            if bytes.iter().all(|byte| *byte == 0) {
                self.writer.hole(count as u64)?;
            } else {
                self.account.budget().write(count as u64)?;
                self.writer.write(bytes)?;
            }
            advanced(count as u64);
            offset += count as u64;
        }
        Ok(self.writer.end_file()?)
    }

    /// Copies all files, each cluster compressed by one of so many threads, or of as many as there are
    /// processors.
    fn compress_all(
        &mut self,
        compression: FileCompression,
        wanted: Option<NonZero<usize>>,
    ) -> Result<(), LayerError> {
        let threads = threads(wanted, compression, self.account)?;
        let mut compressors = Vec::new();
        for _ in 0..threads {
            let compressor = Compressor::new(compression);
            compressors.push(compressor.map_err(LayerError::Compress)?);
        }
        let (jobs, waiting) = channel();
        let waiting = Mutex::new(waiting);
        thread::scope(|scope| {
            for mut compressor in compressors {
                let waiting = &waiting;
                let work = move || while compress_next(waiting, &mut compressor) {};
                thread::Builder::new()
                    .name("msb-compress".to_owned())
                    .spawn_scoped(scope, work)
                    .map_err(LayerError::Compress)?;
            }
            let room = (CLUSTERS * threads as u64) * u64::from(compression.cluster_size());
            let copied = self.feed(compression, room, &jobs);
            // The threads end when there is nothing more to come.
            drop(jobs);
            copied
        })
    }

    /// Reads all files, hands their clusters to the threads, and writes what comes back in order.
    fn feed(
        &mut self,
        compression: FileCompression,
        room: u64,
        jobs: &Sender<Job>,
    ) -> Result<(), LayerError> {
        let whole = compression.cluster_size();
        let mut parts = VecDeque::new();
        let mut under_way = 0;
        for id in self.tree.ids() {
            self.cancel.check()?;
            let Some(source) = self.contents(id) else {
                continue;
            };
            if self.shared.has(id, source) {
                (self.advanced)(source.size);
                continue;
            }
            let clusters = source.size.div_ceil(whole.into());
            let map = MAP.saturating_add(clusters.saturating_mul(MAP_CLUSTER));
            self.account.take(Purpose::Clusters, map)?;
            let mut offset = 0;
            while offset < source.size {
                self.cancel.check()?;
                let size = u64::from(whole).min(source.size - offset);
                while parts.len() >= UNDER_WAY || under_way + size > room && under_way > 0 {
                    under_way -= self.write_next(&mut parts)?;
                }
                let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
                self.read(source, offset, &mut bytes)?;
                let (ready, cluster) = sync_channel(1);
                under_way += size;
                parts.push_back(Part {
                    id,
                    source,
                    is_first: offset == 0,
                    is_last: offset + size == source.size,
                    size,
                    cluster,
                });
                jobs.send((bytes, ready)).map_err(|_| stopped())?;
                offset += size;
            }
        }
        while !parts.is_empty() {
            self.write_next(&mut parts)?;
        }
        Ok(())
    }

    /// Reads bytes of a file in its layer.
    fn read(&self, source: Extent, offset: u64, bytes: &mut [u8]) -> Result<(), LayerError> {
        let count = self.tree.read(source, offset, bytes)?;
        if count < bytes.len() {
            return Err(LayerError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// Writes the part that has waited longest, once it is compressed. Returns how many bytes it was.
    fn write_next(&mut self, parts: &mut VecDeque<Part>) -> Result<u64, LayerError> {
        let Some(part) = parts.pop_front() else {
            return Ok(0);
        };
        self.cancel.check()?;
        let cluster = part.cluster.recv().map_err(|_| stopped())?;
        if part.is_first {
            self.writer.begin_file()?;
        }
        self.account.budget().write(cluster.stored_size())?;
        self.writer.write_cluster(&cluster)?;
        if part.is_last {
            let extent = match self.writer.end_compressed()? {
                Some(extent) => extent,
                // Once more, and as it is: compressed, it takes more.
                None => self.copy(part.source, &|_| ())?,
            };
            self.tree.tree.get_mut(part.id).kind = Kind::File(extent);
        }
        (self.advanced)(part.size);
        Ok(part.size)
    }
}

/// Compresses what waits next. Returns whether there was something.
fn compress_next(waiting: &Mutex<Receiver<Job>>, compressor: &mut Compressor) -> bool {
    let next = waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv();
    let Ok((bytes, ready)) = next else {
        return false;
    };
    // Nothing waits for it any more if the copying has failed.
    let _ = ready.send(compressor.compress(bytes));
    true
}

/// Returns the error that a thread has ended before its time.
fn stopped() -> LayerError {
    LayerError::Compress(io::ErrorKind::BrokenPipe.into())
}
