//! The forms in which archives come: sparse, compressed, in a folder, as directories of skopeo, or
//! as something else altogether.

mod directories;
mod told;

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tar::{EntryType, Header};

use crate::archive::{Files, Image, archive, gzip, zstd};
use crate::env::{Run, TestEnv};
use crate::tests;
use crate::tools::run;

tests! {
    sparse_members_are_expanded_in_every_form needs Tar;
    a_sparse_member_of_a_tebibyte_costs_neither_time_nor_memory;
    a_layer_of_xz_or_bzip2_loads;
    the_end_of_a_compressed_archive_is_checked;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), directories::tests(), told::tests()];
    tests.into_iter().flatten().collect()
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
