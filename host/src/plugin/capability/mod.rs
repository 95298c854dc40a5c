//! What guests can call in the host: one file for each interface of the contract.
//!
//! Each asks the grants first. What was not granted answers with a refusal that says how to grant
//! it; nothing here traps for that.

mod archive;
mod clock;
mod derive;
mod env;
mod exchange;
pub(super) mod files;
mod helper;
pub(super) mod helper_program;
pub(super) mod http;
mod keychain;
mod log;
mod off_thread;
pub(super) mod prompt;
mod reveal;
pub(super) mod scrub;
pub(super) mod secret;
mod settings;
mod source_layers;
mod state;
mod system_store;
mod written;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
