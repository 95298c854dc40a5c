//! Ctrl-C wherever a command is: it ends at once, and leaves nothing.
//!
//! Each input is one whose size keeps another part of msb busy. A first run shows how long it takes;
//! then it is interrupted at several points. With `MSB_TEST_FIGURES=1` the longest end is told.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tar::EntryType;

use crate::archive::{Files, Image, archive, gzip, layer};
use crate::env::TestEnv;
use crate::load::amplification::Layer;
use crate::tests;
use crate::tools;

tests! {
    a_load_ends_wherever_it_is;
    a_load_that_waits_for_bytes_ends;
    a_save_that_nobody_reads_ends;
    commands_that_read_layers_end;
}

/// How long the end may take on a busy machine with a slow disk. After five seconds msb would end
/// without tidying up.
const SOON: Duration = Duration::from_secs(4);
/// At how many points a run is interrupted.
const POINTS: u32 = 4;
/// How often it may take longer than that at one of them.
const ATTEMPTS: usize = 3;

/// Interrupts a process, and returns how it ended and how long that took.
fn interrupt(child: &mut Child) -> (Option<i32>, Duration) {
    let started = Instant::now();
    // It may have ended just now.
    let _ = kill_process(Pid::from_child(child), Signal::INT);
    let status = child.wait().unwrap();
    (status.code(), started.elapsed())
}

