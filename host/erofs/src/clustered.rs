//! Reading compressed files.
//!
//! Owns the way from a byte of such a file to the cluster that has it. At most one cluster is in memory,
//! the one that was read last, and no cluster is larger than 1 MiB.

use std::sync::PoisonError;

use zerocopy::{FromZeros as _, IntoBytes as _};

use super::ErofsError;
use super::cluster;
use super::cluster_map::{self, ClusterPlace, header, header_size};
use super::compression::FileCompression;
use super::device::blocks_of;
use super::format::{BLOCK_SIZE, DataLayout, Nid};
use super::inode::InodeInfo;
use super::raw::{CHUNK_INDEX_SIZE, RawClusterIndex, RawMapHeader};
use super::reader::Image;
use super::source::ReadAt;

/// The cluster that was read last.
#[derive(Debug)]
pub(super) struct Decompressed {
    nid: Nid,
    number: u64,
    bytes: Vec<u8>,
}

impl<R: ReadAt> Image<R> {
    /// Returns where a compressed file lies, its first block and the one behind its last. All of its
    /// indexes are checked.
    pub(super) fn compressed_blocks(
        &self,
        inode: &InodeInfo,
    ) -> Result<Option<(u64, u64)>, ErofsError> {
        if inode.layout != DataLayout::Compressed {
            return Ok(None);
        }
        let compression = self.compression_of(inode)?;
        let mut range: Option<(u64, u64)> = None;
        for number in 0..inode.size.div_ceil(compression.cluster_size().into()) {
            let place = self.cluster(inode, number, compression)?;
            let start = u64::from(place.block);
            let end = start + u64::from(place.count);
            range = match range {
                None => Some((start, end)),
                Some((first, last)) if last == start => Some((first, end)),
                Some(_) => return Err(inode.damaged("its clusters do not follow one another")),
            };
        }
        let count = range.map_or(0, |(first, last)| last - first);
        if count != u64::from(inode.address) || count >= blocks_of(inode.size) {
            return Err(inode.damaged("it has another number of blocks than it says"));
        }
        Ok(range)
    }

    /// Reads contents of a compressed file. Returns how many bytes of `buf` are filled: all, unless the
    /// file ends before.
    pub(super) fn read_compressed(
        &self,
        inode: &InodeInfo,
        mut offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, ErofsError> {
        let left = usize::try_from(inode.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buf.len());
        let (mut rest, _) = buf.split_at_mut(count);
        let compression = self.compression_of(inode)?;
        let whole = u64::from(compression.cluster_size());
        while !rest.is_empty() {
            let number = offset / whole;
            let place = self.cluster(inode, number, compression)?;
            let skip = usize::try_from(offset % whole).unwrap_or(usize::MAX);
            let here = (place.size as usize).saturating_sub(skip).min(rest.len());
            let (target, after) = rest.split_at_mut(here);
            if target.is_empty() {
                return Err(inode.damaged("it has a cluster without bytes"));
            }
            if place.is_compressed() {
                self.read_cluster(inode, number, place, compression, skip, target)?;
            } else {
                let start = u64::from(place.block) * BLOCK_SIZE;
                self.source().read(start + skip as u64, target)?;
            }
            offset += here as u64;
            rest = after;
        }
        Ok(count)
    }

    /// Copies bytes of a cluster, from `skip` in it, once it is decompressed.
    fn read_cluster(
        &self,
        inode: &InodeInfo,
        number: u64,
        place: ClusterPlace,
        compression: FileCompression,
        skip: usize,
        target: &mut [u8],
    ) -> Result<(), ErofsError> {
        let decompressed = &self.decompressed;
        let mut known = decompressed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |one: &Decompressed| one.nid == inode.nid && one.number == number;
        if !known.as_ref().is_some_and(is_known) {
            let mut blocks = vec![0; usize::from(place.count) << super::format::BLOCK_BITS];
            let start = u64::from(place.block) * BLOCK_SIZE;
            self.source().read(start, &mut blocks)?;
            let mut bytes = vec![0; place.size as usize];
            cluster::decompress(compression.algorithm(), &blocks, &mut bytes)
                .map_err(|what| inode.damaged(what))?;
            *known = Some(Decompressed {
                nid: inode.nid,
                number,
                bytes,
            });
        }
        let bytes = known.as_ref().and_then(|one| one.bytes.get(skip..));
        for (to, from) in target.iter_mut().zip(bytes.unwrap_or_default()) {
            *to = *from;
        }
        Ok(())
    }

    /// Returns where a cluster of a file lies: inside of the image.
    fn cluster(
        &self,
        inode: &InodeInfo,
        number: u64,
        compression: FileCompression,
    ) -> Result<ClusterPlace, ErofsError> {
        let (first, _) = self.map_range(inode)?;
        if number == 0 {
            self.check_header(inode, first, compression)?;
        }
        let size = cluster_map::cluster_size(inode.size, number, compression);
        let before = number * u64::from(compression.blocks()) * CHUNK_INDEX_SIZE as u64;
        let count = usize::try_from(blocks_of(size.into())).unwrap_or_default();
        let mut indexes = vec![RawClusterIndex::new_zeroed(); count];
        let start = first + header_size() + before;
        self.source().read_cached(start, indexes.as_mut_bytes())?;
        let place = ClusterPlace::of(size, &indexes).map_err(|what| inode.damaged(what))?;
        let end = u64::from(place.block) + u64::from(place.count);
        if place.block == 0 || end * BLOCK_SIZE > self.size() {
            return Err(inode.damaged("its data lies outside of the image"));
        }
        Ok(place)
    }

    /// Checks what is in front of the indexes of a file, which start at a byte.
    fn check_header(
        &self,
        inode: &InodeInfo,
        start: u64,
        compression: FileCompression,
    ) -> Result<(), ErofsError> {
        let mut found = RawMapHeader::default();
        self.source().read_cached(start, found.as_mut_bytes())?;
        if found != header(compression) {
            return Err(inode.damaged("it is compressed in another way than msb does it"));
        }
        Ok(())
    }

    fn map_range(&self, inode: &InodeInfo) -> Result<(u64, u64), ErofsError> {
        let start = self.offset(inode.nid).ok_or(ErofsError::ImageTooLarge)?;
        inode
            .index_range(start)
            .ok_or(inode.damaged("it has no clusters"))
    }

    fn compression_of(&self, inode: &InodeInfo) -> Result<FileCompression, ErofsError> {
        self.compression
            .ok_or(inode.damaged("it is compressed, and the image says that no file is"))
    }
}
