//! The store: its catalogue, its files, its room on disk, and who uses it at the same time.

mod catalogue;
mod concurrency;
mod disk;
mod full_disk;
mod home;
mod random_operations;
mod sandboxes;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        catalogue::tests(),
        concurrency::tests(),
        disk::tests(),
        full_disk::tests(),
        home::tests(),
        random_operations::tests(),
        sandboxes::tests(),
    ];
    tests.into_iter().flatten().collect()
}
