//! A digest in a reference is a promise.

use rusqlite::Connection;

use super::*;
use crate::image::{self, RemoveOptions};

fn index_of(digests: &[&Digest]) -> NewImageIndex {
    let entries: Vec<_> = digests
        .iter()
        .map(|digest| serde_json::json!({"digest": digest.to_string()}))
        .collect();
    let bytes = serde_json::json!({"schemaVersion": 2, "manifests": entries});
    let bytes = bytes.to_string().into_bytes();
    NewImageIndex {
        digest: Digest::of(&bytes),
        bytes: bytes.into(),
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
    }
}

/// An image of an index within an index, pulled as `app:1`.
struct Pulled {
    store: TestStore,
    image: NewImage,
    inner: Digest,
    outer: Digest,
}

impl Pulled {
    fn new() -> Self {
        let store = TestStore::new();
        let mut image = store.add("app", &["a"], &[]);
        let inner = index_of(&[&Digest::of(b"another"), &image.manifest_digest]);
        let outer = index_of(&[&inner.digest]);
        let (inner_digest, outer_digest) = (inner.digest.clone(), outer.digest.clone());
        image.indexes = vec![outer, inner];
        let name = "app:1".parse().unwrap();
        store
            .store
            .record_pulled(&image, &name, &outer_digest, None)
            .unwrap();
        Self {
            store,
            image,
            inner: inner_digest,
            outer: outer_digest,
        }
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.store.path("cache/blobs").join(digest.file_stem())
    }

    fn sql(&self, sql: &str) {
        let catalogue = Connection::open(self.store.path("db/images.db")).unwrap();
        assert!(catalogue.execute(sql, []).unwrap() > 0, "{sql}");
    }
}

#[test]
fn an_image_is_found_by_every_index_that_led_to_it() {
    let pulled = Pulled::new();
    let store = &pulled.store.store;
    for digest in [&pulled.outer, &pulled.inner, &pulled.image.manifest_digest] {
        for selector in [
            format!("app@{digest}"),
            digest.to_string(),
            digest.short().to_owned(),
        ] {
            let found = store.find(&selector).unwrap().image;
            assert_eq!(found.digest, pulled.image.manifest_digest, "{selector}");
        }
        assert!(store.find(&format!("other@{digest}")).is_err());
        let name: Reference = format!("app:2@{digest}").parse().unwrap();
        assert!(store.may_name(&pulled.image, &name).unwrap());
    }
    let image = store.find("app:1").unwrap().image;
    let name = "app:1".parse().unwrap();
    assert_eq!(store.registry_digest(&image, &name), pulled.outer);
    let details = image::inspect(store, "app:1").unwrap();
    assert_eq!(
        details.index_digests,
        [pulled.outer.to_string(), pulled.inner.to_string()]
    );
    let mut expected = [
        format!("app@{}", pulled.outer),
        format!("app@{}", pulled.image.manifest_digest),
    ];
    expected.sort();
    assert_eq!(details.repo_digests, expected);
}

#[test]
fn no_caller_gives_an_image_the_digest_of_another_one() {
    let store = TestStore::new();
    let other = store.add("other", &["b"], &["other"]);
    let mut image = store.add("app", &["a"], &[]);
    let leads_elsewhere = index_of(&[&other.manifest_digest]);
    for digest in [
        Digest::of(b"nothing"),
        other.manifest_digest.clone(),
        image.config_digest.clone(),
        leads_elsewhere.digest.clone(),
    ] {
        image.indexes = vec![leads_elsewhere.clone()];
        let name: Reference = format!("app:1@{digest}").parse().unwrap();
        let record = store.store.record(&image, std::slice::from_ref(&name));
        assert!(
            matches!(record, Err(StoreError::OtherDigest { .. })),
            "{name}"
        );
        let found = store
            .store
            .find(&image.manifest_digest.to_string())
            .unwrap();
        let named = store.store.name(&found.image, &name, &digest);
        assert!(
            matches!(named, Err(StoreError::OtherDigest { .. })),
            "{name}"
        );
        assert!(store.store.referenced(&name).unwrap().is_none());
    }
}

#[test]
fn an_index_with_other_bytes_proves_nothing_and_is_not_kept() {
    let store = TestStore::new();
    let mut image = store.add("app", &["a"], &[]);
    let mut index = index_of(&[&image.manifest_digest]);
    index.digest = Digest::of(b"another index");
    let name: Reference = format!("app@{}", index.digest).parse().unwrap();
    image.indexes = vec![index.clone()];
    assert!(!store.store.may_name(&image, &name).unwrap());
    assert!(store.store.record(&image, &[name]).is_err());
    assert!(matches!(
        store.store.record(&image, &[]),
        Err(StoreError::DamagedBlob { .. })
    ));
}

