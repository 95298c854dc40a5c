//! What the files of a layer are called.
//!
//! Owns the names beside those of a microsandbox that shares the home.

use rusqlite::{Connection, OptionalExtension as _};

use super::StoreError;
use super::catalogue::WriteError;
use super::foreign::Foreign;
use super::layer_record::LayerKey;
use crate::digest::Digest;
use crate::home::Home;

/// What is added to the name of a layer that microsandbox has as well.
pub(super) const BESIDE: &str = ".msb";

/// What is added to the name of a layer that was adopted.
pub(super) const ADOPTED: &str = ".adopted";

/// What stands between the name of a layer and the chain ID that its image depends on.
pub(super) const OVER: &str = ".over-";

/// Returns what the files of a layer are called. A microsandbox in the same home gives its layers
/// the same names, and addresses blocks in them: its files are not replaced, ours lie beside.
pub(super) fn file_name(
    connection: &Connection,
    foreign: &Foreign,
    home: &Home,
    key: &LayerKey,
    is_apart: bool,
) -> Result<String, WriteError> {
    let LayerKey { diff_id, chain } = key;
    let known: Option<String> = connection
        .query_row(
            "SELECT file FROM msb_layer WHERE diff_id = ?1 AND chain = ?2",
            [diff_id.to_string(), key.chain_column()],
            |row| row.get(0),
        )
        .optional()?;
    let is_usable =
        |file: &String| is_name_of(file, diff_id, chain.as_ref()) && !file.ends_with(ADOPTED);
    if let Some(file) = known.filter(is_usable) {
        return Ok(file);
    }
    let file = diff_id.file_stem();
    if let Some(chain) = chain {
        return Ok(over(&file, chain));
    }
    let in_progress = || home.erofs(&file).exists() && !home.recipe(&file).exists();
    let is_theirs = || -> Result<bool, StoreError> {
        Ok(foreign.is_shared()?
            && (foreign.layers()?.contains(&diff_id.to_string()) || in_progress()))
    };
    Ok(if is_apart || is_theirs()? {
        format!("{file}{BESIDE}")
    } else {
        file
    })
}

/// Returns whether the files of a layer may be called so. Anything else would be outside of the
/// store, or another layer's.
pub(super) fn is_name_of(file: &str, diff_id: &Digest, chain: Option<&Digest>) -> bool {
    let stem = diff_id.file_stem();
    match (file.strip_prefix(&stem), chain) {
        (Some(rest), Some(chain)) => rest.strip_prefix(OVER) == Some(chain.hex()),
        (Some(rest), None) => rest.is_empty() || rest == BESIDE || rest == ADOPTED,
        (None, _) => false,
    }
}

/// Returns what the files of a layer are called whose image depends on those below.
pub(super) fn over(file: &str, chain: &Digest) -> String {
    format!("{file}{OVER}{}", chain.hex())
}
