//! A store of format 2 is carried over when it is opened, and nothing of it is lost.

use rusqlite::Connection;

use super::format2::{self, Before};
use super::open::read_only_child;
use super::*;
use crate::context::Context;
use crate::image::{self, PruneOptions};
use crate::store::fs::crash;

/// What there is to lose: every image with its names, layers and users, as far as it is whole.
fn contents(store: &Store) -> Vec<String> {
    let mut contents: Vec<String> = store
        .images()
        .unwrap()
        .iter()
        .map(|image| {
            let users = store.users(&image.digest).unwrap();
            let layers: Vec<_> = image.layers.iter().map(|layer| &layer.key).collect();
            format!(
                "{} {:?} {users:?} {layers:?} {}",
                image.digest,
                image.references,
                is_whole(store, image)
            )
        })
        .collect();
    contents.sort();
    contents
}

/// The tables in the database of microsandbox that are ours.
fn left(home: &Path) -> Vec<String> {
    let database = Connection::open(home.join("db/msb.db")).unwrap();
    database
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'msb%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap()
}

fn filled() -> Before {
    let before = Before::with_images(20);
    before.run(
        "INSERT INTO msb_use SELECT 'devbox', digest, created_at FROM msb_image LIMIT 1",
        [],
    );
    before
}

#[test]
fn twenty_images_are_carried_over_with_names_layers_and_users() {
    let before = filled();
    let store = Store::open(&before.home()).unwrap();
    let carried = contents(&store);
    assert_eq!(carried.len(), 20);
    assert!(carried.iter().all(|image| image.ends_with(" true")));
    let names: usize = store
        .images()
        .unwrap()
        .iter()
        .map(|image| image.references.len())
        .sum();
    assert_eq!(names, 24);
    assert_eq!(
        carried
            .iter()
            .filter(|image| image.contains("devbox"))
            .count(),
        1
    );
    assert_eq!(left(before.directory.path()), [""; 0]);
    // And once more, by another process.
    assert_eq!(contents(&Store::open(&before.home()).unwrap()), carried);
    let options = PruneOptions {
        dry_run: true,
        ..Default::default()
    };
    let prune = image::prune(&store, &options, &Context::default()).unwrap();
    assert_eq!((prune.skipped_in_use, prune.manifests_removed), (1, 19));
}

#[test]
fn a_death_on_the_way_loses_nothing_and_the_next_one_completes_it() {
    let expected = contents(&Store::open(&filled().home()).unwrap());
    let mut deaths = 0;
    loop {
        let before = filled();
        crash::after(deaths);
        let opened = Store::open(&before.home());
        crash::after(u32::MAX);
        let is_done = opened.is_ok();
        drop(opened);
        let store = Store::open(&before.home()).unwrap();
        assert_eq!(contents(&store), expected, "after {deaths} steps");
        assert_eq!(left(before.directory.path()), [""; 0]);
        if is_done {
            break;
        }
        deaths += 1;
    }
    // The rows there, and the tables here.
    assert_eq!(deaths, 2);
}

#[test]
fn many_may_carry_over_at_once() {
    let before = filled();
    let home = before.home();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(contents(&Store::open(&home).unwrap()).len(), 20));
        }
    });
}

#[test]
fn a_store_that_cannot_be_written_is_read_without_being_carried_over() {
    if let Some(home) = child_argument() {
        let store = Store::open(&Home::at(home)).unwrap();
        assert_eq!(contents(&store).len(), 20);
        assert!(image::inspect(&store, "app-7:1").is_ok());
        assert!(store.forget("app-7:1", true).is_err());
        return;
    }
    let Before {
        directory,
        catalogue,
    } = filled();
    drop(catalogue);
    read_only_child(
        "a_store_that_cannot_be_written_is_read_without_being_carried_over",
        module_path!(),
        directory.path(),
    );
    assert!(!directory.path().join("db/images.db").exists());
}

#[test]
fn what_another_index_or_nothing_has_proven_is_called_by_its_manifest() {
    let before = Before::new();
    let unknown = Digest::of(b"an index that was not kept");
    let pinned = before.add("one", &["a"], &[]);
    before.name(&format!("ghcr.io/org/app:1@{unknown}"), &pinned);
    before.name("ghcr.io/org/app:1", &pinned);
    let own = before.add("two", &["b"], &[]);
    before.name(&format!("two:1@{}", own.manifest_digest), &own);
    let store = Store::open(&before.home()).unwrap();
    let names = |image: &NewImage| -> Vec<String> {
        let found = store.find(&image.manifest_digest.to_string()).unwrap();
        found
            .image
            .references
            .iter()
            .map(Reference::familiar)
            .collect()
    };
    let pinned_name = format!("ghcr.io/org/app@{}", pinned.manifest_digest);
    assert_eq!(
        names(&pinned),
        [pinned_name, "ghcr.io/org/app:1".to_owned()]
    );
    assert_eq!(names(&own), [format!("two:1@{}", own.manifest_digest)]);
    assert!(store.find(&format!("ghcr.io/org/app@{unknown}")).is_err());
}

