//! Manifests of other times and other builders, which are images all the same.

use serde_json::{Value, json};

use super::{Blobs, Homes, Seen, assert_both, assert_both_in, index, load_and_pull, sample};
use crate::archive::Image;
use crate::env::TestEnv;
use crate::faulty::Registry;
use crate::tests;

tests! {
    old_types_of_configurations_and_layers_are_taken;
    a_layer_without_a_length_is_measured;
    an_image_without_layers_is_an_empty_root;
    what_is_empty_is_not_stated;
}

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

fn old_types_of_configurations_and_layers_are_taken() {
    let layers = [
        DOCKER_LAYER,
        "application/octet-stream",
        "application/vnd.docker.image.rootfs.diff+x-gtar",
        "",
    ];
    let configs = [
        "application/octet-stream",
        "application/json",
        "text/html",
        "",
        "application/vnd.docker.container.image.v1+json",
    ];
    let homes = Homes::new();
    for (number, config) in configs.into_iter().enumerate() {
        for (position, layer) in layers.into_iter().enumerate() {
            if number > 0
                && position > 0
                && config != "application/vnd.docker.container.image.v1+json"
            {
                continue;
            }
            let image = sample(&format!("{number} {position}"));
            let mut manifest = image.manifest();
            manifest["mediaType"] = json!(DOCKER_MANIFEST);
            manifest["config"]["mediaType"] = json!(config);
            if layer.is_empty() {
                let layer = manifest["layers"][0].as_object_mut().unwrap();
                layer.remove("mediaType").unwrap();
            } else {
                manifest["layers"][0]["mediaType"] = json!(layer);
            }
            let mut blobs = Blobs::default();
            let entry = blobs.add_image(&image, &manifest);
            assert_both_in(&homes, &blobs, &entry, &image);
        }
    }
}

fn a_layer_without_a_length_is_measured() {
    for size in [Value::Null, json!(-1), json!(0)] {
        let image = sample("measured");
        let mut manifest = image.manifest();
        manifest["layers"][0]["size"] = size.clone();
        let mut blobs = Blobs::default();
        let entry = blobs.add_image(&image, &manifest);
        assert_both(&blobs, &entry, &image);
        let (env, registry) = (TestEnv::new(), Registry::start());
        let name = blobs.serve(&registry, &entry);
        env.msb(&format!("pull {name}")).success();
        let shown = env.json(&format!("image inspect {name} --format json"));
        let length = image.layers[0].len();
        assert_eq!(
            shown["layers"][0]["compressed_size_bytes"], length,
            "{size}"
        );
        env.msb("image verify").success();
    }
}

fn an_image_without_layers_is_an_empty_root() {
    for layers in [json!([]), Value::Null] {
        let mut image = Image::new("app:1", &[]);
        image.config["rootfs"]["diff_ids"] = layers.clone();
        let mut manifest = image.manifest();
        manifest["layers"] = layers;
        let mut blobs = Blobs::default();
        let entry = blobs.add_image(&image, &manifest);
        assert_both(&blobs, &entry, &image);
    }
    let empty = Image::new("empty:1", &[]);
    let env = TestEnv::new();
    env.write("in.tar", &empty.docker());
    env.msb("load -i in.tar").success();
    let shown = env.json("image inspect empty:1 --format json");
    assert_eq!(shown["layers"], json!([]));
    env.msb("image inspect empty:1").success();
    env.msb("images").success();
    env.msb("image verify").success();
    for format in ["docker", "oci"] {
        env.msb(&format!("save --format {format} -o {format}.tar empty:1"))
            .success();
        let again = TestEnv::new();
        let saved = std::fs::read(env.path(&format!("{format}.tar"))).unwrap();
        again.msb_with_input("load", &saved).success();
        let shown = again.json("image inspect empty:1 --format json");
        assert_eq!(shown["id"], json!(empty.id()), "{format}");
    }
}

fn what_is_empty_is_not_stated() {
    let mut image = sample("nothing");
    image.config["architecture"] = json!("");
    image.config["os"] = json!("");
    image.config["variant"] = json!("");
    image.config["os.version"] = json!("");
    image.config["created"] = json!("");
    let mut blobs = Blobs::default();
    let mut entry = blobs.add_image(&image, &image.manifest());
    assert_both(&blobs, &entry, &image);
    entry["platform"] = json!({"os": "", "architecture": ""});
    let index = blobs.add_document(&index(&[entry]));
    assert_both(&blobs, &index, &image);
    // What is left to hint at can be typed.
    let mut other = sample("other");
    other.config["architecture"] = json!("not a/name");
    let mut blobs = Blobs::default();
    let entry = blobs.add_image(&other, &other.manifest());
    for seen in load_and_pull(&blobs, &entry, "") {
        assert!(
            matches!(&seen, Seen::Nothing(error) if !error.contains("--platform")),
            "{seen:?}"
        );
    }
}
