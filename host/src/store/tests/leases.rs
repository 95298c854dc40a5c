//! Leases: who uses what there is, and who removes what nothing needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::locks::{Waits, until};
use super::*;
use crate::context::Context;
use crate::image::{self, PruneOptions};

pub(super) fn prune(store: &Store) -> image::PruneReport {
    image::prune(store, &PruneOptions::default(), &Context::default()).unwrap()
}

#[test]
fn prune_waits_for_a_lease_and_says_so_once() {
    let store = TestStore::new();
    store.add("app", &["a"], &["app"]);
    let lease = store.store.lease(&Silent, &Cancel::default()).unwrap();
    let waits = Arc::new(Waits::default());
    let context = Context {
        progress: Arc::clone(&waits) as _,
        ..Context::default()
    };
    std::thread::scope(|scope| {
        let prune = || image::prune(&store.again(), &PruneOptions::default(), &context);
        let pruned = scope.spawn(prune);
        until(|| waits.0.load(Ordering::Relaxed) > 0);
        store.store.use_image("sandbox", "app").unwrap();
        drop(lease);
        assert_eq!(pruned.join().unwrap().unwrap().skipped_in_use, 1);
    });
    assert_eq!(waits.0.load(Ordering::Relaxed), 1);
    let image = store.store.find("app").unwrap().image;
    assert!(is_whole(&store.store, &image));
}

#[test]
fn prune_does_not_wait_for_an_operation_and_leaves_what_that_one_needs() {
    let store = TestStore::new();
    store.add("old", &["a", "b"], &["old"]);
    let digest = Digest::of(b"blob");
    let other = store.again();
    let staging = other.staging(&Cancel::default()).unwrap();
    let part = other.part(&digest, 100).unwrap().unwrap();
    let pins = pin(&other, &["a", "c"]);
    other.publish(&[stage(&staging, "c")], false).unwrap();
    let report = prune(&store.store);
    assert_eq!((report.manifests_removed, report.layers_removed), (1, 1));
    assert_eq!(store.names("cache/layers").len(), 4);
    assert_eq!(store.names("cache/tmp").len(), 2);
    other
        .record(&image("new", &["a", "c"]), &parsed(&["new"]))
        .unwrap();
    assert!(is_whole(&other, &other.find("new").unwrap().image));
    drop((pins, part, staging));
    assert_eq!(prune(&store.store).layers_removed, 2);
    assert!(store.names("cache/tmp").is_empty());
}

#[test]
fn a_removal_leaves_the_layers_that_an_operation_needs() {
    let store = TestStore::new();
    store.add("app", &["a", "b"], &["app"]);
    let pins = pin(&store.again(), &["a"]);
    let options = image::RemoveOptions::default();
    let removed = image::remove(&store.store, "app", options).unwrap();
    assert_eq!(removed.layers, 1);
    assert!(store.store.layer(&key("a")).unwrap().is_some());
    drop(pins);
    assert_eq!(prune(&store.store).layers_removed, 1);
}

#[test]
fn prune_gets_its_turn_among_leases_without_end() {
    let store = TestStore::new();
    let is_pruned = AtomicBool::new(false);
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let store = store.again();
            let (is_pruned, taken) = (&is_pruned, &taken);
            scope.spawn(move || {
                let started = Instant::now();
                while !is_pruned.load(Ordering::Relaxed) {
                    assert!(started.elapsed() < Duration::from_mins(1), "prune starves");
                    let lease = store.lease(&Silent, &Cancel::default()).unwrap();
                    // Until another one has a lease as well, so that at any time one is held.
                    let others = taken.fetch_add(1, Ordering::Relaxed);
                    let has_company = || taken.load(Ordering::Relaxed) > others + 1;
                    let begun = Instant::now();
                    while !has_company() && begun.elapsed() < Duration::from_secs(1) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    drop(lease);
                }
            });
        }
        prune(&store.again());
        is_pruned.store(true, Ordering::Relaxed);
    });
}

#[test]
fn leases_get_their_turn_among_prunes_without_end() {
    let store = TestStore::new();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let store = store.again();
                while !is_done.load(Ordering::Relaxed) {
                    prune(&store);
                }
            });
        }
        let store = store.again();
        for _ in 0..10 {
            drop(store.lease(&Silent, &Cancel::default()).unwrap());
        }
        is_done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn prune_that_waits_stops_when_asked_to() {
    let store = TestStore::new();
    let _lease = store.store.lease(&Silent, &Cancel::default()).unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let context = Context {
        cancel,
        ..Context::default()
    };
    let error = image::prune(&store.again(), &PruneOptions::default(), &context);
    assert!(matches!(error, Err(StoreError::Cancelled(_))));
}
