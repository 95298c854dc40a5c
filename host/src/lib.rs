//! OCI images as read-only EROFS filesystems, one per layer, that a microVM or an overlay mount uses at
//! once: pulled, loaded, saved, listed, verified and removed. This is all that the command line tool
//! `msb` does, as a library. It never prints, and it never asks anybody anything.
//!
//! [`Msb`] is the front door. Its operations can be awaited in any asynchronous runtime, where dropping
//! the future cancels the operation, or be run on the thread of the caller.
//!
//! Pull an image, with the credentials that msb finds as the command line does, or with others:
//!
//! ```no_run
//! use msb_host::{Msb, RegistryAuth};
//!
//! # async fn example() -> Result<(), msb_host::Error> {
//! let msb = Msb::open()?;
//! let alpine = msb.pull("alpine").await?;
//! println!("{}", alpine.registry_digest);
//! let own = msb
//!     .pull("registry.example.com/app:1")
//!     .auth(RegistryAuth::basic("me", "secret"))
//!     .platform("linux/arm64".parse()?)
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! Load an archive, here without an asynchronous runtime:
//!
//! ```no_run
//! use msb_host::{Input, Msb};
//!
//! # fn main() -> Result<(), msb_host::Error> {
//! let report = Msb::open()?.load(Input::Path("image.tar".into())).run()?;
//! for image in report.images {
//!     println!("{}", image.config_digest);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Save images:
//!
//! ```no_run
//! use msb_host::{Msb, SaveTarget};
//!
//! # fn main() -> Result<(), msb_host::Error> {
//! let target = SaveTarget::File("images.tar".into());
//! Msb::open()?.save(["alpine", "app:1"], target).format("oci").run()?;
//! # Ok(())
//! # }
//! ```
//!
//! List the images, and find the EROFS images of one to mount:
//!
//! ```no_run
//! use msb_host::Msb;
//!
//! # fn main() -> Result<(), msb_host::Error> {
//! let msb = Msb::open()?;
//! for image in msb.images().run()?.images {
//!     println!("{} {} bytes", image.digest, image.size_bytes);
//! }
//! for layer in msb.inspect("alpine").run()?.layers {
//!     println!("{:?}", layer.erofs_path);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Look inside an image, without mounting it:
//!
//! ```no_run
//! use std::io::Read as _;
//!
//! use msb_host::Msb;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let msb = Msb::open()?;
//! for entry in msb.list_files("alpine", "/etc").run()? {
//!     println!("{} {}", entry.mode_text(), String::from_utf8_lossy(entry.name()));
//! }
//! let mut release = String::new();
//! msb.open_file("alpine", "/etc/os-release").run()?.read_to_string(&mut release)?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/` has whole programs: a pull with explicit credentials, two pulls at once of which one is
//! cancelled, and the day of a runtime that mounts what it pulls.
//!
//! # Features
//!
//! All are on by default. Without any, [`Msb`] lists, inspects, verifies, removes and prunes, and records
//! what sandboxes use.
//!
//! - `registry`: pulling, with explicit credentials or none.
//! - `plugins`: archive formats and credential providers in WebAssembly: loading, saving, logins. Implies
//!   `registry`.
//! - `keyring`: the credential store of the operating system. Implies `plugins`.
//!
//! # Stability
//!
//! The names at the root of this crate are its interface. The modules are what `msb` and its tests are
//! built from: they can be used, but are not stable, and may change in any release.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests make the files that they need by the shortest way"
    )
)]
#![cfg_attr(
    not(feature = "plugins"),
    allow(
        dead_code,
        unused_imports,
        reason = "what only pulling and loading use"
    )
)]

pub mod address;
#[cfg(feature = "registry")]
pub mod archive;
#[cfg(feature = "registry")]
pub mod auth;
pub mod blob;
pub mod cancel;
mod context;
#[cfg(feature = "registry")]
pub mod credential;
#[cfg(feature = "registry")]
mod crypto;
pub mod digest;
#[cfg(feature = "plugins")]
pub mod doctor;
mod error;
mod excerpt;
mod fs;
pub mod home;
#[cfg(feature = "registry")]
pub mod hosts;
pub mod image;
#[cfg(feature = "plugins")]
pub mod installed;
pub mod layer;
pub mod limits;
mod microsandbox;
#[cfg(feature = "registry")]
pub mod mount;
mod msb;
#[cfg(feature = "plugins")]
mod ownership;
pub mod platform;
#[cfg(feature = "plugins")]
pub mod plugin;
pub mod progress;
#[cfg(feature = "registry")]
mod reactor;
pub mod reference;
#[cfg(feature = "registry")]
pub mod registry;
#[cfg(feature = "registry")]
pub mod settings;
pub mod store;
pub mod tar;
#[cfg(feature = "registry")]
mod wildcard;

#[cfg(feature = "plugins")]
pub use archive::Input;
#[cfg(feature = "plugins")]
pub use auth::{LoggedIn, LoggedOut, LoginPrompt, PasswordStore, Registered};
pub use cancel::Cancel;
pub use context::Context;
#[cfg(feature = "registry")]
pub use credential::RegistryAuth;
pub use digest::Digest;
pub use error::Error;
pub use fs::FileError;
#[cfg(feature = "registry")]
pub use image::{
    AdoptReport, AdoptedImage, Change, Difference, FileEntry, FileKind, ImageFile, MountedImage,
    PullPolicy, PulledImage, RefusedImage, ServeMicrosandboxReport, ServeReport, TagLookup,
    UnservedImage, UnservedReason,
};
pub use image::{
    Damage, DiskCompression, DiskReport, DiskType, DiskUsage, HistoryStep, ImageDetails,
    ImageFilter, ImageList, ImageSort, ImageSummary, LayerDetails, MergedDevice, MergedImage,
    NamePattern, PruneReport, Removed, RuntimeDetails, VerifiedImage, VerifyReport, Verity,
};
#[cfg(feature = "plugins")]
pub use image::{
    ExportReport, FailedImage, LoadReport, LoadedImage, SaveReport, SaveTarget, SavedImage,
};
pub use msb::{Msb, MsbBuilder, Operation, Running};
pub use msb_erofs::{Algorithm, CompressionError, FileCompression};
pub use platform::Platform;
pub use progress::{Event, Progress};
pub use reference::Reference;
pub use store::{Tagged, Untagged};

/// What an [`Operation`] is of.
pub mod work {
    #[cfg(feature = "registry")]
    pub use crate::msb::{
        Adopt, Diff, ListFiles, Mount, OpenFile, Pull, ServeContainerd, ServeMicrosandbox, Unmount,
        WalkFiles,
    };
    pub use crate::msb::{
        Df, Disk, Exists, History, Images, Inspect, Merge, Prune, Release, Remove, Similar, Tag,
        Untag, UseImage, Verify, Work,
    };
    #[cfg(feature = "plugins")]
    pub use crate::msb::{
        Doctor, Export, InteractiveLogIn, ListLogins, Load, LogIn, LogOut, PluginSources, Save,
    };
}
