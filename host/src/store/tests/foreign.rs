//! A microsandbox in the same home.

use rusqlite::Connection;

use super::*;
use crate::context::Context;
use crate::image::{self, PruneOptions, RemoveOptions};

/// The tables of microsandbox as its migrations make them, as far as they matter here.
const SCHEMA: &str = "
CREATE TABLE manifest (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, media_type TEXT,
    config_digest TEXT, architecture TEXT, os TEXT, variant TEXT, layer_count INTEGER,
    total_size_bytes BIGINT, created_at TEXT);
CREATE TABLE image_ref (id INTEGER PRIMARY KEY, reference TEXT NOT NULL UNIQUE,
    manifest_id INTEGER NOT NULL REFERENCES manifest (id) ON DELETE CASCADE,
    created_at TEXT, updated_at TEXT);
CREATE TABLE config (id INTEGER PRIMARY KEY,
    manifest_id INTEGER NOT NULL UNIQUE REFERENCES manifest (id) ON DELETE CASCADE, digest TEXT);
CREATE TABLE layer (id INTEGER PRIMARY KEY, diff_id TEXT NOT NULL UNIQUE, blob_digest TEXT,
    media_type TEXT, compressed_size_bytes BIGINT, erofs_size_bytes BIGINT, last_used_at TEXT);
CREATE TABLE manifest_layer (manifest_id INTEGER REFERENCES manifest (id) ON DELETE CASCADE,
    layer_id INTEGER REFERENCES layer (id) ON DELETE RESTRICT, position INTEGER);
CREATE TABLE sandbox (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE sandbox_rootfs (id INTEGER PRIMARY KEY,
    sandbox_id INTEGER NOT NULL UNIQUE REFERENCES sandbox (id) ON DELETE CASCADE,
    manifest_id INTEGER REFERENCES manifest (id) ON DELETE RESTRICT, mode TEXT);
CREATE TABLE snapshot_index (digest TEXT PRIMARY KEY, image_ref TEXT, image_manifest_digest TEXT);
";

struct Shared {
    store: TestStore,
    theirs: Connection,
}

impl Shared {
    /// A home that microsandbox used first.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("db")).unwrap();
        let theirs = Connection::open(directory.path().join("db/msb.db")).unwrap();
        theirs.execute_batch(SCHEMA).unwrap();
        let store = Store::open(&Home::at(directory.path())).unwrap();
        Self {
            store: TestStore { directory, store },
            theirs,
        }
    }

    /// Their manifest row, with a sandbox that uses it.
    fn sandbox(&self, id: i64, name: &str, image: &NewImage) {
        let digest = image.manifest_digest.to_string();
        self.theirs
            .execute(
                "INSERT OR IGNORE INTO manifest (id, digest) VALUES (?1, ?2)",
                (id, &digest),
            )
            .unwrap();
        self.theirs
            .execute("INSERT INTO sandbox (id, name) VALUES (?1, ?2)", (id, name))
            .unwrap();
        self.theirs
            .execute(
                "INSERT INTO sandbox_rootfs (sandbox_id, manifest_id)
                 SELECT ?1, id FROM manifest WHERE digest = ?2",
                (id, &digest),
            )
            .unwrap();
    }

    /// Their layer, with its file.
    fn layer(&self, content: &str) -> PathBuf {
        let digest = Digest::of(content.as_bytes()).to_string();
        self.theirs
            .execute("INSERT INTO layer (diff_id) VALUES (?1)", [digest])
            .unwrap();
        let directory = self.store.path("cache/layers");
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join(layer_file(content, "erofs"));
        std::fs::write(&path, "their image").unwrap();
        path
    }

    fn prune(&self) -> image::PruneReport {
        let options = PruneOptions::default();
        image::prune(&self.store.store, &options, &Context::default()).unwrap()
    }
}

#[test]
fn sandboxes_and_snapshots_of_microsandbox_count_as_users_by_their_names() {
    let shared = Shared::new();
    let image = shared.store.add("app", &["a"], &["app"]);
    shared.sandbox(7, "devbox", &image);
    shared.sandbox(8, "ci", &image);
    shared
        .theirs
        .execute(
            "INSERT INTO snapshot_index VALUES ('sha256:0123456789abcdef', 'app', ?1)",
            [image.manifest_digest.to_string()],
        )
        .unwrap();
    shared.store.store.use_image("ours", "app").unwrap();
    let users = ["ci", "devbox", "ours", "snapshot sha256:0123456789ab"];
    assert_eq!(
        shared.store.store.users(&image.manifest_digest).unwrap(),
        users
    );
    let error = image::remove(&shared.store.store, "app", RemoveOptions::default()).unwrap_err();
    assert!(
        matches!(&error, StoreError::InUse { sandboxes, .. } if sandboxes == &users),
        "{error}"
    );
    assert_eq!(shared.prune().skipped_in_use, 1);
}