#[test]
fn a_catalogue_that_was_changed_gives_no_other_image_for_a_digest() {
    let pulled = Pulled::new();
    let store = &pulled.store.store;
    let other = pulled.store.add("other", &["b"], &["other:1"]);
    for digest in [
        &pulled.outer,
        &pulled.image.manifest_digest,
        &Digest::of(b"x"),
    ] {
        let name = format!("docker.io/library/app@{digest}");
        let other = &other.manifest_digest;
        pulled.sql(&format!(
            "INSERT OR REPLACE INTO msb_reference (name, image, digest, updated_at)
             VALUES ('{name}', '{other}', '{digest}', '')"
        ));
        pulled.sql(&format!(
            "INSERT OR REPLACE INTO msb_image_index VALUES ('{other}', '{digest}', '')"
        ));
        let reference: Reference = name.parse().unwrap();
        assert!(store.referenced(&reference).unwrap().is_none());
        if let Ok(found) = store.find(&name) {
            assert_eq!(found.image.digest, pulled.image.manifest_digest);
        }
        let image = store.find("other:1").unwrap().image;
        assert_eq!(image.references, parsed(&["other:1"]));
        assert!(image.unproven.contains(&reference));
        if let Ok(digest) = store.use_image("devbox", &name) {
            assert_eq!(digest, pulled.image.manifest_digest);
        }
    }
    assert!(store.find(&format!("app@{}", Digest::of(b"x"))).is_err());
}

#[test]
fn without_its_bytes_an_index_proves_nothing() {
    for damage in [None, Some("{}")] {
        let pulled = Pulled::new();
        match damage {
            None => std::fs::remove_file(pulled.blob(&pulled.inner)).unwrap(),
            Some(text) => std::fs::write(pulled.blob(&pulled.inner), text).unwrap(),
        }
        let store = &pulled.store.store;
        for digest in [&pulled.outer, &pulled.inner] {
            assert!(store.find(&format!("app@{digest}")).is_err());
        }
        let image = store.find("app:1").unwrap().image;
        let name = "app:1".parse().unwrap();
        assert_eq!(store.registry_digest(&image, &name), image.digest);
        assert!(
            image::inspect(store, "app:1")
                .unwrap()
                .index_digests
                .is_empty()
        );
    }
}

#[test]
fn of_the_images_of_an_index_it_means_the_one_for_this_machine() {
    let store = TestStore::new();
    let host = Platform::host();
    let mut images: Vec<NewImage> = ["mine", "theirs"].map(|name| image(name, &[])).into();
    let index = index_of(&[&images[0].manifest_digest, &images[1].manifest_digest]);
    images[0].platform = host;
    images[1].platform = Platform::new("plan9", "pdp11", None);
    for image in &mut images {
        image.indexes = vec![index.clone()];
        let name = "app:1".parse().unwrap();
        store
            .store
            .record_pulled(image, &name, &index.digest, None)
            .unwrap();
        store
            .store
            .record(image, &parsed(&[&format!("app:{}", image.platform.os)]))
            .unwrap();
    }
    let found = store.store.find(&format!("app@{}", index.digest)).unwrap();
    assert_eq!(found.image.digest, images[0].manifest_digest);
}

#[test]
fn indexes_go_with_the_last_image_that_they_led_to() {
    let pulled = Pulled::new();
    let store = &pulled.store.store;
    let mut other = image("other", &["a"]);
    let shared = NewImageIndex {
        bytes: std::fs::read(pulled.blob(&pulled.outer)).unwrap().into(),
        digest: pulled.outer.clone(),
        media_type: String::new(),
    };
    other.indexes = vec![shared];
    store.record(&other, &parsed(&["other"])).unwrap();
    image::remove(store, "app:1", RemoveOptions::default()).unwrap();
    assert!(pulled.blob(&pulled.outer).exists());
    assert!(!pulled.blob(&pulled.inner).exists());
    image::remove(store, "other", RemoveOptions::default()).unwrap();
    assert_eq!(pulled.store.names("cache/blobs"), [""; 0]);
}

#[test]
fn an_image_takes_over_what_names_and_uses_the_one_that_it_is() {
    let store = TestStore::new();
    let composed = store.add("composed", &["a"], &["app:1", "app:2"]);
    store.store.use_image("devbox", "app:1").unwrap();
    let mut pulled = image("pulled", &["a"]);
    pulled.supersedes = vec![composed.manifest_digest.clone()];
    let recorded = store
        .store
        .record(&pulled, &parsed(&["app:2", "app:3"]))
        .unwrap();
    assert!(recorded.moved.is_empty());
    let images = store.store.images().unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].references, parsed(&["app:1", "app:2", "app:3"]));
    assert_eq!(
        store.store.users(&pulled.manifest_digest).unwrap(),
        ["devbox"]
    );
}

#[test]
fn an_image_that_is_named_by_its_digest_is_not_taken_over() {
    let store = TestStore::new();
    let composed = store.add("composed", &["a"], &["app:1"]);
    let name = format!("app@{}", composed.manifest_digest);
    store.store.record(&composed, &parsed(&[&name])).unwrap();
    let mut pulled = image("pulled", &["a"]);
    pulled.supersedes = vec![composed.manifest_digest.clone()];
    store.store.record(&pulled, &[]).unwrap();
    assert_eq!(
        store.store.find(&name).unwrap().image.digest,
        composed.manifest_digest
    );
    assert_eq!(
        store.store.find("app:1").unwrap().image.digest,
        pulled.manifest_digest
    );
}
