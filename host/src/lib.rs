//! The host of msb: everything the command line tool does, as a library.
//!
//! msb keeps OCI images as read-only EROFS filesystems, one per layer, that a microVM or an
//! overlay mount uses at once. This crate owns the store, the conversion, the plugin runtime and
//! the use cases; it never prints, and it never asks anybody anything.
//!
//! ```no_run
//! use std::sync::Arc;
//! use msb_host::archive::Input;
//! use msb_host::cancel::Cancel;
//! use msb_host::image::{self, LoadOptions};
//! use msb_host::plugin::Formats;
//! use msb_host::progress::{Progress, Silent};
//! use msb_host::store::{Home, Store};
//!
//! # fn main() -> Result<(), msb_host::Error> {
//! let home = Home::resolve()?;
//! let store = Store::open(&home)?;
//! let formats = Formats::builtin(&home);
//! let progress: Arc<dyn Progress> = Arc::new(Silent);
//! let report = image::load(
//!     &store,
//!     &formats,
//!     Input::Path("image.tar".into()),
//!     &LoadOptions::default(),
//!     &progress,
//!     &Cancel::default(),
//! )?;
//! for image in report.images {
//!     println!("{}", image.config_digest);
//! }
//! # Ok(())
//! # }
//! ```

pub mod address;
pub mod archive;
pub mod auth;
pub mod blob;
pub mod cancel;
pub mod digest;
mod error;
mod excerpt;
mod fs;
pub mod image;
pub mod layer;
pub mod limits;
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

pub use error::Error;
