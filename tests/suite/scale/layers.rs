//! Layers of a size that real images seldom have: converted from a pipe, mounted by the kernel,
//! checked by `fsck.erofs` and by msb.

use std::ffi::CStr;
use std::io::{self, Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;

use rustix::fs::{CWD, Mode, OFlags, openat};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::archive::{architecture, sha256, sha256_of};
use crate::env::TestEnv;
use crate::mount::Mounted;
use crate::tests;

tests! {
    hundred_and_fifty_thousand_files_of_2_kib needs Root;
    a_hundred_thousand_files_of_few_contents needs Root;
    a_directory_of_a_hundred_thousand_entries needs Root;
    ten_thousand_directories_in_each_other needs Root;
    a_file_of_more_than_4_gib needs Root;
    more_than_65536_names_of_one_file needs Root;
    a_layer_whose_last_inode_ends_with_a_block needs Root;
}

/// Writes a layer; called twice, it writes the same.
type Layer<'a> = dyn Fn(&mut Builder<&mut dyn Write>) -> io::Result<()> + 'a;

fn hundred_and_fifty_thousand_files_of_2_kib() {
    let loaded = Loaded::new(&|layer| {
        for number in 0..150_000_u32 {
            let path = format!("{}/{}/{number}", number % 100, number % 7);
            file(layer, &path, &contents(number))?;
        }
        Ok(())
    });
    let mounted = Mounted::erofs(&loaded.image);
    let mut files = 0;
    for entry in walkdir::WalkDir::new(mounted.path()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
            assert_eq!(std::fs::read(entry.path()).unwrap(), contents(number));
            files += 1;
        }
    }
    assert_eq!(files, 150_000);
}

fn a_hundred_thousand_files_of_few_contents() {
    let contents = |number: u32| [number.to_le_bytes()[0]];
    let name = |number: u32| format!("{}/{number}", number % 100);
    let loaded = Loaded::new(&|layer| {
        (0..100_000).try_for_each(|number| file(layer, &name(number), &contents(number)))
    });
    // A KiB of the tar for each file, a block for each of 256 contents, and an inode and a name.
    let size = loaded.image.metadata().unwrap().size();
    assert!(size < 100_000 * 100 + 256 * 4096, "{size}");
    let mounted = Mounted::erofs(&loaded.image);
    for number in 0..100_000 {
        let path = mounted.path().join(name(number));
        assert_eq!(std::fs::read(path).unwrap(), contents(number), "{number}");
    }
}

fn a_directory_of_a_hundred_thousand_entries() {
    // In an order that is not that of the names.
    let name = |number: u32| format!("d/{}", number.wrapping_mul(2_654_435_761));
    let loaded =
        Loaded::new(&|layer| (0..100_000).try_for_each(|number| file(layer, &name(number), b"")));
    let mounted = Mounted::erofs(&loaded.image);
    let directory = mounted.path().join("d");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 100_000);
    for number in (0..100_000).step_by(97) {
        assert!(mounted.path().join(name(number)).exists(), "{number}");
    }
    assert!(!directory.join("nothing").exists());
}

fn ten_thousand_directories_in_each_other() {
    const DEPTH: usize = 10_000;
    const NAME: &CStr = c"d";
    let loaded = Loaded::new(&|layer| file(layer, &format!("{}f", "d/".repeat(DEPTH)), b"deep"));
    // fsck.erofs 1.5 calls itself for each level, and has no stack for that many.
    let mounted = Mounted::erofs_unchecked(&loaded.image);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut here = openat(CWD, mounted.path(), flags, Mode::empty()).unwrap();
    for _ in 0..DEPTH {
        here = openat(&here, NAME, flags | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let found = openat(&here, c"f", flags, Mode::empty()).unwrap();
    let mut text = String::new();
    std::fs::File::from(found)
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "deep");
}

fn a_file_of_more_than_4_gib() {
    const SIZE: u64 = (4 << 30) + 12_345;
    let loaded = Loaded::new(&|layer| {
        let mut header = header(EntryType::Regular, SIZE);
        layer.append_data(&mut header, "large", Pattern(0).take(SIZE))?;
        file(layer, "small", b"behind it")
    });
    let mounted = Mounted::erofs(&loaded.image);
    let path = mounted.path().join("large");
    assert_eq!(path.metadata().unwrap().size(), SIZE);
    let mut expected = Measured::default();
    io::copy(&mut Pattern(0).take(SIZE), &mut expected).unwrap();
    let mut found = Measured::default();
    io::copy(&mut std::fs::File::open(path).unwrap(), &mut found).unwrap();
    assert_eq!(sha256_of(found.hasher), sha256_of(expected.hasher));
    let small = std::fs::read(mounted.path().join("small")).unwrap();
    assert_eq!(small, b"behind it");
}

fn more_than_65536_names_of_one_file() {
    const NAMES: u64 = 65_537;
    let loaded = Loaded::new(&|layer| {
        file(layer, "first", b"one inode")?;
        (1..NAMES).try_for_each(|number| {
            let mut header = header(EntryType::Link, 0);
            layer.append_link(&mut header, format!("d/{number}"), "first")
        })
    });
    let mounted = Mounted::erofs(&loaded.image);
    let first = mounted.path().join("first").metadata().unwrap();
    assert_eq!(first.nlink(), NAMES);
    for number in (1..NAMES).step_by(101) {
        let path = mounted.path().join(format!("d/{number}"));
        assert_eq!(path.metadata().unwrap().ino(), first.ino());
    }
    let last = mounted.path().join(format!("d/{}", NAMES - 1));
    assert_eq!(std::fs::read(last).unwrap(), b"one inode");
}

fn a_layer_whose_last_inode_ends_with_a_block() {
    const BLOCK: usize = 4096;
    // The root and 50 empty files fill the one block of inodes to its last byte.
    let names: Vec<String> = (0..49)
        .map(|number| format!("{number:02}"))
        .chain(["z".repeat(22)])
        .collect();
    let loaded = Loaded::new(&|layer| names.iter().try_for_each(|name| file(layer, name, b"")));
    let image = std::fs::read(&loaded.image).unwrap();
    assert_eq!(image.len(), 3 * BLOCK);
    let (_, last_inode) = image[..2 * BLOCK].split_at(2 * BLOCK - 64);
    assert_eq!(last_inode[4..6], 0o100_644_u16.to_le_bytes(), "its mode");
    assert_eq!(last_inode[20..24], 51_u32.to_le_bytes(), "its number");
    assert!(image[2 * BLOCK..].iter().all(|byte| *byte == 0));
    let mounted = Mounted::erofs(&loaded.image);
    let found = std::fs::read_dir(mounted.path()).unwrap();
    let mut found: Vec<String> = found
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, names);
}

