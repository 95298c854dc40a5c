//! Tests of the room as a whole: what is written is read back, verified, and mounted.

mod compressed;
mod devices;
mod equal;
mod hostile;
mod kernel;
mod limits;
mod reading;
mod verifying;
mod writing;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use tokio_util::sync::CancellationToken;

use zerocopy::FromBytes as _;

use super::format::BLOCK;
use super::raw::{FirstBlock, INODE_SIZE};
use super::*;

/// An image being described, path by path. Parents come first.
struct Fixture {
    writer: ImageWriter,
    tree: Tree,
}

/// Gives the superblock the checksum of its bytes, so that what follows it is looked at.
fn seal(bytes: &mut [u8]) {
    let (block, _) = FirstBlock::mut_from_prefix(bytes).unwrap();
    block.superblock.checksum = block.checksum().into();
}

impl Fixture {
    fn new() -> Self {
        Self::with_root(metadata(0o755))
    }

    fn with_root(root: Metadata) -> Self {
        Self {
            writer: ImageWriter::new(tempfile::tempfile().unwrap()).unwrap(),
            tree: Tree::new(root),
        }
    }

    fn data(&mut self, bytes: &[u8]) -> Extent {
        self.writer.begin_file().unwrap();
        self.writer.write(bytes).unwrap();
        self.writer.end_file().unwrap()
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> InodeId {
        let extent = self.data(bytes);
        self.add(path, metadata(0o644), Kind::File(extent))
    }

    fn directory(&mut self, path: &str) -> InodeId {
        self.add(path, metadata(0o755), Kind::Directory(BTreeMap::new()))
    }

    fn symlink(&mut self, path: &str, target: &[u8]) -> InodeId {
        self.add(path, metadata(0o777), Kind::Symlink(target.into()))
    }

    fn add(&mut self, path: &str, metadata: Metadata, kind: Kind) -> InodeId {
        let id = self.tree.insert(Inode { metadata, kind }).unwrap();
        self.link(path, id);
        id
    }

    fn link(&mut self, path: &str, id: InodeId) {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = self.find(parent);
        self.link_in(parent, name.as_bytes(), id);
    }

    fn link_in(&mut self, parent: InodeId, name: &[u8], id: InodeId) {
        match &mut self.tree.get_mut(parent).kind {
            Kind::Directory(names) => names.insert(name.into(), id),
            _ => panic!("not a directory"),
        };
    }

    fn find(&self, path: &str) -> InodeId {
        let mut id = InodeId::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            id = match &self.tree.get(id).kind {
                Kind::Directory(names) => names[name.as_bytes()],
                _ => panic!("{path}: not a directory"),
            };
        }
        id
    }

    fn xattr(&mut self, id: InodeId, name: &str, value: &[u8]) {
        let xattrs = &mut self.tree.get_mut(id).metadata.xattrs;
        xattrs.insert(name.as_bytes().into(), value.into());
    }

    fn finish(self) -> Result<(File, Tree), ErofsError> {
        let options = ImageOptions {
            uuid: *b"0123456789abcdef",
            build_time: 1_700_000_000,
        };
        let summary = self
            .writer
            .finish(&self.tree, &options, &CancellationToken::new())?;
        assert_eq!(summary.size, summary.file.metadata().unwrap().len());
        Ok((summary.file, self.tree))
    }

    /// Writes the image, which must be sound.
    fn image(self) -> Vec<u8> {
        let (file, _) = self.finish().unwrap();
        let bytes = bytes_of(&file);
        assert_eq!(findings(&bytes), "");
        bytes
    }

    fn error(self) -> String {
        self.finish().unwrap_err().to_string()
    }
}

/// Returns bytes that no algorithm makes smaller.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(next).collect()
}

fn metadata(permissions: u16) -> Metadata {
    Metadata {
        permissions,
        ..Metadata::default()
    }
}

fn bytes_of(file: &File) -> Vec<u8> {
    let size = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Returns the findings of the verifier, one a line.
fn findings(bytes: &[u8]) -> String {
    let report = verify(bytes).unwrap();
    let lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Returns the dump of an image without the first line, which is about the root.
fn dump_of(bytes: &[u8]) -> String {
    let text = dump(&Image::open(bytes).unwrap()).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

/// One inode of every type, attributes, two names of one file.
fn all_types() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.directory("/dir");
    let file = fixture.file("/dir/file", b"contents\n");
    fixture.link("/dir/second", file);
    fixture.file("/empty", b"");
    fixture.symlink("/link", b"dir/file");
    for (name, kind) in [
        (
            "/char",
            Kind::CharDevice(Device {
                major: 4095,
                minor: 0xf_ffff,
            }),
        ),
        (
            "/block",
            Kind::BlockDevice(Device {
                major: 8,
                minor: 300,
            }),
        ),
        ("/fifo", Kind::Fifo),
        ("/socket", Kind::Socket),
    ] {
        fixture.add(name, metadata(0o600), kind);
    }
    fixture.tree.get_mut(file).metadata = Metadata {
        permissions: 0o6755,
        uid: u32::MAX - 1,
        gid: 70_000,
        mtime: Timestamp {
            seconds: -1,
            nanoseconds: 999_999_999,
        },
        xattrs: Xattrs::default(),
    };
    fixture.xattr(file, "user.empty", b"");
    // Version 2 and the effective bit, then CAP_NET_RAW permitted.
    let capability = *b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    fixture.xattr(file, "security.capability", &capability);
    fixture.xattr(InodeId::ROOT, "trusted.overlay.opaque", b"y");
    fixture
}

/// A tree whose last inode, which nothing follows, ends where a block does: the root with its names
/// takes 896 bytes with what is reserved in front of it, each of the 50 others 64.
fn full_block() -> Fixture {
    let mut fixture = Fixture::new();
    for number in 0..49 {
        fixture.file(&format!("/{number:02}"), b"");
    }
    fixture.file(&format!("/{}", "z".repeat(22)), b"");
    fixture
}

/// A chain of directories.
fn nested(depth: usize) -> Fixture {
    let mut fixture = Fixture::new();
    let mut parent = InodeId::ROOT;
    for _ in 0..depth {
        let directory = Inode {
            metadata: metadata(0o755),
            kind: Kind::Directory(BTreeMap::new()),
        };
        let id = fixture.tree.insert(directory).unwrap();
        fixture.link_in(parent, b"d", id);
        parent = id;
    }
    fixture
}

/// Files with attributes of their own and large ones that are all the same, and one with more of
/// those than the count in an inode has room for.
fn repeated_attributes(files: usize) -> Fixture {
    let mut fixture = Fixture::new();
    for number in 0..files {
        let id = fixture.file(&format!("/{number}"), b"");
        fixture.xattr(id, "user.large", &[b'v'; 8000]);
        fixture.xattr(id, "user.odd", &[b'w'; 4097]);
        fixture.xattr(id, "user.own", number.to_string().as_bytes());
    }
    for path in ["/many", "/many-too"] {
        let id = fixture.file(path, b"");
        for number in 0..300 {
            fixture.xattr(id, &format!("user.{number}"), &[b'x'; 50]);
        }
    }
    fixture
}
