//! The members of an archive as a tar, made piece by piece.

use std::fmt::Write as _;
use std::vec;

use msb_plugin::{Archive, Error};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::newc::{Kind, Member};
use crate::window::Window;

/// How many bytes are hashed at a time.
const CHUNK: usize = 1 << 20;
/// The unit of a tar, in bytes.
const BLOCK: u64 = 512;
/// Two empty blocks end a tar.
const END: [u8; 1024] = [0; 1024];
/// The bytes of a name in a header.
const NAME: usize = 100;

/// A tar in the making. The same members give the same bytes.
pub(crate) struct LayerTar {
    members: vec::IntoIter<Member>,
    window: Window,
    /// Bytes that are ready.
    ready: Vec<u8>,
    /// How many of them are gone.
    gone: usize,
    /// Where the contents of the last file go on, how many bytes are left, and how many zeros follow.
    body: Option<(u64, u64, usize)>,
    ended: bool,
}

impl LayerTar {
    pub(crate) fn new(members: Vec<Member>) -> Self {
        Self {
            members: members.into_iter(),
            window: Window::default(),
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
                let digest = hasher.finalize();
                let hex = digest.iter().fold(String::new(), |mut hex, byte| {
                    // Writing to a string does not fail.
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
                return Ok((format!("sha256:{hex}"), size));
            }
            size += bytes.len() as u64;
            hasher.update(&bytes);
        }
    }

    /// Returns at most `limit` of the next bytes, none at the end.
    pub(crate) fn next(&mut self, archive: &dyn Archive, limit: usize) -> Result<Vec<u8>, Error> {
        // Small members are put together: each call of the host costs something.
        while self.ready.len() - self.gone < limit && !self.ended {
            self.ready.drain(..self.gone);
            self.gone = 0;
            if let Some((offset, left, padding)) = self.body.take() {
                self.go_on(archive, offset, left, padding)?;
            } else if let Some(member) = self.members.next() {
                self.begin(member)?;
            } else {
                self.ready.extend(END);
                self.ended = true;
            }
        }
        let rest = self.ready.get(self.gone..).unwrap_or_default();
        let next = rest.get(..limit).unwrap_or(rest).to_vec();
        self.gone += next.len();
        Ok(next)
    }

    fn go_on(
        &mut self,
        archive: &dyn Archive,
        offset: u64,
        left: u64,
        padding: usize,
    ) -> Result<(), Error> {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        let bytes = self.window.read(archive, offset, wanted)?;
        if bytes.is_empty() {
            return Err(Error::Malformed(format!(
                "it ends at byte {offset}, and {left} more belong to a file"
            )));
        }
        let read = bytes.len() as u64;
        self.ready.extend_from_slice(bytes);
        if read < left {
            self.body = Some((offset + read, left - read, padding));
        } else {
            self.ready.extend(std::iter::repeat_n(0, padding));
        }
        Ok(())
    }

    /// Makes the header of a member ready.
    fn begin(&mut self, member: Member) -> Result<(), Error> {
        let mut header = Header::new_ustar();
        header.set_mode(member.mode);
        header.set_uid(member.uid.into());
        header.set_gid(member.gid.into());
        header.set_mtime(member.mtime.into());
        header.set_size(0);
        let mut target = None;
        let mut path = member.path;
        match member.kind {
            Kind::File { offset, size } => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(size);
                let padding = size.next_multiple_of(BLOCK) - size;
                let padding = usize::try_from(padding).unwrap_or_default();
                self.body = (size > 0).then_some((offset, size, padding));
            }
            Kind::Directory => {
                header.set_entry_type(EntryType::Directory);
                if path.is_empty() {
                    path.push(b'.');
                }
                path.push(b'/');
            }
            Kind::Symlink(to) => {
                header.set_entry_type(EntryType::Symlink);
                target = Some(to);
            }
            Kind::Hardlink(to) => {
                header.set_entry_type(EntryType::Link);
                target = Some(to);
            }
            Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => {
                let is_char = matches!(member.kind, Kind::CharDevice(..));
                header.set_entry_type(if is_char {
                    EntryType::Char
                } else {
                    EntryType::Block
                });
                header
                    .set_device_major(major)
                    .and_then(|()| header.set_device_minor(minor))
                    .map_err(|error| Error::Malformed(error.to_string()))?;
            }
            Kind::Fifo => header.set_entry_type(EntryType::Fifo),
        }
        let long = [("path", Some(&path)), ("linkpath", target.as_ref())];
        let long: Vec<(&str, &[u8])> = long
            .into_iter()
            .filter_map(|(key, name)| Some((key, name?.as_slice())))
            .filter(|(_, name)| name.len() > NAME)
            .collect();
        if !long.is_empty() {
            let mut builder = Builder::new(Vec::new());
            builder
                .append_pax_extensions(long)
                .map_err(|error| Error::Malformed(error.to_string()))?;
            self.ready.append(builder.get_mut());
        }
        let fields = header.as_old_mut();
        put(&mut fields.name, &path);
        put(&mut fields.linkname, &target.unwrap_or_default());
        header.set_cksum();
        self.ready.extend_from_slice(header.as_bytes());
        Ok(())
    }
}

/// Puts a name into a field; of a long one, which is given before, as much as it holds.
fn put(field: &mut [u8; NAME], name: &[u8]) {
    for (to, from) in field.iter_mut().zip(name) {
        *to = *from;
    }
}
