//! The framing of a tar stream: headers, extension headers, payloads.
//!
//! Owns what POSIX, GNU, star and Solaris have made of the format, and keeps every byte that is
//! not payload, for callers that rebuild the stream. Knows nothing of what entries mean: paths
//! are bytes, and nothing is looked up. Sources: POSIX.1-2017 `pax`, GNU tar manual appendix,
//! `tar(5)` of libarchive.

mod blocks;
mod entry;
mod error;
mod expanded;
mod fields;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
pub(crate) mod fixture;
mod globals;
mod header;
mod input;
mod pax;
mod payload;
mod reader;
mod sparse;

pub use entry::{Entry, EntryKind, PaxXattrs, SparseMap, SparseRegion};
pub use error::TarError;
pub use expanded::Expanded;
pub use input::{FileRange, TarInput};
pub use payload::Payload;
pub use reader::{Step, TarReader};

/// The unit of a tar stream: headers have this length, payloads are filled up to it.
pub const TAR_BLOCK: u64 = 512;

pub(crate) use header::is_header;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
