//! Archives that have an OCI layout as well, as Docker 25 and later write them.

use super::*;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The files of an OCI layout with the image `name`, on top of an archive.
struct Oci {
    manifest: String,
    name: &'static str,
}

impl Oci {
    fn new(name: &'static str) -> Self {
        let descriptor = |kind: &str, contents: &str| {
            json!({
                "mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": sha256(contents.as_bytes()),
                "size": contents.len(),
            })
        };
        let manifest = json!({
            "config": descriptor("config.v1+json", &format!("config {name}")),
            "layers": [descriptor("layer.v1.tar", &format!("layer {name}"))],
        });
        Self {
            manifest: manifest.to_string(),
            name,
        }
    }

    fn descriptor(&self, reference: &str) -> Value {
        json!({
            "mediaType": MANIFEST,
            "digest": sha256(self.manifest.as_bytes()),
            "size": self.manifest.len(),
            "annotations": {"io.containerd.image.name": reference},
        })
    }

    /// The item of `manifest.json` for the same image.
    fn item(&self, reference: &str) -> Value {
        json!({
            "Config": self.path("config"),
            "RepoTags": [reference],
            "Layers": [self.path("layer")],
        })
    }

    fn path(&self, kind: &str) -> String {
        blob_path(&sha256(format!("{kind} {}", self.name).as_bytes()))
    }

    fn add_to(&self, archive: FakeArchive) -> FakeArchive {
        archive
            .blob(&self.manifest)
            .blob(format!("config {}", self.name))
            .blob(format!("layer {}", self.name))
    }
}

