//! OCI layouts as they are found in archives: which manifests an archive leads to, and under which
//! names.
//!
//! Sources: OCI image-spec 1.1 (`image-layout.md`, `image-index.md`). How documents are read is the
//! matter of [`crate::documents`]. Which of the manifests are images, and which of them suit a
//! machine, is decided by the host.

pub(crate) mod base64;
mod directory;
mod layout;
mod reference;
mod walk;

pub use crate::documents::{Descriptor, Index, Manifest, Platform, media_type};
pub use directory::Directory;
pub use layout::{Layout, blob_path};
pub use walk::{Found, Images, is_of_one_image};

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
