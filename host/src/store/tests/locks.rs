//! Locks between processes: who makes a layer, who writes to the catalogue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::leases::prune;
use super::*;
use crate::context::Context;
use crate::image::{self, PruneOptions};
use crate::progress::{Event, Progress};

/// Counts how often a waiting process was reported.
#[derive(Default)]
pub(super) struct Waits(pub(super) AtomicUsize);

impl Progress for Waits {
    fn report(&self, event: Event<'_>) {
        if matches!(event, Event::StoreBusy(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(super) fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing happens");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_second_writer_of_a_layer_waits_and_finds_it_done() {
    let store = TestStore::new();
    let made = AtomicUsize::new(0);
    let waited = AtomicUsize::new(0);
    let write = |store: &Store| {
        let staging = store.staging(&Cancel::default()).unwrap();
        let mut on_wait = || {
            waited.fetch_add(1, Ordering::Relaxed);
        };
        let _lock = store
            .lock_layer(&Digest::of(b"a"), &mut on_wait, &Cancel::default())
            .unwrap();
        if store.layer(&key("a")).unwrap().is_none() {
            // Until everybody else is known to wait.
            until(|| waited.load(Ordering::Relaxed) == 3);
            store.publish(&[stage(&staging, "a")], false).unwrap();
            made.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| write(&store.again()));
        }
    });
    assert_eq!(made.into_inner(), 1);
    assert_eq!(waited.into_inner(), 3);
}

#[test]
fn processes_take_turns_at_a_layer() {
    const TEST: &str = "locks::processes_take_turns_at_a_layer";
    let diff_id = Digest::of(b"a");
    if let Some(home) = child_argument() {
        let store = Store::open(&Home::at(&home)).unwrap();
        let mut on_wait = || std::fs::write(home.join("waiting"), "").unwrap();
        let _lock = store
            .lock_layer(&diff_id, &mut on_wait, &Cancel::default())
            .unwrap();
        assert!(home.join("released").exists());
        return;
    }
    let store = TestStore::new();
    let lock = store
        .store
        .lock_layer(&diff_id, &mut || unreachable!(), &Cancel::default())
        .unwrap();
    std::thread::scope(|scope| {
        let status = scope.spawn(|| child(TEST, &store.path(""), |_| {}));
        until(|| store.path("waiting").exists());
        std::fs::write(store.path("released"), "").unwrap();
        drop(lock);
        assert!(status.join().unwrap().success());
    });
    // Another one may wait on it by name.
    assert_eq!(store.names("cache/locks"), ["store.lock"]);
}

#[test]
fn many_layers_are_locked_through_one_file_and_given_back_one_by_one() {
    let store = TestStore::new();
    let digest = |number: usize| Digest::of(number.to_string().as_bytes());
    let locks = store.store.layer_locks().unwrap();
    let unasked = || unreachable!();
    for number in 0..5000 {
        let mut unasked = unasked;
        locks
            .lock(&digest(number), &mut unasked, &Cancel::default())
            .unwrap();
    }
    assert_eq!(store.names("cache/locks"), ["store.lock"]);
    locks.unlock(&digest(7)).unwrap();
    let others = store.again();
    others
        .lock_layer(&digest(7), &mut || unreachable!(), &Cancel::default())
        .unwrap();
    let cancel = Cancel::default();
    let taken = others.lock_layer(&digest(8), &mut || cancel.cancel(), &cancel);
    assert!(matches!(taken, Err(StoreError::Cancelled(_))));
    drop(locks);
    others
        .lock_layer(&digest(8), &mut || unreachable!(), &Cancel::default())
        .unwrap();
}

#[test]
fn lock_files_of_earlier_versions_go() {
    let store = TestStore::new();
    drop(store.store.staging(&Cancel::default()).unwrap());
    let old = format!("{}.lock", Digest::of(b"a").file_stem());
    for name in [&old, "layers.lock", "plugins.lock"] {
        std::fs::write(store.path("cache/locks").join(name), "").unwrap();
    }
    drop(store.store.staging(&Cancel::default()).unwrap());
    assert_eq!(store.names("cache/locks"), ["store.lock"]);
}

#[test]
fn only_the_owner_of_the_store_can_open_its_locks() {
    let store = TestStore::new();
    let mode = |path: &str| {
        let metadata = std::fs::metadata(store.path(path)).unwrap();
        metadata.mode() & 0o777
    };
    let set = |path: &str, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(store.path(path), mode).unwrap();
    };
    drop(store.store.staging(&Cancel::default()).unwrap());
    for _ in 0..2 {
        assert_eq!(mode("cache/locks"), 0o700);
        assert_eq!(mode("cache/locks/store.lock"), 0o600);
        // As earlier versions made them.
        set("cache/locks", 0o755);
        set("cache/locks/store.lock", 0o644);
        drop(store.store.lease(&Silent, &Cancel::default()).unwrap());
    }
}

#[test]
fn who_waits_stops_when_asked_to() {
    let store = TestStore::new();
    let diff_id = Digest::of(b"a");
    let _lock = store
        .store
        .lock_layer(&diff_id, &mut || {}, &Cancel::default())
        .unwrap();
    let cancel = Cancel::default();
    let error = store
        .again()
        .lock_layer(&diff_id, &mut || cancel.cancel(), &cancel)
        .unwrap_err();
    assert!(matches!(error, StoreError::Cancelled(_)), "{error}");
}

#[test]
fn writers_take_turns_at_the_catalogue() {
    let store = TestStore::new();
    store.add("app", &["a"], &["app"]);
    std::thread::scope(|scope| {
        for worker in 0..16 {
            let store = store.again();
            scope.spawn(move || {
                for number in 0..5 {
                    let sandbox = format!("{worker}-{number}");
                    store.use_image(&sandbox, "app").unwrap();
                    store.release(&sandbox).unwrap();
                }
            });
        }
    });
}

#[test]
fn images_stay_whole_while_others_load_and_prune() {
    let store = TestStore::new();
    std::thread::scope(|scope| {
        for label in ["one", "two"] {
            let store = store.again();
            scope.spawn(move || {
                for _ in 0..10 {
                    add(&store, label, &["shared", label], &[label]);
                    let _ = image::remove(&store, label, image::RemoveOptions::default());
                }
            });
        }
        scope.spawn(|| {
            let store = store.again();
            for _ in 0..10 {
                prune(&store);
            }
        });
        let store = store.again();
        for _ in 0..50 {
            let _lease = store.lease(&Silent, &Cancel::default()).unwrap();
            for image in store.images().unwrap() {
                assert!(is_whole(&store, &image), "{image:?}");
            }
        }
    });
    prune(&store.store);
    assert_eq!(store.names("cache/layers"), Vec::<String>::new());
}

#[test]
fn a_dry_run_waits_for_no_writer_and_changes_nothing() {
    let store = TestStore::new();
    store.add("one", &["a", "b"], &["one"]);
    let mut other = rusqlite::Connection::open(store.store.home().catalogue()).unwrap();
    let writer = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    let started = Instant::now();
    let options = PruneOptions {
        dry_run: true,
        ..Default::default()
    };
    let pruned = image::prune(&store.store, &options, &Context::default()).unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(pruned.manifests_removed, 1);
    drop(writer);
    assert_eq!(store.store.images().unwrap().len(), 1);
    assert_eq!(store.names("cache/layers").len(), 4);
}
