//! When a registry is asked at all, and what becomes of names.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::archive::{Image, gzip, sha256};
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::registry_scene::{Scene, assert_whole, checked, inspected, sample};
use crate::tests;

tests! {
    an_image_that_is_there_is_not_asked_for needs DockerRegistry, Skopeo;
    an_image_of_which_a_layer_is_lost_is_pulled_again needs DockerRegistry, Skopeo;
    a_newer_image_costs_one_request_and_what_has_changed needs DockerRegistry, Skopeo;
    always_wants_an_answer_of_the_registry needs DockerRegistry, Skopeo;
    never_asks_no_registry needs DockerRegistry, Skopeo;
    a_hundred_images_are_looked_up_in_a_moment;
    force_fetches_all_of_it_again needs DockerRegistry, Skopeo;
    a_tag_that_has_moved_leaves_the_old_image_without_a_name needs DockerRegistry, Skopeo;
    several_images_are_pulled_one_after_the_other needs DockerRegistry, Skopeo;
    one_of_several_that_fails_does_not_stop_the_others needs DockerRegistry, Skopeo;
    quiet_prints_the_digest_and_nothing_else needs DockerRegistry, Skopeo;
    without_a_terminal_each_layer_is_one_plain_line needs DockerRegistry, Skopeo;
    what_is_not_there_is_told_with_registry_and_repository needs DockerRegistry, Skopeo;
}

fn other() -> Image {
    Image::new("", &["etc/\netc/other = yes"]).compressed(gzip)
}

fn an_image_that_is_there_is_not_asked_for() {
    let scene = Scene::filled();
    scene.pulls("app:1");
    let before = scene.registry.requests().len();
    assert!(before > 0);
    let run = scene.pulls("app:1");
    assert!(run.stderr.contains("already cached"), "{run:#?}");
    assert_eq!(scene.registry.requests().len(), before);
    // So there need not even be a registry.
    let Scene { env, registry } = scene;
    let name = format!("{}/app:1", registry.host());
    drop(registry);
    env.msb(&format!("pull {name}")).success();
}

fn an_image_of_which_a_layer_is_lost_is_pulled_again() {
    let scene = Scene::filled();
    scene.pulls("app:1");
    let shown = inspected(&scene.env, &scene.name("app:1"));
    let file = shown["layers"][1]["erofs_path"].as_str().unwrap();
    let file = std::path::Path::new(file);
    std::fs::remove_file(file).unwrap();
    let run = scene.pulls("app:1");
    assert!(!run.stderr.contains("already cached"), "{run:#?}");
    assert!(file.exists());
    // The layer that was there is not fetched again.
    let [kept, lost] = [0, 1].map(|layer| sha256(&sample().layers[layer]));
    assert_eq!(scene.registry.fetched(&kept), 1);
    assert_eq!(scene.registry.fetched(&lost), 2);
}

/// The sample with another top layer.
fn next() -> Image {
    let bottom = "etc/\netc/hosts = 127.0.0.1\nbin/sh -> busybox";
    Image::new("", &[bottom, "etc/\netc/other = yes"]).compressed(gzip)
}

fn a_newer_image_costs_one_request_and_what_has_changed() {
    let scene = Scene::filled();
    scene.pulls("app:1");
    // That the registry speaks plain HTTP, and lets everyone in, each process finds out by itself.
    let asked = || {
        let mut requests = scene.registry.requests();
        requests.retain(|request| request.path != "/v2/");
        requests.len()
    };
    let before = asked();
    let run = scene.pull("--policy newer", "app:1").success();
    assert!(run.stderr.contains("up to date"), "{run:#?}");
    assert_eq!(asked(), before + 1, "{:#?}", scene.registry.requests());
    let last = scene.registry.requests().pop().unwrap();
    assert_eq!(last.method, "HEAD", "{last:?}");
    scene.registry.push("app:1", &next());
    let run = scene.pull("--policy newer", "app:1").success();
    assert!(!run.stderr.contains("up to date"), "{run:#?}");
    assert_eq!(
        inspected(&scene.env, &scene.name("app:1"))["id"],
        json!(next().id())
    );
    // The layer that both have was not fetched again.
    let [kept, new] = [0, 1].map(|layer| sha256(&next().layers[layer]));
    assert_eq!(scene.registry.fetched(&kept), 1);
    assert_eq!(scene.registry.fetched(&new), 1);
    assert_whole(&scene.env);
    // Where there is no registry, the image in the store is good enough.
    let Scene { env, registry } = scene;
    let name = format!("{}/app:1", registry.host());
    drop(registry);
    let run = env.msb(&format!("pull --policy newer {name}")).success();
    assert!(run.stderr.contains("could not look up whether"), "{run:#?}");
}

fn always_wants_an_answer_of_the_registry() {
    let scene = Scene::filled();
    scene.pulls("app:1");
    let run = scene.pull("--policy always", "app:1").success();
    assert!(run.stderr.contains("up to date"), "{run:#?}");
    scene.registry.push("app:1", &next());
    scene.pull("--policy always", "app:1").success();
    let image = inspected(&scene.env, &scene.name("app:1"));
    assert_eq!(image["id"], json!(next().id()));
    assert_eq!(scene.registry.fetched(&sha256(&next().layers[0])), 1);
    // What has a digest is what it was.
    let before = scene.registry.requests().len();
    let pinned = format!("app@{}", image["digest"].as_str().unwrap());
    scene.pull("--policy always", &pinned).success();
    assert_eq!(scene.registry.requests().len(), before);
    let Scene { env, registry } = scene;
    let name = format!("{}/app:1", registry.host());
    drop(registry);
    env.msb(&format!("pull --policy always {name}"))
        .failure(&["could not pull"]);
}

