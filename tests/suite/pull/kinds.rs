//! Images of every kind that registries have, by each of the names that an image may have.

use serde_json::{Value, json};

use crate::archive::{Image, architecture, descriptor, gzip, other_architecture, sha256, zstd};
use crate::registry_scene::{Scene, assert_whole, inspected, sample};
use crate::tests;
use crate::tools::fixtures;

tests! {
    layers_in_gzip_zstd_and_plain_are_pulled needs DockerRegistry, Skopeo;
    an_index_gives_the_image_for_this_machine needs DockerRegistry, Skopeo, Curl;
    an_index_gives_the_image_for_the_platform_that_is_asked_for
        needs DockerRegistry, Skopeo, Curl;
    a_platform_that_is_not_there_is_told_with_those_that_are needs DockerRegistry, Skopeo, Curl;
    an_index_within_an_index_is_looked_into needs DockerRegistry, Skopeo, Curl;
    an_attestation_is_no_image needs DockerRegistry, Skopeo, Curl;
    an_image_is_pulled_by_its_digest needs DockerRegistry, Skopeo;
    an_image_is_pulled_by_the_digest_of_its_index needs DockerRegistry, Skopeo, Curl;
    of_a_tag_and_a_digest_the_digest_counts needs DockerRegistry, Skopeo;
    layers_that_another_image_has_are_not_fetched_again needs DockerRegistry, Skopeo;
    images_that_others_made_are_pulled needs DockerRegistry, Skopeo, Fixtures;
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Returns an image for a processor, of one layer.
pub(super) fn image_for(architecture: &str) -> Image {
    let layer = format!("etc/\netc/machine = {architecture}");
    let mut image = Image::new("", &[&layer]).compressed(gzip);
    image.config["architecture"] = json!(architecture);
    image
}

/// Returns the entry of an index for an image.
pub(super) fn entry(image: &Image, architecture: &str) -> Value {
    let manifest = serde_json::to_vec(&image.manifest()).unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let mut entry = descriptor(media_type, &manifest);
    entry["platform"] = json!({"os": "linux", "architecture": architecture});
    entry
}

pub(super) fn index(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
}

/// Puts an index of an image for this machine and one for another under `app:1`.
pub(super) fn put_two(scene: &Scene) -> String {
    let names = [architecture(), other_architecture()];
    let entries = names.map(|name| {
        scene
            .registry
            .push(&format!("app:{name}"), &image_for(name));
        entry(&image_for(name), name)
    });
    scene.registry.put_manifest("app", "1", &index(&entries))
}

fn layers_in_gzip_zstd_and_plain_are_pulled() {
    let scene = Scene::new();
    let plain = sample();
    let texts = ["etc/\netc/hosts = 127.0.0.1", "srv/\nsrv/data = some"];
    let mut squeezed = Image::new("", &texts).compressed(zstd);
    squeezed.media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
    let images = [
        ("gzip", plain),
        ("plain", Image::new("", &texts)),
        ("zstd", squeezed),
    ];
    for (name, image) in images {
        let digest = scene.registry.push(&format!("{name}:1"), &image);
        scene.pulls(&format!("{name}:1"));
        let shown = inspected(&scene.env, &scene.name(&format!("{name}:1")));
        assert_eq!(shown["digest"], json!(digest), "{name}");
        assert_eq!(shown["id"], json!(image.id()), "{name}");
    }
}

fn an_index_gives_the_image_for_this_machine() {
    let scene = Scene::new();
    put_two(&scene);
    scene.pulls("app:1");
    let shown = inspected(&scene.env, &scene.name("app:1"));
    assert_eq!(shown["id"], json!(image_for(architecture()).id()));
    let other = sha256(&image_for(other_architecture()).layers[0]);
    assert_eq!(scene.registry.fetched(&other), 0);
}

fn an_index_gives_the_image_for_the_platform_that_is_asked_for() {
    let scene = Scene::new();
    put_two(&scene);
    let other = other_architecture();
    scene
        .pull(&format!("--platform linux/{other}"), "app:1")
        .success();
    assert_whole(&scene.env);
    let shown = inspected(&scene.env, &scene.name("app:1"));
    assert_eq!(shown["id"], json!(image_for(other).id()));
    // What is there is for another platform than this machine's.
    scene
        .pull(&format!("--platform linux/{}", architecture()), "app:1")
        .success();
    let shown = inspected(&scene.env, &scene.name("app:1"));
    assert_eq!(shown["id"], json!(image_for(architecture()).id()));
}

fn a_platform_that_is_not_there_is_told_with_those_that_are() {
    let scene = Scene::new();
    put_two(&scene);
    let run = scene.pull("--platform linux/s390x", "app:1");
    run.failure(&[
        &scene.name("app:1"),
        "linux/s390x",
        "linux/amd64",
        "linux/arm64",
        "hint: ",
        "--platform",
    ]);
    scene.env.assert_clean();
}

fn an_index_within_an_index_is_looked_into() {
    let scene = Scene::new();
    let inner = put_two(&scene);
    let entries = [architecture(), other_architecture()].map(|name| entry(&image_for(name), name));
    let size = serde_json::to_vec(&index(&entries)).unwrap().len();
    let outer = json!({"mediaType": INDEX, "digest": inner, "size": size});
    scene
        .registry
        .put_manifest("app", "outer", &index(&[outer]));
    scene.pulls("app:outer");
    let shown = inspected(&scene.env, &scene.name("app:outer"));
    assert_eq!(shown["id"], json!(image_for(architecture()).id()));
}

/// As `docker buildx build --provenance` writes them.
fn an_attestation_is_no_image() {
    let scene = Scene::new();
    let real = image_for(architecture());
    scene.registry.push("app:real", &real);
    let statement = Image::new("", &["in-toto = {}"]);
    scene.registry.push("app:statement", &statement);
    let mut attestation = entry(&statement, "unknown");
    attestation["platform"]["os"] = json!("unknown");
    attestation["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": entry(&real, "")["digest"],
    });
    let entries = [attestation, entry(&real, architecture())];
    scene.registry.put_manifest("app", "1", &index(&entries));
    scene.pulls("app:1");
    let shown = inspected(&scene.env, &scene.name("app:1"));
    assert_eq!(shown["id"], json!(real.id()));
    let run = scene.pull("--platform linux/s390x", "app:1");
    let run = run.failure(&["linux/s390x"]);
    assert!(!run.stderr.contains("unknown/unknown"), "{run:#?}");
}

