//! Inputs that are not tar archives: they reach the format plugins that take any, as one entry.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::component;
use super::rootfs::{mounted, small};
use crate::env::{Run, TestEnv};
use crate::mount::{assert_same, nodes};
use crate::tests;
use crate::tools::run;

tests! {
    a_root_filesystem_in_a_cpio_archive_is_loaded_with_all_metadata needs Root, Busybox;
    what_no_plugin_knows_is_named_for_what_it_is_as_without_plugins;
}

/// Returns an environment with the plugin of the examples that takes any input.
fn with_plugin() -> TestEnv {
    let env = TestEnv::new();
    let plugin = component("cpio");
    let arguments = ["plugin", "install", plugin.to_str().unwrap()];
    Run::of(&mut env.command(arguments)).success();
    env
}

fn shell(directory: &Path, script: &str) {
    run(Command::new("sh")
        .current_dir(directory)
        .args(["-e", "-c", script]));
}

fn a_root_filesystem_in_a_cpio_archive_is_loaded_with_all_metadata() {
    let env = with_plugin();
    let directory = env.path("small");
    small(&directory);
    shell(
        &directory,
        "mknod dev/null c 1 3 && chmod 666 dev/null && mknod dev/sda b 8 200
         mkfifo -m 620 run.fifo && ln etc/passwd etc/passwd.link && chown 70000:70001 etc/passwd
         mkdir -p \"$(printf 'd/%0150d/%0150d' 1 2)\" && chmod 2711 var/log
         find . -exec touch -h -d '2001-02-03 04:05:06' {} +
         find . | sort | busybox cpio -o -H newc > ../root.cpio
         gzip -k ../root.cpio",
    );
    let load = |env: &TestEnv, input: &str| {
        let arguments = ["load", "-t", "root:1", "-i", input];
        Run::of(&mut env.command(arguments)).success();
        env.json("image inspect root:1 --format json")
    };
    let cpio = env.path("root.cpio");
    let inspected = load(&env, cpio.to_str().unwrap());
    assert_eq!(inspected["architecture"], crate::archive::architecture());
    let whole = mounted(&env, "root:1");
    assert_same(&nodes(whole.path()), &nodes(&directory), "mounted");
    env.msb("image verify").success();
    // Compressed and through a pipe it is the same image, and nothing of the copy stays.
    let again = with_plugin();
    let packed = env.path("root.cpio.gz");
    let compressed = load(&again, packed.to_str().unwrap());
    assert_eq!(compressed["id"], inspected["id"]);
    again.assert_nothing_in_flight();
    let again = with_plugin();
    let mut cat = Command::new("cat")
        .arg(&cpio)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut piped = again.command(["load", "-t", "root:1"]);
    Run::of(piped.stdin(cat.stdout.take().unwrap())).success();
    cat.wait().unwrap();
    let piped = again.json("image inspect root:1 --format json");
    assert_eq!(piped["id"], inspected["id"]);
    again.assert_nothing_in_flight();
    // The archives of images are read as before.
    let image = crate::archive::Image::new("app:1", &["etc/hosts = here"]);
    again.write("app.tar", &image.docker());
    again.msb("load -i app.tar").success();
    let short = fs::read(&cpio).unwrap();
    again.write("short.cpio", &short[..short.len() / 2]);
    again
        .msb("load -i short.cpio")
        .failure(&["plugin `cpio`", "at byte"]);
}

fn what_no_plugin_knows_is_named_for_what_it_is_as_without_plugins() {
    for env in [TestEnv::new(), with_plugin()] {
        let zip = [&b"PK\x03\x04"[..], &[1; 600]].concat();
        env.write("in.zip", &zip);
        let words = ["is not a tar archive: it is a zip archive", "hint: "];
        env.msb("load -i in.zip").failure(&words);
        env.msb_with_input("load", &zip).failure(&words);
        env.msb_with_input("load", b"").failure(&["is empty"]);
        env.assert_clean();
    }
}
