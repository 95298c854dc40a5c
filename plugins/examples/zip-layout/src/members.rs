//! The directory of a zip archive, and its members as an archive that layouts are read from.

use std::cell::RefCell;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use msb_plugin::{Archive, Entry, EntryKind, Error};
use zip::{CompressionMethod, ZipArchive};

use crate::body::Body;

/// The first bytes of an archive with members, and of an empty one.
const MAGIC: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// The most members: a layout has one for each manifest, configuration and layer.
const MAX_MEMBERS: usize = 10_000;
/// How much is read at a time in search of the directory and of headers.
const CHUNK: usize = 16 << 10;

/// The members of an archive.
pub(crate) struct Zip {
    members: Vec<Member>,
    /// The folder that all of them are in, with a slash at its end; else empty.
    folder: String,
}

/// A file in an archive.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// In normal form, below the folder that all members are in.
    pub(crate) path: String,
    /// Where its bytes begin in the input.
    pub(crate) offset: u64,
    /// How many bytes it has in the input.
    pub(crate) packed: u64,
    /// How many bytes it has, as the directory says.
    pub(crate) size: u64,
    /// The checksum of these, likewise.
    pub(crate) crc32: u32,
    pub(crate) packing: Packing,
}

/// How a member is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Stored,
    Deflated,
    /// In a way that is not read here.
    Other(String),
}

impl Zip {
    /// Reads the directory.
    pub(crate) fn open(archive: &dyn Archive) -> Result<Self, Error> {
        let input = archive.only_file()?;
        let start = archive.read(input.index, 0, 4)?;
        if !MAGIC.contains(&start.as_slice()) {
            return Err(Error::NotMine(
                "it does not begin like a zip archive".to_owned(),
            ));
        }
        let input = Input {
            archive,
            index: input.index,
            size: input.size,
            position: 0,
        };
        let directory = ZipArchive::new(BufReader::with_capacity(CHUNK, input));
        let mut directory =
            directory.map_err(|error| Error::Malformed(format!("the zip archive: {error}")))?;
        if directory.len() > MAX_MEMBERS {
            return Err(Error::TooLarge(format!(
                "it has {} members, and {MAX_MEMBERS} is the limit",
                directory.len()
            )));
        }
        let mut members = Vec::new();
        for number in 0..directory.len() {
            members.extend(member(&mut directory, number)?);
        }
        let folder = strip_folder(&mut members);
        Ok(Self { members, folder })
    }

    /// Returns the last member at a path.
    pub(crate) fn member(&self, path: &str) -> Option<&Member> {
        self.members.iter().rfind(|member| member.path == path)
    }

    /// Returns the path of a member by its number.
    pub(crate) fn path(&self, index: u32) -> Result<&str, Error> {
        Ok(&self.numbered(index)?.path)
    }

    /// Says what to do with an archive that is something else.
    pub(crate) fn is_no_layout(&self) -> Error {
        let is_tar = |member: &&Member| {
            let name = member.path.to_ascii_lowercase();
            let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
            let extension = name.rsplit_once('.').map(|(_, extension)| extension);
            matches!(extension, Some("tar" | "tgz"))
        };
        match self.members.iter().find(is_tar) {
            Some(tar) => Error::Unsupported(format!(
                "the zip archive holds `{0}{1}`, which is loaded without the zip around it: \
                 unzip -p INPUT {2} | msb load",
                self.folder,
                tar.path,
                quoted(&format!("{}{}", self.folder, tar.path))
            )),
            None => Error::NotMine("it has no `index.json` of an OCI layout".to_owned()),
        }
    }

    fn numbered(&self, index: u32) -> Result<&Member, Error> {
        let member = usize::try_from(index)
            .ok()
            .and_then(|it| self.members.get(it));
        member.ok_or_else(|| {
            Error::Missing(format!(
                "the zip archive has no member with the number {index}"
            ))
        })
    }
}

/// Returns a name as one word for a shell, whatever is in it: the archive chooses it.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', r"'\''"))
}

