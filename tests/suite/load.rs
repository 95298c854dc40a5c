//! `msb load`: what archives there are, what becomes of each, and what it costs.

pub(crate) mod amplification;
mod archive_forms;
mod bad_input;
mod chains;
mod engine_outputs;
mod indexes;
mod odd_archives;
pub(crate) mod resources;
mod several_images;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        amplification::tests(),
        archive_forms::all(),
        bad_input::tests(),
        chains::tests(),
        engine_outputs::tests(),
        indexes::all(),
        odd_archives::tests(),
        resources::tests(),
        several_images::all(),
    ];
    tests.into_iter().flatten().collect()
}
