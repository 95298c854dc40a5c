//! The use cases: pull, load, save, list, inspect, look inside, export, adopt, verify, remove, prune. They read
//! like the manual.
//!
//! Owns what an image is: a manifest, a configuration and layers that belong together. Bytes on
//! disk are the store's business, archives are that of [`crate::archive`] and the plugins.

#[cfg(feature = "registry")]
mod adopt;
#[cfg(feature = "registry")]
mod adopt_error;
#[cfg(feature = "registry")]
mod budget;
#[cfg(feature = "registry")]
mod check;
mod config;
#[cfg(feature = "registry")]
mod containerd;
#[cfg(feature = "registry")]
mod convert;
#[cfg(feature = "registry")]
mod diff;
mod disk;
mod disk_usage;
mod document;
mod error;
#[cfg(feature = "plugins")]
mod export;
#[cfg(feature = "registry")]
mod file_entry;
#[cfg(feature = "registry")]
mod files;
#[cfg(feature = "registry")]
mod files_error;
mod filter;
#[cfg(feature = "registry")]
mod finished_layers;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "registry")]
mod handover;
mod history;
mod inspect;
mod list;
#[cfg(feature = "plugins")]
mod load;
#[cfg(feature = "registry")]
mod locks;
mod manifest;
mod merge_error;
mod merged;
#[cfg(feature = "registry")]
mod microsandbox_prune;
#[cfg(feature = "registry")]
mod microsandbox_reader;
#[cfg(feature = "registry")]
mod mount;
#[cfg(feature = "registry")]
mod mount_error;
#[cfg(feature = "registry")]
mod mount_verity;
#[cfg(feature = "registry")]
mod mount_workshop;
#[cfg(feature = "plugins")]
mod name;
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
mod rootfs;
mod runtime;
#[cfg(feature = "registry")]
mod same;
#[cfg(feature = "plugins")]
mod save;
#[cfg(feature = "plugins")]
mod save_error;
#[cfg(feature = "plugins")]
mod select;
mod selection;
#[cfg(feature = "registry")]
mod serve;
#[cfg(feature = "registry")]
mod serve_error;
#[cfg(feature = "registry")]
mod serve_microsandbox;
#[cfg(feature = "registry")]
mod sidecar;
mod similar;
mod verified;
mod verify;
mod verity;
mod vmdk;

#[cfg(feature = "registry")]
pub use adopt::{AdoptReport, AdoptedImage, RefusedImage, adopt};
#[cfg(feature = "registry")]
pub use adopt_error::AdoptError;
pub use config::{HistoryEntry, ImageConfig};
#[cfg(feature = "registry")]
pub use diff::{Change, DiffOptions, Difference, diff};
pub use disk::{DiskCompression, DiskOptions, DiskReport, DiskType, ParseDiskTypeError, disk};
pub use disk_usage::{DiskUsage, ImageUsage, disk_usage};
pub use error::ImageError;
#[cfg(feature = "plugins")]
pub use export::{ExportReport, export};
#[cfg(feature = "registry")]
pub use file_entry::{FileEntry, FileKind, Timestamp};
#[cfg(feature = "registry")]
pub use files::{ImageFile, list_files, open_file, walk_files};
#[cfg(feature = "registry")]
pub use files_error::FilesError;
pub use filter::{ImageFilter, NamePattern, ParseFilterError};
pub use history::{HistoryStep, history};
pub use inspect::{ImageDetails, LayerDetails, inspect};
pub use list::{ImageList, ImageRow, ImageSort, ImageSummary, ListOptions, NO_REFERENCE, list};
#[cfg(feature = "plugins")]
pub use load::{FailedImage, LoadOptions, LoadReport, LoadedImage, load};
pub use merge_error::MergeError;
pub use merged::{MergedDevice, MergedImage, merged};
#[cfg(feature = "registry")]
pub(crate) use mount::release_unmounted;
#[cfg(feature = "registry")]
pub use mount::{MOUNT_SANDBOX, MountOptions, MountedImage, mount, unmount};
#[cfg(feature = "registry")]
pub use mount_error::MountImageError;
pub use prune::{PruneOptions, PruneReport, prune};
#[cfg(feature = "registry")]
pub use pull::{PullOptions, PullPolicy, PulledImage, TagLookup, pull};
#[cfg(feature = "registry")]
pub use pull_error::PullError;
pub use remove::{RemoveOptions, Removed, remove};
pub use runtime::{Drive, RuntimeDetails};
#[cfg(feature = "plugins")]
pub use save::{SaveOptions, SaveReport, SaveTarget, SavedImage, save};
#[cfg(feature = "plugins")]
pub use save_error::SaveError;
#[cfg(feature = "registry")]
pub use serve::{ServeOptions, ServeReport, serve_containerd};
#[cfg(feature = "registry")]
pub use serve_error::ServeError;
#[cfg(feature = "registry")]
pub use serve_microsandbox::{
    ServeMicrosandboxOptions, ServeMicrosandboxReport, UnservedImage, UnservedReason,
    serve_microsandbox,
};
pub use similar::similar;
pub use verified::{Damage, VerifiedImage, VerifyReport};
pub use verify::{VerifyOptions, verify};
pub use verity::Verity;
