//! What is kept, and what is given up, for a disk that is full. Real full disks are in the black-box
//! tests.

use super::*;
use crate::store::deletion::Claim;
use crate::store::foreign::Foreign;

/// A store with many images, one of which is used.
fn filled() -> TestStore {
    let store = TestStore::new();
    for number in 0..11 {
        let label = format!("image-{number}");
        store.add(&label, &[&label, "shared"], &[&label]);
    }
    store.store.use_image("devbox", "image-3").unwrap();
    store
}

#[test]
fn pruning_by_and_by_removes_what_pruning_at_once_does() {
    let (at_once, by_and_by) = (filled(), filled());
    let cancel = Cancel::default();
    let expected = at_once.store.prune(false, &Silent, &cancel).unwrap();
    let foreign = Foreign::open(by_and_by.store.home()).unwrap();
    let claim = Claim::open(&by_and_by.store, false).unwrap();
    let pruned = by_and_by
        .store
        .prune_by_and_by(&foreign, &claim, &Choice::Unused, &cancel);
    let collected = pruned.unwrap();
    assert_eq!(collected, expected);
    assert_eq!((collected.images, collected.in_use), (10, 1));
    assert_eq!(
        by_and_by.names("cache/layers"),
        at_once.names("cache/layers")
    );
    assert_eq!(by_and_by.store.images().unwrap().len(), 1);
}

#[test]
fn the_reserve_is_given_up_at_once_and_made_again() {
    let store = filled();
    let reserve = || store.names("db/reserve").len();
    assert_eq!(reserve(), 4);
    assert_eq!(store.disk_size("db"), 4 * 65536);
    for name in store.names("db/reserve") {
        std::fs::remove_file(store.path("db/reserve").join(name)).unwrap();
    }
    drop(store.again());
    assert_eq!(reserve(), 4);
    // It is not garbage.
    store
        .store
        .prune(false, &Silent, &Cancel::default())
        .unwrap();
    assert_eq!(reserve(), 4);
}

#[test]
fn what_nobody_is_at_is_given_up_and_what_lives_is_not() {
    let store = filled();
    let staging = store.store.staging(&Cancel::default()).unwrap();
    let (dead, digest) = (store.path("cache/tmp/4194304-dead"), Digest::of(b"part"));
    std::fs::create_dir(&dead).unwrap();
    let part = store.store.part(&digest, 9).unwrap();
    let other = store.store.part(&Digest::of(b"other"), 9).unwrap();
    drop(other);
    assert_eq!(store.names("cache/tmp").len(), 4);
    crate::store::room::drop_unfinished(store.store.home());
    let left = store.names("cache/tmp");
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(
        left.contains(&format!("{}.blob.part", digest.file_stem())),
        "{left:?}"
    );
    drop((part, staging));
}
