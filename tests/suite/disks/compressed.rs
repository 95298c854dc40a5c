//! Disks with compressed files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive::Image;
use crate::env::TestEnv;
use crate::mount::{Mounted, Nodes, assert_same, nodes};
use crate::tests;
use crate::tools::run;

tests! {
    a_compressed_disk_shows_what_a_plain_one_shows needs Root;
    fsck_and_dump_read_a_compressed_disk needs Root;
    a_compressed_disk_is_the_same_each_time;
    what_cannot_be_compressed_is_refused_in_words;
    a_compressed_disk_keeps_to_the_memory_it_may_take;
}

const OPTIONS: [&str; 6] = [
    "--compress lz4",
    "--compress lz4:12 --cluster-size 8K",
    "-z lz4:9 -C 1M --verity",
    "--compress zstd",
    "--compress zstd:19 --cluster-size 1MiB",
    "-z zstd:1 -C 8K --verity",
];

/// Loads an image whose files have the sizes at which something changes.
fn loaded() -> TestEnv {
    let env = TestEnv::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut number = 0;
    let mut add = |path: &str, bytes: &[u8]| {
        number += 1;
        let note = format!("note {number}");
        builder
            .append_pax_extensions([("SCHILY.xattr.user.note", note.as_bytes())])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o640 + number % 8);
        header.set_uid(1000 + u64::from(number));
        header.set_mtime(1_600_000_000 + u64::from(number));
        builder.append_data(&mut header, path, bytes).unwrap();
    };
    let text: Vec<u8> = (0..60_000)
        .flat_map(|n: u32| format!("line {n}\n").into_bytes())
        .collect();
    let mut state = 1_u32;
    let noise: Vec<u8> = (0..=(1 << 20))
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    for size in [
        0, 1, 4095, 4096, 4097, 8192, 8193, 65_535, 65_536, 65_537, 131_072,
    ] {
        add(&format!("text/{size}"), &text[..size]);
        add(&format!("noise/{size}"), &noise[..size]);
    }
    add("noise/all", &noise);
    add(
        "mixed",
        &[&text[..], &noise[..200_000], &text[..], &vec![0; 300_000]].concat(),
    );
    for number in 0..500 {
        add(&format!("many/{number}"), &text[number * 7..number * 19]);
    }
    add("zeros", &vec![0; 100 << 20]);
    let image = Image::of("app:1", vec![builder.into_inner().unwrap()]);
    env.write("app.tar", &image.docker());
    env.msb("load --quiet -i app.tar").success();
    std::fs::remove_file(env.path("app.tar")).unwrap();
    env
}

fn disk(env: &TestEnv, options: &str) -> PathBuf {
    let path = env.path("disk.erofs");
    env.msb(&format!(
        "image disk app:1 --quiet --type erofs {options} -o disk.erofs"
    ))
    .success();
    path
}

/// Returns whether the kernel reads files that are compressed as the options say: whether it says so, or
/// whether it mounts the disk.
pub(crate) fn kernel_reads(options: &str) -> bool {
    let setting = if options.contains("zstd") {
        "CONFIG_EROFS_FS_ZIP_ZSTD=y"
    } else if options.contains("lz4") {
        "CONFIG_EROFS_FS_ZIP=y"
    } else {
        return true;
    };
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let config = std::fs::read(format!("/boot/config-{}", release.trim()))
        .ok()
        .or_else(|| {
            let output = Command::new("zcat").arg("/proc/config.gz").output().ok()?;
            output.status.success().then_some(output.stdout)
        });
    let reads = config.is_some_and(|config| {
        let text = String::from_utf8_lossy(&config).into_owned();
        text.lines().any(|line| line == setting)
    });
    if !reads {
        eprintln!("SKIPPED, NOT TESTED: this kernel mounts no disk with {options}: no {setting}");
    }
    reads
}

fn shown(disk: &Path) -> Nodes {
    nodes(Mounted::erofs_unchecked(disk).path())
}

fn a_compressed_disk_shows_what_a_plain_one_shows() {
    let env = loaded();
    let plain = disk(&env, "");
    let expected = shown(&plain);
    assert_eq!(expected.len(), 529);
    let size = std::fs::metadata(&plain).unwrap().len();
    for options in OPTIONS.into_iter().filter(|options| kernel_reads(options)) {
        let compressed = disk(&env, options);
        assert!(
            std::fs::metadata(&compressed).unwrap().len() < size * 3 / 4,
            "{options}"
        );
        assert_same(&shown(&compressed), &expected, options);
        // Nothing is in the page cache any more: it is read from the disk once more.
        let mounted = Mounted::erofs_unchecked(&compressed);
        assert_eq!(nodes(&mounted.path().join("text")).len(), 12);
    }
    // Without attributes, the rest is the same.
    let options = "--compress lz4 --without-xattrs";
    if kernel_reads(options) {
        let mut bare = expected;
        for node in bare.values_mut() {
            node.xattrs.clear();
        }
        assert_same(&shown(&disk(&env, options)), &bare, options);
    }
}

