//! Inputs that are not tar archives: they reach the format plugins that take any, as one entry.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::component;
use super::rootfs::{mounted, small};
use crate::archive::{Image, gzip};
use crate::env::{Run, TestEnv};
use crate::mount::{assert_same, nodes};
use crate::tests;
use crate::tools::run;

tests! {
    a_root_filesystem_in_a_cpio_archive_is_loaded_with_all_metadata needs Root, Busybox;
    a_layout_in_a_zip_archive_is_loaded_as_it_is_in_a_tar needs Packers;
    a_zip_archive_that_is_broken_or_lies_is_refused needs Packers;
    what_no_plugin_knows_is_named_for_what_it_is_as_without_plugins;
}

/// Returns an environment with a plugin of the examples that takes any input.
fn with_plugin(name: &str) -> TestEnv {
    let env = TestEnv::new();
    let plugin = component(name);
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
    let env = with_plugin("cpio");
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
    let again = with_plugin("cpio");
    let packed = env.path("root.cpio.gz");
    let compressed = load(&again, packed.to_str().unwrap());
    assert_eq!(compressed["id"], inspected["id"]);
    again.assert_nothing_in_flight();
    let again = with_plugin("cpio");
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
    let image = Image::new("app:1", &["etc/hosts = here"]);
    again.write("app.tar", &image.docker());
    again.msb("load -i app.tar").success();
    let short = fs::read(&cpio).unwrap();
    again.write("short.cpio", &short[..short.len() / 2]);
    again
        .msb("load -i short.cpio")
        .failure(&["plugin `cpio`", "at byte"]);
}

/// Writes an OCI layout of an image into the folder `oci`.
fn lay_out(env: &TestEnv, image: &Image) {
    for (path, contents) in image.oci_files() {
        let path = format!("oci/{path}");
        fs::create_dir_all(env.path(&path).parent().unwrap()).unwrap();
        env.write(&path, &contents);
    }
}

/// Each as other programs write it: deflated, stored, with the large form, as a stream that knows sizes only
/// afterwards, with a folder around it and a text behind it.
fn a_layout_in_a_zip_archive_is_loaded_as_it_is_in_a_tar() {
    let env = with_plugin("zip-layout");
    let image = Image::new(
        "app:1",
        &[
            "etc/hosts = here",
            &format!("big = {}", "x".repeat(3 << 20)),
        ],
    );
    let id = image.id();
    let image = image.compressed(gzip);
    lay_out(&env, &image);
    env.write("app.tar", &image.oci());
    let digest = |env: &TestEnv| env.json("image inspect app:1 --format json")["digest"].clone();
    env.msb("load -i app.tar").success();
    let of_tar = digest(&env);
    assert!(of_tar.is_string());
    env.msb("rmi app:1").success();
    shell(
        &env.path(""),
        "cd oci
         zip -qr ../deflated.zip .
         zip -q0r ../stored.zip .
         zip -qr -fz ../large.zip .
         zip -qr - . | cat > ../streamed.zip
         echo 'text at the end' | zip -qr -z ../commented.zip . > /dev/null
         cd .. && zip -qr folder.zip oci",
    );
    for name in [
        "deflated",
        "stored",
        "large",
        "streamed",
        "commented",
        "folder",
    ] {
        env.msb(&format!("load -i {name}.zip")).success();
        assert_eq!(env.json("images --format json")[0]["id"], id, "{name}");
        assert_eq!(digest(&env), of_tar, "{name}");
        env.msb("image verify app:1").success();
        env.msb("rmi app:1").success();
    }
    let zip = fs::read(env.path("streamed.zip")).unwrap();
    env.msb_with_input("load", &zip).success();
    assert_eq!(env.json("images --format json")[0]["id"], id);
    env.assert_nothing_in_flight();
}

fn a_zip_archive_that_is_broken_or_lies_is_refused() {
    let env = with_plugin("zip-layout");
    let image = Image::of("app:1", vec![vec![0; 8 << 20]]);
    lay_out(&env, &image);
    shell(&env.path("oci"), "zip -qr ../sound.zip .");
    let sound = fs::read(env.path("sound.zip")).unwrap();
    assert!(sound.len() < 100 << 10);
    env.write("short.zip", &sound[..sound.len() / 2]);
    env.msb("load -i short.zip")
        .failure(&["plugin `zip-layout`", "the zip archive: "]);
    // A layer of 8 MiB, of which the directory says that it has 1 MiB.
    let size = u32::to_le_bytes(8 << 20);
    let at = sound.windows(4).rposition(|it| it == size).unwrap();
    let mut lies = sound.clone();
    lies[at..at + 4].copy_from_slice(&u32::to_le_bytes(1 << 20));
    env.write("lies.zip", &lies);
    env.msb("load -i lies.zip")
        .failure(&["has more bytes than the directory of the zip archive states"]);
    // And one that the user does not want to be as large as it is.
    env.write_settings(json!({"plugins": {"limits": {"zip-layout": {"made_mib": 1}}}}));
    env.msb("load -i sound.zip").failure(&["made_mib"]);
    env.assert_clean();
    env.write("image.tar", &image.docker());
    shell(&env.path(""), "zip -q image.zip image.tar");
    env.msb("load -i image.zip")
        .failure(&["holds `image.tar`", "unzip -p INPUT 'image.tar' | msb load"]);
    shell(
        &env.path(""),
        "unzip -p image.zip 'image.tar' > unpacked.tar",
    );
    assert_eq!(fs::read(env.path("unpacked.tar")).unwrap(), image.docker());
}

fn what_no_plugin_knows_is_named_for_what_it_is_as_without_plugins() {
    for env in [TestEnv::new(), with_plugin("cpio")] {
        let zip = [&b"PK\x03\x04"[..], &[1; 600]].concat();
        env.write("in.zip", &zip);
        let words = ["is not a tar archive: it is a zip archive", "hint: "];
        env.msb("load -i in.zip").failure(&words);
        env.msb_with_input("load", &zip).failure(&words);
        env.msb_with_input("load", b"").failure(&["is empty"]);
        env.assert_clean();
    }
}
