//! The JSON documents of container images: manifests, indexes, configurations, and the small files
//! of archives.
//!
//! Owns how they are read, for host and plugins alike, and what they say that something is: an
//! image, an index, an artifact, a build cache. It knows nothing of where a document comes from, of
//! digests, or of what becomes of an image.
//!
//! One digest has to be one image for all who read it, and nearly all others read with Go's
//! `encoding/json`. So [`parse`] takes a key for a field where Go does (`Layers` for `layers`), and
//! refuses a document in which such a key occurs twice: of these, different readers take different
//! ones. Sources: OCI image-spec 1.1; Docker's "Image Manifest V 2, Schema 2"; Go's
//! `encoding/json`, `decode.go` and `fold.go`.

mod config;
mod descriptor;
mod judge;
mod manifest;
pub mod media_type;
mod parse;
mod shape;
mod text;

pub use config::{CONFIG, CONFIG_DETAILS, Config};
pub use descriptor::{Descriptor, Platform};
pub use judge::{NotAnImage, Role};
pub use manifest::{Document, DocumentError, Index, Manifest};
pub use parse::{parse, value};
pub use shape::Shape;
pub use text::is_same as is_same_field;
