//! What others make of the same images: the kernel, umoci, the tools that built them, and readers by
//! other authors.

mod fixtures;
mod judges;
pub(crate) mod truth;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        fixtures::tests(),
        judges::tests(),
        truth::tests(),
        truth::found::tests(),
        truth::handmade::tests(),
        truth::random::tests(),
    ];
    tests.into_iter().flatten().collect()
}
