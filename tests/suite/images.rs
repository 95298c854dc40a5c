//! The images of a store: their names and digests, what is in them, and whether they are whole.

mod contents;
mod differences;
pub(crate) mod digests;
mod inside;
mod naming;
mod references;
mod sha512;
mod verify;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        contents::tests(),
        differences::tests(),
        digests::tests(),
        inside::tests(),
        naming::tests(),
        references::tests(),
        sha512::tests(),
        verify::tests(),
    ];
    tests.into_iter().flatten().collect()
}
