//! Disks that fill up, and pulls that are ended from outside.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::{MIDDLE, Scene};
use crate::env::{Run, TestEnv};
use crate::faulty::{ALWAYS, fault};
use crate::mount::Mounted;
use crate::tests;
use crate::tools;

tests! {
    a_full_disk_ends_the_pull_and_leaves_nothing needs Root;
    an_interrupted_pull_is_resumed_by_the_next;
    a_pull_that_was_killed_is_resumed_by_the_next;
    two_pulls_of_one_image_at_once_both_succeed;
    what_no_pull_has_resumed_is_pruned;
}

fn a_full_disk_ends_the_pull_and_leaves_nothing() {
    let disk = Mounted::tmpfs(3 << 20);
    let home = disk.path().join("home");
    let mut scene = Scene::new();
    scene.env = TestEnv::new().with_home(&home);
    scene.settings(&json!({}));
    let run = scene.pull();
    let run = run.failure(&[
        "No space left on device",
        &disk.path().display().to_string(),
    ]);
    assert!(!run.stderr.contains("panicked"), "{run:#?}");
    tools::run(
        Command::new("mount")
            .args(["-o", "remount,size=64m"])
            .arg(disk.path()),
    );
    scene.assert_nothing_shown();
    // What was kept for resuming has been given up.
    scene.env.assert_nothing_in_flight();
    scene.pulls();
}

/// Starts a pull that waits in the middle of the big layer, and has some of it on disk: what was only
/// sent may still be on its way.
fn stuck(scene: &Scene) -> std::process::Child {
    scene
        .registry
        .fault(Scene::on_big(), 1, fault::stall_after(MIDDLE));
    let pull = scene
        .env
        .command(["pull", &scene.reference()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while scene.sent() < MIDDLE || scene.kept() == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    pull
}

fn signal(child: &std::process::Child, name: &str) {
    tools::run(Command::new("kill").args([name, &child.id().to_string()]));
}

fn an_interrupted_pull_is_resumed_by_the_next() {
    for name in ["-INT", "-TERM"] {
        let scene = Scene::new();
        let pull = stuck(&scene);
        signal(&pull, name);
        let run = Run::from(pull.wait_with_output().unwrap());
        assert_eq!(run.code, Some(130), "{run:#?}");
        assert!(run.stderr.contains("error: interrupted"), "{run:#?}");
        scene.assert_nothing_shown();
        scene.pulls();
        let offsets = scene.offsets();
        assert!(offsets[1] > 0 && offsets[1] <= MIDDLE, "{offsets:?}");
    }
}

fn a_pull_that_was_killed_is_resumed_by_the_next() {
    let scene = Scene::new();
    let mut pull = stuck(&scene);
    pull.kill().unwrap();
    pull.wait().unwrap();
    scene.assert_nothing_shown();
    scene.pulls();
    let offsets = scene.offsets();
    assert!(offsets[1] > 0 && offsets[1] <= MIDDLE, "{offsets:?}");
}

fn two_pulls_of_one_image_at_once_both_succeed() {
    let scene = Scene::new();
    let drip = fault::drip(400_000, Duration::from_millis(50));
    scene.registry.fault(Scene::on_big(), ALWAYS, drip);
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..2).map(|_| scope.spawn(|| scene.pull())).collect();
        for pull in pulls {
            pull.join().unwrap().success();
        }
    });
    scene.pulls();
    assert_eq!(scene.offsets(), [0], "one fetches, the other waits");
}

fn what_no_pull_has_resumed_is_pruned() {
    let scene = Scene::new();
    let mut pull = stuck(&scene);
    pull.kill().unwrap();
    pull.wait().unwrap();
    scene.env.msb("image prune -y").success();
    scene.env.assert_clean();
    scene.pulls();
}
