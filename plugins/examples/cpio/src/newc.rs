//! The form `newc` of cpio: which members there are, and where their contents are.
//!
//! Source: `cpio(5)`, and the kernel's "initramfs buffer format".

use std::cell::RefCell;
use std::collections::HashMap;

use msb_plugin::{Archive, Entry, EntryKind, Error};

use crate::window::Window;

/// The first bytes of a member, without and with a checksum.
const MAGIC: [&[u8]; 2] = [b"070701", b"070702"];
/// The other forms of cpio.
const OTHERS: [&[u8]; 3] = [b"070707", b"\xc7\x71", b"\x71\xc7"];
const HEADER: usize = 110;
/// The name of what ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// The most bytes of a name or of a link's target.
const MAX_NAME: u64 = 4096;
/// The most members.
const MAX_MEMBERS: usize = 1_000_000;

/// The archives in an input, which follow each other.
pub(crate) struct Cpio {
    pub(crate) members: Vec<Member>,
    /// Where something begins that is no such archive.
    pub(crate) rest: Option<u64>,
    /// How many members were sockets, which are in no filesystem until a program makes them.
    pub(crate) sockets: usize,
}

/// Something in the filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Without a slash or dot at its beginning; empty for the root.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// Permissions.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970.
    pub(crate) mtime: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file, whose contents begin there in the input.
    File {
        offset: u64,
        size: u64,
    },
    Directory,
    Symlink(Vec<u8>),
    /// The path of another file, which this is as well.
    Hardlink(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// The numbers in a header.
struct Header {
    ino: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    nlink: u32,
    mtime: u32,
    size: u32,
    device: (u32, u32),
    special: (u32, u32),
    name: u32,
}

impl Cpio {
    /// Reads the headers of all archives in the input.
    pub(crate) fn read(archive: &dyn Archive) -> Result<Self, Error> {
        let input = archive.only_file()?;
        let mut window = Window::default();
        let start = window.read_exact(archive, 0, HEADER)?;
        if !is_magic(&start) {
            if OTHERS.iter().any(|magic| start.starts_with(magic)) {
                return Err(Error::Unsupported(
                    "a cpio archive in an old form: make one with `cpio -H newc`".to_owned(),
                ));
            }
            return Err(Error::NotMine("it does not begin like cpio".to_owned()));
        }
        let mut cpio = Self {
            members: Vec::new(),
            rest: None,
            sockets: 0,
        };
        let mut offset = 0;
        loop {
            offset = cpio.read_one(archive, &mut window, offset)?;
            match next_archive(archive, &mut window, offset)? {
                Some((next, true)) => offset = next,
                Some((next, false)) => {
                    cpio.rest = Some(next);
                    return Ok(cpio);
                }
                None => return Ok(cpio),
            }
            if offset > input.size {
                return Ok(cpio);
            }
        }
    }

    /// Reads one archive and returns where it ends.
    fn read_one(
        &mut self,
        archive: &dyn Archive,
        window: &mut Window,
        mut offset: u64,
    ) -> Result<u64, Error> {
        let mut linked: HashMap<(u32, (u32, u32)), usize> = HashMap::new();
        loop {
            let header = Header::read(&window.read_exact(archive, offset, HEADER)?, offset)?;
            let name_length = u64::from(header.name);
            if name_length == 0 || name_length > MAX_NAME {
                return Err(malformed(offset, "a name of an impossible length"));
            }
            let length = usize::try_from(name_length).unwrap_or_default();
            let name = window.read_exact(archive, offset + HEADER as u64, length)?;
            let Some((0, name)) = name.split_last().filter(|_| name.len() == length) else {
                return Err(malformed(offset, "a name that does not end"));
            };
            let contents = (offset + HEADER as u64 + name_length).next_multiple_of(4);
            let size = u64::from(header.size);
            if name == TRAILER {
                return Ok(contents);
            }
            self.add(archive, window, &header, name, contents, &mut linked)?;
            offset = (contents + size).next_multiple_of(4);
        }
    }

    fn add(
        &mut self,
        archive: &dyn Archive,
        window: &mut Window,
        header: &Header,
        name: &[u8],
        contents: u64,
        linked: &mut HashMap<(u32, (u32, u32)), usize>,
    ) -> Result<(), Error> {
        if self.members.len() >= MAX_MEMBERS {
            return Err(Error::TooLarge(format!(
                "it has more than {MAX_MEMBERS} members"
            )));
        }
        let path = plain(name)?;
        let size = u64::from(header.size);
        let kind = match header.mode & 0o170_000 {
            0o040_000 => Kind::Directory,
            0o120_000 if size <= MAX_NAME => {
                let length = usize::try_from(size).unwrap_or_default();
                Kind::Symlink(window.read_exact(archive, contents, length)?)
            }
            0o020_000 => Kind::CharDevice(header.special.0, header.special.1),
            0o060_000 => Kind::BlockDevice(header.special.0, header.special.1),
            0o010_000 => Kind::Fifo,
            0o140_000 => {
                self.sockets += 1;
                return Ok(());
            }
            0o100_000 => {
                let own = Kind::File {
                    offset: contents,
                    size,
                };
                let inode = (header.ino, header.device);
                let first = linked.get(&inode).copied();
                if let Some(first) = first.filter(|_| header.nlink > 1) {
                    // The bytes are with one of the names, often the last.
                    match self.members.get_mut(first) {
                        Some(first) => {
                            if size > 0 {
                                first.kind = own;
                            }
                            Kind::Hardlink(first.path.clone())
                        }
                        None => own,
                    }
                } else {
                    linked.insert(inode, self.members.len());
                    own
                }
            }
            _ => return Err(malformed(contents, "a member of an unknown kind before it")),
        };
        self.members.push(Member {
            path,
            kind,
            mode: header.mode & 0o7777,
            uid: header.uid,
            gid: header.gid,
            mtime: header.mtime,
        });
        Ok(())
    }
}

impl Header {
    fn read(bytes: &[u8], offset: u64) -> Result<Self, Error> {
        if bytes.len() < HEADER || !is_magic(bytes) {
            return Err(malformed(
                offset,
                "no header of a member, and no end before it",
            ));
        }
        let field = |number: usize| {
            let digits = bytes.get(6 + 8 * number..14 + 8 * number);
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            digits
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .ok_or_else(|| malformed(offset, "a header with something else than digits"))
        };
        Ok(Self {
            ino: field(0)?,
            mode: field(1)?,
            uid: field(2)?,
            gid: field(3)?,
            nlink: field(4)?,
            mtime: field(5)?,
            size: field(6)?,
            device: (field(7)?, field(8)?),
            special: (field(9)?, field(10)?),
            name: field(11)?,
        })
    }
}

/// Returns where something follows the zeros after an archive, and whether it is another one.
fn next_archive(
    archive: &dyn Archive,
    window: &mut Window,
    mut offset: u64,
) -> Result<Option<(u64, bool)>, Error> {
    loop {
        let bytes = window.read(archive, offset, usize::MAX)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        match bytes.iter().position(|byte| *byte != 0) {
            None => offset += bytes.len() as u64,
            Some(zeros) => {
                offset += zeros as u64;
                let start = window.read_exact(archive, offset, HEADER)?;
                return Ok(Some((offset, is_magic(&start))));
            }
        }
    }
}

fn is_magic(bytes: &[u8]) -> bool {
    MAGIC.iter().any(|magic| bytes.starts_with(magic))
}

/// Returns a path without what says nothing.
fn plain(name: &[u8]) -> Result<Vec<u8>, Error> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        let shown = || String::from_utf8_lossy(name).into_owned();
        match part {
            b"" | b"." => {}
            b".." => {
                return Err(Error::Malformed(format!(
                    "`{}` leads out of the filesystem",
                    shown()
                )));
            }
            part if part.starts_with(b".wh.") => {
                return Err(Error::Unsupported(format!(
                    "`{}`: in a layer, this name would remove another file",
                    shown()
                )));
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join(&b'/'))
}

fn malformed(offset: u64, what: &str) -> Error {
    Error::Malformed(format!("at byte {offset} there is {what}"))
}

/// The files of the filesystem as entries of an archive.
pub(crate) struct Files<'a> {
    archive: &'a dyn Archive,
    cpio: &'a Cpio,
    window: RefCell<Window>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(archive: &'a dyn Archive, cpio: &'a Cpio) -> Self {
        Self {
            archive,
            cpio,
            window: RefCell::default(),
        }
    }
}

impl Archive for Files<'_> {
    fn entries(&self) -> Box<dyn Iterator<Item = Entry> + '_> {
        let files = self.cpio.members.iter().enumerate();
        Box::new(files.filter_map(|(number, member)| {
            let Kind::File { size, .. } = member.kind else {
                return None;
            };
            Some(Entry {
                index: u32::try_from(number).ok()?,
                path: String::from_utf8_lossy(&member.path).into_owned(),
                kind: EntryKind::File,
                size,
                target: None,
                readable: true,
                digest: None,
            })
        }))
    }

    /// Finds a file by its own path: links are not followed.
    fn find(&self, path: &str) -> Option<Entry> {
        self.entries().find(|entry| entry.path == path)
    }

    fn read(&self, index: u32, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        let member = self
            .cpio
            .members
            .get(usize::try_from(index).unwrap_or(usize::MAX));
        let Some(Kind::File {
            offset: begin,
            size,
        }) = member.map(|member| &member.kind)
        else {
            return Err(Error::Missing(format!("there is no file {index}")));
        };
        let length = u64::from(length).min(size.saturating_sub(offset));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut window = self.window.borrow_mut();
        window.read_exact(self.archive, begin + offset, length)
    }
}
