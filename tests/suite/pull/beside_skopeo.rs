//! What msb pulls, compared with what skopeo copies from the same registry: the same to the last byte.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::{Image, hex, sha256, zstd};
use crate::registry_scene::{Scene, inspected, sample};
use crate::tests;
use crate::tools::run;

tests! {
    what_msb_pulls_is_what_skopeo_copies needs DockerRegistry, Skopeo;
    what_is_saved_after_a_pull_is_what_the_registry_has needs DockerRegistry, Skopeo;
    a_saved_image_is_the_same_to_skopeo needs DockerRegistry, Skopeo;
}

fn images() -> [(&'static str, Image); 3] {
    let texts = ["etc/\netc/hosts = here", "srv/\nsrv/data = some data"];
    let mut squeezed = Image::new("", &texts).compressed(zstd);
    squeezed.media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
    // What nobody knows is kept all the same.
    squeezed.config["org.example.unknown"] = json!({"b": 1, "a": [null, 1.0, "\u{e9}"]});
    [
        ("gzip", sample()),
        ("plain", Image::new("", &texts)),
        ("zstd", squeezed),
    ]
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Returns the blob of a digest in the store, byte for byte.
fn stored(scene: &Scene, digest: &str) -> Vec<u8> {
    let folder = scene.env.home().join("cache/blobs");
    let entries = walkdir::WalkDir::new(&folder).into_iter();
    let found = entries
        .map(|entry| entry.unwrap().into_path())
        .find(|path| path.to_string_lossy().ends_with(hex(digest)));
    let path = found.unwrap_or_else(|| panic!("no {digest} in {}", folder.display()));
    std::fs::read(path).unwrap()
}

fn what_msb_pulls_is_what_skopeo_copies() {
    for (name, image) in images() {
        let scene = Scene::new();
        let tag = format!("{name}:1");
        let pushed = scene.registry.push(&tag, &image);
        scene.pulls(&tag);
        let copy = scene.env.path("copy");
        run(scene
            .registry
            .skopeo("copy")
            .args(["--quiet", "--src-tls-verify=false"])
            .arg(format!("docker://{}", scene.name(&tag)))
            .arg(format!("dir:{}", copy.display())));
        let manifest = std::fs::read(copy.join("manifest.json")).unwrap();
        let shown = inspected(&scene.env, &scene.name(&tag));
        assert_eq!(shown["digest"], json!(sha256(&manifest)), "{name}");
        assert_eq!(sha256(&manifest), pushed);
        assert_eq!(stored(&scene, &sha256(&manifest)), manifest, "{name}");
        let parsed = read_json(&copy.join("manifest.json"));
        let config = parsed["config"]["digest"].as_str().unwrap();
        assert_eq!(shown["id"], json!(config), "{name}");
        let bytes = std::fs::read(copy.join(hex(config))).unwrap();
        assert_eq!(stored(&scene, config), bytes, "{name}");
        let diff_ids: Vec<&Value> = shown["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| &layer["diff_id"])
            .collect();
        let config: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json!(diff_ids), config["rootfs"]["diff_ids"], "{name}");
    }
}

fn what_is_saved_after_a_pull_is_what_the_registry_has() {
    for (name, image) in images() {
        let scene = Scene::new();
        let tag = format!("{name}:1");
        scene.registry.push(&tag, &image);
        scene.pulls(&tag);
        let line = format!("save -q --format oci -o saved.tar {}", scene.name(&tag));
        scene.env.msb(&line).success();
        let unpacked = scene.env.path("saved");
        std::fs::create_dir_all(&unpacked).unwrap();
        run(Command::new("tar")
            .arg("-xf")
            .arg(scene.env.path("saved.tar"))
            .arg("-C")
            .arg(&unpacked));
        let config = unpacked.join("blobs/sha256").join(hex(&image.id()));
        assert_eq!(std::fs::read(config).unwrap(), image.config_bytes());
        let config: Value = serde_json::from_slice(&image.config_bytes()).unwrap();
        let index = read_json(&unpacked.join("index.json"));
        let manifest = index["manifests"][0]["digest"].as_str().unwrap();
        let manifest = read_json(&unpacked.join("blobs/sha256").join(hex(manifest)));
        let layers = manifest["layers"].as_array().unwrap();
        let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
        assert_eq!(layers.len(), diff_ids.len());
        for (layer, diff_id) in layers.iter().zip(diff_ids) {
            let blob = hex(layer["digest"].as_str().unwrap());
            let bytes = std::fs::read(unpacked.join("blobs/sha256").join(blob)).unwrap();
            let plain = match &*layer["mediaType"]
                .as_str()
                .unwrap()
                .replace(['.', '+'], " ")
            {
                text if text.ends_with("gzip") => ungzip(&bytes),
                text if text.ends_with("zstd") => zstd::decode_all(&*bytes).unwrap(),
                _ => bytes,
            };
            assert_eq!(json!(sha256(&plain)), *diff_id, "{name}");
        }
    }
}

fn ungzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut plain = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
    decoder.read_to_end(&mut plain).unwrap();
    plain
}

/// A second registry, filled from what msb has saved, gives the first one's image again.
fn a_saved_image_is_the_same_to_skopeo() {
    let scene = Scene::filled();
    scene.pulls("app:1");
    let again = Scene::new();
    for (format, transport) in [("docker", "docker-archive"), ("oci", "oci-archive")] {
        let name = scene.name("app:1");
        let line = format!("save -q --format {format} -o {format}.tar {name}");
        scene.env.msb(&line).success();
        let source = format!(
            "{transport}:{}",
            scene.env.path(&format!("{format}.tar")).display()
        );
        let tag = format!("{format}:1");
        again.registry.copy(&[], &source, &tag);
        let config = run(again
            .registry
            .skopeo("inspect")
            .args(["--config", "--raw", "--tls-verify=false"])
            .arg(format!("docker://{}", again.name(&tag))));
        assert_eq!(sha256(config.as_bytes()), sample().id(), "{format}");
        again.pulls(&tag);
        let shown = inspected(&again.env, &again.name(&tag));
        assert_eq!(shown["id"], json!(sample().id()), "{format}");
    }
}
