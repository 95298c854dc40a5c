//! `image mount` and `image umount`. What a mount shows is compared with the mounted layers in `truth`,
//! for every image there.

mod refused;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::mount::{Mounted, assert_same, nodes};
use crate::oracle::truth::compare::mounted_layers;
use crate::tests;
use crate::tools::run;

tests! {
    a_mount_shows_what_the_layers_show_over_each_other needs Root;
    layers_are_mounted_over_each_other_where_they_cannot_be_merged needs Root;
    a_layer_that_an_image_has_twice_is_mounted_through_loop_devices_too needs Root;
    what_a_killed_mount_has_left_goes_with_the_next needs Root;
    images_of_one_layer_and_of_none_are_mounted_too needs Root;
    an_image_of_many_layers_is_mounted needs Root;
    a_mounted_image_stays_until_it_is_unmounted needs Root;
    whoever_unmounts_takes_everything_down needs Root;
    a_mount_that_is_killed_leaves_nothing_that_the_next_one_does_not_take_away needs Root;
    a_program_finds_what_a_virtual_machine_needs;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), refused::tests()];
    tests.into_iter().flatten().collect()
}

fn load(env: &TestEnv, image: &Image) {
    env.write("in.tar", &image.docker());
    env.msb("load -q -i in.tar").success();
}

fn loaded(image: &Image) -> TestEnv {
    let env = TestEnv::new();
    load(&env, image);
    fs::create_dir(env.path("at")).unwrap();
    env
}

fn sample() -> Image {
    Image::new(
        "app:1",
        &[
            "etc/\netc/hosts = here\netc/gone = x\nbin/tool = t\nopt/old/\nopt/old/file = old",
            "etc/.wh.gone = \nbin/same => bin/tool\nopt/old/.wh..wh..opq = \nopt/old/new = n",
            "etc/motd = hello",
        ],
    )
}

/// What is mounted of a test, and the loop devices over its files.
fn left(env: &TestEnv) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place = env.path("").display().to_string();
    let place = place.trim_end_matches('/');
    let mut left: Vec<String> = table
        .lines()
        .filter(|line| line.contains(place))
        .map(str::to_owned)
        .collect();
    for device in fs::read_dir("/sys/block").unwrap() {
        let file = device.unwrap().path().join("loop/backing_file");
        left.extend(
            fs::read_to_string(file)
                .into_iter()
                .filter(|it| it.contains(place)),
        );
    }
    left
}