fn an_image_is_pulled_by_its_digest() {
    let scene = Scene::new();
    let digest = scene.registry.push("app:1", &sample());
    let name = format!("app@{digest}");
    scene.pulls(&name);
    let shown = inspected(&scene.env, &scene.name(&name));
    assert_eq!(shown["digest"], json!(digest));
    let other = sha256(b"another");
    scene
        .pull("", &format!("app@{other}"))
        .failure(&[&other, "not found", scene.registry.host()]);
}

fn an_image_is_pulled_by_the_digest_of_its_index() {
    let scene = Scene::new();
    let digest = put_two(&scene);
    let name = format!("app@{digest}");
    scene.pulls(&name);
    let before = scene.registry.requests().len();
    // The index is what was asked for, and the image is what is there: both are found.
    scene.pulls(&name);
    let image = image_for(architecture());
    let manifest = entry(&image, architecture())["digest"].clone();
    let shown = inspected(&scene.env, &scene.name(&name));
    assert_eq!(shown["digest"], manifest);
    let by_manifest = inspected(&scene.env, manifest.as_str().unwrap());
    assert_eq!(by_manifest["id"], json!(image.id()));
    assert_eq!(scene.registry.requests().len(), before);
}

fn of_a_tag_and_a_digest_the_digest_counts() {
    let scene = Scene::new();
    let digest = scene.registry.push("app:1", &sample());
    scene.registry.push("app:1", &image_for(architecture()));
    let name = format!("app:1@{digest}");
    scene.pulls(&name);
    let shown = inspected(&scene.env, &scene.name(&name));
    assert_eq!(shown["digest"], json!(digest));
    assert_eq!(shown["id"], json!(sample().id()));
}

fn layers_that_another_image_has_are_not_fetched_again() {
    let scene = Scene::filled();
    scene.pulls("app:1");
    let mut taller = sample();
    let base = Image::new("", &["opt/\nopt/more = more"]).compressed(gzip);
    taller.layers.push(base.layers[0].clone());
    let more = base.config["rootfs"]["diff_ids"][0].clone();
    let diff_ids = &mut taller.config["rootfs"]["diff_ids"];
    diff_ids.as_array_mut().unwrap().push(more);
    scene.registry.push("taller:2", &taller);
    let run = scene.pulls("taller:2");
    let told = run.stderr.matches("already exists").count();
    assert_eq!(told, 2, "{run:#?}");
    for (layer, times) in taller.layers.iter().zip([1, 1, 1]) {
        assert_eq!(scene.registry.fetched(&sha256(layer)), times);
    }
}

fn images_that_others_made_are_pulled() {
    let scene = Scene::new();
    let folder = fixtures().unwrap().join("images");
    let mut pulled = 0;
    for (file, transport, arguments) in [
        ("dive-test-docker-image.tar", "docker-archive", &[][..]),
        (
            "dive-test-oci-gzip-image.tar",
            "oci-archive",
            &["--preserve-digests"],
        ),
        (
            "dive-test-oci-uncompressed-image.tar",
            "oci-archive",
            &["--preserve-digests"],
        ),
        (
            "dive-test-oci-zstd-image.tar",
            "oci-archive",
            &["--preserve-digests"],
        ),
        (
            "dive-test-oci-estargz-image.tar",
            "oci-archive",
            &["--preserve-digests"],
        ),
        ("dive-test-kaniko-image.tar", "docker-archive", &[]),
        ("ggcr-hello-world-v25.tar", "docker-archive", &[]),
        ("ggcr-whiteout_image.tar", "docker-archive", &[]),
    ] {
        let path = folder.join(file);
        if !path.exists() {
            continue;
        }
        let name = file
            .trim_end_matches(".tar")
            .to_lowercase()
            .replace('_', "-");
        let source = format!("{transport}:{}", path.display());
        scene
            .registry
            .copy(arguments, &source, &format!("{name}:1"));
        let platforms = ["linux/amd64", "linux/arm64"];
        let mut runs = platforms
            .map(|platform| scene.pull(&format!("--platform {platform}"), &format!("{name}:1")));
        runs.sort_by_key(|run| run.code);
        assert_eq!(runs[0].code, Some(0), "{file}: {runs:#?}");
        pulled += 1;
    }
    assert!(pulled >= 5, "only {pulled} images are there");
    assert_whole(&scene.env);
}
