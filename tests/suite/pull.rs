//! `msb pull`: images from registries that work, and in [`faults`] from those that do not.

mod beside_skopeo;
mod digests;
pub(crate) mod faults;
mod interrupted;
mod kinds;
mod mirrors;
mod policy;
mod progress;
mod together;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        beside_skopeo::tests(),
        digests::tests(),
        faults::all(),
        interrupted::tests(),
        kinds::tests(),
        mirrors::tests(),
        policy::tests(),
        progress::tests(),
        together::tests(),
    ];
    tests.into_iter().flatten().collect()
}
