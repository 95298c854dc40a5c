//! Compressed files, cluster by cluster.

use crate::cluster::Cluster;
use crate::cluster_map::{self, ClusterMap};
use crate::compression::FileCompression;
use crate::device;
use crate::error::ErofsError;
use crate::format::BLOCK_SIZE;
use crate::tree::Extent;

use super::ImageWriter;

/// The clusters of the file being written.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    map: ClusterMap,
    /// Bytes of the file.
    size: u64,
    /// A cluster has come that can only be the last.
    has_ended: bool,
}

impl ImageWriter {
    /// Appends the next cluster to a file, in an image [with compression](Self::with_compression). All of
    /// them but the last have the size of the compression. Such a file has nothing but clusters, and is
    /// ended by [`end_compressed`](Self::end_compressed).
    pub fn write_cluster(&mut self, cluster: &Cluster) -> Result<(), ErofsError> {
        self.grow("write a cluster", cluster.stored_size())?;
        let size = u64::from(cluster.size);
        let whole = self.compression.map_or(0, FileCompression::cluster_size);
        if size == 0 || cluster.size > whole || self.clusters.has_ended {
            return Err(ErofsError::OutOfOrder {
                operation: "write a cluster",
                reason: "it has another size than the compression says",
            });
        }
        let stored = cluster.stored_size();
        let padding = stored - cluster.bytes.len() as u64;
        if cluster.is_compressed {
            self.output.append_zeros(padding)?;
            self.output.append(&cluster.bytes)?;
        } else {
            self.output.append(&cluster.bytes)?;
            self.output.append_zeros(padding)?;
        }
        let blocks = u16::try_from(stored / BLOCK_SIZE).map_err(|_| ErofsError::ImageTooLarge)?;
        self.clusters.map.counts.push(blocks);
        self.clusters.size += size;
        self.clusters.has_ended = cluster.size < whole;
        Ok(())
    }

    /// Ends a file of clusters and returns where its data lies. `None` if the file has not become smaller,
    /// its indexes counted: then nothing of it is kept, and it is to be written plain.
    pub fn end_compressed(&mut self) -> Result<Option<Extent>, ErofsError> {
        let Clusters { map, size, .. } = std::mem::take(&mut self.clusters);
        let start = self.open.take().ok_or(ErofsError::OutOfOrder {
            operation: "end a file",
            reason: "no file has begun",
        })?;
        if size == 0 {
            return Ok(Some(Extent::default()));
        }
        let extent = Extent {
            block: u32::try_from(start / BLOCK_SIZE).map_err(|_| ErofsError::ImageTooLarge)?,
            size,
            device: 0,
        };
        let saved = device::blocks_of(size).saturating_sub(map.blocks());
        if saved == 0 {
            return Ok(Some(extent));
        }
        if saved * BLOCK_SIZE <= cluster_map::map_size(size) {
            self.output.rewind(start)?;
            return Ok(None);
        }
        self.maps.insert(extent.block, map);
        Ok(Some(extent))
    }
}
