//! Images with compressed files.

use std::process::Command;

use super::kernel::{Mount, skip};
use super::*;
use crate::format::BLOCK_SIZE;

/// An image with compressed files, whose contents are known.
struct Packed {
    bytes: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
}

/// Writes a file in clusters, or plain where that is smaller, as a caller does.
fn pack(
    writer: &mut ImageWriter,
    compressor: &mut Compressor,
    size: usize,
    bytes: &[u8],
) -> Extent {
    writer.begin_file().unwrap();
    for cluster in bytes.chunks(size) {
        let cluster = compressor.compress(cluster.to_vec());
        writer.write_cluster(&cluster).unwrap();
    }
    if let Some(extent) = writer.end_compressed().unwrap() {
        return extent;
    }
    writer.begin_file().unwrap();
    writer.write(bytes).unwrap();
    writer.end_file().unwrap()
}

fn packed(compression: FileCompression, files: &[(String, Vec<u8>)]) -> Packed {
    let size = usize::try_from(compression.cluster_size()).unwrap();
    let mut compressor = Compressor::new(compression).unwrap();
    let mut fixture = Fixture::new();
    fixture.writer =
        ImageWriter::with_compression(tempfile::tempfile().unwrap(), compression).unwrap();
    fixture.directory("/dir");
    for (number, (name, contents)) in files.iter().enumerate() {
        let extent = pack(&mut fixture.writer, &mut compressor, size, contents);
        let id = fixture.add(&format!("/dir/{name}"), metadata(0o640), Kind::File(extent));
        // The indexes follow attributes of any length.
        fixture.xattr(id, "user.x", &vec![b'v'; number % 9]);
        fixture.link(&format!("/second-{name}"), id);
    }
    Packed {
        bytes: fixture.image(),
        files: files.iter().cloned().collect(),
    }
}

/// Returns text of so many bytes that compresses well, and differs from block to block.
fn text(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 64);
    let mut line = 0_u64;
    while bytes.len() < length {
        bytes.extend_from_slice(format!("{line:08} a line of some text\n").as_bytes());
        line += 1;
    }
    bytes.truncate(length);
    bytes
}

/// Files of every size around blocks and clusters, and of every kind of contents.
fn files(cluster: usize) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut sizes = vec![0, 1, 4095, 4096, 4097, 5000, 8191, 8192, 8193, 12_288];
    for whole in [cluster, 2 * cluster] {
        sizes.extend([
            whole - 4096,
            whole - 1,
            whole,
            whole + 1,
            whole + 4096,
            whole + 5000,
        ]);
    }
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        files.push((format!("text-{size}"), text(size)));
        files.push((format!("noise-{size}"), noise(size)));
        files.push((format!("zeros-{size}"), vec![0; size]));
    }
    let mixed = [
        text(3 * cluster),
        noise(2 * cluster),
        vec![0; cluster],
        text(777),
    ];
    files.push(("mixed".to_owned(), mixed.concat()));
    files.push(("large".to_owned(), text(5 << 20)));
    files
}

fn every_compression() -> Vec<FileCompression> {
    let mut all = Vec::new();
    for algorithm in Algorithm::ALL {
        for size in [8 << 10, 64 << 10, 1 << 20] {
            all.push(
                FileCompression::new(algorithm)
                    .with_cluster_size(size)
                    .unwrap(),
            );
        }
        let slow = FileCompression::new(algorithm);
        all.push(slow.with_level(*algorithm.levels().end()).unwrap());
    }
    all
}

/// Returns what the kernel's configuration says of a setting, `None` where it cannot be read.
fn kernel_has(setting: &str) -> Option<bool> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let boot = std::fs::read_to_string(format!("/boot/config-{}", release.trim())).ok();
    let config = boot.or_else(|| {
        let output = Command::new("zcat").arg("/proc/config.gz").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        (!text.is_empty()).then_some(text)
    })?;
    let line = format!("{setting}=y");
    Some(config.lines().any(|found| found == line))
}

