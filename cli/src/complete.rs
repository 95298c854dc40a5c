//! What a shell completes: the names of local images.
//!
//! It runs at every press of Tab: it must be quick, print nothing, and never create a store.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::commands;

/// Completes an image of the store.
pub(crate) fn images() -> ArgValueCompleter {
    ArgValueCompleter::new(local)
}

fn local(beginning: &OsStr) -> Vec<CompletionCandidate> {
    let named = || {
        let beginning = beginning.to_str()?;
        let msb = commands::open().ok()?;
        if !msb.home().root().join("db/images.db").is_file() {
            return None;
        }
        let list = msb.images().run().ok()?;
        let names = list.images.iter().flat_map(|image| {
            let id = image.config_digest.short().to_owned();
            let names = image.references.iter();
            names.map(move |name| (name.familiar(), id.clone()))
        });
        let meant = names.filter(|(name, _)| name.starts_with(beginning));
        Some(
            meant
                .map(|(name, id)| CompletionCandidate::new(name).help(Some(id.into())))
                .collect(),
        )
    };
    named().unwrap_or_default()
}
