//! Large inputs: how large they may be, and how time grows with them.

mod growth;
mod layers;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [growth::tests(), layers::tests()];
    tests.into_iter().flatten().collect()
}
