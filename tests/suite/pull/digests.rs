//! The digest that a registry knows an image by: told, kept with its index, and good for nothing but
//! this image.

use serde_json::{Value, json};

use super::kinds::{entry, image_for, index, put_two};
use crate::archive::{architecture, other_architecture};
use crate::registry_scene::{Scene, assert_whole, inspected};
use crate::tests;

tests! {
    the_digest_of_an_index_is_told_and_finds_the_image needs DockerRegistry, Skopeo, Curl;
    the_digests_of_nested_indexes_all_find_the_image needs DockerRegistry, Skopeo, Curl;
    what_is_there_by_digest_is_not_asked_for needs DockerRegistry, Skopeo, Curl;
    the_image_of_another_platform_is_no_answer needs DockerRegistry, Skopeo, Curl;
    an_archive_does_not_come_between_a_digest_and_its_image needs DockerRegistry, Skopeo;
    an_image_that_was_pulled_and_saved_is_one_image needs DockerRegistry, Skopeo, Curl;
    a_tag_beside_a_digest_is_not_saved needs DockerRegistry, Skopeo;
}

fn manifest_digest(architecture: &str) -> Value {
    entry(&image_for(architecture), architecture)["digest"].clone()
}

/// Asserts that a name finds the image for this machine, without a request.
#[track_caller]
fn assert_found(scene: &Scene, name: &str) {
    let before = scene.registry.requests().len();
    let name = scene.name(name);
    let shown = inspected(&scene.env, &name);
    assert_eq!(shown["digest"], manifest_digest(architecture()), "{name}");
    scene
        .env
        .msb(&format!("save -q -o saved.tar {name}"))
        .success();
    let run = scene.env.msb(&format!("pull {name}")).success();
    assert!(run.stderr.contains("already cached"), "{run:#?}");
    assert_eq!(scene.registry.requests().len(), before);
}

fn the_digest_of_an_index_is_told_and_finds_the_image() {
    let scene = Scene::new();
    let digest = put_two(&scene);
    let run = scene.pulls("app:1");
    assert!(run.stderr.contains(&digest), "{run:#?}");
    // The second time as well, when nothing is asked for.
    for option in ["-q", "-q --force"] {
        let run = scene.pull(option, "app:1").success();
        assert_eq!(run.stdout, format!("{digest}\n"));
    }
    let shown = inspected(&scene.env, &scene.name("app:1"));
    assert_eq!(shown["index_digests"], json!([digest]));
    let manifest = manifest_digest(architecture());
    let mut repo_digests = [&json!(digest), &manifest].map(|digest| {
        let digest = digest.as_str().unwrap();
        scene.name(&format!("app@{digest}"))
    });
    repo_digests.sort();
    assert_eq!(shown["repo_digests"], json!(repo_digests));
    let text = scene
        .env
        .msb(&format!("image inspect {}", scene.name("app:1")));
    assert!(text.stdout.contains(&format!("Index digest:    {digest}")));
    assert_found(&scene, &format!("app@{digest}"));
    scene
        .env
        .msb(&format!(
            "rmi {} {}",
            scene.name("app:1"),
            scene.name(&format!("app@{digest}"))
        ))
        .success();
    assert_eq!(
        std::fs::read_dir(scene.env.home().join("cache/blobs"))
            .unwrap()
            .count(),
        0
    );
}

fn the_digests_of_nested_indexes_all_find_the_image() {
    let scene = Scene::new();
    let inner = put_two(&scene);
    let names = [architecture(), other_architecture()];
    let bytes = serde_json::to_vec(&index(&names.map(|name| entry(&image_for(name), name))));
    let nested = json!({
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": inner,
        "size": bytes.unwrap().len(),
    });
    let outer = scene.registry.put_manifest("app", "2", &index(&[nested]));
    let run = scene.pull("-q", "app:2").success();
    assert_eq!(run.stdout, format!("{outer}\n"));
    let shown = inspected(&scene.env, &scene.name("app:2"));
    assert_eq!(shown["index_digests"], json!([outer, inner]));
    for digest in [&outer, &inner] {
        assert_found(&scene, &format!("app@{digest}"));
    }
    assert_whole(&scene.env);
    let file = scene
        .env
        .home()
        .join("cache/blobs")
        .join(inner.replace(':', "_"));
    std::fs::write(&file, "{}").unwrap();
    let run = scene.env.msb("image verify").failure(&["damage"]);
    assert!(run.stdout.contains(file.to_str().unwrap()), "{run:#?}");
    scene.env.msb("image verify --repair").failure(&["damage"]);
    scene.env.msb("image verify").success();
    scene.pull("--force", "app:2").success();
    let shown = inspected(&scene.env, &scene.name("app:2"));
    assert_eq!(shown["index_digests"].as_array().unwrap().len(), 2);
}

