//! A process that dies at any step leaves the old state or the new.

use super::*;
use crate::context::Context;
use crate::image::{self, PruneOptions, RemoveOptions};
use crate::store::fs::crash;

/// Runs `operation` on fresh stores, dying one step later each time, until it survives. After each
/// death `check` sees the store as the next process does. Returns the number of deaths.
///
/// An operation that survived without its last part, since the store was in use, says `false` and
/// is begun again: a process that another test has just forked holds all locks of this one until it
/// runs its program.
fn die_at_each_step(
    prepare: impl Fn(&TestStore),
    operation: impl Fn(&Store) -> Result<bool, StoreError>,
    check: impl Fn(&TestStore),
) -> u32 {
    let mut steps = 0;
    for _ in 0..100 {
        let store = TestStore::new();
        prepare(&store);
        let victim = store.again();
        crash::after(steps);
        let result = operation(&victim);
        crash::after(u32::MAX);
        drop(victim);
        let store = TestStore {
            store: store.again(),
            directory: store.directory,
        };
        check(&store);
        match result {
            Ok(true) => return steps,
            Ok(false) => {}
            Err(_) => steps += 1,
        }
    }
    panic!("the operation never ends");
}

/// Loads an image, and if it fails leaves all behind as a killed process does.
fn load(store: &Store, label: &str, layers: &[&str], reference: &str) -> Result<(), StoreError> {
    let staging = store.staging(&Cancel::default())?;
    let staged: Vec<_> = layers.iter().map(|layer| stage(&staging, layer)).collect();
    let result = store
        .publish(&staged, false)
        .and_then(|_| store.record(&image(label, layers), &parsed(&[reference])));
    if result.is_err() {
        let Staging { directory, .. } = staging;
        let _ = directory.keep();
        for (layer, _) in staged {
            let _ = layer.directory.keep();
        }
    }
    result.map(|_| ())
}

fn prune(store: &Store) {
    image::prune(store, &PruneOptions::default(), &Context::default()).unwrap();
}

/// Everything that is listed is whole, and prune leaves no file behind.
fn is_in_order(store: &TestStore) {
    for image in store.store.images().unwrap() {
        assert!(is_whole(&store.store, &image), "{image:?}");
    }
    prune(&store.store);
    for directory in ["cache/layers", "cache/blobs", "cache/tmp"] {
        assert_eq!(store.names(directory), Vec::<String>::new(), "{directory}");
    }
}

#[test]
fn a_load_that_dies_leaves_the_old_image_or_the_new_one() {
    let old = image("old", &["a", "b"]).manifest_digest;
    let new = image("new", &["b", "c", "d"]).manifest_digest;
    let deaths = die_at_each_step(
        |store| {
            store.add("old", &["a", "b"], &["app"]);
        },
        |store| load(store, "new", &["b", "c", "d"], "app").map(|()| true),
        |store| {
            let found = store.store.find("app").unwrap().image;
            assert!(found.digest == old || found.digest == new);
            let images = store.store.images().unwrap();
            assert_eq!(images.len(), if found.digest == old { 1 } else { 2 });
            // The next load goes through without any cleaning.
            load(&store.store, "new", &["b", "c", "d"], "app").unwrap();
            assert_eq!(store.store.find("app").unwrap().image.digest, new);
            is_in_order(store);
        },
    );
    // Two layers of two files, their rows, two documents, the image.
    assert_eq!(deaths, 8);
}

#[test]
fn a_removal_that_dies_leaves_the_image_or_garbage() {
    let deaths = die_at_each_step(
        |store| {
            store.add("one", &["a", "b"], &["one"]);
            store.add("two", &["b"], &["two"]);
        },
        |store| {
            let removed = image::remove(store, "one", RemoveOptions::default())?;
            Ok(removed.bytes.is_some())
        },
        |store| {
            let images = store.store.images().unwrap();
            assert!(images.iter().all(|image| is_whole(&store.store, image)));
            assert!(store.store.find("two").is_ok());
            is_in_order(store);
        },
    );
    // The image, its sidecar and that being told, the layer's row, its two files, two documents.
    assert_eq!(deaths, 8);
}

#[test]
fn a_prune_that_dies_is_finished_by_the_next_one() {
    let deaths = die_at_each_step(
        |store| {
            store.add("one", &["a", "b"], &["one"]);
            store.add("two", &["b"], &["two"]);
        },
        |store| image::prune(store, &PruneOptions::default(), &Context::default()).map(|_| true),
        is_in_order,
    );
    // All rows, two sidecars and that being told, two layers of two files, four documents.
    assert_eq!(deaths, 12);
}

#[test]
fn what_a_killed_process_staged_is_removed_by_prune_and_what_lives_is_not() {
    const TEST: &str =
        "crash::what_a_killed_process_staged_is_removed_by_prune_and_what_lives_is_not";
    if let Some(home) = child_argument() {
        let store = Store::open(&Home::at(home)).unwrap();
        let staging = store.staging(&Cancel::default()).unwrap();
        let _staged = stage(&staging, "never published");
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .unwrap();
        unreachable!();
    }
    let store = TestStore::new();
    let status = child(TEST, &store.path(""), |_| {});
    assert!(!status.success());
    assert_eq!(store.names("cache/tmp").len(), 1);
    std::fs::write(store.path("cache/tmp/blob-half"), "half a document").unwrap();
    std::fs::write(store.path("cache/tmp/of-another-tool.part"), "theirs").unwrap();
    prune(&store.store);
    assert_eq!(store.names("cache/tmp"), ["of-another-tool.part"]);
}