/// Returns whether the kernel is known to lack an algorithm.
fn kernel_lacks(algorithm: Algorithm) -> bool {
    let setting = match algorithm {
        Algorithm::Lz4 => "CONFIG_EROFS_FS_ZIP",
        Algorithm::Zstd => "CONFIG_EROFS_FS_ZIP_ZSTD",
    };
    let lacks = kernel_has(setting) == Some(false);
    if lacks {
        skip(&format!(
            "this kernel does not read EROFS with {algorithm}: no {setting}"
        ));
    }
    lacks
}

#[test]
fn compressed_files_are_read_back() {
    for compression in every_compression() {
        let cluster = usize::try_from(compression.cluster_size()).unwrap();
        let packed = packed(compression, &files(cluster));
        let plain: u64 = packed
            .files
            .values()
            .map(|bytes| (bytes.len() as u64).next_multiple_of(BLOCK_SIZE))
            .sum();
        assert!(
            (packed.bytes.len() as u64) < plain * 3 / 4,
            "{compression:?}"
        );
        let image = Image::open(&packed.bytes[..]).unwrap();
        let root = image.inode(image.root()).unwrap();
        let directory = image.inode(image.entries(&root).unwrap()[0].nid).unwrap();
        for entry in image.entries(&directory).unwrap() {
            let name = String::from_utf8(entry.name.to_vec()).unwrap();
            let expected = &packed.files[&name];
            let inode = image.inode(entry.nid).unwrap();
            assert_eq!(inode.size, expected.len() as u64);
            let mut found = vec![1; expected.len() + 10];
            let count = image.read_file(&inode, 0, &mut found).unwrap();
            assert_eq!(count, expected.len());
            assert!(found[..count] == expected[..], "{compression:?} {name}");
            // Pieces that begin and end anywhere, backwards.
            for start in (0..expected.len()).step_by(cluster / 3 + 1).rev() {
                let mut piece = vec![1; 5001];
                let count = image.read_file(&inode, start as u64, &mut piece).unwrap();
                assert!(
                    piece[..count] == expected[start..start + count],
                    "{name} {start}"
                );
                assert_eq!(count, (expected.len() - start).min(5001));
            }
        }
        assert!(dump(&image).unwrap().contains(" compressed="));
    }
}

#[test]
fn files_that_do_not_shrink_stay_plain() {
    for algorithm in Algorithm::ALL {
        let compression = FileCompression::new(algorithm);
        // In the last one, a block is saved, and more is taken by the indexes.
        let mut hardly = noise(8 << 20);
        hardly[..8192].fill(b'x');
        let files = [
            ("small".to_owned(), text(4096)),
            ("noise".to_owned(), noise(1 << 20)),
            ("empty".to_owned(), Vec::new()),
            ("hardly".to_owned(), hardly.clone()),
        ];
        let packed = packed(compression, &files);
        let image = Image::open(&packed.bytes[..]).unwrap();
        assert_eq!(image.superblock().feature_incompat, 0);
        assert_eq!(image.superblock().algorithms, 0);
        assert!(!dump(&image).unwrap().contains("compressed"));
        let tree = image.tree().unwrap();
        let Kind::Directory(names) = &tree.get(InodeId::ROOT).kind else {
            panic!("not a directory");
        };
        let Kind::File(extent) = tree.get(names[&b"second-hardly"[..]]).kind else {
            panic!("not a file");
        };
        let mut found = vec![0; hardly.len()];
        image.read_extent(extent, 0, &mut found).unwrap();
        assert!(found == hardly);
    }
}

#[test]
fn the_kernel_reads_compressed_files() {
    for compression in every_compression() {
        if kernel_lacks(compression.algorithm()) {
            continue;
        }
        let cluster = usize::try_from(compression.cluster_size()).unwrap();
        let packed = packed(compression, &files(cluster));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.erofs");
        std::fs::write(&path, &packed.bytes).unwrap();
        let Some(mount) = Mount::new(&path, directory.path().join("mount")) else {
            return;
        };
        for (name, expected) in &packed.files {
            let found = std::fs::read(mount.directory.join("dir").join(name)).unwrap();
            assert!(found == *expected, "{compression:?} {name}");
            let second = mount.directory.join(format!("second-{name}"));
            let value = ::xattr::get(second, "user.x").unwrap();
            assert!(value.is_some_and(|value| value.iter().all(|byte| *byte == b'v')));
        }
    }
}

