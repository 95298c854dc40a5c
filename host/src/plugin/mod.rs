//! The plugin runtime: WebAssembly components behind the contract in `wit/`.
//!
//! Owns the engine, the limits, and what a guest can reach. A format plugin gets an index and small
//! reads or a sink, a credential provider what it was granted; bulk bytes and secrets stay with the
//! host.

mod access;
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "generated code"
)]
mod bindings;
pub(crate) mod builtin;
mod capability;
mod compiled;
mod compiler;
mod component;
mod credential;
mod credential_answers;
mod engine;
mod error;
mod format;
mod formats;
mod generated;
mod grant;
mod grants;
mod guest;
mod http_scope;
mod inspect;
mod kept_answers;
mod limits;
mod outside;
mod package;
pub(crate) mod plugin_state;
mod runtime;
mod servers;
mod shell;
mod structure;
pub mod symbolic_path;
mod wasi;

pub use access::FakeSystem;
pub use builtin::packages as builtin_packages;
pub use capability::helper_program::HelperOutput;
pub use compiler::compile_if_asked;
pub use credential::providers;
pub use error::{CompileLimit, EngineError, Failure, PluginError, Refusal};
pub use format::{
    Description, Document, LayerData, Plan, PlannedImage, PlannedIndex, PlannedLayer,
    SavedReference, StoredImage, StoredLayer,
};
pub use formats::{FormatError, Formats};
pub use grant::{CONFIGURED, Capability, Grant, ParseGrantError};
pub use grants::{Grants, exposure};
pub use guest::first_bytes;
pub use inspect::API;
pub use limits::{PluginBudget, Stopped};
pub use package::{
    ComponentBytes, CredentialDescription, Inspection, Need, Package, PluginKind, PluginMetadata,
};
pub use runtime::Runtime;
pub use shell::shell_word;
pub use structure::MAX_COMPONENT;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod test_bench;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod test_components;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]
mod tests;