fn a_mount_shows_what_the_layers_show_over_each_other() {
    let env = loaded(&sample());
    let run = env.msb("image mount app:1 at").success();
    assert!(run.stderr.contains("Mounted      app:1 (at "), "{run:?}");
    {
        let layers = mounted_layers(&env, "app:1");
        let overlay = Mounted::overlay(&layers);
        assert_same(&nodes(&env.path("at")), &nodes(overlay.path()), "mounted");
    }
    let written = fs::write(env.path("at/new"), "x").unwrap_err();
    assert_eq!(written.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place = env.path("at").display().to_string();
    let line = table.lines().find(|line| line.contains(&place)).unwrap();
    assert!(line.contains("nosuid,nodev"), "{line}");
    let run = env.msb("image umount at").success();
    assert!(run.stderr.contains("Unmounted"), "{run:?}");
    assert_eq!(left(&env), [""; 0]);
}

fn layers_are_mounted_over_each_other_where_they_cannot_be_merged() {
    let env = loaded(&sample());
    let merged = env.json("image mount app:1 at --format json");
    let shown = nodes(&env.path("at"));
    env.msb("image umount at").success();
    // Without room for the names of all files there is no merged image.
    let settings = r#"{"limits": {"memory_bytes": 1}}"#;
    env.write_settings(settings);
    fs::remove_dir_all(env.home().join("cache/fsmeta")).unwrap();
    let overlay = env.json("image mount app:1 at --format json");
    assert_eq!(overlay["merged"], false, "after {merged}");
    assert_same(
        &nodes(&env.path("at")),
        &shown,
        "an overlay and a merged image",
    );
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place = env.path("at").display().to_string();
    let line = table.lines().find(|line| line.contains(&place)).unwrap();
    assert!(line.contains("- overlay msb:sha256:"), "{line}");
    env.msb("rmi app:1").failure(&["unmount it first"]);
    env.msb("image umount at").success();
    assert_eq!(left(&env), [""; 0]);
}

/// The kernel mounts no files of a tmpfs, and two loop devices of one file are one filesystem.
fn a_layer_that_an_image_has_twice_is_mounted_through_loop_devices_too() {
    let (first, second) = (
        "etc/\netc/same = 1\ngone = x",
        "etc/.wh.same = \n.wh.gone = ",
    );
    let image = Image::new(
        "app:1",
        &["", first, second, "", first, "etc/new = 2", second],
    );
    let on_disk = loaded(&image);
    on_disk.msb("image mount -q app:1 at").success();
    let disk = Mounted::tmpfs(16 << 20);
    let in_memory = loaded(&image).with_home(&disk.path().join("home"));
    load(&in_memory, &image);
    let mounted = in_memory.json("image mount app:1 at --format json");
    assert_eq!(mounted["merged"], false, "{mounted}");
    assert_same(
        &nodes(&in_memory.path("at")),
        &nodes(&on_disk.path("at")),
        "loop devices and a merged image",
    );
    for env in [on_disk, in_memory] {
        env.msb("image umount -q at").success();
        assert_eq!(left(&env), [""; 0]);
    }
}

fn what_a_killed_mount_has_left_goes_with_the_next() {
    let env = loaded(&sample());
    fs::create_dir_all("/run/msb").unwrap();
    let place = Path::new("/run/msb").join(format!("left-{}", std::process::id()));
    let lock = place.with_extension("lock");
    fs::create_dir(&place).unwrap();
    run(Command::new("mount")
        .args(["-t", "tmpfs", "left"])
        .arg(&place));
    fs::write(&lock, "").unwrap();
    env.msb("image mount -q app:1 at").success();
    env.msb("image umount -q at").success();
    assert!(!place.exists() && !lock.exists());
    assert_eq!(left(&env), [""; 0]);
}

fn images_of_one_layer_and_of_none_are_mounted_too() {
    let env = loaded(&Image::new("one:1", &["a = b"]));
    let none = Image::new("none:1", &[]);
    env.write("none.tar", &none.oci());
    env.msb("load -q -i none.tar").success();
    env.msb("image mount one:1 at").success();
    assert_eq!(fs::read(env.path("at/a")).unwrap(), b"b");
    env.msb("image umount at").success();
    let mounted = env.json("image mount none:1 at --format json");
    assert_eq!(mounted["layers"], 0);
    assert_eq!(fs::read_dir(env.path("at")).unwrap().count(), 0);
    env.msb("image umount at").success();
    assert_eq!(left(&env), [""; 0]);
}

fn an_image_of_many_layers_is_mounted() {
    let layers: Vec<String> = (0..127)
        .map(|number| format!("file{number} = {number}"))
        .collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let env = loaded(&Image::new("many:1", &layers));
    env.msb("image mount many:1 at").success();
    assert_eq!(fs::read_dir(env.path("at")).unwrap().count(), 127);
    env.msb("image umount at").success();
    assert_eq!(left(&env), [""; 0]);
}

fn a_mounted_image_stays_until_it_is_unmounted() {
    let env = loaded(&sample());
    env.msb("image mount -q app:1 at").success();
    let at = env.path("at").canonicalize().unwrap();
    env.msb("rmi app:1").failure(&[
        &format!("image `app:1` is in use by sandbox mount:{}", at.display()),
        &format!(
            "hint: unmount it first: `msb image umount {}`",
            at.display()
        ),
    ]);
    env.msb("image prune -y").success();
    assert_eq!(fs::read(env.path("at/etc/motd")).unwrap(), b"hello");
    // What the hint says helps.
    env.msb(&format!("image umount {}", at.display())).success();
    env.msb("rmi app:1").success();
    env.assert_clean();
}

fn whoever_unmounts_takes_everything_down() {
    let env = loaded(&sample());
    env.msb("image mount -q app:1 at").success();
    run(Command::new("umount").arg(env.path("at")));
    assert_eq!(left(&env), [""; 0]);
    // The use of a mount that is gone is no obstacle.
    env.msb("image umount at").success();
    env.msb("image umount at")
        .failure(&["no image is mounted at"]);
    env.msb("image mount -q app:1 at").success();
    run(Command::new("umount").arg(env.path("at")));
    env.msb("rmi app:1").success();
    env.assert_clean();
}

fn a_mount_that_is_killed_leaves_nothing_that_the_next_one_does_not_take_away() {
    let env = loaded(&sample());
    let mut killed = 0;
    for wait in 0..30 {
        let mut child = env
            .command(["image", "mount", "-q", "app:1", "at"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait * 2));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        // A program that it has started to mount may still be at that.
        std::thread::sleep(Duration::from_millis(50));
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let at = env.path("at").canonicalize().unwrap();
        if table.contains(&format!(" {} ", at.display())) {
            env.msb("image umount at").success();
        }
    }
    assert!(killed > 0, "each mount was faster than its end");
    env.msb("image mount -q app:1 at").success();
    env.msb("image umount at").success();
    assert_eq!(left(&env), [""; 0]);
    env.msb("rmi app:1").success();
    env.assert_clean();
}

fn a_program_finds_what_a_virtual_machine_needs() {
    let env = loaded(&sample());
    let details = env.json("image inspect app:1 --format json");
    assert_eq!(details["runtime"], serde_json::Value::Null);
    let example = crate::tools::msb()
        .parent()
        .unwrap()
        .join("examples/microvm");
    assert!(
        example.exists(),
        "build it with `cargo build -p msb-host --examples`"
    );
    let output = Command::new(example)
        .arg("app:1")
        .env("MSB_HOME", env.home())
        .output()
        .unwrap();
    let run = Run::from(output).success();
    let details = env.json("image inspect app:1 --format json");
    let runtime = &details["runtime"];
    let expected = "root=/dev/vda rootfstype=erofs ro \
                    rootflags=device=/dev/vdb,device=/dev/vdc,device=/dev/vdd";
    assert_eq!(runtime["kernel_command_line"], expected);
    assert!(run.stdout.contains(expected), "{run:?}");
    // The merged image, and then the layers, the bottom one first.
    let mut files = vec![details["merged"]["path"].clone()];
    let layers = details["layers"].as_array().unwrap();
    files.extend(layers.iter().map(|layer| layer["erofs_path"].clone()));
    let drives = runtime["drives"].as_array().unwrap();
    let paths: Vec<_> = drives.iter().map(|drive| drive["path"].clone()).collect();
    assert_eq!(paths, files);
    for drive in drives {
        let path = drive["path"].as_str().unwrap();
        assert_eq!(drive["size_bytes"], fs::metadata(path).unwrap().len());
        for line in [
            format!("\"path_on_host\": \"{path}\""),
            format!("--disk path={path},readonly=on"),
            format!("-drive file={path},format=raw,if=virtio,readonly=on"),
        ] {
            assert!(run.stdout.contains(&line), "{line}: {run:?}");
        }
    }
    // The only layer of an image is its root filesystem.
    load(&env, &Image::new("one:1", &["a = b"]));
    let runtime = &env.json("image inspect one:1 --format json")["runtime"];
    assert_eq!(
        runtime["kernel_command_line"],
        "root=/dev/vda rootfstype=erofs ro"
    );
    assert_eq!(runtime["drives"].as_array().unwrap().len(), 1);
}
