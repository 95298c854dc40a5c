//! The forms in which archives come: sparse, compressed, in a folder, as directories of skopeo, or
//! as something else altogether.

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tar::{EntryType, Header};

use crate::archive::{Files, Image, archive, descriptor, gzip, hex, layer, sha256, zstd};
use crate::env::{Run, TestEnv};
use crate::tests;
use crate::tools::run;

tests! {
    sparse_members_are_expanded_in_every_form needs Tar;
    a_sparse_member_of_a_tebibyte_costs_neither_time_nor_memory;
    a_layer_of_xz_or_bzip2_loads;
    the_end_of_a_compressed_archive_is_checked;
    an_archive_that_lies_in_a_folder_is_found;
    a_path_that_leads_outside_is_skipped;
    a_directory_of_skopeo_loads;
    what_podman_and_skopeo_write_as_a_directory_loads needs Podman, Skopeo;
    an_image_without_a_name_gets_one_by_the_flag_that_is_told;
    what_is_no_archive_is_called_what_it_is;
    what_holds_no_image_is_called_what_it_is;
    a_file_without_its_flag_is_told_how_to_name_it;
    what_is_pasted_in_place_of_a_reference_is_told;
}

fn sample() -> Image {
    Image::new("sample:1", &["etc/hosts = here", "srv/new = y"])
}

/// The two ways of an archive into msb, each with a store of its own, which is empty in between.
struct Ways {
    file: TestEnv,
    pipe: TestEnv,
}

impl Ways {
    fn new() -> Self {
        Self {
            file: TestEnv::new(),
            pipe: TestEnv::new(),
        }
    }

    fn load(&self, bytes: &[u8]) -> [(&TestEnv, Run); 2] {
        self.file.write("in.tar", bytes);
        [
            (&self.file, self.file.msb("load -i in.tar")),
            (&self.pipe, self.pipe.msb_with_input("load", bytes)),
        ]
    }

    #[track_caller]
    fn assert_loads(&self, bytes: &[u8], image: &Image, what: &str) {
        for (env, run) in self.load(bytes) {
            assert_eq!(run.code, Some(0), "{what}: {run:#?}");
            let images = env.json("images --format json");
            assert_eq!(images[0]["id"], image.id(), "{what}");
            assert_eq!(images.as_array().unwrap().len(), 1, "{what}");
            env.msb("image verify").success();
            env.msb("image prune --yes").success();
        }
    }

    #[track_caller]
    fn assert_refused(&self, bytes: &[u8], words: &[&str]) {
        for (env, run) in self.load(bytes) {
            run.failure(words);
            env.assert_clean();
        }
    }
}

/// Writes files with holes where they are zeros.
fn write_sparsely(folder: &Path, files: &Files) {
    for (name, contents) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = std::fs::File::create(path).unwrap();
        file.set_len(contents.len() as u64).unwrap();
        for (number, part) in contents.chunks(4096).enumerate() {
            if part.iter().any(|byte| *byte != 0) {
                file.write_all_at(part, number as u64 * 4096).unwrap();
            }
        }
    }
}

