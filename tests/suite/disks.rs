//! Merged root filesystems, and virtual disks of them.

pub(crate) mod compressed;
mod forms;
pub(crate) mod merged;
mod verity;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        compressed::tests(),
        forms::tests(),
        merged::tests(),
        verity::tests(),
    ];
    tests.into_iter().flatten().collect()
}
