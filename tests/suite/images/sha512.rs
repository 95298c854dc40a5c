//! Images whose digests are SHA-512, which the specification allows: they are as good as any.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::archive::{Files, Image, archive, gzip};
use crate::env::TestEnv;
use crate::tests;

tests! {
    an_image_of_sha512_is_sound_and_saved_as_it_was;
    layers_of_a_pipe_are_those_that_are_stated_by_sha512;
}

fn sha512(bytes: &[u8]) -> String {
    let mut text = "sha512:".to_owned();
    for byte in Sha512::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// Returns an image whose configuration names its layers by SHA-512. The second layer is longer than
/// what msb hashes at a time.
fn image() -> Image {
    let long = format!("srv/\nsrv/long = {}", "long ".repeat(1 << 19));
    let mut image = Image::new("app:1", &["etc/\netc/hello = here", &long]);
    let diff_ids: Vec<String> = image.layers.iter().map(|layer| sha512(layer)).collect();
    image.config["rootfs"]["diff_ids"] = json!(diff_ids);
    image
}

/// Returns it as an OCI layout that has SHA-512 everywhere.
fn layout(image: &Image) -> Vec<u8> {
    let mut files = Files::new();
    let mut add = |media_type: &str, bytes: Vec<u8>| -> Value {
        let digest = sha512(&bytes);
        let size = bytes.len();
        files.push((format!("blobs/{}", digest.replace(':', "/")), bytes));
        json!({"mediaType": media_type, "digest": digest, "size": size})
    };
    let config = add(
        "application/vnd.oci.image.config.v1+json",
        image.config_bytes(),
    );
    let gzip_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let layers = [
        add(image.media_type, image.layers[0].clone()),
        add(gzip_type, gzip(&image.layers[1])),
    ];
    let mut manifest = image.manifest();
    manifest["config"] = config;
    manifest["layers"] = json!(layers);
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut entry = add("application/vnd.oci.image.manifest.v1+json", manifest);
    entry["annotations"] = json!({"io.containerd.image.name": "app:1"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    let version = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
    files.push(("oci-layout".to_owned(), version));
    archive(&files)
}

fn an_image_of_sha512_is_sound_and_saved_as_it_was() {
    let image = image();
    for bytes in [image.docker(), layout(&image)] {
        // A pipe is hashed before anything says how, and a compressed archive like one.
        let piped = TestEnv::new();
        piped.msb_with_input("load", &bytes).success();
        piped.msb("image verify").success();
        piped.write("in.tar.gz", &gzip(&bytes));
        piped.msb("rmi app:1").success();
        piped.msb("load -i in.tar.gz").success();
        let env = TestEnv::new();
        env.write("in.tar", &bytes);
        env.msb("load -i in.tar").success();
        let inspect = "image inspect --format json app:1";
        assert_eq!(diff_ids(&piped.json(inspect)), diff_ids(&env.json(inspect)));
        env.msb("image verify").success();
        env.msb("image verify --repair").success();
        assert_eq!(env.references(), ["app:1"]);
        for format in ["docker", "oci"] {
            env.msb(&format!("save --format {format} -o {format}.tar app:1"))
                .success();
            let other = TestEnv::new();
            std::fs::copy(env.path(&format!("{format}.tar")), other.path("in.tar")).unwrap();
            other.msb("load -i in.tar").success();
            other.msb("image verify").success();
            let of_saved = other.json("image inspect --format json app:1");
            let of_loaded = env.json("image inspect --format json app:1");
            assert_eq!(diff_ids(&of_saved), diff_ids(&of_loaded));
        }
    }
}

fn layers_of_a_pipe_are_those_that_are_stated_by_sha512() {
    let mut image = image();
    let wrong = sha512(b"something else");
    image.config["rootfs"]["diff_ids"][1] = json!(wrong);
    let env = TestEnv::new();
    env.msb_with_input("load", &image.docker()).failure(&[
        "does not match its diff_id",
        &wrong,
        &sha512(&image.layers[1]),
    ]);
    env.assert_clean();
}

fn diff_ids(inspected: &Value) -> Vec<String> {
    let layers = inspected["layers"].as_array().unwrap();
    let ids: Vec<String> = layers
        .iter()
        .map(|layer| layer["diff_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids.iter().all(|id| id.starts_with("sha512:")), "{ids:?}");
    ids
}
