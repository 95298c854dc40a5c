//! A layer: a tar stream with the semantics of OCI images, turned into an EROFS image and back.
//!
//! Owns the meaning of entries (paths, whiteouts, hard links, what replaces what), the tar recipe,
//! and the data path from blob to image. Knows nothing of images, archives or the store. Sources: OCI
//! image-spec `layer.md`; Linux `Documentation/filesystems/overlayfs.rst`.

mod attributes;
mod chain;
mod check;
#[cfg(feature = "registry")]
mod contents;
#[cfg(feature = "registry")]
mod convert;
mod dependence;
mod error;
mod flat;
mod foreign;
mod hashed_output;
#[cfg(feature = "registry")]
mod identity;
mod images;
#[cfg(feature = "registry")]
mod inherit;
#[cfg(feature = "registry")]
mod inodes;
mod integrity;
#[cfg(feature = "registry")]
mod links;
#[cfg(feature = "registry")]
mod links_below;
mod lookup;
#[cfg(feature = "registry")]
mod lower;
mod merge;
mod merged;
mod merged_image;
mod merged_walk;
#[cfg(feature = "registry")]
mod names;
#[cfg(feature = "registry")]
mod notices;
mod overlay;
mod path;
#[cfg(feature = "registry")]
mod pipeline;
mod rebuild;
mod recipe;
#[cfg(feature = "registry")]
mod relocate;
#[cfg(feature = "registry")]
mod settle;
mod shared_contents;
#[cfg(feature = "registry")]
mod source;
#[cfg(feature = "registry")]
mod tree;
#[cfg(feature = "registry")]
mod walk;
mod xattr;

pub use chain::chain_id;
pub(crate) use check::next_data;
pub use check::{ExpectedLayer, Fault, check};
#[cfg(feature = "registry")]
pub use convert::{ChainPosition, ConvertOptions, Converted, InspectedBlob, convert, inspect_blob};
pub use dependence::Dependence;
pub use error::LayerError;
pub use flat::FlatOptions;
pub use foreign::{Foreign, check_foreign};
#[cfg(feature = "registry")]
pub use identity::{is_layer_image, layer_uuid};
pub use images::LayerImages;
pub use integrity::ImageRemainder;
pub use lookup::LookedUp;
#[cfg(feature = "registry")]
pub use lower::LowerLayers;
pub use merge::{MergedTree, Origin};
pub use merged::{MergedFile, MergedKind, MergedNode};
pub use merged_image::{MergedLayer, merged_uuid};
pub use merged_walk::{MergedWalk, WalkedNode};
pub use rebuild::{Rebuilt, rebuild};

use crate::blob::Compression;
use crate::tar;

/// Returns whether bytes begin like a layer: compressed, a tar header, or the zeros of an empty
/// tar.
pub fn looks_like_layer(start: &[u8]) -> bool {
    tar::is_header(start)
        || Compression::sniff(start) != Compression::None
        || (start.len() >= 512 && start.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
