//! What a plugin of msb is written against.
//!
//! An archive format implements [`Format`] and ends with [`export_format!`]. It sees the archive
//! it reads through [`Archive`] and the one it writes through [`Output`]; both have a stand-in in
//! memory ([`fake`]), so that a format is tested natively, with no WebAssembly involved. Formats
//! that carry OCI documents find these read and judged in [`oci`]. Formats whose layers are no
//! entries of the archive make them: [`Layers`]. Formats that hold a filesystem have the host put layers
//! together from its files: [`Filesystem`]; for which processor it is, its programs say: [`Processor`].
//!
//! A credential provider implements [`credential::Provider`] and ends with [`export_provider!`].
//! It reaches what the user grants it through the traits in [`system`], which have a stand-in as
//! well.
//!
//! ```
//! use msb_plugin::{Archive, Attributes, Description, Error, Format, Output, Plan, StoredImage};
//!
//! struct Shelf;
//!
//! impl Format for Shelf {
//!     fn describe() -> Description {
//!         Description {
//!             name: "shelf".to_owned(),
//!             title: "Shelf of images".to_owned(),
//!             reads: true,
//!             writes: false,
//!             attributes: Attributes::new(),
//!         }
//!     }
//!
//!     fn read(archive: &dyn Archive, _: &Attributes) -> Result<Plan, Error> {
//!         let Some(list) = archive.find("shelf.json") else {
//!             return Err(Error::NotMine("there is no shelf.json".to_owned()));
//!         };
//!         let notices = archive.read_json(&list, 1 << 20)?;
//!         Ok(Plan { images: Vec::new(), notices, attributes: Attributes::new() })
//!     }
//!
//!     fn write(_: &[StoredImage], _: &Attributes, _: &mut dyn Output) -> Result<(), Error> {
//!         Err(Error::Unsupported("a shelf cannot be written".to_owned()))
//!     }
//! }
//!
//! msb_plugin::export_format!(Shelf);
//! # fn main() {}
//! ```

mod archive;
pub mod credential;
mod digest;
pub mod fake;
mod filesystem;
mod format;
mod identity;
mod layers;
pub mod oci;
mod output;
mod panics;
mod processor;
pub mod system;

/// The contract's bindings, as `wit-bindgen` makes them from `wit/`.
#[doc(hidden)]
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "format",
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_archive",
        default_bindings_module: "msb_plugin::bindings",
    });
}

/// The bindings of the world `credential`, which share `types` and `log` with [`bindings`].
#[doc(hidden)]
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod credential_bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "credential",
        with: {
            "msb:plugin/types@0.1.1": crate::bindings::msb::plugin::types,
            "msb:plugin/log@0.1.1": crate::bindings::msb::plugin::log,
        },
        additional_derives: [PartialEq, Eq],
        // What holds a secret is not compared.
        additional_derives_ignore: [
            "answer", "content", "credential", "file", "item", "kept", "login", "part", "request", "response",
            "value",
        ],
        pub_export_macro: true,
        export_macro_name: "export_credentials",
        default_bindings_module: "msb_plugin::credential_bindings",
    });
}

/// The bindings of the interface `layers`, which share `types` with [`bindings`].
#[doc(hidden)]
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod layer_bindings {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package msb:sdk;
            world generated-layers {
                export msb:plugin/layers@0.1.1;
            }
        ",
        world: "msb:sdk/generated-layers",
        with: {
            "msb:plugin/types@0.1.1": crate::bindings::msb::plugin::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_generated_layers",
        default_bindings_module: "msb_plugin::layer_bindings",
    });
}

pub use archive::{Archive, Source};
pub use bindings::exports::msb::plugin::archive::{
    Description, Document, Image, ImageReference, Layer, LayerData, Plan, StoredImage, StoredLayer,
};
pub use bindings::msb::plugin::log::Level;
pub use bindings::msb::plugin::source::{Entry, EntryKind};
pub use bindings::msb::plugin::source_layers::{Change, LayerDefinition, Measured, Run};
pub use bindings::msb::plugin::source_metadata::{Metadata, NodeKind, Time, Xattr};
pub use bindings::msb::plugin::types::{Attributes, Error};
pub use digest::{is_digest, sha256};
pub use filesystem::Filesystem;
#[doc(hidden)]
pub use format::Exported;
pub use format::Format;
#[doc(hidden)]
pub use identity::array;
#[doc(hidden)]
pub use layers::ExportedLayers;
pub use layers::{Layers, Stream};
/// How the JSON documents of images are read, by the host and by plugins alike.
pub use msb_documents as documents;
pub use output::{FilesystemOutput, Output, Sink};
pub use processor::Processor;