/// Returns a member, `None` for a folder and for a path that leads out of the archive.
fn member<R: Read + Seek>(
    directory: &mut ZipArchive<R>,
    number: usize,
) -> Result<Option<Member>, Error> {
    let file = directory.by_index_raw(number);
    let file = file.map_err(|error| Error::Malformed(format!("member {number}: {error}")))?;
    let parts: Vec<&str> = file.name().split('/').collect();
    if file.is_dir() || parts.contains(&"..") {
        return Ok(None);
    }
    let parts = parts.into_iter().filter(|part| !matches!(*part, "" | "."));
    let path = parts.collect::<Vec<_>>().join("/");
    let offset = file.data_start();
    let offset = offset.ok_or_else(|| Error::Malformed(format!("{path} is nowhere")))?;
    let packing = match file.compression() {
        _ if file.encrypted() => Packing::Other("encrypted".to_owned()),
        CompressionMethod::STORE => Packing::Stored,
        CompressionMethod::DEFLATE => Packing::Deflated,
        method => Packing::Other(format!("compressed with {method}")),
    };
    Ok(Some(Member {
        path,
        offset,
        packed: file.compressed_size(),
        size: file.size(),
        crc32: file.crc32(),
        packing,
    }))
}

/// Makes the folder that all members are in the root, as if it had been zipped from inside, and returns it.
fn strip_folder(members: &mut [Member]) -> String {
    let first = members
        .first()
        .and_then(|member| member.path.split_once('/'));
    let Some(folder) = first.map(|(folder, _)| format!("{folder}/")) else {
        return String::new();
    };
    // `blobs` is a part of a layout itself.
    if folder == "blobs/"
        || !members
            .iter()
            .all(|member| member.path.starts_with(&folder))
    {
        return String::new();
    }
    for member in members {
        member.path.drain(..folder.len());
    }
    folder
}

/// The input, for a reader that goes back and forth in it.
struct Input<'a> {
    archive: &'a dyn Archive,
    index: u32,
    size: u64,
    position: u64,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let bytes = self.archive.read(self.index, self.position, length);
        let bytes = bytes.map_err(|error| io::Error::other(format!("{error:?}")))?;
        let length = bytes.len().min(buffer.len());
        let (head, _) = buffer.split_at_mut(length);
        head.copy_from_slice(bytes.get(..length).unwrap_or_default());
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Input<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// The members as an archive.
pub(crate) struct Files<'a> {
    archive: &'a dyn Archive,
    zip: &'a Zip,
    /// The document that was read last, which is asked for in pieces.
    last: RefCell<Option<(u32, Vec<u8>)>>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(archive: &'a dyn Archive, zip: &'a Zip) -> Self {
        Self {
            archive,
            zip,
            last: RefCell::default(),
        }
    }

    /// Returns all of a member, of at most `limit` bytes.
    pub(crate) fn document(&self, index: u32, limit: u64) -> Result<Vec<u8>, Error> {
        let member = self.zip.numbered(index)?;
        if member.size > limit {
            return Err(Error::TooLarge(format!(
                "{} is {} bytes long, and documents are limited to {limit} bytes",
                member.path, member.size
            )));
        }
        let mut body = Body::of(member)?;
        let mut document = Vec::new();
        loop {
            let bytes = body.next(self.archive, usize::try_from(limit).unwrap_or(usize::MAX))?;
            if bytes.is_empty() {
                return Ok(document);
            }
            document.extend(bytes);
        }
    }

    fn entry(&self, number: usize) -> Option<Entry> {
        let member = self.zip.members.get(number)?;
        Some(Entry {
            index: u32::try_from(number).ok()?,
            path: member.path.clone(),
            kind: EntryKind::File,
            size: member.size,
            target: None,
            readable: true,
            digest: None,
        })
    }
}

impl Archive for Files<'_> {
    fn entries(&self) -> Box<dyn Iterator<Item = Entry> + '_> {
        Box::new((0..self.zip.members.len()).filter_map(|number| self.entry(number)))
    }

    fn find(&self, path: &str) -> Option<Entry> {
        let is_it = |member: &Member| member.path == path;
        self.entry(self.zip.members.iter().rposition(is_it)?)
    }

    fn read(&self, index: u32, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|(of, _)| *of != index) {
            *last = Some((index, self.document(index, msb_plugin::oci::CONFIG_LIMIT)?));
        }
        let bytes = last.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| bytes.get(offset..));
        let rest = rest.unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(rest.get(..length).unwrap_or(rest).to_vec())
    }
}
