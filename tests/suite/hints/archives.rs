//! Hints about archives, images, the store and the settings.

mod store;

use std::process::Command;

use serde_json::json;

use super::advises;
use crate::archive::{Image, architecture, archive, gzip};
use crate::engine::Docker;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::tests;
use crate::tools;

tests! {
    a_platform_is_written_as_advised;
    a_limit_is_raised_as_advised;
    what_was_pasted_is_written_as_advised;
    what_another_engine_has_is_loaded_as_advised needs Docker;
    a_damaged_archive_is_copied_again_as_advised;
    what_the_pipe_lacked_is_sent_as_advised;
    what_a_pipe_has_let_pass_is_told;
    an_address_is_fetched_first_as_advised needs Curl;
    the_folder_of_a_layout_is_named_as_advised;
    an_archive_in_an_archive_is_taken_out_as_advised needs Tar;
    what_was_packed_is_unpacked_as_advised needs Packers;
    a_root_filesystem_becomes_an_image_as_advised needs Docker;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), store::tests()];
    tests.into_iter().flatten().collect()
}

fn image() -> Image {
    Image::new("app:1", &["etc/\netc/hosts = here", "srv/data = data"])
}

/// A home with the archive `app.tar` beside it.
fn with_archive() -> TestEnv {
    let env = TestEnv::new();
    env.write("app.tar", &image().docker());
    env
}

fn loaded() -> TestEnv {
    let env = with_archive();
    env.msb("load -q -i app.tar").success();
    env
}

fn settings(env: &TestEnv, text: &str) {
    env.write_settings(text);
}

fn a_platform_is_written_as_advised() {
    let env = with_archive();
    let run = env.msb("load -i app.tar --platform linux/");
    advises(run, "write it like linux/amd64, arm64 or linux/arm/v7");
    let own = architecture();
    env.msb(&format!("load -i app.tar --platform linux/{own}"))
        .success();
    env.msb(&format!("load -i app.tar --platform {own}"))
        .success();
}