#[test]
fn fsck_erofs_extracts_compressed_files() {
    let Ok(help) = Command::new("fsck.erofs").arg("--help").output() else {
        skip("fsck.erofs is not installed");
        return;
    };
    let help = [help.stdout, help.stderr].concat();
    let help = String::from_utf8_lossy(&help).into_owned();
    for compression in every_compression() {
        let algorithm = compression.algorithm();
        if !help.contains(algorithm.name()) {
            skip(&format!("this fsck.erofs does not read {algorithm}"));
            continue;
        }
        let cluster = usize::try_from(compression.cluster_size()).unwrap();
        let packed = packed(compression, &files(cluster));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.erofs");
        std::fs::write(&path, &packed.bytes).unwrap();
        let target = directory.path().join("out");
        let output = Command::new("fsck.erofs")
            .arg(format!("--extract={}", target.display()))
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        for (name, expected) in &packed.files {
            let found = std::fs::read(target.join("dir").join(name)).unwrap();
            assert!(found == *expected, "{compression:?} {name}");
        }
    }
}

#[test]
fn every_flipped_bit_of_the_indexes_is_found() {
    for algorithm in Algorithm::ALL {
        let contents = [text(70_000), noise(65_536 - 70_000 % 65_536), text(5000)].concat();
        let files = [("file".to_owned(), contents)];
        let packed = packed(FileCompression::new(algorithm), &files);
        let image = Image::open(&packed.bytes[..]).unwrap();
        let root = image.inode(image.root()).unwrap();
        let file = image.entries(&root).unwrap()[1].nid;
        let start = image.offset(file).unwrap();
        let (first, last) = image.inode(file).unwrap().index_range(start).unwrap();
        for bit in first * 8..last * 8 {
            let mut changed = packed.bytes.clone();
            changed[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
            assert!(!verify(&changed[..]).unwrap().is_sound(), "bit {bit}");
            // And no reader panics.
            let image = Image::open(&changed[..]).unwrap();
            let file = image.inode(file).unwrap();
            let _ = image.read_file(&file, 0, &mut vec![0; 200_000]);
        }
        // What the superblock says of the compression.
        for bit in 1152 * 8..1168 * 8 {
            let mut changed = packed.bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            seal(&mut changed);
            assert!(!verify(&changed[..]).unwrap().is_sound(), "bit {bit}");
        }
    }
}

#[test]
fn damaged_clusters_are_errors() {
    for algorithm in Algorithm::ALL {
        let packed = packed(
            FileCompression::new(algorithm),
            &[("file".to_owned(), text(100_000))],
        );
        for (position, byte) in [(4096, 0), (4096, 255), (8191, 0)] {
            let mut changed = packed.bytes.clone();
            for offset in 0..4096 {
                changed[position - position % 4096 + offset] = byte;
            }
            let image = Image::open(&changed[..]).unwrap();
            let root = image.inode(image.root()).unwrap();
            let file = image.entries(&root).unwrap()[1].nid;
            let file = image.inode(file).unwrap();
            let error = image.read_file(&file, 0, &mut [0; 10]).unwrap_err();
            assert!(
                error.to_string().contains("a compressed cluster"),
                "{error}"
            );
        }
    }
}

#[test]
fn clusters_that_do_not_fit_are_refused() {
    let compression = FileCompression::new(Algorithm::Lz4);
    let mut compressor = Compressor::new(compression).unwrap();
    let file = || tempfile::tempfile().unwrap();
    let short = compressor.compress(text(100));
    let long = compressor.compress(text(70_000));
    let words = |error: ErofsError| error.to_string();

    let mut writer = ImageWriter::with_compression(file(), compression).unwrap();
    assert!(words(writer.write_cluster(&short).unwrap_err()).contains("no file has begun"));
    writer.begin_file().unwrap();
    assert!(words(writer.write_cluster(&long).unwrap_err()).contains("another size"));
    writer.write_cluster(&short).unwrap();
    // Only the last cluster is short.
    assert!(words(writer.write_cluster(&short).unwrap_err()).contains("another size"));

    let mut writer = ImageWriter::new(file()).unwrap();
    writer.begin_file().unwrap();
    assert!(words(writer.write_cluster(&short).unwrap_err()).contains("another size"));
}
