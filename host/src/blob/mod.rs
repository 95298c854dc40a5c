//! Blobs: bytes as they are stored and sent, perhaps compressed.
//!
//! Owns the recognition and undoing of compression, and hashing on the way. Knows nothing of what
//! is inside.

mod compression;
#[cfg(feature = "registry")]
mod decoder;
mod error;
mod hashing;

pub use compression::Compression;
#[cfg(feature = "registry")]
pub use decoder::Decoder;
pub use error::BlobError;
pub use hashing::HashingReader;
