//! Several msb at one image, or at images that have a layer in common.

use std::process::Stdio;
use std::time::Duration;

use crate::archive::{Image, gzip, sha256};
use crate::env::{Run, TestEnv};
use crate::pull::faults::noise;
use crate::registry_scene::{Scene, assert_whole, settings};
use crate::relay::Relay;
use crate::tests;

tests! {
    two_msb_fetch_each_layer_once_and_the_second_says_that_it_waits needs DockerRegistry, Skopeo;
    two_images_with_a_layer_in_common_fetch_it_once needs DockerRegistry, Skopeo;
    a_second_msb_goes_on_where_a_killed_one_stopped needs DockerRegistry, Skopeo;
}

/// Bytes per second at which a pull takes a while.
const SLOW: u64 = 400_000;
const QUICK: u64 = 1_000_000_000;

/// Returns an image of a layer that is common to all, and one of its own.
fn image(own: u64) -> Image {
    let common = format!("srv/\nsrv/common = {}", noise(1, 600_000));
    let own = format!("srv/\nsrv/own = {}", noise(own, 300_000));
    Image::new("", &[&common, &own]).compressed(gzip)
}

/// A registry behind a slow line.
struct Line {
    scene: Scene,
    relay: Relay,
}

impl Line {
    fn new() -> Self {
        let scene = Scene::new();
        scene.registry.push("app:1", &image(2));
        scene.registry.push("other:1", &image(3));
        let relay = Relay::to(scene.registry.host(), SLOW);
        Self { scene, relay }
    }

    fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.relay.host())
    }

    fn start(&self, image: &str) -> std::process::Child {
        let name = self.name(image);
        self.scene
            .env
            .command(["pull", &name])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Starts a pull and waits until a good part of its layers is there.
    fn under_way(&self, image: &str) -> std::process::Child {
        let pull = self.start(image);
        while self.relay.received() < 200_000 {
            std::thread::sleep(Duration::from_millis(10));
        }
        pull
    }
}

fn ended(pull: std::process::Child) -> Run {
    Run::from(pull.wait_with_output().unwrap())
}

fn two_msb_fetch_each_layer_once_and_the_second_says_that_it_waits() {
    let line = Line::new();
    let first = line.under_way("app:1");
    let second = line.start("app:1");
    let (first, second) = (ended(first).success(), ended(second).success());
    let waiting = "Waiting for another msb";
    assert!(!first.stderr.contains(waiting), "{first:#?}");
    assert!(second.stderr.contains(waiting), "{second:#?}");
    for layer in &image(2).layers {
        assert_eq!(line.scene.registry.fetched(&sha256(layer)), 1);
    }
    assert_eq!(line.scene.env.references(), [line.name("app:1")]);
    assert_whole(&line.scene.env);
}

fn two_images_with_a_layer_in_common_fetch_it_once() {
    let line = Line::new();
    let first = line.under_way("app:1");
    let second = line.start("other:1");
    ended(first).success();
    ended(second).success();
    for layer in image(2).layers.iter().chain(&image(3).layers) {
        assert_eq!(line.scene.registry.fetched(&sha256(layer)), 1);
    }
    assert_eq!(line.scene.env.references().len(), 2);
    assert_whole(&line.scene.env);
}

fn a_second_msb_goes_on_where_a_killed_one_stopped() {
    let line = Line::new();
    let mut first = line.under_way("app:1");
    let second = line.start("app:1");
    std::thread::sleep(Duration::from_millis(200));
    first.kill().unwrap();
    first.wait().unwrap();
    line.relay.set_rate(QUICK);
    ended(second).success();
    assert_eq!(line.scene.env.references(), [line.name("app:1")]);
    // What the killed one was making is for the next operation to remove.
    line.scene.env.msb("image verify").success();
    // Another home is another store, which has nothing of this one.
    let alone = TestEnv::new();
    settings(&alone, &serde_json::json!({}));
    let before = line.relay.received();
    alone.msb(&format!("pull {}", line.name("app:1"))).success();
    let once = line.relay.received() - before;
    assert!(
        before < once + once / 2,
        "{before} bytes, where {once} are all"
    );
}
