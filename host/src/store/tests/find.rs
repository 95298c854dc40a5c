//! Selectors.

use super::*;

#[test]
fn an_image_is_found_by_every_spelling_of_its_name() {
    let store = TestStore::new();
    let image = store.add("app", &[], &["python", "ghcr.io/org/app:v1"]);
    for selector in [
        "python",
        "python:latest",
        "library/python",
        "docker.io/library/python:latest",
        "index.docker.io/python",
        "GHCR.io/org/app:v1",
    ] {
        let found = store.store.find(selector).unwrap();
        assert_eq!(found.image.digest, image.manifest_digest, "{selector}");
        assert!(found.reference.is_some(), "{selector}");
    }
}

#[test]
fn an_image_is_found_by_its_digests_and_their_beginnings() {
    let store = TestStore::new();
    let image = store.add("app", &[], &["python"]);
    store.add("other", &[], &["other"]);
    for digest in [&image.manifest_digest, &image.config_digest] {
        for selector in [
            digest.to_string(),
            digest.hex().to_owned(),
            digest.short().to_owned(),
            format!("sha256:{}", digest.short()),
        ] {
            let found = store.store.find(&selector).unwrap();
            assert_eq!(found.image.digest, image.manifest_digest, "{selector}");
            assert_eq!(found.reference, None, "{selector}");
        }
    }
    let digest = &image.manifest_digest;
    for selector in [format!("python@{digest}"), format!("python:other@{digest}")] {
        let found = store.store.find(&selector).unwrap();
        assert_eq!(found.image.digest, *digest, "{selector}");
        assert_eq!(found.reference, None, "{selector}");
    }
}

#[test]
fn what_names_no_image_is_not_found() {
    let store = TestStore::new();
    let image = store.add("app", &[], &["python"]);
    for selector in [
        "ruby".to_owned(),
        "python:3".to_owned(),
        "Python".to_owned(),
        String::new(),
        "sha256:".to_owned(),
        image.manifest_digest.hex()[..3].to_owned(),
        format!("sha512:{}", image.manifest_digest.short()),
        format!("ruby@{}", image.manifest_digest),
        // A registry knows no configuration by its digest.
        format!("python@{}", image.config_digest),
        Digest::of(b"another").to_string(),
    ] {
        let error = store.store.find(&selector).unwrap_err();
        assert!(
            matches!(error, StoreError::NotFound(_)),
            "{selector}: {error}"
        );
    }
}

#[test]
fn a_reference_goes_before_an_id_that_begins_like_it() {
    let store = TestStore::new();
    let image = store.add("app", &[], &["app"]);
    let prefix = image.manifest_digest.short().to_owned();
    let named = store.add("named like an id", &[], &[&prefix]);
    assert_eq!(
        store.store.find(&prefix).unwrap().image.digest,
        named.manifest_digest
    );
}

#[test]
fn an_ambiguous_id_is_refused_with_the_candidates() {
    let store = TestStore::new();
    let docker = store.add("app", &[], &["app:docker"]);
    // The same configuration under another manifest, as one gets from another archive format.
    let mut oci = docker.clone();
    oci.manifest = b"another manifest".to_vec();
    oci.manifest_digest = Digest::of(&oci.manifest);
    store.store.record(&oci, &[]).unwrap();
    for selector in [
        docker.config_digest.short().to_owned(),
        docker.config_digest.to_string(),
    ] {
        let error = store.store.find(&selector).unwrap_err();
        let StoreError::Ambiguous { candidates, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(
            candidates,
            [
                oci.manifest_digest.short().to_owned(),
                format!("{} (app:docker)", docker.manifest_digest.short()),
            ]
        );
    }
    for image in [&docker, &oci] {
        let found = store.store.find(image.manifest_digest.short()).unwrap();
        assert_eq!(found.image.digest, image.manifest_digest);
    }
}
