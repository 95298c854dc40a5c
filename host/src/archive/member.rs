//! The header of a member of a tar that msb writes: the same member, the same bytes.
//!
//! Owns the form: ustar, and before it a PAX header with what ustar has no room for.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msb_erofs::{Device, Timestamp};
use tar::{EntryType, Header};

use super::{EntryXattrs, NodeKind};
use crate::tar::{SparseMap, SparseRegion, TAR_BLOCK};

/// Bytes of a name in a ustar header.
const NAME: usize = 100;
/// The largest number in the seven octal digits that owners have in a ustar header.
const MAX_OWNER: u32 = 0o7_777_777;
/// The largest number in the eleven octal digits that lengths and times have.
const MAX_LONG: u64 = 0o77_777_777_777;

/// A member of a tar.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its path, without slashes at its ends; empty for the root.
    pub(super) path: Vec<u8>,
    pub(super) kind: NodeKind,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timestamp,
    pub(super) device: Device,
    /// Where a link leads.
    pub(super) target: Vec<u8>,
    pub(super) xattrs: EntryXattrs,
}

impl Member {
    /// Returns the header, which `stored` bytes of contents follow, and the map of a sparse file,
    /// which stands between the two.
    pub(super) fn header(&self, stored: u64, sparse: Option<&SparseMap>) -> Vec<u8> {
        let mut records = Vec::new();
        let mut header = Header::new_ustar();
        header.set_entry_type(match self.kind {
            NodeKind::File | NodeKind::Other => EntryType::Regular,
            NodeKind::Directory => EntryType::Directory,
            NodeKind::Symlink => EntryType::Symlink,
            NodeKind::Hardlink => EntryType::Link,
            NodeKind::CharDevice => EntryType::Char,
            NodeKind::BlockDevice => EntryType::Block,
            NodeKind::Fifo => EntryType::Fifo,
        });
        header.set_mode(u32::from(self.mode));
        let map = sparse.map(map_block).unwrap_or_default();
        let path = self.written_path();
        if let Some(sparse) = sparse {
            record(&mut records, b"GNU.sparse.major", b"1");
            record(&mut records, b"GNU.sparse.minor", b"0");
            record(&mut records, b"GNU.sparse.name", &path);
            let length = sparse.length.to_string();
            record(&mut records, b"GNU.sparse.realsize", length.as_bytes());
        } else if path.len() > NAME {
            record(&mut records, b"path", &path);
        }
        if self.target.len() > NAME {
            record(&mut records, b"linkpath", &self.target);
        }
        let mut owner = |key: &[u8], id: u32| {
            if id > MAX_OWNER {
                record(&mut records, key, id.to_string().as_bytes());
            }
            u64::from(id.min(MAX_OWNER))
        };
        header.set_uid(owner(b"uid", self.uid));
        header.set_gid(owner(b"gid", self.gid));
        let size = map.len() as u64 + stored;
        if size > MAX_LONG {
            record(&mut records, b"size", size.to_string().as_bytes());
        }
        header.set_size(size.min(MAX_LONG));
        let seconds = u64::try_from(self.mtime.seconds).ok();
        let seconds = seconds.filter(|seconds| *seconds <= MAX_LONG && self.mtime.nanoseconds == 0);
        if seconds.is_none() {
            record(&mut records, b"mtime", decimal(self.mtime).as_bytes());
        }
        header.set_mtime(seconds.unwrap_or(0));
        for (name, value) in self.xattrs.iter() {
            // A record ends its key at the first `=`, so such names are written as libarchive does.
            if name.contains(&b'=') {
                let key = [b"LIBARCHIVE.xattr.", percent_encoded(name).as_bytes()].concat();
                record(&mut records, &key, STANDARD.encode(value).as_bytes());
            } else {
                record(&mut records, &[b"SCHILY.xattr.", &**name].concat(), value);
            }
        }
        if let Some(fields) = header.as_ustar_mut() {
            fill(&mut fields.name, &path);
            fill(&mut fields.linkname, &self.target);
            // Larger numbers than these are not device numbers anywhere.
            let is_device = matches!(self.kind, NodeKind::CharDevice | NodeKind::BlockDevice);
            let device = if is_device {
                self.device
            } else {
                Device::default()
            };
            fill(&mut fields.dev_major, &octal(device.major));
            fill(&mut fields.dev_minor, &octal(device.minor));
        }
        header.set_cksum();
        let mut bytes = Vec::new();
        if !records.is_empty() {
            let mut extension = Header::new_ustar();
            extension.set_entry_type(EntryType::XHeader);
            extension.set_mode(0o644);
            extension.set_uid(0);
            extension.set_gid(0);
            extension.set_mtime(0);
            extension.set_size(records.len() as u64);
            if let Some(fields) = extension.as_ustar_mut() {
                fill(&mut fields.name, b"PaxHeader");
            }
            extension.set_cksum();
            bytes.extend_from_slice(extension.as_bytes());
            bytes.append(&mut records);
            fill_up(&mut bytes);
        }
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&map);
        bytes
    }

    fn written_path(&self) -> Vec<u8> {
        let mut path = self.path.clone();
        if path.is_empty() {
            path.push(b'.');
        }
        if self.kind == NodeKind::Directory {
            path.push(b'/');
        }
        path
    }
}

/// Returns how many zeros follow contents of this length.
pub(super) fn padding(length: u64) -> u64 {
    length.next_multiple_of(TAR_BLOCK) - length
}

fn fill_up(bytes: &mut Vec<u8>) {
    let padding = padding(bytes.len() as u64);
    bytes.extend((0..padding).map(|_| 0));
}

fn fill(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field.fill(0);
    field[..length].copy_from_slice(&text[..length]);
}

fn octal(number: u32) -> [u8; 7] {
    let mut digits = [b'0'; 7];
    let mut left = number.min(MAX_OWNER);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 8).unwrap_or(0);
        left /= 8;
    }
    digits
}

/// Adds a record of PAX: its own length in decimal digits, key and value.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Returns a time as PAX writes it. Nanoseconds count forward, so -1.5 is half a second after -2.
fn decimal(time: Timestamp) -> String {
    let (sign, seconds, nanoseconds) = match (time.seconds < 0, time.nanoseconds) {
        (true, 1..) => (
            "-",
            (time.seconds + 1).unsigned_abs(),
            1_000_000_000_u32.saturating_sub(time.nanoseconds),
        ),
        (true, 0) => ("-", time.seconds.unsigned_abs(), 0),
        (false, nanoseconds) => ("", time.seconds.unsigned_abs(), nanoseconds),
    };
    if nanoseconds == 0 {
        return format!("{sign}{seconds}");
    }
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    text.trim_end_matches('0').to_owned()
}

fn percent_encoded(name: &[u8]) -> String {
    name.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// Returns the map of a sparse file in the form 1.0 of GNU tar. A hole at the end has an empty region
/// after it: GNU tar knows the length of the file from that alone.
fn map_block(map: &SparseMap) -> Vec<u8> {
    let last = map.regions.last();
    let has_last_hole = last.is_none_or(|last| last.end() < map.length);
    let end = has_last_hole.then_some(SparseRegion {
        offset: map.length,
        length: 0,
    });
    let mut text = format!("{}\n", map.regions.len() + usize::from(has_last_hole));
    for region in map.regions.iter().chain(&end) {
        let _ = write!(text, "{}\n{}\n", region.offset, region.length);
    }
    let mut bytes = text.into_bytes();
    fill_up(&mut bytes);
    bytes
}

#[cfg(test)]
#[path = "member_tests.rs"]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
