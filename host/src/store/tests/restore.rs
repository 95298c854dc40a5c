//! A catalogue that is damaged or lost: it is noticed, and comes back.

use rusqlite::Connection;

use super::*;

/// Everything that the catalogue says, in one text.
pub(super) fn contents(store: &Store) -> String {
    let images = store.images().unwrap();
    let users: Vec<_> = images
        .iter()
        .map(|image| store.users(&image.digest).unwrap())
        .collect();
    let layers: Vec<_> = images
        .iter()
        .flat_map(|image| &image.layers)
        .map(|layer| store.layer(&layer.key).unwrap().unwrap())
        .collect();
    format!("{images:#?} {users:?} {layers:#?}")
}

/// A store with some of everything. The connection is closed, and all is in the one file.
pub(super) fn closed() -> (TempDir, Home, String) {
    let TestStore { directory, store } = TestStore::new();
    add(
        &store,
        "one",
        &["a", "shared"],
        &["one", "one:2", "ghcr.io/org/one:v1"],
    );
    add(&store, "two", &["b", "shared"], &["two"]);
    add(&store, "dangling", &["c"], &[]);
    let mut pulled = image("pulled", &["a", "c"]);
    let index = format!(
        r#"{{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
             "manifests": [{{"mediaType": "application/vnd.oci.image.manifest.v1+json",
                             "digest": "{}", "size": 1}}]}}"#,
        pulled.manifest_digest
    );
    let digest = Digest::of(index.as_bytes());
    pulled.indexes = vec![NewImageIndex {
        bytes: index.into_bytes().into(),
        digest: digest.clone(),
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
    }];
    let name = format!("example.com/pulled@{digest}").parse().unwrap();
    store.record_pulled(&pulled, &name, &digest, None).unwrap();
    store.use_image("devbox", "one").unwrap();
    store.use_image("devbox", "two").unwrap();
    store.use_image("other", "two").unwrap();
    let (home, contents) = (store.home().clone(), contents(&store));
    drop(store);
    (directory, home, contents)
}

/// Does what msb advises, and returns the store.
pub(super) fn repaired(home: &Home) -> Store {
    let cancel = Cancel::default();
    let (store, _) = Store::open_and_restore(home, &Silent, &cancel).unwrap();
    if !store.check_catalogue().unwrap().is_empty() {
        let restored = store.restore(&Silent, &cancel).unwrap();
        assert!(restored.lost.is_empty(), "{restored:?}");
    }
    assert_eq!(store.check_catalogue().unwrap(), [""; 0]);
    store.check_sidecars(true).unwrap();
    assert_eq!(store.check_sidecars(false).unwrap(), []);
    store
}

