//! Pulls that end before their time, and what the next ones make of it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::archive::{Image, gzip};
use crate::env::Run;
use crate::pull::faults::noise;
use crate::registry_scene::{Scene, assert_whole};
use crate::relay::Relay;
use crate::tests;
use crate::tools;

tests! {
    a_pull_that_is_killed_ten_times_fetches_little_twice needs DockerRegistry, Skopeo;
    ctrl_c_keeps_what_has_come_and_says_so needs DockerRegistry, Skopeo;
}

/// Returns an image of four layers, 10 MB in all.
fn image() -> Image {
    let layers: Vec<String> = (1..=4)
        .map(|layer| format!("srv/\nsrv/data{layer} = {}", noise(layer, 3_400_000)))
        .collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    Image::new("", &layers).compressed(gzip)
}

fn start(scene: &Scene, name: &str) -> Child {
    scene
        .env
        .command(["pull", name])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until so many bytes have come, or the pull has ended.
fn wait_for(relay: &Relay, bytes: u64, pull: &mut Child) -> bool {
    let deadline = Instant::now() + Duration::from_mins(2);
    while relay.received() < bytes {
        if pull.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(Instant::now() < deadline, "{} bytes", relay.received());
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

fn a_pull_that_is_killed_ten_times_fetches_little_twice() {
    let scene = Scene::new();
    let image = image();
    scene.registry.push("app:1", &image);
    let whole: u64 = image.layers.iter().map(|layer| layer.len() as u64).sum();
    // Slow enough for msb to keep up: what is on its way when it dies is lost, and that is for the
    // line to say.
    let relay = Relay::to(scene.registry.host(), 400_000);
    let name = format!("{}/app:1", relay.host());
    let seed = std::process::id();
    let mut state = u64::from(seed) | 1;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut kills = 0;
    for kill in 0..10 {
        let mut pull = start(&scene, &name);
        // Between nothing at all and somewhere in the middle of what is left of its tenth.
        let next = relay.received() + random(whole / 13);
        wait_for(&relay, next, &mut pull);
        std::thread::sleep(Duration::from_millis(random(20)));
        kills += usize::from(pull.try_wait().unwrap().is_none());
        pull.kill().unwrap();
        pull.wait().unwrap();
        let listed = scene.env.references();
        assert_eq!(listed, [] as [String; 0], "after {kill} (seed {seed})");
    }
    assert_eq!(kills, 10, "each was still at work");
    let run = Run::from(start(&scene, &name).wait_with_output().unwrap());
    run.success();
    assert_eq!(scene.env.references(), [name]);
    assert_whole(&scene.env);
    let received = relay.received();
    assert!(
        received * 10 <= whole * 11,
        "{received} bytes were sent of {whole} (seed {seed})"
    );
}

fn ctrl_c_keeps_what_has_come_and_says_so() {
    let scene = Scene::new();
    let image = image();
    scene.registry.push("app:1", &image);
    let whole: u64 = image.layers.iter().map(|layer| layer.len() as u64).sum();
    let relay = Relay::to(scene.registry.host(), 1_500_000);
    let name = format!("{}/app:1", relay.host());
    let mut pull = start(&scene, &name);
    assert!(wait_for(&relay, whole / 2, &mut pull));
    tools::run(Command::new("kill").args(["-INT", &pull.id().to_string()]));
    let run = Run::from(pull.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130), "{run:#?}");
    let kept = "hint: what was received is kept";
    assert!(run.stderr.contains(kept), "{run:#?}");
    assert_eq!(scene.env.references(), [] as [String; 0]);
    relay.set_rate(100_000_000);
    scene.env.msb(&format!("pull {name}")).success();
    assert_whole(&scene.env);
    let received = relay.received();
    assert!(received * 10 <= whole * 11, "{received} bytes of {whole}");
}