#[test]
fn rows_that_contradict_each_other_do_not_keep_the_others_from_being_carried() {
    let before = filled();
    before
        .catalogue
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             DELETE FROM msb_layer WHERE rowid IN (SELECT max(rowid) FROM msb_layer);
             INSERT INTO msb_reference VALUES ('docker.io/library/gone:1', 'sha256:00', '');",
        )
        .unwrap();
    let store = Store::open(&before.home()).unwrap();
    assert_eq!(store.images().unwrap().len(), 20);
    assert!(!store.check_catalogue().unwrap().is_empty());
}

#[test]
fn an_msb_of_before_refuses_the_store() {
    let new = tempfile::tempdir().unwrap();
    let before = filled();
    for home in [new.path(), before.directory.path()] {
        Store::open(&Home::at(home)).unwrap();
        let database = Connection::open(home.join("db/msb.db")).unwrap();
        let error = format2::try_open(&database).unwrap_err().to_string();
        assert!(error.contains("this msb is too old"), "{error}");
    }
}

#[test]
fn an_msb_of_before_that_is_at_work_meets_an_error_and_loses_nothing_in_silence() {
    let before = filled();
    let store = Store::open(&before.home()).unwrap();
    let late = before.catalogue.execute(
        "INSERT INTO msb_reference SELECT 'docker.io/library/late:1', digest, '' FROM msb_image",
        [],
    );
    assert!(late.is_err());
    assert_eq!(store.images().unwrap().len(), 20);
}

#[test]
fn what_an_msb_of_before_has_added_meanwhile_is_carried_too() {
    let store = TestStore::new();
    store.add("new", &["a"], &["new:1"]);
    // Somebody has removed the mark.
    std::fs::remove_file(store.path("db/msb.db")).unwrap();
    let before = Before {
        catalogue: format2::open(&store.path("")),
        directory: store.directory,
    };
    let added = before.add("before", &["b"], &["before:1"]);
    let store = Store::open(&before.home()).unwrap();
    assert_eq!(store.images().unwrap().len(), 2);
    let found = store.find("before:1").unwrap().image;
    assert_eq!(found.digest, added.manifest_digest);
    assert!(store.find("new:1").is_ok());
}

#[test]
fn the_tables_of_microsandbox_stay_when_ours_leave() {
    let before = filled();
    before
        .catalogue
        .execute_batch(
            "CREATE TABLE seaql_migrations (version TEXT PRIMARY KEY, applied_at BIGINT NOT NULL);
             INSERT INTO seaql_migrations VALUES ('first', 1);
             CREATE TABLE layer (id INTEGER PRIMARY KEY, diff_id TEXT);
             INSERT INTO layer VALUES (1, 'sha256:00');",
        )
        .unwrap();
    Store::open(&before.home()).unwrap();
    assert_eq!(left(before.directory.path()), [""; 0]);
    let count = |table: &str| -> u32 {
        let query = format!("SELECT count(*) FROM {table}");
        before
            .catalogue
            .query_row(&query, [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!((count("seaql_migrations"), count("layer")), (1, 1));
}

#[test]
fn what_a_killed_process_has_left_half_done_in_the_database_of_microsandbox_is_undone() {
    let store = TestStore::new();
    store.add("app", &["a"], &["app"]);
    let theirs = tempfile::tempdir().unwrap();
    let database = Connection::open(theirs.path().join("msb.db")).unwrap();
    database
        .execute_batch(
            "PRAGMA cache_size = 2;
             CREATE TABLE sandbox (id INTEGER PRIMARY KEY, name TEXT);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO sandbox SELECT i, hex(zeroblob(500)) FROM n;
             BEGIN;
             UPDATE sandbox SET name = hex(randomblob(500));",
        )
        .unwrap();
    // As the disk is when it is killed here.
    for name in ["msb.db", "msb.db-journal"] {
        let copy = store.path("db").join(name);
        std::fs::copy(theirs.path().join(name), copy).unwrap();
    }
    let again = store.again();
    assert_eq!(again.images().unwrap().len(), 1);
    assert_eq!(again.users(&Digest::of(b"x")).unwrap(), [""; 0]);
    assert!(!store.path("db/msb.db-journal").exists());
}

#[test]
fn a_broken_database_of_microsandbox_does_no_harm_to_images() {
    let store = TestStore::new();
    store.add("app", &["a"], &["app"]);
    std::fs::write(store.path("db/msb.db"), "x".repeat(5000)).unwrap();
    assert_eq!(store.again().images().unwrap().len(), 1);
}

#[test]
fn a_store_of_format_1_is_left_alone() {
    let before = filled();
    before.run("UPDATE msb_store SET value = '1'", []);
    let error = Store::open(&before.home()).unwrap_err();
    assert!(
        matches!(error, StoreError::OldFormat { found: 1, .. }),
        "{error}"
    );
    assert_eq!(left(before.directory.path()).len(), 6);
}