fn sparse_members_are_expanded_in_every_form() {
    let ways = Ways::new();
    let zeros = "\0".repeat(1 << 20);
    let image = Image::new(
        "sparse:1",
        &[&format!("zeros = {zeros}\nend = end\nmore = {zeros}")],
    );
    let forms: [&[&str]; 4] = [
        &["--format=gnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ];
    for files in [image.docker_files(), image.oci_files()] {
        let folder = tempfile::tempdir().unwrap();
        write_sparsely(folder.path(), &files);
        for form in forms {
            let names = files.iter().map(|(name, _)| name);
            let out = folder.path().join("out.tar");
            run(Command::new("tar")
                .arg("-C")
                .arg(folder.path())
                .args(["--sparse", "-cf"])
                .arg(&out)
                .args(form)
                .args(names));
            let bytes = std::fs::read(&out).unwrap();
            assert!(bytes.len() < 1 << 20, "{form:?} is not sparse");
            ways.assert_loads(&bytes, &image, &format!("{form:?}"));
            ways.assert_loads(&gzip(&bytes), &image, &format!("{form:?} in gzip"));
        }
    }
}

/// An entry in the old GNU form: 512 bytes of data, and a hole up to `length`.
fn sparse_entry(path: &str, data: &[u8], length: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_path(path).unwrap();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_size(data.len() as u64);
    let bytes = header.as_mut_bytes();
    bytes[386..398].copy_from_slice(b"00000000000\0");
    bytes[398..410].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    bytes[483] = 0x80;
    bytes[487..495].copy_from_slice(&length.to_be_bytes());
    header.set_cksum();
    let mut entry = header.as_bytes().to_vec();
    entry.extend(data);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn a_sparse_member_of_a_tebibyte_costs_neither_time_nor_memory() {
    let ways = Ways::new();
    let image = sample();
    let huge = 1 << 40;
    let started = Instant::now();
    // As a layer of the image it is refused; the limit is one that can be raised.
    let mut files = image.docker_files();
    files.retain(|(name, _)| !name.starts_with("layer1/"));
    let entry = sparse_entry("layer1/layer.tar", &image.layers[1][..512], huge);
    let bytes = [entry, archive(&files)].concat();
    ways.assert_refused(&bytes, &["layer1/layer.tar", "`inflate_ratio`", "hint: "]);
    // Beside the image it does not matter.
    let entry = sparse_entry("disk.img", &[0; 512], huge);
    let bytes = [entry, image.docker()].concat();
    ways.assert_loads(&bytes, &image, "a disk beside the image");
    let took = started.elapsed();
    assert!(took < Duration::from_mins(1), "{took:?}");
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn a_layer_of_xz_or_bzip2_loads() {
    let ways = Ways::new();
    for compress in [xz, bzip2] {
        let image = sample().compressed(compress);
        for bytes in [image.docker(), image.oci()] {
            ways.assert_loads(&bytes, &image, "layers");
            ways.assert_loads(&compress(&bytes), &image, "layers and archive");
        }
        // What is saved is as it would be of plain layers.
        let env = TestEnv::new();
        env.write("in.tar", &image.docker());
        env.msb("load -i in.tar").success();
        for format in ["docker", "oci"] {
            env.msb(&format!("save --format {format} -o out.tar sample:1"))
                .success();
            let saved = std::fs::read(env.path("out.tar")).unwrap();
            ways.assert_loads(&saved, &sample(), format);
        }
        let mut cut = compress(&sample().layers[0]);
        cut.truncate(cut.len() - 3);
        let mut image = sample();
        image.layers[0] = cut;
        ways.assert_refused(
            &image.docker(),
            &["layer0/layer.tar", "caused by: ", "hint: "],
        );
    }
}

fn the_end_of_a_compressed_archive_is_checked() {
    let ways = Ways::new();
    let image = sample();
    for plain in [image.docker(), image.oci()] {
        for whole in [gzip(&plain), zstd(&plain), xz(&plain), bzip2(&plain)] {
            ways.assert_loads(&whole, &image, "whole");
            for missing in [1, 4, 8] {
                let cut = &whole[..whole.len() - missing];
                ways.assert_refused(cut, &["error: ", "caused by: ", "hint: "]);
            }
        }
        let whole = gzip(&plain);
        let mut wrong = whole.clone();
        let at = wrong.len() - 8;
        wrong[at] ^= 1;
        ways.assert_refused(&wrong, &["could not decompress", "hint: "]);
        ways.assert_refused(&[&whole[..], b"garbage"].concat(), &["after the gzip data"]);
        ways.assert_loads(&[whole, vec![0; 700]].concat(), &image, "padded");
    }
}

fn moved(files: &Files, folder: &str) -> Vec<u8> {
    let moved: Files = files
        .iter()
        .map(|(name, contents)| (format!("{folder}{name}"), contents.clone()))
        .collect();
    archive(&moved)
}

fn an_archive_that_lies_in_a_folder_is_found() {
    let ways = Ways::new();
    let image = sample();
    for files in [image.docker_files(), image.oci_files()] {
        for folder in ["image/", "./image/", "one/two/"] {
            let bytes = moved(&files, folder);
            ways.assert_loads(&bytes, &image, folder);
            ways.assert_loads(&gzip(&bytes), &image, folder);
            let env = TestEnv::new();
            env.write("in.tar", &bytes);
            let run = env.msb("load -i in.tar").success();
            let name = folder.trim_start_matches("./").trim_end_matches('/');
            assert!(run.stderr.contains(&format!("`{name}`")), "{run:?}");
        }
        ways.assert_loads(&moved(&files, "./"), &image, "./");
    }
    // On disk, with the folder around it.
    let env = TestEnv::new();
    write_sparsely(&env.path("outer/inner"), &image.oci_files());
    env.msb("load -i outer").success();
    assert_eq!(env.json("images --format json")[0]["id"], image.id());
}

/// Writes a path into the header of the first entry, as no builder would.
fn with_first_path(mut bytes: Vec<u8>, path: &[u8]) -> Vec<u8> {
    bytes[..100].fill(0);
    bytes[..path.len()].copy_from_slice(path);
    bytes[148..156].copy_from_slice(b"        ");
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

fn a_path_that_leads_outside_is_skipped() {
    let ways = Ways::new();
    let image = sample();
    for files in [image.docker_files(), image.oci_files()] {
        let mut all = vec![("x".to_owned(), b"outside".to_vec())];
        all.extend(files);
        let bytes = with_first_path(archive(&all), b"../../escape");
        ways.assert_loads(&bytes, &image, "beside");
        let env = TestEnv::new();
        env.write("in.tar", &bytes);
        let run = env.msb("load -i in.tar").success();
        assert!(run.stderr.contains("skipped `../../escape`"), "{run:?}");
        assert!(!env.path("../../escape").exists());
    }
    // What an image needs is not outside.
    let mut files = image.docker_files();
    files.rotate_right(1);
    let bytes = with_first_path(archive(&files), b"../manifest.json");
    ways.assert_refused(&bytes, &["no installed format plugin recognises"]);
}

/// The files that skopeo writes to `dir:`.
fn directory_files(image: &Image, media_type: &str) -> Files {
    let mut manifest = image.manifest();
    manifest["mediaType"] = json!(media_type);
    let mut files = vec![
        (
            "manifest.json".to_owned(),
            serde_json::to_vec(&manifest).unwrap(),
        ),
        (
            "version".to_owned(),
            b"Directory Transport Version: 1.1\n".to_vec(),
        ),
    ];
    for blob in [image.config_bytes()].iter().chain(&image.layers) {
        files.push((hex(&sha256(blob)).to_owned(), blob.clone()));
    }
    files
}

fn a_directory_of_skopeo_loads() {
    let ways = Ways::new();
    let image = sample().compressed(gzip);
    for media_type in [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ] {
        let mut files = directory_files(&image, media_type);
        let bytes = archive(&files);
        ways.assert_loads(&bytes, &image, media_type);
        ways.assert_loads(&moved(&files, "folder/"), &image, media_type);
        let env = TestEnv::new();
        write_sparsely(&env.path("dir"), &files);
        env.msb("load -i dir --tag named:1").success();
        assert_eq!(env.references(), ["named:1"]);
        let seen = env.json("image inspect named:1 --format json");
        assert_eq!(seen["digest"], sha256(&files[0].1));
        // Of all platforms.
        let manifest = std::mem::take(&mut files[0].1);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [descriptor(media_type, &manifest)],
        });
        files[0].1 = serde_json::to_vec(&index).unwrap();
        files.push((
            format!("{}.manifest.json", hex(&sha256(&manifest))),
            manifest,
        ));
        ways.assert_loads(&archive(&files), &image, "an index");
        files.retain(|(name, _)| !name.ends_with(".manifest.json"));
        ways.assert_refused(&archive(&files), &["is not in the archive"]);
    }
    let mut files = directory_files(&image, "application/vnd.oci.image.manifest.v1+json");
    files[2].1 = b"{}".to_vec();
    ways.assert_refused(&archive(&files), &["does not match its digest"]);
}

fn what_podman_and_skopeo_write_as_a_directory_loads() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    run(Command::new("skopeo")
        .args([
            "copy",
            "--quiet",
            "--insecure-policy",
            "docker-archive:in.tar",
            "dir:copied",
        ])
        .current_dir(env.path("")));
    let podman = crate::engine::Podman::new();
    let path = |name: &str| env.path(name).display().to_string();
    podman.run(&format!("load --quiet --input {}", path("in.tar")));
    podman.run(&format!(
        "save --quiet --format docker-dir --output {} sample:1",
        path("saved")
    ));
    for input in ["copied", "saved"] {
        let home = env.path(&format!("home-{input}"));
        let other = TestEnv::new().with_home(&home);
        other.msb(&format!("load -i {}", path(input))).success();
        let images = other.json("images --format json");
        assert_eq!(images[0]["id"], sample().id(), "{input}");
    }
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
