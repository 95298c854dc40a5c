//! Merged root filesystems, and virtual disks of them.

pub(crate) mod compressed;
mod merged;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [compressed::tests(), merged::tests()];
    tests.into_iter().flatten().collect()
}
