//! A home that msb and microsandbox share.

mod adopt;
mod incumbent;

/// Returns the tests of this directory; those with microsandbox itself where it is at hand.
pub(crate) fn all() -> Vec<crate::Test> {
    let mut tests = adopt::tests();
    if incumbent::program().is_some() {
        tests.extend(incumbent::tests());
    }
    tests
}
