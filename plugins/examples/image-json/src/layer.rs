//! A layer as a tar, made piece by piece.

use std::fmt::Write as _;
use std::vec;

use msb_plugin::{Archive, Error};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::document::{Contents, File};

/// How many bytes are read at a time, which is as many as the host gives.
const CHUNK: usize = 1 << 20;

/// The unit of a tar, in bytes.
const BLOCK: u64 = 512;

/// A tar in the making. The same files give the same bytes.
pub(crate) struct LayerTar {
    number: usize,
    files: vec::IntoIter<File>,
    /// Bytes that are ready.
    ready: Vec<u8>,
    /// How many of them are gone.
    gone: usize,
    /// The entry whose bytes come next.
    body: Option<Body>,
    ended: bool,
}

struct Body {
    path: String,
    index: u32,
    offset: u64,
    size: u64,
}

impl LayerTar {
    /// Begins the tar of a layer.
    pub(crate) fn new(number: usize, files: Vec<File>) -> Self {
        Self {
            number,
            files: files.into_iter(),
            ready: Vec::new(),
            gone: 0,
            body: None,
            ended: false,
        }
    }

    /// Returns the digest and the length of the whole tar.
    pub(crate) fn measure(mut self, archive: &dyn Archive) -> Result<(String, u64), Error> {
        let mut hasher = Sha256::new();
        let mut size = 0;
        loop {
            let bytes = self.next(archive, CHUNK)?;
            if bytes.is_empty() {
                return Ok((format!("sha256:{}", hex(&hasher.finalize())), size));
            }
            size += bytes.len() as u64;
            hasher.update(&bytes);
        }
    }

    /// Returns at most `limit` of the next bytes, none at the end.
    pub(crate) fn next(&mut self, archive: &dyn Archive, limit: usize) -> Result<Vec<u8>, Error> {
        while self.gone == self.ready.len() {
            self.gone = 0;
            self.ready.clear();
            if let Some(body) = &mut self.body {
                if body.read(archive, &mut self.ready)? {
                    self.body = None;
                }
            } else if let Some(file) = self.files.next() {
                self.begin(archive, file)?;
            } else if self.ended {
                return Ok(Vec::new());
            } else {
                self.ended = true;
                self.ready.extend([0; 2 * 512]);
            }
        }
        let rest = self.ready.get(self.gone..).unwrap_or_default();
        let next = rest.get(..limit).unwrap_or(rest).to_vec();
        self.gone += next.len();
        Ok(next)
    }

    /// Makes the header of a file ready, and its bytes if they are at hand.
    fn begin(&mut self, archive: &dyn Archive, file: File) -> Result<(), Error> {
        let mut header = Header::new_ustar();
        header.set_mode(file.mode);
        header.set_uid(file.uid);
        header.set_gid(file.gid);
        header.set_mtime(0);
        header.set_size(0);
        let mut bytes = Vec::new();
        let mut target = None;
        match file.contents {
            Contents::Bytes(contents) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(contents.len() as u64);
                bytes = contents;
                let padding = (bytes.len() as u64).next_multiple_of(BLOCK) - bytes.len() as u64;
                bytes.extend((0..padding).map(|_| 0));
            }
            Contents::Entry(path) => {
                let Some(entry) = archive.find(&path) else {
                    return Err(Error::Missing(format!(
                        "{path}, which layer {} has as {}, is not in the archive",
                        self.number, file.path
                    )));
                };
                header.set_entry_type(EntryType::Regular);
                header.set_size(entry.size);
                let body = Body {
                    path,
                    index: entry.index,
                    offset: 0,
                    size: entry.size,
                };
                self.body = Some(body).filter(|body| body.size > 0);
            }
            Contents::Symlink(to) => {
                header.set_entry_type(EntryType::Symlink);
                target = Some(to);
            }
            Contents::Directory => header.set_entry_type(EntryType::Directory),
        }
        self.ready = head(&mut header, &file.path, target.as_deref())
            .map_err(|error| Error::Malformed(format!("{}: {error}", file.path)))?;
        self.ready.append(&mut bytes);
        Ok(())
    }
}

impl Body {
    /// Reads the next bytes, and padding after the last. Returns whether these were the last.
    fn read(&mut self, archive: &dyn Archive, ready: &mut Vec<u8>) -> Result<bool, Error> {
        let rest = self.size - self.offset;
        let length = u32::try_from(rest.min(CHUNK as u64)).unwrap_or(u32::MAX);
        *ready = archive.read(self.index, self.offset, length)?;
        if ready.is_empty() {
            return Err(Error::Malformed(format!(
                "{} ends after {} of {} bytes",
                self.path, self.offset, self.size
            )));
        }
        self.offset += ready.len() as u64;
        if self.offset < self.size {
            return Ok(false);
        }
        let padding = self.size.next_multiple_of(BLOCK) - self.size;
        ready.extend((0..padding).map(|_| 0));
        Ok(true)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Returns a header as it stands in a tar. What is too long for it stands in a PAX header before.
fn head(header: &mut Header, path: &str, target: Option<&str>) -> std::io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut long = Vec::new();
    if header.set_path(path).is_err() {
        long.push(("path", path.as_bytes()));
        // What did fit of it is of no use alone.
        if let Some(fields) = header.as_ustar_mut() {
            fields.prefix.fill(0);
        }
        header.set_path("long")?;
    }
    if let Some(target) = target
        && header.set_link_name_literal(target).is_err()
    {
        long.push(("linkpath", target.as_bytes()));
        header.set_link_name_literal("long")?;
    }
    if !long.is_empty() {
        builder.append_pax_extensions(long)?;
    }
    header.set_cksum();
    let mut bytes = builder.get_ref().clone();
    bytes.extend_from_slice(header.as_bytes());
    Ok(bytes)
}
