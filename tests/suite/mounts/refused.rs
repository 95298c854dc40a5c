//! What cannot be mounted or unmounted, and what msb says of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::{left, loaded, sample};
use crate::env::{Run, TestEnv};
use crate::mount::Mounted;
use crate::tests;
use crate::tools::run;

tests! {
    what_is_in_the_way_of_a_mount_is_told needs Root;
    what_cannot_be_unmounted_is_told needs Root;
    without_root_the_other_ways_are_told needs Root;
    what_a_mount_lacks_is_not_half_mounted needs Root;
    what_the_kernel_refuses_is_told needs Root;
    a_kernel_without_a_device_mapper_is_told needs Root, Veritysetup;
    what_dm_verity_lacks_is_told needs Root;
}

/// A user who is not root.
const STRANGER: u32 = 65_534;

fn what_is_in_the_way_of_a_mount_is_told() {
    let env = loaded(&sample());
    env.msb("image mount app:1 missing").failure(&[
        "`missing` does not exist",
        "hint: create the directory first: `mkdir -p missing`",
    ]);
    env.msb("image mount app:1 in.tar")
        .failure(&["is not a directory"]);
    fs::create_dir(env.path("full")).unwrap();
    fs::write(env.path("full/file"), "").unwrap();
    env.msb("image mount app:1 full")
        .failure(&["is not empty", "hint: choose an empty directory"]);
    env.msb("image mount nothing:1 at")
        .failure(&["image not found: nothing:1"]);
    env.msb("image mount -q app:1 at").success();
    let at = env.path("at").canonicalize().unwrap();
    env.msb("image mount app:1 at").failure(&[
        "something is mounted at",
        &format!(
            "hint: choose another directory, or unmount it first: `msb image umount {}`",
            at.display()
        ),
    ]);
    // What the hints say helps.
    env.msb("image umount at").success();
    fs::create_dir_all(env.path("missing")).unwrap();
    env.msb("image mount app:1 missing").success();
    env.msb("image umount missing").success();
    assert_eq!(left(&env), [""; 0]);
}

fn what_cannot_be_unmounted_is_told() {
    let env = loaded(&sample());
    env.msb("image umount at").failure(&[
        "no image is mounted at",
        "hint: `findmnt --types erofs,overlay` lists what is mounted",
    ]);
    env.msb("image umount missing")
        .failure(&["`missing` does not exist"]);
    let other = Mounted::tmpfs(1 << 20);
    env.msb(&format!("image umount {}", other.path().display()))
        .failure(&[
            "which msb has not mounted",
            "hint: if it is to go, unmount it with the tool of the system: `umount ",
        ]);
    env.msb("image mount -q app:1 at").success();
    let listed = run(Command::new("findmnt").args(["--types", "erofs,overlay"]));
    let place = env.path("at").canonicalize().unwrap();
    assert!(listed.contains(place.to_str().unwrap()), "{listed}");
    let mut busy = Command::new("sleep")
        .arg("100")
        .current_dir(env.path("at"))
        .spawn()
        .unwrap();
    env.msb("image umount at").failure(&[
        "could not unmount",
        "hint: a program is at work in it: `fuser --mount --verbose ",
    ]);
    assert!(Path::new(&env.path("at/etc")).is_dir());
    busy.kill().unwrap();
    busy.wait().unwrap();
    env.msb("image umount at").success();
    assert_eq!(left(&env), [""; 0]);
}

fn without_root_the_other_ways_are_told() {
    let env = loaded(&sample());
    let run = |line: &str| {
        let mut command = env.command(line.split(' '));
        Run::of(command.current_dir("/").uid(STRANGER).gid(STRANGER))
    };
    fs::set_permissions(env.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    run("image mount app:1 /mnt").failure(&[
        "only root may mount and unmount images",
        "hint: run it as root, with MSB_HOME set to this store; without root, `msb image ls app:1` looks",
    ]);
    // What the hint says helps.
    run("image ls app:1").success();
    run("image export -q app:1 -o /dev/null").success();
    env.msb("image mount -q app:1 at").success();
    let at = env.path("at");
    run(&format!("image umount {}", at.display())).failure(&[
        "only root may",
        "hint: run it as root, with MSB_HOME set to this store",
    ]);
    env.msb("image umount at").success();
}

fn what_a_mount_lacks_is_not_half_mounted() {
    let env = loaded(&sample());
    let details = env.json("image inspect app:1 --format json");
    let layer = Path::new(details["layers"][2]["erofs_path"].as_str().unwrap());
    let length = fs::metadata(layer).unwrap().len();
    fs::write(layer, vec![0; usize::try_from(length).unwrap()]).unwrap();
    env.msb("image mount app:1 at").failure(&[
        "of `app:1` cannot be mounted",
        "hint: the copy in the store is damaged: `msb image verify --repair` drops it",
    ]);
    fs::remove_file(layer).unwrap();
    env.msb("image mount app:1 at")
        .failure(&["of `app:1` is missing or damaged in the store"]);
    assert_eq!(left(&env), [""; 0]);
    // Nothing is in use either.
    env.msb("rmi app:1").success();
}

fn what_the_kernel_refuses_is_told() {
    let env = loaded(&sample());
    // In a namespace of users of its own, root has no rights in the namespace of mounts.
    let namespace = ["--user", "--map-root-user"];
    unshared(&env, &namespace, "image mount app:1 at").failure(&[
        "could not mount a tmpfs at `/run/msb/",
        "hint: the kernel must have EROFS and overlayfs, and this process the right to mount",
    ]);
    assert_eq!(left(&env), [""; 0]);
    env.msb("rmi app:1").success();
}

/// The machine of `guest` has one, whatever this one has.
fn a_kernel_without_a_device_mapper_is_told() {
    let env = loaded(&sample());
    let run = env.msb("image mount --verity app:1 at");
    if run.code == Some(0) {
        eprintln!("SKIPPED, NOT TESTED: this kernel has a device mapper");
        env.msb("image umount at").success();
    } else {
        run.failure(&[
            "the kernel has no device mapper, which dm-verity is a part of",
            "Check that device-mapper is available in the kernel",
            "hint: if the kernel has it as a module, `modprobe dm-verity` loads it; without it, mount the \
             image without --verity",
        ]);
        // What the hint says helps.
        env.msb("image mount app:1 at").success();
        env.msb("image umount at").success();
        env.msb("image verify").success();
    }
    assert_eq!(left(&env), [""; 0]);
    env.msb("rmi app:1").success();
    env.assert_clean();
}

fn what_dm_verity_lacks_is_told() {
    let env = loaded(&sample());
    // A machine that has only what is in another directory.
    let script =
        "mount -t tmpfs none /usr/sbin; mount -t tmpfs none /sbin; PATH=/nowhere exec \"$@\"";
    let namespace = ["--mount", "sh", "-ec", script, "sh"];
    unshared(&env, &namespace, "image mount --verity app:1 at").failure(&[
        "the program `losetup` is not there, which sets up devices for dm-verity",
        "hint: install `dmsetup` and `losetup`: packages `dmsetup` and `mount` of Debian",
    ]);
    assert_eq!(left(&env), [""; 0]);
    env.msb("rmi app:1").success();
}

/// Runs msb in namespaces of its own, as `unshare` is told.
fn unshared(env: &TestEnv, how: &[&str], line: &str) -> Run {
    let msb = env.command(line.split(' '));
    let mut command = Command::new("unshare");
    command.args(how).arg(msb.get_program());
    command.args(msb.get_args());
    Run::of(
        command
            .current_dir(env.path(""))
            .env("MSB_HOME", env.home()),
    )
}