fn a_limit_is_raised_as_advised() {
    let env = with_archive();
    settings(&env, r#"{"limits": {"entries": 1}}"#);
    advises(
        env.msb("load -i app.tar"),
        r#"if this is intended, raise the limit in config.json: {"limits": {"entries": NUMBER}}"#,
    );
    settings(&env, r#"{"limits": {"entries": 1000}}"#);
    env.msb("load -i app.tar").success();
    settings(&env, r#"{"limits": {"entires": 1000}}"#);
    let run = env.msb("load -i app.tar");
    let names = run.stderr.split("hint: limits are ").nth(1).unwrap();
    let entries = names.split([',', '\n']).map(str::trim);
    assert!(entries.clone().any(|name| name == "entries"), "{run:#?}");
    for name in entries.filter(|name| !name.is_empty()) {
        settings(&env, &json!({"limits": {name: 1_000_000}}).to_string());
        env.msb("images").success();
    }
}

fn what_was_pasted_is_written_as_advised() {
    let registry = Registry::start();
    registry.put_image("app", "1", &image());
    let name = format!("{}/app:1", registry.host());
    let env = with_archive();
    for pasted in [format!("docker://{name}"), format!(" {name} ")] {
        let run = Run::of(&mut env.command(["pull", &pasted]));
        advises(run, &format!("write `{name}`"));
    }
    env.msb(&format!("pull {name}")).success();
    let run = env.msb(&format!("pull {}/App:1", registry.host()));
    advises(
        run,
        "write it like python, python:3.13 or ghcr.io/my-org/my-image:v1",
    );
    let hint = "what is on this machine is loaded, not pulled: `msb load --input ./app.tar`";
    advises(env.msb("pull docker-archive:./app.tar"), hint);
    env.msb("load --input ./app.tar").success();
}

fn what_another_engine_has_is_loaded_as_advised() {
    let docker = Docker::get();
    let mut image = image();
    image.name = Some("hint:1".to_owned());
    Run::with_input(&mut docker.command(["load"]), &image.docker()).success();
    let env = TestEnv::new();
    advises(
        env.msb("pull docker-daemon:hint:1"),
        "what another engine has here is saved by it: `docker save hint:1 | msb load`",
    );
    let saved = docker.command(["save", "hint:1"]).output().unwrap();
    env.msb_with_input("load", &saved.stdout).success();
    // A redirection in PowerShell makes UTF-16 of it, which docker itself does not.
    let mut mangled = vec![0xff, 0xfe];
    mangled.extend(saved.stdout.iter().flat_map(|byte| [*byte, 0]));
    env.write("mangled.tar", &mangled);
    advises(
        env.msb("load -i mangled.tar"),
        "let docker write the file itself: `docker save --output FILE IMAGE`",
    );
    let out = env.path("whole.tar");
    tools::run(
        docker
            .command(["save", "--output", out.to_str().unwrap(), "hint:1"])
            .current_dir(env.path("")),
    );
    env.msb("load -i whole.tar").success();
}

fn a_damaged_archive_is_copied_again_as_advised() {
    let env = with_archive();
    let whole = std::fs::read(env.path("app.tar")).unwrap();
    env.write("copy.tar", &whole[..whole.len() / 2]);
    let cut =
        "the archive seems to be cut off, and nothing of it was loaded; save or copy it again";
    advises(env.msb("load -i copy.tar"), cut);
    let mut files = image().docker_files();
    let layer = files
        .iter_mut()
        .find(|(name, _)| name.ends_with("layer.tar"));
    layer.unwrap().1[600] ^= 1;
    env.write("copy.tar", &archive(&files));
    let damaged = "the archive is damaged or was put together wrongly; save or copy it again";
    advises(env.msb("load -i copy.tar"), damaged);
    let mut packed = gzip(&whole);
    let last = packed.len() - 6;
    packed[last] ^= 1;
    env.write("copy.tar", &packed);
    advises(
        env.msb("load -i copy.tar"),
        "the compressed archive is damaged, and nothing of it was loaded; make it again, or copy it \
         again from where it is whole",
    );
    env.write("copy.tar", &gzip(&whole));
    env.msb("load -i copy.tar").success();
}

fn what_the_pipe_lacked_is_sent_as_advised() {
    let env = with_archive();
    let run = env.msb_with_input("load", b"");
    advises(run, "did the command before the pipe fail?");
    let archive = std::fs::read(env.path("app.tar")).unwrap();
    env.msb_with_input("load", &archive).success();
}

fn what_a_pipe_has_let_pass_is_told() {
    let env = with_archive();
    settings(&env, r#"{"limits": {"kept_bytes": 10}}"#);
    let archive = std::fs::read(env.path("app.tar")).unwrap();
    advises(
        env.msb_with_input("load", &archive),
        "a pipe can be read only once: write the archive to a file and give that with --input",
    );
    env.msb("load --input app.tar").success();
}

fn an_address_is_fetched_first_as_advised() {
    let env = TestEnv::new();
    let server = Registry::start();
    let blob = server.put_blob(&image().docker());
    let url = server.url(&format!("/v2/x/blobs/{blob}"));
    let secret = url.replace("http://", "http://me:secret-pass@");
    let run = env.msb(&format!("load -i {secret}"));
    assert!(!run.stderr.contains("secret-pass"), "{run:#?}");
    let hint = "msb loads files, not addresses: `curl --fail --location ADDRESS | msb load`";
    advises(run, hint);
    let mut curl = Command::new("curl");
    let fetched = curl.args(["--fail", "--location", "-sS", &url]).output();
    env.msb_with_input("load", &fetched.unwrap().stdout)
        .success();
}

fn the_folder_of_a_layout_is_named_as_advised() {
    let env = TestEnv::new();
    for (name, bytes) in image().oci_files() {
        let path = env.path("layout").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    advises(
        env.msb("load -i layout/index.json"),
        "look into the file: it may be what a server had to say; of an OCI layout, name the folder",
    );
    env.msb("load -i layout").success();
    env.write("text.tar", b"just some text\n");
    advises(
        env.msb("load -i text.tar"),
        "msb loads what `docker save`, ",
    );
    env.write("text.tar", &image().docker());
    env.msb("load -i text.tar").success();
}

fn an_archive_in_an_archive_is_taken_out_as_advised() {
    let env = with_archive();
    tools::run(
        Command::new("tar")
            .current_dir(env.path(""))
            .args(["-cf", "outer.tar", "app.tar"]),
    );
    let hint =
        "there is another archive in this one: take it out with `tar -xf`, and load `app.tar`";
    advises(env.msb("load -i outer.tar"), hint);
    std::fs::remove_file(env.path("app.tar")).unwrap();
    tools::run(
        Command::new("tar")
            .current_dir(env.path(""))
            .args(["-xf", "outer.tar"]),
    );
    env.msb("load -i app.tar").success();
}

fn what_was_packed_is_unpacked_as_advised() {
    let env = with_archive();
    let sh = |line: &str| {
        let mut shell = Command::new("sh");
        tools::run(shell.current_dir(env.path("")).args(["-c", line]))
    };
    for (pack, file, unpack) in [
        ("lz4 -q app.tar packed", "packed", "lz4 -dc FILE"),
        (
            "xz -c --format=lzma app.tar > packed",
            "packed",
            "xz -dc --format=lzma FILE",
        ),
    ] {
        sh(pack);
        let hint = format!("decompress it: `{unpack} | msb load`");
        advises(env.msb(&format!("load -i {file}")), &hint);
        let archive = sh(&unpack.replace("FILE", file));
        env.msb_with_input("load", archive.as_bytes()).success();
        std::fs::remove_file(env.path(file)).unwrap();
    }
    sh("zip -q packed.zip app.tar && rm app.tar");
    let hint = "unpack it first, and load the archive or the folder that was in it";
    advises(env.msb("load -i packed.zip"), hint);
    sh("unzip -q packed.zip");
    env.msb("load -i app.tar").success();
}

fn a_root_filesystem_becomes_an_image_as_advised() {
    let docker = Docker::get();
    let env = TestEnv::new();
    let names = ["bin/", "dev/", "etc/", "proc/", "sys/", "usr/", "var/"];
    let tree = names.join("\n") + "\netc/hostname = here\nbin/sh = shell";
    let file = env.write("root.tar", &crate::archive::layer(&tree));
    advises(
        env.msb("load -i root.tar"),
        "this looks like a root filesystem, as `docker export` writes it: write the image with \
         `docker save` instead, or make one of it: `docker import FILE NAME`, then `docker save \
         NAME | msb load`",
    );
    tools::run(&mut docker.command(["import", file.to_str().unwrap(), "imported:1"]));
    let saved = docker.command(["save", "imported:1"]).output().unwrap();
    env.msb_with_input("load", &saved.stdout).success();
}
