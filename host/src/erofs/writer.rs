//! The writer: data first, metadata last, in one forward pass.
//!
//! Owns the order of things in an image: block 0 with the superblock, the data of regular files,
//! blocks of directories and long links, the inodes. The metadata block address points at the
//! inodes, so the root, which comes first, has a small number whatever lies before.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::ErofsError;
use super::data::Stream;
use super::dirent::{self, Dirent};
use super::format::{
    BLOCK, BLOCK_BITS, BLOCK_SIZE, COMPAT_CHECKSUM, COMPAT_MTIME, INODE_SIZE, LAYOUT_INLINE,
    LAYOUT_PLAIN, MAGIC, SLOT, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE,
};
use super::tree::{Device, Extent, Inode, InodeId, Kind, Tree};
use super::xattr;

/// Bytes from the superblock to the end of its block, all of which the checksum covers.
const SUPERBLOCK_AREA: usize = BLOCK_SIZE - 1024;
/// Longest name of a directory entry.
const MAX_NAME: usize = 255;
/// Longest target of a symbolic link that `readlink` gives back whole.
const MAX_TARGET: usize = 4095;

/// What an image carries beside its tree.
#[derive(Clone, Copy, Debug)]
pub struct ImageOptions {
    /// The filesystem's UUID.
    pub uuid: [u8; 16],
    /// Seconds since the epoch.
    pub build_time: u64,
}

/// An image that was written.
#[derive(Debug)]
pub struct Summary {
    /// Bytes of the image, a multiple of 4096.
    pub size: u64,
    /// Inodes in it.
    pub inodes: u64,
    /// The file, not synchronised.
    pub file: File,
}

/// An image in the making.
#[derive(Debug)]
pub struct ImageWriter {
    stream: Stream,
    current: Option<u64>,
}

impl ImageWriter {
    /// Starts an image in an empty file.
    pub fn new(file: File) -> Result<Self, ErofsError> {
        Ok(Self {
            stream: Stream::new(file, BLOCK),
            current: None,
        })
    }

    /// Starts the data of a regular file at the next block, and returns where that lies in bytes.
    pub fn begin_file(&mut self) -> Result<u64, ErofsError> {
        self.stream.align()?;
        let start = self.stream.position();
        self.current = Some(start);
        Ok(start)
    }

    /// Appends to the data of the file.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ErofsError> {
        self.stream.write(bytes)
    }

    /// Appends zeros to the data of the file, without room on disk where they fill blocks.
    pub fn hole(&mut self, length: u64) -> Result<(), ErofsError> {
        self.stream.skip(length)
    }

    /// Ends the data of the file and returns where it lies.
    pub fn end_file(&mut self) -> Result<Extent, ErofsError> {
        let end = self.stream.position();
        let start = self.current.take().unwrap_or(end);
        if start == end {
            return Ok(Extent::default());
        }
        Ok(Extent {
            block: block_number(start)?,
            size: end - start,
        })
    }

    /// Turns the data of a file that no inode refers to any more into zeros.
    pub fn discard(&mut self, extent: Extent) -> Result<(), ErofsError> {
        self.stream.clear(extent)
    }

    /// Reads back data that was written. Fewer bytes than asked for only at the end of the extent
    /// or of what one system call gives.
    pub fn read_data(
        &self,
        extent: Extent,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, ErofsError> {
        let left = usize::try_from(extent.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let start = u64::from(extent.block) * BLOCK + offset;
        self.stream.read_at(&mut buffer[..length], start)
    }

    /// Writes the tree, whose files all lie in the data already, and ends the image.
    pub fn finish(mut self, tree: &Tree, options: &ImageOptions) -> Result<Summary, ErofsError> {
        self.stream.align()?;
        let mut plan = Plan::new(tree, self.stream.position())?;
        plan.place()?;
        for placed in &plan.placed {
            if placed.blocks > 0 {
                let contents = plan.contents(placed);
                let whole = usize::try_from(placed.blocks * BLOCK).unwrap_or(usize::MAX);
                self.stream.write(&contents[..whole.min(contents.len())])?;
                self.stream.align()?;
            }
        }
        let metadata = self.stream.position();
        for placed in &plan.placed {
            let offset = metadata + placed.offset - self.stream.position();
            self.stream.skip(offset)?;
            self.stream.write(&plan.inode(placed))?;
        }
        let inodes = plan.placed.len() as u64;
        let (file, size) = self.stream.finish()?;
        let superblock = superblock(options, inodes, size, metadata)?;
        file.write_all_at(&superblock, SUPERBLOCK_OFFSET)
            .map_err(|source| ErofsError::Io {
                operation: "write",
                source,
            })?;
        Ok(Summary { size, inodes, file })
    }
}

/// Where everything of a tree goes.
struct Plan<'a> {
    tree: &'a Tree,
    placed: Vec<Placed>,
    /// By inode id: its place in `placed`.
    order: Vec<u32>,
    next_block: u64,
}

