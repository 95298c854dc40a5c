//! The store: what lies under `$MSB_HOME`, and how it stays whole.
//!
//! Owns paths, the catalogue, publishing, locks, leases and garbage. A file is written aside,
//! synchronised, renamed, its directory synchronised; only then does one transaction of the
//! catalogue make it visible. Knows nothing of archives and plugins. The layout is documented in
//! `docs/store.md`.

mod catalogue;
mod collect;
mod error;
mod find;
mod foreign;
mod fs;
mod home;
mod lock;
mod publish;
mod record;
mod schema;
mod staging;
mod usage;

pub use catalogue::{ImageLayer, ImageRecord, Store};
pub use collect::Collected;
pub use error::StoreError;
pub use find::FoundImage;
pub use home::Home;
pub use lock::{LayerLock, Lease};
pub use publish::{LayerFacts, StoredLayer};
pub use record::{MovedReference, NewImage, NewImageLayer, Recorded};
pub use staging::{StagedLayer, Staging};
