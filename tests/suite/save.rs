//! `msb save`: where it writes to, and that archives come back as they were.

mod output;
mod round_trip;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [output::tests(), round_trip::tests()];
    tests.into_iter().flatten().collect()
}