/// Puts a catalogue in the place of what there is.
fn put(home: &Home, bytes: &[u8]) {
    let path = home.catalogue();
    for suffix in ["-wal", "-shm"] {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_lost_catalogue_is_noticed_and_comes_back() {
    let lose: [fn(&Home); 5] = [
        |home| std::fs::remove_file(home.catalogue()).unwrap(),
        |home| std::fs::write(home.catalogue(), "").unwrap(),
        |home| std::fs::write(home.catalogue(), "S").unwrap(),
        |home| std::fs::remove_dir_all(home.root().join("db")).unwrap(),
        |home| {
            let catalogue = Connection::open(home.catalogue()).unwrap();
            for table in [
                "use",
                "reference",
                "image_layer",
                "image_index",
                "layer",
                "image",
            ] {
                catalogue
                    .execute(&format!("DELETE FROM msb_{table}"), [])
                    .unwrap();
            }
        },
    ];
    for (number, lose) in lose.into_iter().enumerate() {
        let (_directory, home, before) = closed();
        lose(&home);
        for _ in 0..2 {
            let error = Store::open(&home).unwrap_err();
            assert!(error.is_of_catalogue(), "{number}: {error}");
        }
        assert_eq!(contents(&repaired(&home)), before, "{number}");
    }
}

#[test]
fn a_catalogue_that_is_damaged_anywhere_comes_back() {
    let (_directory, home, before) = closed();
    let whole = std::fs::read(home.catalogue()).unwrap();
    let bits = whole.len() * 8;
    let mut places = 0;
    // The header of the file to the bit, then a bit here and there, then whole blocks.
    for bit in (0..108 * 8)
        .step_by(7)
        .chain((0..bits).step_by((bits / 301) | 1))
    {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        put(&home, &bytes);
        assert_eq!(contents(&repaired(&home)), before, "bit {bit}");
        places += 1;
    }
    for start in (0..whole.len()).step_by(4096) {
        for fill in [0, 0xff] {
            let mut bytes = whole.clone();
            bytes[start..start + 4096].fill(fill);
            put(&home, &bytes);
            assert_eq!(contents(&repaired(&home)), before, "block at {start}");
            places += 1;
        }
    }
    for length in [100, 4095, 4096, 5000, whole.len() / 2, whole.len() - 1] {
        put(&home, &whole[..length]);
        assert_eq!(contents(&repaired(&home)), before, "{length} bytes");
        places += 1;
    }
    assert!(places > 400, "{places}");
}

#[test]
fn an_image_that_the_catalogue_has_lost_is_noticed_and_never_pruned() {
    let (_directory, home, before) = closed();
    Connection::open(home.catalogue())
        .unwrap()
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             DELETE FROM msb_use WHERE image = (SELECT image FROM msb_reference WHERE name LIKE '%two%');
             DELETE FROM msb_image WHERE digest = (SELECT image FROM msb_reference WHERE name LIKE '%two%');",
        )
        .unwrap();
    let store = Store::open(&home).unwrap();
    let list = crate::image::list(&store, &crate::image::ListOptions::default()).unwrap();
    assert_eq!(list.images.len(), 3);
    assert!(
        matches!(
            list.incomplete,
            Some(StoreError::LostImages { images: 1, .. })
        ),
        "{list:?}"
    );
    let error = store.find("two").unwrap_err();
    assert!(matches!(error, StoreError::LostImages { .. }), "{error}");
    for dry_run in [true, false] {
        let error = store
            .prune(dry_run, &Silent, &Cancel::default())
            .unwrap_err();
        assert!(matches!(error, StoreError::LostImages { .. }), "{error}");
    }
    drop(store);
    assert_eq!(contents(&repaired(&home)), before);
}

#[test]
fn a_bad_row_harms_its_image_alone_and_can_be_removed() {
    for change in [
        "msb_image SET config_digest = 'nonsense' WHERE digest = ?1",
        "msb_reference SET name = 'UPPER CASE' WHERE image = ?1 AND name LIKE '%:2'",
        "msb_image_layer SET compressed_size = -1 WHERE image = ?1",
    ] {
        let (_directory, home, _) = closed();
        let store = Store::open(&home).unwrap();
        let digest = store.find("one").unwrap().image.digest;
        Connection::open(home.catalogue())
            .unwrap()
            .execute(&format!("UPDATE {change}"), [digest.to_string()])
            .unwrap();
        let list = crate::image::list(&store, &crate::image::ListOptions::default()).unwrap();
        assert_eq!(list.images.len(), 3, "{change}");
        assert!(
            matches!(list.incomplete, Some(StoreError::DamagedImage { .. })),
            "{list:?}"
        );
        assert!(store.find("two").is_ok(), "{change}");
        let error = store.find("one").unwrap_err();
        assert!(error.is_of_catalogue(), "{error}");
        // It is in use, and its files would be taken for garbage.
        let error = store.prune(false, &Silent, &Cancel::default()).unwrap_err();
        assert!(matches!(error, StoreError::DamagedImage { .. }), "{error}");
        let error = store.forget("one", false).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        assert_eq!(store.release("devbox").unwrap(), 2);
        let forgotten = store.forget("one", false).unwrap();
        assert_eq!(forgotten.digest, Some(digest), "{change}");
        let list = crate::image::list(&store, &crate::image::ListOptions::default()).unwrap();
        assert_eq!((list.images.len(), list.incomplete.is_none()), (3, true));
        assert_eq!(store.check_catalogue().unwrap(), [""; 0], "{change}");
        store.prune(false, &Silent, &Cancel::default()).unwrap();
    }
}

#[test]
fn a_repair_that_dies_is_finished_by_the_next_one() {
    let mut steps = 0;
    loop {
        let (_directory, home, before) = closed();
        let store = Store::open(&home).unwrap();
        // What is in the catalogue alone is not lost either.
        let image = store.find("two").unwrap().image.digest;
        std::fs::remove_file(home.sidecar(&image)).unwrap();
        crate::store::fs::crash::after(steps);
        let result = store.restore(&Silent, &Cancel::default());
        crate::store::fs::crash::after(u32::MAX);
        drop(store);
        let store = repaired(&home);
        assert_eq!(contents(&store), before, "after {steps} steps");
        if result.is_ok() {
            break;
        }
        steps += 1;
    }
    // The sidecar, the empty catalogue, the sidecars of its new rows.
    assert!(steps >= 3, "only {steps} steps");
}

#[test]
fn removing_a_bad_row_leaves_the_sidecar_of_another_lost_image() {
    let store = TestStore::new();
    let one = store.add("one", &["a"], &["one"]);
    let two = store.add("two", &["b"], &["two", "two:b"]);
    let catalogue = Connection::open(store.path("db/images.db")).unwrap();
    for (sql, image) in [
        ("DELETE FROM msb_reference WHERE image = ?1", &two),
        ("DELETE FROM msb_image_layer WHERE image = ?1", &two),
        ("DELETE FROM msb_image WHERE digest = ?1", &two),
        (
            "UPDATE msb_reference SET name = 'docker.io/library/two:latest' WHERE image = ?1",
            &one,
        ),
        (
            "UPDATE msb_image SET config_digest = 'nonsense' WHERE digest = ?1",
            &one,
        ),
    ] {
        let digest = image.manifest_digest.to_string();
        assert!(catalogue.execute(sql, [digest]).unwrap() > 0, "{sql}");
    }
    store.store.forget("two", false).unwrap();
    let sidecar = store.store.home().sidecar(&two.manifest_digest);
    assert!(sidecar.exists(), "it has the name two:b as well");
}

#[test]
fn a_path_out_of_the_catalogue_is_damage_and_nothing_is_removed_there() {
    let (directory, home, before) = closed();
    let outside = directory.path().join("precious");
    for extension in ["erofs", "recipe"] {
        std::fs::write(outside.with_extension(extension), "mine").unwrap();
    }
    Connection::open(home.catalogue())
        .unwrap()
        .execute(
            "UPDATE msb_layer SET file = ?1",
            [outside.to_str().unwrap()],
        )
        .unwrap();
    let store = Store::open(&home).unwrap();
    let error = store.recorded_layer(&key("a")).unwrap_err();
    assert!(
        matches!(error, StoreError::DamagedCatalogue { .. }),
        "{error}"
    );
    assert!(!store.check_catalogue().unwrap().is_empty());
    drop(store);
    assert_eq!(contents(&repaired(&home)), before);
    assert!(outside.with_extension("erofs").exists());
    assert!(outside.with_extension("recipe").exists());
}

#[test]
fn what_is_lost_with_catalogue_and_sidecar_is_told() {
    let (_directory, home, _) = closed();
    std::fs::remove_dir_all(home.sidecars()).unwrap();
    std::fs::remove_file(home.catalogue()).unwrap();
    let error = Store::open(&home).unwrap_err();
    assert!(
        matches!(error, StoreError::LostImages { images: 0, .. }),
        "{error}"
    );
    let (store, restored) = Store::open_and_restore(&home, &Silent, &Cancel::default()).unwrap();
    assert_eq!(restored.unwrap().1.images, 0);
    // Loading brings them back, layers and all.
    add(&store, "one", &["a", "shared"], &["one"]);
    assert!(store.find("one").is_ok());
}
