//! The limits of plugins as settings.

use serde_json::json;

use super::{Scene, plain};
use crate::tests;

tests! {
    a_setting_that_is_named_gives_more;
    plugins_of_msb_have_limits_that_can_be_set_as_well;
    limits_that_make_no_sense_are_named;
}

fn a_setting_that_is_named_gives_more() {
    let scene = Scene::new();
    scene.limits("rogue", &json!({"host_calls": 100}));
    scene.load("chatter").failure(&[
        "hint: either what it was given is far out of the ordinary, and \
             `plugins.limits.rogue.host_calls` in config.json gives it more, or this is a fault of \
             the plugin",
    ]);
    scene.limits("rogue", &json!({"host_calls": 100_000}));
    let run = scene.load("chatter").failure(&["said it all"]);
    assert!(!run.stderr.contains("plugins.limits"), "{run:#?}");
}

fn plugins_of_msb_have_limits_that_can_be_set_as_well() {
    let scene = Scene::new();
    let archive = scene.env.write("good.tar", &scene.image.docker());
    let load = format!("load -i {}", archive.display());
    scene.limits("docker-archive", &json!({"host_calls": 1}));
    plain(scene.env.msb(&load)).failure(&[
        "plugin `docker-archive` ",
        "met its limit, `plugins.limits.docker-archive.host_calls`",
        "it called the host more than 1 times",
    ]);
    scene.env.assert_clean();
    scene.limits("docker-archive", &json!({"memory_mib": 1}));
    plain(scene.env.msb(&load)).failure(&[
        "`plugins.limits.docker-archive.memory_mib`",
        "it asked for more than its 1 MiB of memory",
    ]);
    scene.env.assert_clean();
    scene.limits("docker-archive", &json!({"memory_mib": 64}));
    scene.env.msb(&load).success();
}

fn limits_that_make_no_sense_are_named() {
    let scene = Scene::new();
    for (limits, at, words) in [
        (
            json!({"memory": 5}),
            "plugins.limits.rogue.memory",
            "unknown field `memory`",
        ),
        (
            json!({"compute_secs": 0}),
            "plugins.limits.rogue.compute_secs",
            "nonzero",
        ),
        (
            json!({"wall_secs": "5 s"}),
            "plugins.limits.rogue.wall_secs",
            "invalid type",
        ),
        (
            json!({"host_calls": -1}),
            "plugins.limits.rogue.host_calls",
            "invalid value",
        ),
        (json!(7), "plugins.limits.rogue", "invalid type"),
    ] {
        scene.limits("rogue", &limits);
        plain(scene.env.msb("plugin ls")).failure(&["config.json", at, words]);
    }
    scene.limits("Rogue", &json!({}));
    scene
        .env
        .msb("plugin ls")
        .failure(&["plugins.limits.Rogue", "not the name of a plugin"]);
}
