//! `image export`: the root filesystem of an image as a tar. What GNU tar extracts of it is compared
//! with the mounted layers in `truth`, for every image there.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::archive::Image;
use crate::cli::terminal::Terminal;
use crate::env::{Run, TestEnv};
use crate::mount::{Mounted, assert_same, nodes};
use crate::oracle::truth::compare::{exported, mounted_layers};
use crate::tests;
use crate::tools;

tests! {
    what_is_exported_is_what_the_kernel_shows needs Root, Tar;
    a_layer_that_depends_on_those_below_is_exported_as_it_is_over_them needs Root, Tar;
    the_same_image_gives_the_same_bytes;
    an_image_of_nothing_is_an_empty_directory needs Tar;
    export_refuses_to_write_to_a_terminal needs Tmux;
    an_export_that_cannot_be_is_refused_before_anything_is_written;
    an_export_to_a_full_disk_leaves_nothing needs Root;
    an_export_that_is_killed_leaves_nothing;
    an_export_is_stopped_by_a_signal_and_leaves_nothing;
}

fn loaded(image: &Image) -> TestEnv {
    let env = TestEnv::new();
    env.write("in.tar", &image.docker());
    env.msb("load -q -i in.tar").success();
    env
}

fn sample() -> Image {
    Image::new(
        "app:1",
        &[
            "etc/\netc/hosts = here\netc/gone = x\nusr/bin/\nusr/bin/tool = t\nbin -> usr/bin\n\
             dev/null : 1,3\nopt/old/\nopt/old/file = old\nvar/x/y = deep\nvar/x/z => var/x/y",
            "etc/.wh.gone = \nusr/bin/same => usr/bin/tool\nopt/old/.wh..wh..opq = \nopt/old/new = n\n\
             var/.wh.x = \nvar/x = now a file",
            "var/.wh.x = \nvar/x/\nvar/x/again = a",
        ],
    )
}

fn what_is_exported_is_what_the_kernel_shows() {
    let env = loaded(&sample());
    let layers = mounted_layers(&env, "app:1");
    let overlay = Mounted::overlay(&layers);
    assert_same(&exported(&env, "app:1"), &nodes(overlay.path()), "exported");
    // Through a pipe it is the same.
    let script = "\"$0\" image export app:1 | cmp - exported.tar";
    Run::of(&mut env.shell(script, [""; 0])).success();
}

fn a_layer_that_depends_on_those_below_is_exported_as_it_is_over_them() {
    let upper = "second => first";
    let env = loaded(&Image::new("one:1", &["first = of the one", upper]));
    env.write(
        "in.tar",
        &Image::new("two:1", &["first = of the other", upper]).docker(),
    );
    env.msb("load -q -i in.tar").success();
    for image in ["one:1", "two:1"] {
        let layers = mounted_layers(&env, image);
        let overlay = Mounted::overlay(&layers);
        assert_same(&exported(&env, image), &nodes(overlay.path()), image);
    }
}

fn the_same_image_gives_the_same_bytes() {
    let (one, two) = (loaded(&sample()), loaded(&sample()));
    for env in [&one, &two] {
        env.msb("image export -q app:1 -o out.tar").success();
    }
    let read = |env: &TestEnv| std::fs::read(env.path("out.tar")).unwrap();
    assert!(read(&one) == read(&two));
}

fn an_image_of_nothing_is_an_empty_directory() {
    let env = loaded(&Image::new("empty:1", &[""]));
    env.msb("image export -q empty:1 -o out.tar").success();
    let listed = tools::run(Command::new("tar").arg("-tf").arg(env.path("out.tar")));
    assert_eq!(listed, "./\n");
}

fn export_refuses_to_write_to_a_terminal() {
    let env = loaded(&sample());
    let terminal = Terminal::new(&env);
    terminal.enter("msb image export app:1; echo exit $?");
    let screen = terminal.wait_for("exit 1");
    assert!(screen.contains("standard output is a terminal"), "{screen}");
    assert!(
        screen.contains("or redirect: `msb image export IMAGE > rootfs.tar`"),
        "{screen}"
    );
    // What the hint says helps.
    terminal.enter("msb image export app:1 > rootfs.tar; echo written $?");
    terminal.wait_for("written 0");
}

fn an_export_that_cannot_be_is_refused_before_anything_is_written() {
    let env = loaded(&sample());
    std::fs::create_dir(env.path("folder")).unwrap();
    for (target, words) in [
        ("folder", ["Is a directory", "--output folder/image.tar"]),
        (
            "missing/out.tar",
            ["No such file or directory", "mkdir -p missing"],
        ),
    ] {
        env.msb(&format!("image export app:1 -o {target}"))
            .failure(&words);
    }
    env.msb("image export nothing:1 -o out.tar")
        .failure(&["image not found: nothing:1"]);
    assert!(!env.path("out.tar").exists() && !env.path("missing").exists());
    // What was there stays if the export fails.
    let details = env.json("image inspect app:1 --format json");
    std::fs::remove_file(details["layers"][1]["erofs_path"].as_str().unwrap()).unwrap();
    env.write("out.tar", b"before");
    env.msb("image export app:1 -o out.tar")
        .failure(&["is missing or damaged in the store"]);
    assert_eq!(std::fs::read(env.path("out.tar")).unwrap(), b"before");
}

fn big() -> TestEnv {
    let text = "x".repeat(8 << 20);
    let env = loaded(&Image::new("big:1", &[&format!("big = {text}")]));
    std::fs::create_dir(env.path("out")).unwrap();
    env
}

fn names(env: &TestEnv) -> Vec<String> {
    let entries = std::fs::read_dir(env.path("out")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn an_export_to_a_full_disk_leaves_nothing() {
    let env = big();
    let small = Mounted::tmpfs(1 << 20);
    let output = small.path().join("out.tar");
    let line = format!("image export -q big:1 -o {}", output.display());
    env.msb(&line)
        .failure(&["No space left", "hint: ", "--output"]);
    assert_eq!(small.path().read_dir().unwrap().count(), 0);
    // What was there stays.
    std::fs::write(&output, "before").unwrap();
    env.msb(&line).failure(&["No space left"]);
    assert_eq!(std::fs::read(&output).unwrap(), b"before");
    assert_eq!(small.path().read_dir().unwrap().count(), 1);
    // What the hint says helps.
    env.msb("image export -q big:1 -o out/new.tar").success();
}

/// Kills an export at every moment of its life, and looks for what it leaves.
fn an_export_that_is_killed_leaves_nothing() {
    let env = big();
    let mut killed = 0;
    for wait in 0..40 {
        let mut child = env
            .command(["image", "export", "-q", "big:1", "-o", "out/new.tar"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait * 4));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let left = names(&env);
        assert!(left.is_empty() || left == ["new.tar"], "{left:?}");
        let _ = std::fs::remove_file(env.path("out/new.tar"));
    }
    assert!(killed > 0, "each export was faster than its end");
}

fn an_export_is_stopped_by_a_signal_and_leaves_nothing() {
    let env = big();
    // A pipe that is not read holds the export up.
    let mut child = env
        .command(["image", "export", "big:1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert_eq!(names(&env), [""; 0]);
}
