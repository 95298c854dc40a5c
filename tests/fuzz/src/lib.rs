//! What the fuzz targets share: layers to start from, ways to change bytes that make sense, and
//! what has to hold for everything that msb accepts.
//!
//! A target is a file in `fuzz_targets`. `cargo xtask fuzz` builds and runs them; so does
//! cargo-fuzz, for those who have it.

pub mod documents;
pub mod edits;
pub mod layer;
mod memory;
pub mod mutate;
pub mod seeds;
pub mod texts;

/// The archives of msb's own tests, from text.
#[path = "../../../host/src/tar/fixture.rs"]
#[allow(dead_code, clippy::pedantic, reason = "code of another crate")]
mod fixture;

/// Returns the archive that a text describes.
pub fn tar(text: &str) -> Vec<u8> {
    fixture::tar(text)
}