struct Placed {
    id: InodeId,
    parent: u32,
    links: u32,
    /// Bytes from the start of the inode area.
    offset: u64,
    xattrs: Vec<u8>,
    /// Bytes of contents of a directory or link.
    size: u64,
    /// Whole blocks of these in the data area, and where they start.
    blocks: u64,
    first_block: u32,
    inline: bool,
}

const UNSEEN: u32 = u32::MAX;

impl<'a> Plan<'a> {
    /// Takes note of every inode that a name leads to, parents first.
    fn new(tree: &'a Tree, data_end: u64) -> Result<Self, ErofsError> {
        let mut plan = Self {
            tree,
            placed: Vec::new(),
            order: vec![UNSEEN; tree.len()],
            next_block: data_end / BLOCK,
        };
        plan.see(InodeId::ROOT, 0)?;
        plan.placed[0].links = 2;
        let mut next = 0;
        while let Some(placed) = plan.placed.get(next) {
            if let Kind::Directory(names) = &tree.get(placed.id).kind {
                let parent = u32::try_from(next).map_err(|_| ErofsError::TooLarge)?;
                for (name, child) in names {
                    if name.len() > MAX_NAME {
                        return Err(plan.unfit(
                            next,
                            Some(name),
                            "the name is longer than 255 bytes",
                        ));
                    }
                    plan.see(*child, parent)?;
                }
            }
            next += 1;
        }
        Ok(plan)
    }

    fn see(&mut self, id: InodeId, parent: u32) -> Result<(), ErofsError> {
        let seen = self.order[id.index()];
        if seen != UNSEEN {
            self.placed[seen as usize].links += 1;
            return Ok(());
        }
        let number = u32::try_from(self.placed.len()).map_err(|_| ErofsError::TooLarge)?;
        self.order[id.index()] = number;
        let mut links = 1;
        if matches!(self.tree.get(id).kind, Kind::Directory(_)) {
            links = 2;
            if let Some(parent) = self.placed.get_mut(parent as usize) {
                parent.links += 1;
            }
        }
        self.placed.push(Placed {
            id,
            parent,
            links,
            offset: 0,
            xattrs: Vec::new(),
            size: 0,
            blocks: 0,
            first_block: 0,
            inline: false,
        });
        Ok(())
    }
}

