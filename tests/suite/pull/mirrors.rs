//! Mirrors: asked first, left for the next where they fail.

use serde_json::json;

use crate::archive::{Image, gzip, sha256};
use crate::docker_registry::{DockerRegistry, Setup};
use crate::registry_scene::{Scene, put, sample};
use crate::tests;

tests! {
    a_mirror_is_asked_and_the_registry_is_not needs DockerRegistry, Skopeo;
    what_a_mirror_does_not_have_is_asked_of_the_registry needs DockerRegistry, Skopeo;
    a_mirror_that_is_not_there_is_skipped_and_told needs DockerRegistry, Skopeo;
    a_mirror_may_have_the_image_in_a_namespace needs DockerRegistry, Skopeo;
    a_mirror_for_digests_is_not_asked_for_tags needs DockerRegistry, Skopeo;
    a_layer_that_a_mirror_has_spoilt_is_fetched_from_the_registry needs DockerRegistry, Skopeo;
    a_mirror_of_registries_conf_is_asked needs DockerRegistry, Skopeo;
    our_own_mirrors_replace_those_of_registries_conf needs DockerRegistry, Skopeo;
    a_registry_that_is_blocked_is_not_asked needs DockerRegistry, Skopeo;
}

/// A registry with the image, and a mirror of it.
fn mirrored() -> (Scene, DockerRegistry) {
    let scene = Scene::filled();
    let mirror = DockerRegistry::start(&Setup::default());
    mirror.push("app:1", &sample());
    (scene, mirror)
}

fn use_mirror(scene: &Scene, mirror: &serde_json::Value) {
    let host = scene.registry.host();
    scene.settings(&json!({"attempts": 2, "hosts": {host: {"mirrors": [mirror]}}}));
}

/// Returns how many requests for layers and documents a registry has had.
fn asked(registry: &DockerRegistry) -> usize {
    let requests = registry.requests();
    requests
        .iter()
        .filter(|request| request.path != "/v2/")
        .count()
}

fn a_mirror_is_asked_and_the_registry_is_not() {
    let (scene, mirror) = mirrored();
    use_mirror(&scene, &json!(mirror.host()));
    scene.pulls("app:1");
    assert_eq!(asked(&scene.registry), 0);
    assert_eq!(asked(&mirror), 4, "manifest, configuration and two layers");
}

fn what_a_mirror_does_not_have_is_asked_of_the_registry() {
    let (scene, mirror) = mirrored();
    let other = Image::new("", &["etc/\netc/other = yes"]).compressed(gzip);
    scene.registry.push("other:1", &other);
    use_mirror(&scene, &json!(mirror.host()));
    let run = scene.pulls("other:1");
    assert!(!run.stderr.contains("mirror"), "that is no news: {run:#?}");
    assert!(asked(&mirror) > 0);
}

fn a_mirror_that_is_not_there_is_skipped_and_told() {
    let (scene, mirror) = mirrored();
    let host = mirror.host().to_owned();
    drop(mirror);
    use_mirror(&scene, &json!(host));
    let run = scene.pulls("app:1");
    assert!(run.stderr.contains("mirror"), "{run:#?}");
    assert!(run.stderr.contains(&host), "{run:#?}");
}

fn a_mirror_may_have_the_image_in_a_namespace() {
    let scene = Scene::filled();
    let mirror = DockerRegistry::start(&Setup::default());
    mirror.push("copies/of/app:1", &sample());
    use_mirror(
        &scene,
        &json!(format!("http://{}/copies/of", mirror.host())),
    );
    scene.pulls("app:1");
    assert_eq!(asked(&scene.registry), 0);
}

fn a_mirror_for_digests_is_not_asked_for_tags() {
    let (scene, mirror) = mirrored();
    // A tag that has moved away here: only what is named by digest is beyond doubt.
    let stale = Image::new("", &["etc/\netc/stale = yes"]).compressed(gzip);
    mirror.push("app:1", &stale);
    use_mirror(
        &scene,
        &json!({"location": mirror.host(), "by_digest_only": true}),
    );
    scene.pulls("app:1");
    for layer in &sample().layers {
        assert_eq!(mirror.fetched(&sha256(layer)), 1);
        assert_eq!(scene.registry.fetched(&sha256(layer)), 0);
    }
    assert_eq!(mirror.fetched(&sha256(&stale.layers[0])), 0);
}

fn a_layer_that_a_mirror_has_spoilt_is_fetched_from_the_registry() {
    let (scene, mirror) = mirrored();
    let digest = sha256(&sample().layers[1]);
    let file = mirror.blob_file(&digest);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
    use_mirror(&scene, &json!(mirror.host()));
    scene.pulls("app:1");
    assert_eq!(scene.registry.fetched(&digest), 1);
}

/// Writes the `registries.conf` of the user.
fn conf(scene: &Scene, text: &str) {
    let path = scene
        .env
        .path("user-home/.config/containers/registries.conf");
    put(&path, text.as_bytes());
}

fn table(scene: &Scene, rest: &str) -> String {
    format!(
        "[[registry]]\nlocation = \"{}\"\n{rest}",
        scene.registry.host()
    )
}

fn a_mirror_of_registries_conf_is_asked() {
    let (scene, mirror) = mirrored();
    let lines = format!("[[registry.mirror]]\nlocation = \"{}\"\n", mirror.host());
    conf(&scene, &table(&scene, &lines));
    scene.pulls("app:1");
    assert_eq!(asked(&scene.registry), 0);
    assert_eq!(asked(&mirror), 4);
}

fn our_own_mirrors_replace_those_of_registries_conf() {
    let (scene, mirror) = mirrored();
    let lines = "[[registry.mirror]]\nlocation = \"127.0.0.1:1\"\n";
    conf(&scene, &table(&scene, lines));
    use_mirror(&scene, &json!(mirror.host()));
    let run = scene.pulls("app:1");
    assert!(!run.stderr.contains("127.0.0.1:1/"), "{run:#?}");
    assert_eq!(asked(&scene.registry), 0);
}

fn a_registry_that_is_blocked_is_not_asked() {
    let scene = Scene::filled();
    conf(&scene, &table(&scene, "blocked = true\n"));
    scene
        .pull("", "app:1")
        .failure(&["blocked", "registries.conf"]);
    assert_eq!(scene.registry.requests().len(), 0);
}
