//! OCI documents as they are found in archives: lenient reading, strict judging.
//!
//! Sources: OCI image-spec 1.1 (`image-layout.md`, `image-index.md`, `manifest.md`,
//! `descriptor.md`) and Docker's image manifest version 2, schema 2. What real tools write is
//! accepted: `null` for an empty list, unknown fields, missing media types, Docker's media types
//! inside of an OCI layout.

mod base64;
mod directory;
mod document;
mod layout;
pub mod media_type;
mod reference;
mod walk;

pub use directory::Directory;
pub use document::{Descriptor, Index, Manifest, Platform};
pub use layout::{Layout, blob_path};
pub use walk::{Found, Images};

/// The limit for an index, in bytes.
pub const INDEX_LIMIT: u64 = 4 << 20;

/// The limit for a manifest, in bytes.
pub const MANIFEST_LIMIT: u64 = 4 << 20;

/// The limit for a configuration, in bytes.
pub const CONFIG_LIMIT: u64 = 8 << 20;

/// The annotation with the full name of an image, as containerd and Docker write it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// The annotation with the name of an image inside of its layout: a full name, or only a tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
