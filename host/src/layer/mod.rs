//! A layer: a tar stream with the semantics of OCI images, turned into an EROFS image and back.
//!
//! Owns the meaning of entries (paths, whiteouts, hard links, what replaces what), the tar recipe,
//! and the data path from blob to image. Knows nothing of images, archives or the store. Sources: OCI
//! image-spec `layer.md`; Linux `Documentation/filesystems/overlayfs.rst`.

mod attributes;
mod check;
mod contents;
mod convert;
mod error;
mod inherit;
mod integrity;
mod links;
mod lower;
mod names;
mod notices;
mod path;
mod pipeline;
mod rebuild;
mod recipe;
mod relocate;
mod settle;
mod source;
mod tree;
mod walk;
mod xattr;

pub use check::{ExpectedLayer, Fault, check};
pub use convert::{ChainPosition, ConvertOptions, Converted, InspectedBlob, convert, inspect_blob};
pub use error::LayerError;
pub use integrity::ImageRemainder;
pub use lower::LowerLayers;
pub use rebuild::{Rebuilt, rebuild};
pub use settle::Dependence;

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
