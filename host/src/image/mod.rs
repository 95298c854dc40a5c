//! The use cases: pull, load, save, list, inspect, verify, remove, prune. They read like the manual.
//!
//! Owns what an image is: a manifest, a configuration and layers that belong together. Bytes on
//! disk are the store's business, archives are that of [`crate::archive`] and the plugins.

#[cfg(feature = "registry")]
mod check;
mod config;
#[cfg(feature = "registry")]
mod convert;
mod document;
mod error;
#[cfg(feature = "registry")]
mod finished_layers;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod inspect;
mod list;
#[cfg(feature = "plugins")]
mod load;
#[cfg(feature = "registry")]
mod locks;
mod manifest;
#[cfg(feature = "plugins")]
mod name;
#[cfg(feature = "plugins")]
mod output_file;
#[cfg(feature = "plugins")]
mod pipe;
#[cfg(feature = "registry")]
mod placement;
#[cfg(feature = "registry")]
mod plan;
mod prune;
#[cfg(feature = "registry")]
mod pull;
#[cfg(feature = "registry")]
mod pull_error;
mod remove;
#[cfg(feature = "registry")]
mod resolve;
#[cfg(feature = "registry")]
mod same;
#[cfg(feature = "plugins")]
mod save;
#[cfg(feature = "plugins")]
mod save_error;
#[cfg(feature = "plugins")]
mod select;
mod selection;
mod verified;
mod verify;

pub use config::{HistoryEntry, ImageConfig};
pub use error::ImageError;
pub use inspect::{ImageDetails, LayerDetails, inspect};
pub use list::{ImageList, ImageRow, ImageSummary, NO_REFERENCE, list};
#[cfg(feature = "plugins")]
pub use load::{FailedImage, LoadOptions, LoadReport, LoadedImage, load};
pub use prune::{PruneOptions, PruneReport, prune};
#[cfg(feature = "registry")]
pub use pull::{PullOptions, PulledImage, pull};
#[cfg(feature = "registry")]
pub use pull_error::PullError;
pub use remove::{RemoveOptions, Removed, remove};
#[cfg(feature = "plugins")]
pub use save::{SaveOptions, SaveReport, SaveTarget, SavedImage, save};
#[cfg(feature = "plugins")]
pub use save_error::SaveError;
pub use verified::{Damage, VerifiedImage, VerifyReport};
pub use verify::{VerifyOptions, verify};