/// A layer that came through a pipe and was found sound.
struct Loaded {
    image: PathBuf,
    _env: TestEnv,
}

impl Loaded {
    fn new(layer: &Layer<'_>) -> Self {
        let env = TestEnv::new();
        let mut child = env
            .command(["load", "-q"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        archive(&mut child.stdin.take().unwrap(), layer).unwrap();
        assert!(child.wait().unwrap().success());
        env.msb("image verify --quiet").success();
        let details = env.json("image inspect scale:1 --format json");
        let image = details["layers"][0]["erofs_path"].as_str().unwrap();
        Self {
            image: Path::new(image).to_owned(),
            _env: env,
        }
    }
}

/// Writes a Docker archive of an image of one layer, which no process holds as a whole.
fn archive(output: &mut dyn Write, layer: &Layer<'_>) -> io::Result<()> {
    let mut measured = Measured::default();
    written(&mut measured, layer)?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [sha256_of(measured.hasher)]},
    });
    let config = serde_json::to_vec(&config)?;
    let name = format!("{}.json", &sha256(&config)["sha256:".len()..]);
    let list = json!([{"Config": name, "RepoTags": ["scale:1"], "Layers": ["layer.tar"]}]);
    let mut archive = Builder::new(output);
    file(&mut archive, "manifest.json", &serde_json::to_vec(&list)?)?;
    file(&mut archive, &name, &config)?;
    let mut header = header(EntryType::Regular, measured.bytes);
    header.set_path("layer.tar")?;
    header.set_cksum();
    let output = archive.get_mut();
    output.write_all(header.as_bytes())?;
    written(output, layer)?;
    archive.into_inner()?.flush()
}

fn written(output: &mut dyn Write, layer: &Layer<'_>) -> io::Result<()> {
    let mut output = io::BufWriter::with_capacity(1 << 20, output);
    let mut builder = Builder::new(&mut output as &mut dyn Write);
    layer(&mut builder)?;
    builder.into_inner()?.flush()
}

fn file(archive: &mut Builder<&mut dyn Write>, path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = header(EntryType::Regular, bytes.len() as u64);
    archive.append_data(&mut header, path, bytes)
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header
}

/// Returns the 2 KiB of a file.
fn contents(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(512)
}

/// Bytes that are others wherever one looks: blocks that begin with their number. It knows the place of
/// the next byte.
struct Pattern(u64);

impl Pattern {
    const BLOCK: usize = 64 << 10;
}

impl io::Read for Pattern {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        static REST: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let words =
                (0..Pattern::BLOCK as u64 / 8).map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            words.flat_map(u64::to_le_bytes).collect()
        });
        let number = (self.0 / Self::BLOCK as u64).to_be_bytes();
        let at = usize::try_from(self.0 % Self::BLOCK as u64).unwrap();
        let count = buffer.len().min(Self::BLOCK - at);
        buffer[..count].copy_from_slice(&REST[at..at + count]);
        for (byte, of_number) in buffer[..count].iter_mut().zip(number.iter().skip(at)) {
            *byte = *of_number;
        }
        self.0 += count as u64;
        Ok(count)
    }
}

/// Counts and hashes what is written.
#[derive(Default)]
struct Measured {
    bytes: u64,
    hasher: Sha256,
}

impl Write for Measured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
