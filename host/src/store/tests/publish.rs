//! Publishing and recording.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_published_layer_is_found_with_its_files() {
    let store = TestStore::new();
    store.add("app", &["a"], &["app"]);
    let layer = store.again().layer(&key("a")).unwrap().unwrap();
    assert_eq!(std::fs::read(&layer.erofs_path).unwrap(), b"image of a");
    assert_eq!(std::fs::read(&layer.recipe_path).unwrap(), b"recipe of a");
    assert_eq!((layer.erofs_size, layer.recipe_size), (10, 11));
    assert_eq!(layer.facts.tar_size, 10);
    assert_eq!(
        layer.erofs_path,
        store.path("cache/layers").join(layer_file("a", "erofs"))
    );
    assert_eq!(store.names("cache/tmp"), Vec::<String>::new());
}

#[test]
fn a_layer_with_a_missing_or_damaged_file_is_no_layer_and_is_made_again() {
    for extension in ["erofs", "recipe"] {
        for length in [None, Some(0), Some(3)] {
            let store = TestStore::new();
            store.add("app", &["a"], &["app"]);
            let path = store.path("cache/layers").join(layer_file("a", extension));
            match length {
                None => std::fs::remove_file(&path).unwrap(),
                Some(length) => std::fs::File::options()
                    .write(true)
                    .open(&path)
                    .unwrap()
                    .set_len(length)
                    .unwrap(),
            }
            assert!(store.store.layer(&key("a")).unwrap().is_none());
            store.add("app", &["a"], &["app"]);
            let image = store.store.find("app").unwrap().image;
            assert!(is_whole(&store.store, &image));
        }
    }
}

#[test]
fn a_layer_that_is_there_stays_as_it_is() {
    let store = TestStore::new();
    store.add("app", &["a"], &["app"]);
    let staging = store.store.staging(&Cancel::default()).unwrap();
    let (staged, facts) = stage(&staging, "a");
    std::fs::write(staged.erofs(), "something else").unwrap();
    let published = store.store.publish(&[(staged, facts)], false).unwrap();
    assert_eq!(
        std::fs::read(&published[0].erofs_path).unwrap(),
        b"image of a"
    );
}

#[test]
fn a_layer_that_one_load_has_twice_is_published_once() {
    let store = TestStore::new();
    store.add("app", &["a", "a"], &["app"]);
    let image = store.store.find("app").unwrap().image;
    assert_eq!(image.layers.len(), 2);
    assert!(is_whole(&store.store, &image));
}

#[test]
fn many_layers_keep_their_own_lengths() {
    let store = TestStore::new();
    let contents: Vec<String> = (0..40).map(|number| "x".repeat(number)).collect();
    let layers: Vec<&str> = contents.iter().map(String::as_str).collect();
    store.add("app", &layers, &["app"]);
    for content in layers {
        let layer = store.store.layer(&key(content)).unwrap();
        assert_eq!(
            layer.unwrap().erofs_size,
            "image of ".len() as u64 + content.len() as u64
        );
    }
}

#[test]
fn an_image_is_not_recorded_without_its_layers() {
    let store = TestStore::new();
    let error = store
        .store
        .record(&image("app", &["a"]), &parsed(&["app"]))
        .unwrap_err();
    assert!(matches!(error, StoreError::MissingLayer { .. }), "{error}");
    assert!(store.store.images().unwrap().is_empty());
}

#[test]
fn documents_come_back_byte_for_byte_and_damage_is_found() {
    let store = TestStore::new();
    let image = store.add("app", &["a"], &["app"]);
    assert_eq!(
        store.store.blob(&image.manifest_digest).unwrap(),
        image.manifest
    );
    let path = store
        .path("cache/blobs")
        .join(image.config_digest.file_stem());
    std::fs::write(&path, "another one").unwrap();
    assert!(matches!(
        store.store.blob(&image.config_digest),
        Err(StoreError::DamagedBlob { .. })
    ));
    store.add("app", &["a"], &["app"]);
    assert_eq!(
        store.store.blob(&image.config_digest).unwrap(),
        image.config
    );
}

#[test]
fn a_document_that_is_not_what_its_digest_says_is_not_kept() {
    let store = TestStore::new();
    let mut wrong = image("app", &[]);
    wrong.config = b"something else".to_vec();
    assert!(matches!(
        store.store.record(&wrong, &[]),
        Err(StoreError::DamagedBlob { .. })
    ));
    assert!(store.store.images().unwrap().is_empty());
}

#[test]
fn a_tag_that_moves_leaves_the_other_image_behind() {
    let store = TestStore::new();
    let old = store.add("old", &["a"], &["app", "app:1"]);
    let new = image("new", &["a"]);
    let recorded = store.store.record(&new, &parsed(&["app"])).unwrap();
    assert!(!recorded.already_present);
    let [moved] = recorded.moved.as_slice() else {
        panic!("{:?}", recorded.moved);
    };
    assert_eq!(moved.reference.familiar(), "app:latest");
    assert_eq!(moved.previous, old.manifest_digest);
    let again = store
        .store
        .record(&new, &parsed(&["app", "app:1"]))
        .unwrap();
    assert!(again.already_present);
    assert_eq!(again.moved.len(), 1);
    let images = store.store.images().unwrap();
    assert_eq!(images.len(), 2);
    assert_eq!(images[0].digest, new.manifest_digest);
    assert!(images[1].references.is_empty());
    assert!(is_whole(&store.store, &images[1]));
}

#[test]
fn each_image_has_its_own_facts_of_a_shared_layer() {
    let store = TestStore::new();
    store.add("one", &["a"], &["one"]);
    store.add("two", &["a"], &["two"]);
    let blob = |selector| {
        let image = store.store.find(selector).unwrap().image;
        image.layers[0].blob_digest.clone()
    };
    assert_eq!(blob("one"), Digest::of(b"blob of a in one"));
    assert_eq!(blob("two"), Digest::of(b"blob of a in two"));
}

#[test]
fn modes_are_the_same_under_any_umask() {
    const TEST: &str = "publish::modes_are_the_same_under_any_umask";
    if let Some(root) = child_argument() {
        for mask in [0o077, 0o000, 0o022, 0o777] {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
            let home = root.join(format!("{mask}/home"));
            let store = Store::open(&Home::at(&home)).unwrap();
            add(&store, "app", &["a"], &["app"]);
            for entry in walkdir::WalkDir::new(&home) {
                let entry = entry.unwrap();
                let is_private = entry.path().starts_with(home.join("cache/locks"));
                let expected = match (entry.file_type().is_dir(), is_private) {
                    (true, false) => 0o755,
                    (true, true) => 0o700,
                    (false, false) => 0o644,
                    (false, true) => 0o600,
                };
                let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                assert_eq!(mode, expected, "umask {mask:o}: {}", entry.path().display());
            }
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    assert!(child(TEST, directory.path(), |_| {}).success());
}

#[test]
fn a_home_may_have_any_name() {
    let directory = tempfile::tempdir().unwrap();
    for name in [b"with space".as_slice(), b"\xff?#%41", "ä".as_bytes()] {
        let home = Home::at(directory.path().join(std::ffi::OsStr::from_bytes(name)));
        add(&Store::open(&home).unwrap(), "app", &["a"], &["app"]);
        let store = Store::open(&home).unwrap();
        let image = store.find("app").unwrap().image;
        assert!(is_whole(&store, &image));
        let details = crate::image::inspect(&store, "app").unwrap();
        assert!(serde_json::to_string(&details).is_ok());
    }
}
