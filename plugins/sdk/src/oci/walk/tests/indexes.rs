//! Indexes: how deep they are followed, and which are malformed.

use super::*;

/// An index in an index and so on, `depth` of them below `index.json`, with an image at the end.
fn nested(depth: usize) -> FakeArchive {
    let mut inner = descriptor(MANIFEST, &manifest("a"));
    let mut blobs = Vec::new();
    for _ in 0..depth {
        let index = index(&[inner]);
        inner = descriptor(INDEX, &index);
        blobs.push(index);
    }
    blobs
        .iter()
        .fold(with_image(layout(&[inner]), "a"), FakeArchive::blob)
}

#[test]
fn case_85_indexes_may_be_nested_eight_deep_and_no_deeper() {
    assert_eq!(plan(&nested(8)).unwrap().images.len(), 1);
    assert!(matches!(plan(&nested(9)), Err(Error::TooLarge(text)) if text.contains("8 deep")));
}

#[test]
fn an_index_that_contains_itself_is_malformed() {
    // With a digest that is not computed here, as the host does not verify indexes either.
    let digest = format!("sha512:{}", "0".repeat(128));
    let descriptor = json!({"mediaType": INDEX, "digest": digest});
    let archive = layout(std::slice::from_ref(&descriptor))
        .file(&crate::oci::blob_path(&digest), index(&[descriptor]));
    assert!(matches!(plan(&archive), Err(Error::Malformed(text)) if text.contains("itself")));
}

#[test]
fn an_index_with_other_content_than_its_digest_says_is_malformed() {
    let archive = with_image(layout(&[descriptor(INDEX, "expected")]), "a").file(
        &crate::oci::blob_path(&sha256(b"expected")),
        index(&[descriptor(MANIFEST, &manifest("a"))]),
    );
    assert!(
        matches!(plan(&archive), Err(Error::Malformed(text)) if text.contains("other content"))
    );
}

#[test]
fn the_number_of_descriptors_is_limited() {
    let many = vec![json!({"mediaType": "text/plain", "digest": "sha256:ab"}); 10_001];
    assert!(matches!(plan(&layout(&many)), Err(Error::TooLarge(text)) if text.contains("10000")));
}

#[test]
fn the_ways_to_an_image_are_told() {
    let platform = |name: &str, variant: &str| json!({"os": "linux", "architecture": name, "variant": variant});
    let a = with(
        descriptor(MANIFEST, &manifest("a")),
        "platform",
        platform("arm", "v7"),
    );
    let b = with(
        descriptor(MANIFEST, &manifest("b")),
        "platform",
        platform("", ""),
    );
    let inner = index(&[a.clone(), b]);
    let outer = index(&[descriptor(INDEX, &inner)]);
    let archive = layout(&[descriptor(INDEX, &outer), descriptor(INDEX, &inner), a]);
    let archive = archive.blob(&outer).blob(&inner);
    let archive = with_image(with_image(archive, "a"), "b");
    let plan = plan(&archive).unwrap();
    let [outer, inner] = [&outer, &inner].map(|index| sha256(index.as_bytes()));
    let entry = |path: &str| archive.find(path).unwrap().index;
    let of_plan = |digest: &str| {
        let number = entry(&format!("blobs/{}", digest.replace(':', "/")));
        ("index".to_owned(), format!("{number} {digest}"))
    };
    let top = ("index".to_owned(), entry("index.json").to_string());
    assert_eq!(plan.attributes, [top, of_plan(&outer), of_plan(&inner)]);
    let indexes = [format!("{outer} {inner}"), inner];
    let way = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        plan.images[0].attributes,
        [
            way("platform", "linux/arm/v7"),
            way("indexes", &indexes[0]),
            way("indexes", &indexes[1]),
        ]
    );
    assert_eq!(
        plan.images[1].attributes,
        [way("indexes", &indexes[0]), way("indexes", &indexes[1])]
    );
}

#[test]
fn an_index_that_could_be_an_image_is_malformed() {
    let good = index(&[descriptor(MANIFEST, &manifest("a"))]);
    let changed = |field: &str, value: Value| {
        let index: Value = serde_json::from_str(&good).unwrap();
        with(index, field, value).to_string()
    };
    let plan = |index: &str, media_type: &str| {
        let archive = layout(&[descriptor(media_type, index)]).blob(index);
        plan(&with_image(archive, "a"))
    };
    for (field, value) in [
        ("layers", json!([])),
        ("config", descriptor(CONFIG, "config a")),
        ("mediaType", json!(MANIFEST)),
        ("mediaType", json!("text/plain")),
    ] {
        let index = changed(field, value);
        for media_type in [INDEX, ""] {
            let plan = plan(&index, media_type);
            assert!(matches!(plan, Err(Error::Malformed(_))), "{index}");
        }
    }
    for own in [json!(INDEX), json!(""), Value::Null] {
        let plan = plan(&changed("mediaType", own), INDEX).unwrap();
        assert_eq!(plan.images.len(), 1);
    }
}

#[test]
fn an_index_without_images_is_malformed() {
    let error = plan(&layout(&[])).unwrap_err();
    assert!(matches!(error, Error::Malformed(text) if text.contains("lists no image")));
}

#[test]
fn malformed_documents_are_named() {
    let digest = sha256(b"{\"config\":");
    let truncated = layout(&[descriptor(MANIFEST, "{\"config\":")]).blob("{\"config\":");
    assert!(matches!(plan(&truncated), Err(Error::Malformed(text)) if text.contains(&digest)));
    let outside = layout(&[json!({"mediaType": MANIFEST, "digest": "sha256:../../etc/passwd"})]);
    assert!(matches!(plan(&outside), Err(Error::Malformed(text)) if text.contains("not a digest")));
    let folder =
        layout(&[descriptor(MANIFEST, "a")]).directory(&crate::oci::blob_path(&sha256(b"a")));
    assert!(matches!(plan(&folder), Err(Error::Malformed(text)) if text.contains("not a file")));
    for empty in ["{\"manifests\": []}", "{\"manifests\": null}", "{}"] {
        let archive = layout(&[]).file("index.json", empty);
        assert!(matches!(plan(&archive), Err(Error::Malformed(text)) if text.contains("no image")));
    }
}

#[test]
fn a_manifest_beyond_the_limit_is_too_large() {
    let manifest = " ".repeat((4 << 20) + 1);
    let archive = layout(&[descriptor(MANIFEST, &manifest)]).blob(&manifest);
    assert!(matches!(plan(&archive), Err(Error::TooLarge(text)) if text.contains("4194304")));
}