fn never_asks_no_registry() {
    let scene = Scene::filled();
    let advice = format!("pull it: `msb pull {}`", scene.name("app:1"));
    let run = scene.pull("--policy never", "app:1");
    run.failure(&["is not in the store", "was not asked", &advice]);
    scene.pulls("app:1");
    let before = scene.registry.requests().len();
    scene.pull("--policy never", "app:1").success();
    assert_eq!(scene.registry.requests().len(), before);
}

fn a_hundred_images_are_looked_up_in_a_moment() {
    let registry = Registry::start();
    let env = TestEnv::new();
    let names: Vec<String> = (0..100)
        .map(|number| {
            registry.put_image("app", &number.to_string(), &sample());
            format!("{}/app:{number}", registry.host())
        })
        .collect();
    let names = names.join(" ");
    env.msb(&format!("pull -q {names}")).success();
    let before = registry.requests().len();
    let begun = Instant::now();
    let run = env.msb(&format!("pull --policy newer {names}")).success();
    let took = begun.elapsed();
    assert_eq!(run.stderr.matches("up to date").count(), 100, "{run:#?}");
    let after = registry.requests().split_off(before);
    // One of plain HTTP is looked for as such each time.
    let asked = after.iter().filter(|request| request.path != "/v2/");
    assert!(asked.clone().all(|request| request.method == "HEAD"));
    assert_eq!(asked.count(), 100);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

fn force_fetches_all_of_it_again() {
    let scene = Scene::filled();
    scene.pulls("app:1");
    let run = scene.pull("--force", "app:1").success();
    assert!(!run.stderr.contains("already"), "{run:#?}");
    for layer in &sample().layers {
        assert_eq!(scene.registry.fetched(&sha256(layer)), 2);
    }
    assert_whole(&scene.env);
}

fn a_tag_that_has_moved_leaves_the_old_image_without_a_name() {
    let scene = Scene::new();
    let digest = scene.registry.push("app:1", &sample());
    scene.pulls("app:1");
    scene.registry.push("app:1", &other());
    // Whoever has the image does not hear of it, unless he asks.
    scene.pulls("app:1");
    assert_eq!(
        inspected(&scene.env, &scene.name("app:1"))["id"],
        json!(sample().id())
    );
    let run = scene.pull("--force", "app:1").success();
    assert!(run.stderr.contains(&digest[7..19]), "{run:#?}");
    assert_eq!(
        inspected(&scene.env, &scene.name("app:1"))["id"],
        json!(other().id())
    );
    let listed = scene.env.msb("images").success();
    assert!(listed.stdout.contains("<none>"), "{listed:#?}");
    assert_whole(&scene.env);
}

fn several_images_are_pulled_one_after_the_other() {
    let scene = Scene::filled();
    scene.registry.push("other:2", &other());
    let names = [scene.name("app:1"), scene.name("other:2")];
    let run = checked(scene.env.msb(&format!("pull {}", names.join(" ")))).success();
    assert_eq!(run.stderr.matches("Pulled").count(), 2, "{run:#?}");
    assert_eq!(scene.env.references(), names);
    assert_whole(&scene.env);
}

fn one_of_several_that_fails_does_not_stop_the_others() {
    let scene = Scene::filled();
    scene.registry.push("other:2", &other());
    let names = ["app:1", "missing:1", "other:2"].map(|name| scene.name(name));
    let run = checked(scene.env.msb(&format!("pull {}", names.join(" "))));
    run.failure(&[&names[1], "not found", "1 of 3 images could not be pulled"]);
    assert_eq!(scene.env.references(), [&*names[0], &*names[2]]);
}

fn quiet_prints_the_digest_and_nothing_else() {
    let scene = Scene::filled();
    let digest = scene.registry.push("app:1", &sample());
    for _ in 0..2 {
        let Run { stdout, stderr, .. } = scene.pull("--quiet", "app:1").success();
        assert_eq!((&*stdout, &*stderr), (&*format!("{digest}\n"), ""));
    }
}

fn without_a_terminal_each_layer_is_one_plain_line() {
    let scene = Scene::filled();
    let run = scene.pull("", "app:1").success();
    assert_eq!(run.stdout, "");
    let layers = run.stderr.lines().filter(|line| line.starts_with("layer "));
    assert_eq!(layers.count(), 2, "{run:#?}");
    let last = run.stderr.lines().last().unwrap();
    assert!(
        last.contains("Pulled") && last.contains("app:1"),
        "{run:#?}"
    );
    assert!(!run.stderr.contains(['\r', '\u{1b}']), "{run:#?}");
}

fn what_is_not_there_is_told_with_registry_and_repository() {
    let scene = Scene::filled();
    for name in ["missing:1", "app:2"] {
        let run = scene.pull("", name);
        let words = [
            &*scene.name(name),
            scene.registry.host(),
            "not found",
            "hint: ",
        ];
        run.failure(&words);
    }
    assert_eq!(scene.env.references(), [] as [String; 0]);
}
