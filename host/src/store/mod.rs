//! The store: what lies under `$MSB_HOME`, and how it stays whole.
//!
//! Owns paths, the catalogue, publishing, locks, leases and garbage. A file is written aside,
//! synchronised, renamed, its directory synchronised; only then does one transaction of the
//! catalogue make it visible. Knows nothing of archives and plugins. The layout is documented in
//! `docs/store.md`.

mod adopted;
mod apart;
mod blob;
mod carry;
mod catalogue;
mod choice;
mod collect;
mod column;
mod database;
mod deletion;
mod error;
mod fault;
mod find;
mod foreign;
mod forget;
mod fs;
mod known;
mod layer_file;
mod layer_record;
mod layer_row;
mod leftovers;
mod listing;
mod lock;
mod lock_file;
mod merged;
mod new_image;
mod opening;
mod part;
mod proof;
mod publish;
mod query;
mod range;
mod record;
mod repair;
mod restore;
mod room;
mod rows;
mod schema;
mod sidecar;
mod staging;
mod stock;
mod sweep;
mod tag;
mod usage;

pub use adopted::AdoptedLayer;
#[cfg(feature = "registry")]
pub(crate) use apart::SetApart;
pub use catalogue::Store;
pub use choice::{Choice, Picked};
pub use collect::Collected;
pub use error::StoreError;
pub use find::FoundImage;
#[cfg(feature = "registry")]
pub(crate) use foreign::Foreign;
pub use forget::Forgotten;
pub(crate) use fs::{create_directory, error as io_error, remove, write_atomically};
pub use layer_record::{LayerFacts, LayerKey, LayerRecord};
pub(crate) use lock::lock_plugins;
pub use lock::{LayerLocks, LayerPins, Lease};
pub use merged::NewMerged;
pub use new_image::{NewImage, NewImageIndex, NewImageLayer};
pub use part::{Part, PartReader, Resumption};
pub use query::{DamagedRow, ImageIndex, ImageLayer, ImageRecord};
pub use record::{MovedReference, Recorded};
pub use repair::LayerIdentity;
pub use restore::Restored;
pub use schema::FORMAT;
pub use staging::{StagedLayer, Staging};
pub use stock::{Footprint, Stock, StockedImage};
pub use tag::{Tagged, Untagged};
pub use usage::UsedImage;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests;
