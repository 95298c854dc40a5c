//! What msb writes, read by code of others: EROFS images by the `erofs-rs` crate, virtual disks by the `imago`
//! crate, which libkrun uses. Both are in a program of their own, so that they are no dependencies of msb's
//! tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::archive::{Image, layer, sha256};
use crate::env::TestEnv;
use crate::mount::{Mounted, Node, Nodes, assert_same, nodes};
use crate::tests;
use crate::tools::run;

tests! {
    another_reader_finds_what_the_kernel_shows needs Root, Cargo;
    another_reader_of_virtual_disks_reads_the_raw_disk needs Cargo;
}

/// Layers that hide, replace and add to each other.
const LAYERS: [&str; 3] = [
    "etc/\netc/old = 1\netc/kept = kept\nusr/bin/tool = binary\nlink -> usr/bin/tool\nsame => etc/kept",
    "etc/.wh.old = \nopt/a = 1\nkind = file\nempty = ",
    "opt/.wh..wh..opq = \nopt/b = 2\nkind/in = directory\n.wh.link = ",
];

/// Returns the program with the other readers, built once.
fn judges() -> &'static Path {
    static JUDGES: OnceLock<PathBuf> = OnceLock::new();
    JUDGES.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = root.join("target/judges");
        run(Command::new("cargo")
            .args(["build", "--quiet", "--locked", "--target-dir"])
            .arg(&target)
            .current_dir(root.join("tests/judges")));
        target.join("debug/judges")
    })
}

fn loaded() -> TestEnv {
    let env = TestEnv::new();
    let mut layers: Vec<Vec<u8>> = LAYERS.iter().map(|text| layer(text)).collect();
    layers.push(odd_layer());
    env.write("app.tar", &Image::of("app:1", layers).docker());
    env.msb("load --quiet -i app.tar").success();
    env
}

