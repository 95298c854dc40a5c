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
//! `examples/` has whole programs: a pull with explicit credentials, two pulls at once of which one is
//! cancelled, and the day of a runtime that mounts what it pulls.
//!
//! # Stability
//!
//! The names at the root of this crate are its interface. The modules are what `msb` and its tests are
//! built from: they can be used, but are not stable, and may change in any release.

pub mod address;
pub mod archive;
pub mod auth;
pub mod blob;
pub mod cancel;
mod context;
mod crypto;
pub mod digest;
mod error;
mod excerpt;
mod fs;
pub mod hosts;
pub mod image;
pub mod layer;
pub mod limits;
mod msb;
mod ownership;
pub mod platform;
pub mod plugin;
pub mod progress;
mod reactor;
pub mod reference;
pub mod registry;
pub mod settings;
pub mod store;
pub mod tar;

pub use archive::Input;
pub use auth::{LoggedIn, LoggedOut, PasswordStore, Registered};
pub use cancel::Cancel;
pub use context::Context;
pub use digest::Digest;
pub use error::Error;
pub use image::{
    Damage, FailedImage, ImageDetails, ImageList, ImageSummary, LayerDetails, LoadReport,
    LoadedImage, PruneReport, PulledImage, Removed, SaveReport, SaveTarget, SavedImage,
    VerifiedImage, VerifyReport,
};
pub use msb::{Msb, MsbBuilder, Operation, Running};
pub use platform::Platform;
pub use progress::{Event, Progress};
pub use reference::Reference;
pub use registry::RegistryAuth;

/// What an [`Operation`] is of.
pub mod work {
    pub use crate::msb::{
        Images, Inspect, ListLogins, Load, LogIn, LogOut, PluginSources, Prune, Pull, Release,
        Remove, Save, UseImage, Verify, Work,
    };
}