#[test]
fn tables_that_are_missing_or_different_are_no_error() {
    for (change, users) in [
        ("DROP TABLE sandbox", vec!["7"]),
        ("ALTER TABLE sandbox RENAME COLUMN name TO title", vec!["7"]),
        ("DELETE FROM sandbox", vec!["7"]),
        ("DROP TABLE sandbox_rootfs", vec![]),
        (
            "ALTER TABLE sandbox_rootfs RENAME COLUMN manifest_id TO image",
            vec![],
        ),
        ("DROP TABLE snapshot_index", vec!["devbox"]),
        ("UPDATE sandbox_rootfs SET manifest_id = NULL", vec![]),
    ] {
        let shared = Shared::new();
        let image = shared.store.add("app", &["a"], &["app"]);
        shared.sandbox(7, "devbox", &image);
        shared
            .theirs
            .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON;")
            .unwrap();
        shared.theirs.execute_batch(change).unwrap();
        assert_eq!(
            shared.store.store.users(&image.manifest_digest).unwrap(),
            users,
            "{change}"
        );
    }
}

#[test]
fn an_image_that_microsandbox_uses_keeps_its_files_when_it_is_removed_by_force() {
    let shared = Shared::new();
    let image = shared.store.add("app", &["a"], &["app"]);
    shared.sandbox(7, "devbox", &image);
    let force = RemoveOptions { force: true };
    let removed = image::remove(&shared.store.store, "app", force).unwrap();
    assert_eq!(removed.users, ["devbox"]);
    assert!(shared.store.store.images().unwrap().is_empty());
    shared.prune();
    assert_eq!(shared.store.names("cache/layers").len(), 2);
    shared
        .theirs
        .execute("DELETE FROM sandbox_rootfs", [])
        .unwrap();
    shared.prune();
    assert_eq!(shared.store.names("cache/layers").len(), 0);
}

#[test]
fn a_layer_of_microsandbox_is_neither_replaced_nor_removed() {
    let shared = Shared::new();
    let theirs = shared.layer("a");
    shared.store.add("app", &["a"], &["app"]);
    assert_eq!(std::fs::read(&theirs).unwrap(), b"their image");
    let ours = shared.store.store.layer(&key("a")).unwrap().unwrap();
    assert_eq!(std::fs::read(&ours.erofs_path).unwrap(), b"image of a");
    image::remove(&shared.store.store, "app", RemoveOptions::default()).unwrap();
    shared.prune();
    assert_eq!(std::fs::read(&theirs).unwrap(), b"their image");
    assert_eq!(
        shared.store.names("cache/layers"),
        [layer_file("a", "erofs")]
    );
}

#[test]
fn a_layer_of_ours_that_microsandbox_took_over_stays_without_its_recipe() {
    for prune in [false, true] {
        let shared = Shared::new();
        shared.store.add("app", &["a"], &["app"]);
        shared
            .theirs
            .execute(
                "INSERT INTO layer (diff_id) VALUES (?1)",
                [Digest::of(b"a").to_string()],
            )
            .unwrap();
        if prune {
            shared.prune();
        } else {
            image::remove(&shared.store.store, "app", RemoveOptions::default()).unwrap();
        }
        assert_eq!(
            shared.store.names("cache/layers"),
            [layer_file("a", "erofs")]
        );
    }
}

#[test]
fn what_microsandbox_is_about_to_record_is_left_alone() {
    let shared = Shared::new();
    let stem = Digest::of(b"theirs").file_stem();
    for (directory, name) in [
        ("cache/layers", format!("{stem}.erofs")),
        ("cache/layers", format!("{stem}.tar.gz")),
        ("cache/layers", format!("{stem}.erofs.lock")),
        ("cache/fsmeta", format!("{stem}.erofs")),
        ("cache/vmdk", format!("{stem}.vmdk")),
        ("cache/tmp", format!("{stem}.part")),
    ] {
        std::fs::create_dir_all(shared.store.path(directory)).unwrap();
        std::fs::write(shared.store.path(directory).join(&name), "x").unwrap();
    }
    shared.store.add("theirs", &["theirs"], &["app"]);
    shared.prune();
    assert_eq!(shared.store.names("cache/layers").len(), 3);
    assert_eq!(shared.store.names("cache/fsmeta").len(), 1);
    assert_eq!(shared.store.names("cache/vmdk").len(), 1);
    assert_eq!(shared.store.names("cache/tmp").len(), 1);
}

#[test]
fn the_tables_of_microsandbox_stay_as_they_are() {
    let shared = Shared::new();
    let image = shared.store.add("app", &["a"], &["app"]);
    shared.sandbox(7, "devbox", &image);
    shared.layer("b");
    let dump = || {
        let mut rows = Vec::new();
        for table in [
            "manifest",
            "layer",
            "sandbox",
            "sandbox_rootfs",
            "image_ref",
        ] {
            let mut statement = shared
                .theirs
                .prepare(&format!("SELECT * FROM {table}"))
                .unwrap();
            let columns = statement.column_count();
            let mut found = statement.query([]).unwrap();
            while let Some(row) = found.next().unwrap() {
                for column in 0..columns {
                    rows.push(format!("{:?}", row.get_ref(column).unwrap()));
                }
            }
        }
        rows
    };
    let before = dump();
    shared.store.add("other", &["b", "c"], &["other"]);
    let _ = image::remove(&shared.store.store, "app", RemoveOptions { force: true });
    shared.prune();
    assert_eq!(dump(), before);
}