impl Plan<'_> {
    /// Decides where each inode and each directory goes.
    fn place(&mut self) -> Result<(), ErofsError> {
        // The first slots stay empty: an inode number of 0 would be taken for no inode at all.
        let mut cursor = INODE_SIZE as u64;
        for number in 0..self.placed.len() {
            let inode = self.tree.get(self.placed[number].id);
            let xattrs = xattr::encode(&inode.metadata.xattrs)
                .map_err(|reason| self.unfit(number, None, reason))?;
            let size = match &inode.kind {
                Kind::Directory(names) => dirent::size(with_dots(names.keys().map(|name| &**name))),
                Kind::Symlink(target) if target.is_empty() || target.len() > MAX_TARGET => {
                    let reason = "the target of a link has 1 to 4095 bytes";
                    return Err(self.unfit(number, None, reason));
                }
                Kind::Symlink(target) => target.len() as u64,
                Kind::CharDevice(device) | Kind::BlockDevice(device)
                    if device.major >= 1 << 12 || device.minor >= 1 << 20 =>
                {
                    return Err(self.unfit(number, None, "the device number is too large"));
                }
                _ => 0,
            };
            let head = (INODE_SIZE + xattrs.len()) as u64;
            let tail = size % BLOCK;
            let inline = tail > 0 && head + tail <= BLOCK;
            let blocks = if inline {
                size / BLOCK
            } else {
                size.div_ceil(BLOCK)
            };
            let length = if inline { head + tail } else { head };
            // Neither an inline tail nor, where it can be helped, an inode crosses a block.
            if length <= BLOCK && cursor % BLOCK + length > BLOCK {
                cursor = cursor.next_multiple_of(BLOCK);
            }
            let placed = &mut self.placed[number];
            placed.offset = cursor;
            placed.xattrs = xattrs;
            placed.size = size;
            placed.blocks = blocks;
            placed.inline = inline;
            if blocks > 0 {
                placed.first_block =
                    u32::try_from(self.next_block).map_err(|_| ErofsError::TooLarge)?;
                self.next_block += blocks;
            }
            cursor = (cursor + length).next_multiple_of(SLOT);
        }
        Ok(())
    }

    /// Returns the contents of a directory or a link.
    fn contents(&self, placed: &Placed) -> Vec<u8> {
        match &self.tree.get(placed.id).kind {
            Kind::Symlink(target) => target.to_vec(),
            Kind::Directory(names) => {
                let entries: Vec<Dirent<'_>> = with_dots(names.keys().map(|name| &**name))
                    .map(|name| {
                        let number = match (name, names.get(name)) {
                            (b".", _) => self.order[placed.id.index()],
                            (_, Some(child)) => self.order[child.index()],
                            (_, None) => placed.parent,
                        };
                        let target = &self.placed[number as usize];
                        Dirent {
                            name,
                            nid: target.offset / SLOT,
                            file_type: dirent::file_type(&self.tree.get(target.id).kind),
                        }
                    })
                    .collect();
                dirent::encode(&entries)
            }
            _ => Vec::new(),
        }
    }

    /// Returns the bytes of an inode, with its attributes and what lies inline behind them.
    fn inode(&self, placed: &Placed) -> Vec<u8> {
        let Inode { metadata, kind } = self.tree.get(placed.id);
        let (file_type, size, address) = match kind {
            Kind::Directory(_) => (0o04, placed.size, placed.first_block),
            Kind::File(extent) => (0o10, extent.size, extent.block),
            Kind::Symlink(_) => (0o12, placed.size, placed.first_block),
            Kind::CharDevice(device) => (0o02, 0, device_number(*device)),
            Kind::BlockDevice(device) => (0o06, 0, device_number(*device)),
            Kind::Fifo => (0o01, 0, 0),
            Kind::Socket => (0o14, 0, 0),
        };
        let layout = if placed.inline {
            LAYOUT_INLINE
        } else {
            LAYOUT_PLAIN
        };
        let number = self.order[placed.id.index()];
        let mut bytes = Vec::with_capacity(INODE_SIZE + placed.xattrs.len());
        bytes.extend((1 | layout << 1).to_le_bytes());
        bytes.extend(xattr::count(placed.xattrs.len()).unwrap_or(0).to_le_bytes());
        bytes.extend((file_type << 12 | metadata.permissions & 0o7777).to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(size.to_le_bytes());
        bytes.extend(address.to_le_bytes());
        bytes.extend((number + 1).to_le_bytes());
        bytes.extend(metadata.uid.to_le_bytes());
        bytes.extend(metadata.gid.to_le_bytes());
        bytes.extend(metadata.mtime.seconds.to_le_bytes());
        bytes.extend(metadata.mtime.nanoseconds.to_le_bytes());
        bytes.extend(placed.links.to_le_bytes());
        bytes.resize(INODE_SIZE, 0);
        bytes.extend_from_slice(&placed.xattrs);
        if placed.inline {
            let contents = self.contents(placed);
            let whole = usize::try_from(placed.blocks * BLOCK).unwrap_or(usize::MAX);
            bytes.extend_from_slice(contents.get(whole..).unwrap_or_default());
        }
        bytes
    }

    /// Returns an error that names an inode by its path.
    fn unfit(&self, number: usize, name: Option<&[u8]>, reason: &'static str) -> ErofsError {
        let mut components: Vec<Vec<u8>> = name.into_iter().map(<[u8]>::to_vec).collect();
        let mut number = number;
        while number != 0 {
            let parent = self.placed[number].parent as usize;
            let id = self.placed[number].id;
            if let Kind::Directory(names) = &self.tree.get(self.placed[parent].id).kind {
                let name = names.iter().find(|(_, child)| **child == id);
                components.extend(name.map(|(name, _)| name.to_vec()));
            }
            number = parent;
        }
        components.reverse();
        ErofsError::Unfit {
            path: String::from_utf8_lossy(&components.join(&b'/')).into_owned(),
            reason,
        }
    }
}

/// Puts `.` and `..` where they belong in the order of the names.
fn with_dots<'a>(names: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let mut names = names.peekable();
    let mut dots = [&b"."[..], b".."].into_iter().peekable();
    std::iter::from_fn(move || match (dots.peek(), names.peek()) {
        (Some(dot), Some(name)) if name < dot => names.next(),
        (Some(_), _) => dots.next(),
        (None, _) => names.next(),
    })
}

/// Source: the kernel's `new_encode_dev`.
fn device_number(device: Device) -> u32 {
    device.minor & 0xff | device.major << 8 | (device.minor & !0xff) << 12
}

fn block_number(offset: u64) -> Result<u32, ErofsError> {
    u32::try_from(offset / BLOCK).map_err(|_| ErofsError::TooLarge)
}

/// Returns the rest of block 0 from the superblock on, checksum included.
fn superblock(
    options: &ImageOptions,
    inodes: u64,
    size: u64,
    metadata: u64,
) -> Result<Vec<u8>, ErofsError> {
    let root = u16::try_from(INODE_SIZE as u64 / SLOT).map_err(|_| ErofsError::TooLarge)?;
    let mut bytes = Vec::with_capacity(SUPERBLOCK_AREA);
    bytes.extend(MAGIC.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend((COMPAT_CHECKSUM | COMPAT_MTIME).to_le_bytes());
    bytes.extend([BLOCK_BITS, 0]);
    bytes.extend(root.to_le_bytes());
    bytes.extend(inodes.to_le_bytes());
    bytes.extend(options.build_time.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(block_number(size)?.to_le_bytes());
    bytes.extend(block_number(metadata)?.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(options.uuid);
    debug_assert!(bytes.len() <= SUPERBLOCK_SIZE);
    bytes.resize(SUPERBLOCK_AREA, 0);
    let checksum = !crc32c::crc32c(&bytes);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}
