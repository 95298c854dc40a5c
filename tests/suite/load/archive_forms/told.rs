//! What is not an archive, or has no name, and what msb says about it.

use super::{Ways, sample};
use crate::archive::{archive, layer};
use crate::env::TestEnv;
use crate::tests;

tests! {
    an_image_without_a_name_gets_one_by_the_flag_that_is_told;
    what_is_no_archive_is_called_what_it_is;
    what_holds_no_image_is_called_what_it_is;
    a_file_without_its_flag_is_told_how_to_name_it;
    what_is_pasted_in_place_of_a_reference_is_told;
}

fn an_image_without_a_name_gets_one_by_the_flag_that_is_told() {
    let mut image = sample();
    image.name = None;
    let bare_tag = {
        let mut named = sample();
        named.name = Some("1.0".to_owned());
        let mut files = named.oci_files();
        let index = String::from_utf8(files[1].1.clone()).unwrap();
        let index = index.replace(
            "io.containerd.image.name",
            "org.opencontainers.image.ref.name",
        );
        files[1].1 = index.into_bytes();
        archive(&files)
    };
    for bytes in [image.docker(), image.oci(), bare_tag] {
        let env = TestEnv::new();
        env.write("in.tar", &bytes);
        let run = env.msb("load -i in.tar").success();
        assert!(run.stderr.contains("`--tag NAME`"), "{run:?}");
        assert_eq!(env.msb("load -q -i in.tar").success().stderr, "");
        let run = env.msb("load -i in.tar --tag given:2").success();
        assert!(!run.stderr.contains("--tag"), "{run:?}");
        assert_eq!(env.references(), ["given:2"]);
    }
    let env = TestEnv::new();
    let run = env.msb_with_input("load", &sample().docker()).success();
    assert!(!run.stderr.contains("--tag"), "{run:?}");
}

fn utf_16(bytes: &[u8]) -> Vec<u8> {
    let wide = bytes.iter().flat_map(|byte| [*byte, 0]);
    [0xff, 0xfe].into_iter().chain(wide).collect()
}

fn what_is_no_archive_is_called_what_it_is() {
    let ways = Ways::new();
    let whole = sample().docker();
    let html = format!(
        "\n<!DOCTYPE html>\n<html><title>Sign in</title>{}",
        " ".repeat(2000)
    );
    let after = |magic: &[u8]| [magic, &whole].concat();
    for (bytes, words) in [
        (utf_16(&whole), ["UTF-16", "PowerShell", "--output"]),
        (
            html.into_bytes(),
            ["web page", "HTML", "open the address in a browser"],
        ),
        (after(b"\x04\x22\x4d\x18"), ["lz4", "lz4 -dc", "| msb load"]),
        (
            after(b"LZIP"),
            [
                "lzip data",
                "hint: ",
                "decompress it: `lzip -dc FILE | msb load`",
            ],
        ),
        (
            after(b"\x1f\x9d\x90"),
            [
                "data of `compress` (.Z)",
                "hint: ",
                "decompress it: `gzip -dc FILE | msb load`",
            ],
        ),
        (after(b"PK\x03\x04"), ["a zip archive", "unpack", "hint: "]),
        (after(b"7z\xbc\xaf\x27\x1c"), ["7z", "unpack", "hint: "]),
        (
            br#"{"errors": [{"code": "DENIED"}]}"#.repeat(50),
            ["JSON", "server", "hint: "],
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n".repeat(9),
            ["Git LFS", "git lfs pull", "hint: "],
        ),
        (
            b"a text that is nothing else. ".repeat(90),
            ["not a tar archive", "docker save", "xz"],
        ),
    ] {
        ways.assert_refused(&bytes, &words);
    }
}

fn what_holds_no_image_is_called_what_it_is() {
    let ways = Ways::new();
    for (text, words) in [
        (
            "etc/passwd = root\nusr/bin/env = x\nbin/sh = x\nvar/lib/x = x",
            [
                "no installed format plugin",
                "root filesystem",
                "docker save",
            ],
        ),
        (
            "Dockerfile = FROM scratch\nmain.c = x",
            ["no installed format plugin", "docker build", "hint"],
        ),
        (
            "Chart.yaml = x\ntemplates/a.yaml = x",
            [
                "no installed format plugin",
                "this looks like a chart of Helm",
                "has none in it",
            ],
        ),
        (
            "image.tar.gz = x",
            ["no installed format plugin", "`image.tar.gz`", "tar -xf"],
        ),
        (
            "notes = x",
            ["no installed format plugin", "manifest.json", "index.json"],
        ),
    ] {
        ways.assert_refused(&layer(text), &words);
        // The same in a folder.
        let lines: Vec<_> = text.lines().map(|line| format!("folder/{line}")).collect();
        let inner = lines.join("\n") + "\n";
        ways.assert_refused(&layer(&inner), &words[..1]);
    }
}

fn a_file_without_its_flag_is_told_how_to_name_it() {
    let env = TestEnv::new();
    env.write("my.tar", &sample().docker());
    for command in ["load", "image load"] {
        let run = env.msb(&format!("{command} my.tar"));
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains("msb load --input my.tar"), "{run:?}");
    }
    env.msb("load --input my.tar").success();
    let help = env.msb("load --help").success().stdout;
    assert!(
        !help.contains("MISPLACED") && help.contains("bzip2"),
        "{help}"
    );
}

fn what_is_pasted_in_place_of_a_reference_is_told() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    for (line, words) in [
        ("pull docker://nginx", ["`docker://`", "write `nginx`"]),
        (
            "pull https://hub.docker.com/_/nginx",
            ["`https://`", "write `nginx`"],
        ),
        (
            "pull hub.docker.com/r/org/app",
            ["web site", "write `org/app`"],
        ),
        (
            "pull docker-daemon:org/app:1",
            ["docker-daemon:", "docker save org/app:1 | msb load"],
        ),
        ("pull oci:./folder", ["`oci:`", "msb load --input ./folder"]),
        (
            "load -i in.tar --tag https://ghcr.io/org/app",
            ["`https://`", "write `ghcr.io/org/app`"],
        ),
        (
            "image inspect docker://nginx",
            ["docker://nginx", "write `nginx`"],
        ),
        (
            "rmi https://hub.docker.com/_/nginx",
            ["hub.docker.com", "write `nginx`"],
        ),
    ] {
        env.msb(line).failure(&words);
    }
}