fn what_is_there_by_digest_is_not_asked_for() {
    let scene = Scene::new();
    let digest = put_two(&scene);
    scene.pulls("app:1");
    let manifest = manifest_digest(architecture());
    for digest in [digest.as_str(), manifest.as_str().unwrap()] {
        assert_found(&scene, &format!("app@{digest}"));
        let name = scene.name(&format!("app@{digest}"));
        assert!(scene.env.references().contains(&name), "{name}");
    }
    // Another repository need not have it.
    let before = scene.registry.requests().len();
    scene
        .pull("", &format!("other@{digest}"))
        .failure(&["other@"]);
    assert!(scene.registry.requests().len() > before);
}

fn the_image_of_another_platform_is_no_answer() {
    let scene = Scene::new();
    let digest = put_two(&scene);
    let theirs = format!("--platform linux/{}", other_architecture());
    for name in ["app:1".to_owned(), format!("app@{digest}")] {
        scene.pull(&theirs, &name).success();
        let shown = inspected(&scene.env, &scene.name(&name));
        assert_eq!(shown["architecture"], json!(other_architecture()));
        let run = scene.pull("", &name).success();
        let shown = inspected(&scene.env, &scene.name(&name));
        assert_eq!(shown["architecture"], json!(architecture()), "{run:#?}");
    }
}

fn an_archive_does_not_come_between_a_digest_and_its_image() {
    let scene = Scene::new();
    let digest = scene.registry.push("app:1", &image_for(architecture()));
    let name = scene.name(&format!("app@{digest}"));
    let mut evil = crate::archive::Image::new(&name, &["etc/\netc/evil = yes"]);
    for named in [true, false] {
        evil.name = named.then(|| name.clone());
        for bytes in [evil.docker(), evil.oci()] {
            scene.env.write("evil.tar", &bytes);
            scene.env.msb("load -i evil.tar").success();
        }
    }
    scene.pull("", &format!("app@{digest}")).success();
    assert_eq!(inspected(&scene.env, &name)["digest"], json!(digest));
}

fn an_image_that_was_pulled_and_saved_is_one_image() {
    let scene = Scene::new();
    put_two(&scene);
    scene.pulls("app:1");
    let before = scene.env.json("images --format json");
    let name = scene.name("app:1");
    scene
        .env
        .msb(&format!("save -o saved.tar {name}"))
        .success();
    scene.env.msb("load -i saved.tar").success();
    assert_eq!(scene.env.json("images --format json"), before);
    // And the other way round: first the archive, then the registry.
    scene.env.msb(&format!("rmi {name}")).success();
    scene.env.msb("load -i saved.tar -t other:1").success();
    scene.pull("--force", "app:1").success();
    assert_eq!(scene.env.references(), [name, "other:1".to_owned()]);
    let rows = scene.env.json("images --format json");
    assert_eq!(rows[0]["digest"], rows[1]["digest"]);
    assert_eq!(rows[0]["digest"], manifest_digest(architecture()));
    assert_whole(&scene.env);
}

fn a_tag_beside_a_digest_is_not_saved() {
    let scene = Scene::new();
    let digest = scene.registry.push("app:1", &image_for(architecture()));
    let name = scene.name(&format!("app:nosuch@{digest}"));
    scene.pull("", &format!("app:nosuch@{digest}")).success();
    for format in ["docker", "oci"] {
        scene
            .env
            .msb(&format!("save --format {format} -o saved.tar {name}"))
            .success();
        let bytes = std::fs::read(scene.env.path("saved.tar")).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("nosuch"), "{format}");
    }
}
