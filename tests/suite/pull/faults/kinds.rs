//! What a registry has that is not an image, and layers that are elsewhere or sealed.

use serde_json::{Value, json};

use super::{Scene, image};
use crate::archive::{descriptor, sha256};
use crate::faulty::Registry;
use crate::faulty::route::On;
use crate::tests;

tests! {
    an_artifact_is_refused_by_its_type;
    an_encrypted_layer_is_refused_by_its_type;
    a_layer_of_an_unknown_type_is_refused_by_its_type;
    a_foreign_layer_is_taken_from_the_registry_if_it_has_it;
    a_foreign_layer_is_fetched_from_its_url_without_credentials;
    a_foreign_layer_over_plain_http_is_not_fetched;
    a_foreign_layer_that_is_nowhere_is_told;
    urls_of_other_layers_are_not_used;
}

const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Serves the image with a layer of another type.
fn with_layer(scene: &Scene, change: impl FnOnce(&mut Value)) {
    let mut manifest = image().manifest();
    change(&mut manifest["layers"][1]);
    scene.registry.put_manifest("app", "1", &manifest);
}

fn an_artifact_is_refused_by_its_type() {
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let helm = "application/vnd.cncf.helm.config.v1+json";
    for (config, artifact, named) in [
        (descriptor(helm, b"{\"name\": 1}"), None, helm),
        (
            empty.clone(),
            Some("application/vnd.example+type"),
            "application/vnd.example+type",
        ),
        (empty, None, "application/vnd.oci.empty.v1+json"),
    ] {
        let scene = Scene::new();
        let mut manifest = image().manifest();
        scene.registry.put_blob(b"{}");
        scene.registry.put_blob(b"{\"name\": 1}");
        manifest["config"] = config;
        if let Some(artifact) = artifact {
            manifest["artifactType"] = json!(artifact);
        }
        scene.registry.put_manifest("app", "1", &manifest);
        scene.fails(&[&scene.reference(), named]);
        assert_eq!(scene.offsets(), [0; 0], "no layer is fetched for that");
    }
}

fn an_encrypted_layer_is_refused_by_its_type() {
    let sealed = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
    let scene = Scene::new();
    with_layer(&scene, |layer| layer["mediaType"] = json!(sealed));
    scene.fails(&[&scene.reference(), sealed, "encrypted"]);
    assert_eq!(scene.offsets(), [0; 0]);
    scene.env.assert_clean();
}

fn a_layer_of_an_unknown_type_is_refused_by_its_type() {
    let unknown = "application/vnd.example.layer.v1.squashfs";
    let scene = Scene::new();
    with_layer(&scene, |layer| layer["mediaType"] = json!(unknown));
    scene.fails(&[&scene.reference(), unknown]);
    assert_eq!(scene.offsets(), [0; 0]);
}

fn foreign(scene: &Scene, urls: &[String]) {
    with_layer(scene, |layer| {
        layer["mediaType"] = json!(FOREIGN);
        layer["urls"] = json!(urls);
    });
}

fn a_foreign_layer_is_taken_from_the_registry_if_it_has_it() {
    let (scene, elsewhere) = (Scene::new(), Registry::start());
    foreign(&scene, &[elsewhere.url("/foreign/layer")]);
    scene.pulls();
    assert_eq!(elsewhere.requests().len(), 0);
}

fn a_foreign_layer_is_fetched_from_its_url_without_credentials() {
    let (scene, elsewhere) = (Scene::new(), Registry::start());
    scene.registry.require_token(&scene.registry);
    scene.registry.forget_blob(&Scene::big());
    elsewhere.put_blob(&image().layers[1]);
    let path = format!("/foreign/{}", Scene::big());
    foreign(&scene, &[elsewhere.url(&path)]);
    scene.pulls();
    let asked = elsewhere.asked(&On::Blobs);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(scene.offsets().first(), Some(&0), "the registry first");
}

fn a_foreign_layer_over_plain_http_is_not_fetched() {
    for url in [
        "http://169.254.169.254/layer",
        "http://10.0.0.1/layer",
        "file:///etc/passwd",
    ] {
        let scene = Scene::new();
        scene.registry.forget_blob(&Scene::big());
        foreign(&scene, &[url.to_owned()]);
        scene.fails(&[&Scene::big()]);
    }
}

fn a_foreign_layer_that_is_nowhere_is_told() {
    let scene = Scene::new();
    scene.registry.forget_blob(&Scene::big());
    let elsewhere = Registry::start();
    let urls = ["/nowhere", "/nowhere-else"].map(|path| elsewhere.url(path));
    foreign(&scene, &urls);
    scene.fails(&[&Scene::big(), "404"]);
    assert_eq!(elsewhere.requests().len(), 2, "each is asked once");
}

/// Any registry could make msb ask for any URL otherwise.
fn urls_of_other_layers_are_not_used() {
    let (scene, elsewhere) = (Scene::new(), Registry::start());
    elsewhere.put_blob(&image().layers[1]);
    scene.registry.forget_blob(&Scene::big());
    let url = elsewhere.url(&format!("/foreign/{}", sha256(&image().layers[1])));
    with_layer(&scene, |layer| layer["urls"] = json!([url]));
    scene.fails(&[&Scene::big(), "not found"]);
    assert_eq!(elsewhere.requests().len(), 0);
}
