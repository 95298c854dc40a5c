//! The use cases: pull, load, save, list, inspect, verify, remove, prune. They read like the manual.
//!
//! Owns what an image is: a manifest, a configuration and layers that belong together. Bytes on
//! disk are the store's business, archives are that of [`crate::archive`] and the plugins.

mod check;
mod config;
mod convert;
mod document;
mod error;
mod finished_layers;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod inspect;
mod list;
mod load;
mod locks;
mod manifest;
mod name;
mod output_file;
mod pipe;
mod placement;
mod plan;
mod prune;
mod pull;
mod remove;
mod resolve;
mod same;
mod save;
mod select;
mod selection;
mod verified;
mod verify;

pub use config::{HistoryEntry, ImageConfig};
pub use error::{LoadError, PullError, SaveError};
pub use inspect::{ImageDetails, LayerDetails, inspect};
pub use list::{ImageList, ImageRow, ImageSummary, NO_REFERENCE, list};
pub use load::{FailedImage, LoadOptions, LoadReport, LoadedImage, load};
pub use prune::{PruneOptions, PruneReport, prune};
pub use pull::{PullOptions, PulledImage, pull};
pub use remove::{RemoveOptions, Removed, remove};
pub use save::{SaveOptions, SaveReport, SaveTarget, SavedImage, save};
pub use verified::{Damage, VerifiedImage, VerifyReport};
pub use verify::{VerifyOptions, verify};
