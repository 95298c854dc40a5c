//! A layer: a tar stream with the semantics of OCI images, turned into an EROFS image and back.
//!
//! Owns the meaning of entries (paths, whiteouts, hard links, what replaces what), the tar recipe,
//! and the road from blob to image. Knows nothing of images, archives or the store. Sources: OCI
//! image-spec `layer.md`; Linux `Documentation/filesystems/overlayfs.rst`.

mod convert;
mod error;
mod pipeline;
mod recipe;
mod tree;
mod xattr;

pub use convert::{ConvertOptions, Converted, convert};
pub use error::LayerError;
pub use pipeline::{InspectedBlob, inspect_blob};
pub use recipe::{Rebuilt, rebuild};

use crate::blob::Compression;
use crate::tar;

/// Returns whether bytes begin like a layer: compressed, a tar header, or the zeros of an empty
/// tar.
pub fn looks_like_layer(start: &[u8]) -> bool {
    Compression::sniff(start) != Compression::None
        || tar::is_header(start)
        || (start.len() >= 512 && start.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]
mod fixture;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]
mod tests;
