//! `msb store serve`: the layers of the store for other programs.

mod containerd;
mod microsandbox;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [containerd::all(), microsandbox::all()];
    tests.into_iter().flatten().collect()
}