fn fsck_and_dump_read_a_compressed_disk() {
    let env = loaded();
    let plain = shown(&disk(&env, ""));
    let help = Command::new("fsck.erofs").arg("--help").output().unwrap();
    let help = [help.stdout, help.stderr].concat();
    let help = String::from_utf8_lossy(&help).into_owned();
    for options in OPTIONS {
        let algorithm = if options.contains("zstd") {
            "zstd"
        } else {
            "lz4"
        };
        let compressed = disk(&env, options);
        let said = run(Command::new("dump.erofs").arg("-s").arg(&compressed));
        assert!(said.contains("big_pcluster"), "{said}");
        assert!(
            said.contains("xattr") || said.contains("inode count"),
            "{said}"
        );
        if !help.contains(algorithm) {
            eprintln!("SKIPPED, NOT TESTED: this fsck.erofs does not read {algorithm}");
            continue;
        }
        let extracted = env.path("extracted");
        run(Command::new("fsck.erofs")
            .arg(format!("--extract={}", extracted.display()))
            .arg(&compressed));
        let mut found = nodes(&extracted);
        let mut expected = plain.clone();
        // fsck.erofs extracts no attributes, and the folder is ours.
        for tree in [&mut found, &mut expected] {
            tree.remove(Path::new(""));
            for node in tree.values_mut() {
                node.xattrs.clear();
                if node.kind == "directory" {
                    node.mtime = (0, 0);
                }
            }
        }
        assert_same(&found, &expected, options);
        std::fs::remove_dir_all(&extracted).unwrap();
    }
}

fn a_compressed_disk_is_the_same_each_time() {
    let env = loaded();
    for options in ["--compress lz4", "--compress zstd:5"] {
        let first = std::fs::read(disk(&env, options)).unwrap();
        // One processor, so one thread.
        run(Command::new("taskset")
            .args(["-c", "0"])
            .arg(crate::tools::msb())
            .args(["image", "disk", "app:1", "--quiet", "--type", "erofs", "-o"])
            .arg(env.path("again"))
            .args(options.split(' '))
            .env("MSB_HOME", env.home()));
        assert!(
            first == std::fs::read(env.path("again")).unwrap(),
            "{options}"
        );
        let image = msb_erofs::verify(File::open(env.path("again")).unwrap()).unwrap();
        assert!(image.is_sound(), "{:?}", image.findings);
    }
    let line = "image disk app:1 --type erofs --compress zstd:7 -C 128K --format json -o disk";
    let report = env.json(line);
    let compression = &report["compression"];
    assert_eq!(compression["algorithm"], "zstd");
    assert_eq!(compression["level"], 7);
    assert_eq!(compression["cluster_size"], 128 << 10);
    assert_eq!(compression["first_kernel"], "6.10");
    let said = env
        .msb("image disk app:1 --type erofs -z lz4 -o disk")
        .success();
    assert!(said.stderr.contains("for Linux 5.13 or later"), "{said:?}");
}

fn what_cannot_be_compressed_is_refused_in_words() {
    let env = TestEnv::new();
    env.write("app.tar", &Image::new("app:1", &["file = x"]).docker());
    env.msb("load --quiet -i app.tar").success();
    for kind in ["raw", "vmdk"] {
        env.msb(&format!(
            "image disk app:1 --type {kind} --compress lz4 -o refused"
        ))
        .failure(&["`--compress` needs a filesystem of its own: `--type erofs`"]);
    }
    for (options, words) in [
        ("--compress lzma", "expected lz4 or zstd"),
        ("--compress zstd:23", "a number from 1 to 22"),
        (
            "--compress lz4 -C 12K",
            "a power of two from 8192 to 1048576",
        ),
        ("-C 64K", "--compress"),
    ] {
        let run = env.msb(&format!(
            "image disk app:1 --type erofs {options} -o refused"
        ));
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(words), "{run:?}");
    }
    assert!(!env.path("refused").exists());
    // Where nothing shrinks, the disk is a plain one.
    env.msb("image disk app:1 --quiet --type erofs --compress zstd -o disk")
        .success();
    let bytes = std::fs::read(env.path("disk")).unwrap();
    assert_eq!(bytes[1024 + 80..1024 + 84], [0; 4]);
}

fn a_compressed_disk_keeps_to_the_memory_it_may_take() {
    let env = loaded();
    env.write_settings(r#"{"limits": {"memory_bytes": 4000000}}"#);
    let line = "image disk app:1 --type erofs --compress zstd -o disk";
    env.msb(line)
        .failure(&["parts of files that are being compressed", "memory_bytes"]);
    assert!(!env.path("disk").exists());
}