fn quiet(command: &mut Command) -> Child {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs a command to its end, then again and again, interrupted; after each interruption `check`
/// looks at what is left.
fn at_points(name: &str, mut start: impl FnMut() -> (TestEnv, Child), check: impl Fn(&TestEnv)) {
    let begun = Instant::now();
    let (_env, mut child) = start();
    assert!(child.wait().unwrap().success(), "{name}");
    let whole = begun.elapsed();
    let mut longest = Duration::ZERO;
    for point in 1..=POINTS {
        let at = whole * point / (POINTS + 1);
        let mut interrupted = || {
            let (env, mut child) = start();
            std::thread::sleep(at);
            let (code, took) = interrupt(&mut child);
            (env, code, took)
        };
        // A disk that is busy with the work of others can hold up any of them, and not each time.
        let (env, code, took) = (0..ATTEMPTS)
            .map(|_| interrupted())
            .find(|(_, _, took)| *took < SOON)
            .unwrap_or_else(|| panic!("{name}, {point} of {POINTS}: longer than {SOON:?}"));
        longest = longest.max(took);
        match code {
            Some(130) => check(&env),
            // It was faster this time.
            Some(0) => {}
            code => panic!("{name}: {code:?}"),
        }
    }
    if std::env::var_os("MSB_TEST_FIGURES").is_some() {
        eprintln!("{name}: {whole:?}, ended within {longest:?}");
    }
}

/// Archives by the part of msb that has the most to do with them.
fn inputs() -> Vec<(&'static str, Vec<u8>)> {
    let of_layer = |tar: Vec<u8>| Image::of("x:1", vec![tar]).compressed(gzip).docker();
    let mut members = Image::new("x:1", &["a = 1"]);
    members.layers[0] = [gzip(b"").repeat(1_500_000), gzip(&members.layers[0])].concat();
    let headers = (0..60_000).fold(Layer::new(), |layer, number| {
        layer.global(&format!("k{}", number % 100), &[b'v'; 600])
    });
    let whiteouts = (0..150_000).fold(Layer::new(), |layer, number| {
        layer.entry(
            &format!("d{}/.wh.{number}", number % 1000),
            EntryType::Regular,
        )
    });
    let links: String = (0..100_000)
        .map(|number| format!("h{number} => h{}\n", number + 1))
        .collect::<Vec<_>>()
        .concat();
    let big = "x".repeat(60 << 20);
    let replaced = layer(&format!("big = {big}\nbig = {big}\nbig = 1\n"));
    let many = (0..300).map(|number| layer(&format!("{number} = {number}\n")));
    let mut tags = Image::new("x:1", &["a = 1"]).docker_files();
    let (_, list) = tags
        .iter_mut()
        .find(|(path, _)| path == "manifest.json")
        .unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(list).unwrap();
    let names = (0..10_000).map(|number| format!("name-{number}:1"));
    document[0]["RepoTags"] = names.collect::<Vec<_>>().into();
    *list = document.to_string().into_bytes();
    let mut config = Image::new("x:1", &["a = 1"]);
    let environment = (0..150_000).map(|number| format!("NAME_{number}=value of {number}"));
    config.config["config"] = json!({"Env": environment.collect::<Vec<_>>()});
    let mut around: Files = (0..150_000)
        .map(|number| (format!("other/{number}"), Vec::new()))
        .collect();
    around.extend(Image::new("x:1", &["a = 1"]).docker_files());
    vec![
        ("compressed data that comes to nothing", members.docker()),
        ("extension headers", of_layer(headers.files(1).tar())),
        ("files", of_layer(Layer::new().files(200_000).tar())),
        ("whiteouts", of_layer(whiteouts.tar())),
        (
            "hard links across layers",
            Image::of("x:1", vec![layer("h100000 = 1\n"), layer(&links)]).docker(),
        ),
        ("data that is replaced", of_layer(replaced)),
        ("layers", Image::of("x:1", many.collect()).docker()),
        ("names of one image", archive(&tags)),
        ("a configuration", config.docker()),
        ("entries around images", archive(&around)),
    ]
}

fn a_load_ends_wherever_it_is() {
    for (name, bytes) in inputs() {
        let mut from_file = false;
        let start = || {
            let env = TestEnv::new();
            let path = env.write("in.tar", &bytes);
            from_file = !from_file;
            let mut command = env.command(["load"]);
            if from_file {
                command.arg("-i").arg(path);
            } else {
                command.stdin(std::fs::File::open(path).unwrap());
            }
            let child = quiet(&mut command);
            (env, child)
        };
        at_points(name, start, |env| {
            env.assert_nothing_in_flight();
            if !env.home().join("db").exists() {
                return;
            }
            // What was recorded before stays, and nothing else.
            let images = env.json("images --format json");
            if images.as_array().unwrap().is_empty() {
                env.assert_clean();
            }
        });
    }
}

fn a_load_that_waits_for_bytes_ends() {
    let env = TestEnv::new();
    tools::run(Command::new("mkfifo").arg(env.path("pipe")));
    for arguments in [&["load"][..], &["load", "-i", "pipe"]] {
        // The other end of standard input stays open, and nothing comes out of it.
        let mut child = quiet(env.command(arguments).stdin(Stdio::piped()));
        let _open = child.stdin.take();
        std::thread::sleep(Duration::from_millis(500));
        let (code, took) = interrupt(&mut child);
        assert_eq!(code, Some(130), "{arguments:?}");
        assert!(took < SOON, "{arguments:?}: {took:?}");
        env.assert_clean();
    }
}

/// Returns a place with an image of 200 MB in a few large and very many small files.
fn large() -> TestEnv {
    let env = TestEnv::new();
    let files: String = (0..60_000)
        .map(|number| format!("{number} = {number}\n"))
        .collect::<Vec<_>>()
        .concat();
    let big = format!("big = {}\n", "x".repeat(150 << 20));
    env.write("in.tar", &Image::new("large:1", &[&big, &files]).docker());
    env.msb("load -q -i in.tar").success();
    env
}

fn a_save_that_nobody_reads_ends() {
    let env = large();
    let mut child = env
        .command(["save", "large:1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let (code, took) = interrupt(&mut child);
    assert_eq!(code, Some(130));
    assert!(took < SOON, "{took:?}");
    env.assert_nothing_in_flight();
}

fn commands_that_read_layers_end() {
    let large = large();
    for arguments in [
        &["save", "-o", "out.tar", "large:1"][..],
        &["save", "--format", "oci", "-o", "out.tar", "large:1"],
        &["image", "verify"],
    ] {
        let start = || {
            let _ = std::fs::remove_file(large.path("out.tar"));
            let env = TestEnv::new().with_home(large.home());
            let child = quiet(env.command(arguments).current_dir(large.path("")));
            (env, child)
        };
        at_points(&arguments.join(" "), start, |env| {
            env.assert_nothing_in_flight();
            assert_eq!(env.references(), ["large:1"]);
            assert!(!large.path("out.tar").exists());
        });
    }
}