/// Returns a layer with files of many sizes, attributes, devices and times.
fn odd_layer() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let text: Vec<u8> = (0..40_000)
        .flat_map(|n: u32| format!("{n}\n").into_bytes())
        .collect();
    for (number, size) in [1, 4095, 4096, 4097, 65_536, 65_537, 200_000]
        .into_iter()
        .enumerate()
    {
        let note = "n".repeat(number * 40);
        builder
            .append_pax_extensions([
                ("SCHILY.xattr.user.note", note.as_bytes()),
                ("SCHILY.xattr.trusted.same", b"the same for all"),
                ("mtime", b"-5.25"),
            ])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(size as u64);
        header.set_mode(0o4750);
        header.set_uid(70_000);
        builder
            .append_data(&mut header, format!("sizes/{size}"), &text[..size])
            .unwrap();
    }
    for (name, kind) in [
        ("char", tar::EntryType::Char),
        ("block", tar::EntryType::Block),
        ("fifo", tar::EntryType::Fifo),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o600);
        if kind != tar::EntryType::Fifo {
            header.set_device_major(8).unwrap();
            header.set_device_minor(300).unwrap();
        }
        builder.append_data(&mut header, name, &b""[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Returns what erofs-rs finds, in the form in which the kernel's view is compared.
fn judged(image: &Path, devices: &[PathBuf]) -> Nodes {
    let said = run(Command::new(judges()).arg("erofs").arg(image).args(devices));
    let found: Map<String, Value> = serde_json::from_str(&said).unwrap();
    let mut first_paths = std::collections::BTreeMap::new();
    let mut nodes = Nodes::new();
    let mut paths: Vec<&String> = found.keys().collect();
    // In the order of a walk by names.
    paths.sort_by(|one, other| one.split('/').cmp(other.split('/')));
    for path in paths {
        let inode = &found[path];
        let kind = [
            "directory",
            "file",
            "symlink",
            "char device",
            "block device",
            "pipe or socket",
        ]
        .into_iter()
        .find(|kind| inode["kind"] == *kind)
        .unwrap();
        let number = |key: &str| inode[key].as_u64().unwrap();
        let first = first_paths
            .entry(number("inode"))
            .or_insert_with(|| PathBuf::from(path))
            .clone();
        let xattrs = inode["xattrs"].as_object().unwrap().iter();
        let device = inode["device"].as_array().map_or(0, |pair| {
            let part = |index: usize| u32::try_from(pair[index].as_u64().unwrap()).unwrap();
            rustix::fs::makedev(part(0), part(1))
        });
        let narrow = |key: &str| u32::try_from(number(key)).unwrap();
        let node = Node {
            kind,
            mode: if kind == "symlink" { 0 } else { narrow("mode") },
            owner: (narrow("uid"), narrow("gid")),
            mtime: (
                inode["seconds"].as_i64().unwrap(),
                inode["nanoseconds"].as_i64().unwrap(),
            ),
            device,
            contents: match inode["contents"].as_str().unwrap() {
                digest if kind == "file" => format!("sha256:{digest}"),
                target => target.to_owned(),
            },
            size: if kind == "file" { number("size") } else { 0 },
            xattrs: xattrs
                .map(|(name, value)| (name.clone(), unhex(value.as_str().unwrap())))
                .collect(),
            link_to: Some(first).filter(|first| first != Path::new(path)),
        };
        nodes.insert(PathBuf::from(path), node);
    }
    nodes
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn another_reader_finds_what_the_kernel_shows() {
    let env = loaded();
    let shown = nodes(Mounted::merged(&env, "app:1").path());
    assert!(shown.len() > 20);
    let details = env.json("image inspect app:1 --format json");
    let path = |value: &Value, key: &str| PathBuf::from(value[key].as_str().unwrap());
    for layer in details["layers"].as_array().unwrap() {
        let image = path(layer, "erofs_path");
        let mounted = Mounted::erofs(&image);
        assert_same(&judged(&image, &[]), &nodes(mounted.path()), "a layer");
    }
    let devices = details["merged"]["devices"].as_array().unwrap();
    let devices: Vec<PathBuf> = devices.iter().map(|device| path(device, "path")).collect();
    let image = path(&details["merged"], "path");
    assert_same(&judged(&image, &devices), &shown, "merged");
    // The kernel mounts a raw disk without devices, by the places in its table of devices
    // (`erofs_scan_devices` in `fs/erofs/super.c`). erofs-rs wants as many devices as the table has, so it is
    // given what lies at these places.
    env.msb("image disk app:1 --quiet --type raw -o disk")
        .success();
    let disk = std::fs::read(env.path("disk")).unwrap();
    let part = |name: &str, value: &Value, start: usize| {
        let size = usize::try_from(value["size_bytes"].as_u64().unwrap()).unwrap();
        env.write(name, &disk[start..start + size]);
        env.path(name)
    };
    let parts: Vec<PathBuf> = (0..)
        .zip(details["merged"]["devices"].as_array().unwrap())
        .map(|(number, device)| {
            let start = device["disk_offset_bytes"].as_u64().unwrap();
            part(
                &format!("part-{number}"),
                device,
                usize::try_from(start).unwrap(),
            )
        })
        .collect();
    let image = part("image", &details["merged"], 0);
    assert_same(&judged(&image, &parts), &shown, "raw");
    for options in [
        "erofs",
        "erofs --verity",
        "erofs --compress lz4",
        "erofs --compress lz4:12 --cluster-size 8K",
        "erofs --compress zstd:19 --cluster-size 1M",
    ] {
        env.msb(&format!(
            "image disk app:1 --quiet --type {options} -o disk"
        ))
        .success();
        assert_same(&judged(&env.path("disk"), &[]), &shown, options);
    }
}

fn another_reader_of_virtual_disks_reads_the_raw_disk() {
    let env = loaded();
    env.msb("image disk app:1 --quiet -o disk.vmdk").success();
    env.msb("image disk app:1 --quiet --type raw -o disk.img")
        .success();
    let said = run(Command::new(judges())
        .arg("vmdk")
        .arg(env.path("disk.vmdk")));
    let found: Value = serde_json::from_str(&said).unwrap();
    let raw = std::fs::read(env.path("disk.img")).unwrap();
    assert_eq!(found["size"], raw.len());
    assert_eq!(
        format!("sha256:{}", found["sha256"].as_str().unwrap()),
        sha256(&raw)
    );
}