/// An archive as Docker 25 and later write it.
fn hybrid(items: &[Value], descriptors: &[Value]) -> FakeArchive {
    list(&json!(items))
        .file("oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#)
        .file("index.json", json!({"manifests": descriptors}).to_string())
}

#[test]
fn an_image_that_is_also_in_an_oci_layout_has_the_manifest_from_there() {
    let a = Oci::new("a");
    let archive = a.add_to(hybrid(
        &[a.item("a:1")],
        &[a.descriptor("docker.io/library/a:1")],
    ));
    let plan = read(&archive).unwrap();
    assert_eq!(plan.images.len(), 1);
    let image = &plan.images[0];
    assert_eq!(image.manifest_digest, Some(sha256(a.manifest.as_bytes())));
    assert_eq!(image.config_digest, Some(sha256(b"config a")));
    assert_eq!(image.layers[0].data, entry(&archive, &a.path("layer")));
    assert_eq!(
        image.layers[0].media_type.as_deref(),
        Some("application/vnd.oci.image.layer.v1.tar")
    );
    assert_eq!(image.references, ["docker.io/library/a:1"]);
    assert_eq!(plan.notices, [""; 0]);
}

#[test]
fn a_configuration_whose_path_is_no_digest_is_matched_by_its_content() {
    let a = Oci::new("a");
    let item = json!({"Config": "config.json", "RepoTags": ["a:1"], "Layers": [a.path("layer")]});
    let archive = a
        .add_to(hybrid(&[item], &[a.descriptor("a:1")]))
        .file("config.json", "config a");
    let plan = read(&archive).unwrap();
    assert_eq!(plan.images.len(), 1);
    assert_eq!(
        plan.images[0].manifest_digest,
        Some(sha256(a.manifest.as_bytes()))
    );
}

#[test]
fn case_89_where_list_and_layout_differ_the_layout_counts_and_a_notice_says_so() {
    let a = Oci::new("a");
    for layers in [
        json!(["other.tar"]),
        json!([a.path("layer"), "other.tar"]),
        json!([]),
    ] {
        let item = json!({"Config": a.path("config"), "RepoTags": ["a:1"], "Layers": layers});
        let archive = a
            .add_to(hybrid(&[item], &[a.descriptor("a:1")]))
            .file("other.tar", "other");
        let plan = read(&archive).unwrap();
        assert_eq!(plan.images.len(), 1);
        assert_eq!(plan.images[0].layers.len(), 1);
        assert_eq!(
            plan.images[0].layers[0].data,
            entry(&archive, &a.path("layer"))
        );
        assert!(
            plan.notices[0].contains("name different layers"),
            "{:?}",
            plan.notices
        );
    }

    let archive = a.add_to(hybrid(&[a.item("b:1")], &[a.descriptor("a:1")]));
    let plan = read(&archive).unwrap();
    assert_eq!(plan.images[0].references, ["a:1"]);
    assert!(plan.notices[0].contains("`b:1`"), "{:?}", plan.notices);
}

#[test]
fn a_layer_that_only_the_list_leads_to_is_taken_from_there() {
    let a = Oci::new("a");
    let item = json!({"Config": a.path("config"), "RepoTags": ["a:1"], "Layers": ["x/layer.tar"]});
    let archive = hybrid(&[item], &[a.descriptor("a:1")])
        .blob(&a.manifest)
        .blob("config a")
        .file("x/layer.tar", "layer a");
    let image = &read(&archive).unwrap().images[0];
    assert_eq!(image.manifest_digest, Some(sha256(a.manifest.as_bytes())));
    assert_eq!(image.layers[0].data, entry(&archive, "x/layer.tar"));
    assert_eq!(image.layers[0].digest, None);
}

#[test]
fn images_that_only_the_layout_lists_come_after_the_others() {
    let (a, b) = (Oci::new("a"), Oci::new("b"));
    let archive = b.add_to(a.add_to(hybrid(
        &[a.item("a:1")],
        &[b.descriptor("a:1"), a.descriptor("a:1")],
    )));
    let plan = read(&archive).unwrap();
    let digests: Vec<_> = plan
        .images
        .iter()
        .map(|image| image.config_digest.clone())
        .collect();
    assert_eq!(
        digests,
        [Some(sha256(b"config a")), Some(sha256(b"config b"))]
    );
}

#[test]
fn a_layout_that_lists_nothing_is_not_worth_a_notice() {
    let a = Oci::new("a");
    let mut archive = a.add_to(list(&json!([a.item("a:1")])));
    archive = archive.file("index.json", r#"{"schemaVersion": 2, "manifests": null}"#);
    let plan = read(&archive).unwrap();
    assert_eq!(
        plan.images[0].layers[0].data,
        entry(&archive, &a.path("layer"))
    );
    assert_eq!(plan.notices, [""; 0]);
}

#[test]
fn an_image_that_only_the_list_has_is_loaded_with_a_notice() {
    let (a, b) = (Oci::new("a"), Oci::new("b"));
    let archive = b.add_to(a.add_to(hybrid(
        &[a.item("a:1"), b.item("b:1")],
        &[a.descriptor("a:1")],
    )));
    let plan = read(&archive).unwrap();
    assert_eq!(plan.images.len(), 2);
    assert_eq!(plan.images[1].manifest, None);
    assert_eq!(plan.images[1].references, ["b:1"]);
    assert!(
        plan.notices[0].contains("index.json has no image"),
        "{:?}",
        plan.notices
    );
}

#[test]
fn a_layout_that_cannot_be_read_does_not_stand_in_the_way() {
    let archive = with_layers(&[])
        .file("oci-layout", "{")
        .file("index.json", "{");
    let plan = read(&archive).unwrap();
    assert_eq!(plan.images.len(), 1);
    assert!(plan.notices[0].starts_with("index.json was skipped: "));
}

#[test]
fn a_bare_tag_is_no_matter_where_the_list_has_the_name() {
    let a = Oci::new("a");
    let mut descriptor = a.descriptor("");
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": "1"});
    let plan = read(&a.add_to(hybrid(&[a.item("a:1")], &[descriptor]))).unwrap();
    assert_eq!(plan.images[0].references, ["a:1"]);
    assert_eq!(plan.notices, [""; 0]);
}
