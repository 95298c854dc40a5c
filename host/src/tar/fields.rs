//! What the fields of a header and the extension headers before it come to.
//!
//! Owns precedence and ranges: records of the entry, global records, GNU names, the header itself.
//! Reads nothing.

use msb_erofs::{Device, Timestamp};

use super::TarError;
use super::entry::{Entry, EntryKind, SparseMap};
use super::globals::{Globals, InForce};
use super::header::Header;
use super::pax::{self, Records};
use super::sparse;
use crate::limits::Account;

/// What the extension headers in front of an entry say about it.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) records: Option<Records>,
}

/// What follows a header.
pub(super) enum Body {
    /// The payload.
    Plain,
    /// A payload, or nothing in spite of the size field.
    Doubtful,
    /// More of the map that begins in the header, perhaps, then the data.
    GnuSparse,
    /// The data that the map speaks of.
    Sparse(SparseMap),
    /// A map, then the data.
    MapInData {
        /// Bytes of the file.
        length: u64,
    },
}

impl Extensions {
    pub(super) fn are_none(&self) -> bool {
        self.path.is_none() && self.link.is_none() && self.records.is_none()
    }

    /// Returns the entry of a header. Its size is all that follows, maps included.
    pub(super) fn entry(
        self,
        header: &Header<'_>,
        globals: &mut Globals,
        account: &mut Account,
    ) -> Result<(Entry, Body), TarError> {
        let own = self.records.unwrap_or_default();
        let xattrs = globals.xattrs(&own, account)?;
        let records = InForce { own: &own, globals };
        let text = |key: &str| records.get(key).map(<[u8]>::to_vec);
        let sparse = sparse_map(header, &records)?;
        let name = if sparse.is_some() {
            text("GNU.sparse.name")
        } else {
            None
        };
        let path = name
            .or_else(|| text("path"))
            .or(self.path.filter(|path| !path.is_empty()))
            .unwrap_or_else(|| header.path());
        let link = text("linkpath")
            .or(self.link.filter(|link| !link.is_empty()))
            .unwrap_or_else(|| header.link());
        let flag = header.typeflag();
        let size = match number(header, &records, "size")? {
            Some(size) => size,
            None => header.size()?,
        };
        let body = match sparse {
            Some(sparse) => sparse,
            None if flag == b'S' => Body::GnuSparse,
            None if matches!(flag, b'1'..=b'6') && size > 0 => Body::Doubtful,
            None => Body::Plain,
        };
        let entry = Entry {
            kind: kind(flag, &path),
            mode: u16::try_from(header.mode()? & 0o7777).unwrap_or_default(),
            uid: id(header, &records, "uid", || header.uid())?,
            gid: id(header, &records, "gid", || header.gid())?,
            mtime: mtime(header, &records)?,
            device: device(header)?,
            xattrs,
            data_offset: 0,
            sparse: None,
            path,
            link,
            size,
        };
        Ok((entry, body))
    }
}

fn kind(flag: u8, path: &[u8]) -> EntryKind {
    match flag {
        // Before POSIX, a trailing slash made a directory.
        0 | b'0' if path.ends_with(b"/") => EntryKind::Directory,
        0 | b'0' | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::Hardlink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        // The second is a directory with a list of what was in it, of incremental backups.
        b'5' | b'D' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        other => EntryKind::Other(other),
    }
}

fn number(
    header: &Header<'_>,
    records: &InForce<'_>,
    key: &'static str,
) -> Result<Option<u64>, TarError> {
    records
        .number(key)
        .map_err(|reason| header.error(key, reason))
}

/// Returns a user or group. The largest number of 32 bits means "unchanged" to every system call.
fn id(
    header: &Header<'_>,
    records: &InForce<'_>,
    key: &'static str,
    of_header: impl FnOnce() -> Result<i64, TarError>,
) -> Result<u32, TarError> {
    let id = match number(header, records, key)? {
        Some(id) => u32::try_from(id).ok(),
        None => u32::try_from(of_header()?).ok(),
    };
    id.filter(|id| *id < u32::MAX)
        .ok_or_else(|| header.error(key, "it is not between 0 and 4294967294"))
}

fn mtime(header: &Header<'_>, records: &InForce<'_>) -> Result<Timestamp, TarError> {
    match records.get("mtime") {
        Some(text) => {
            pax::parse_time(text).ok_or_else(|| header.error("mtime", "it is not a time"))
        }
        None => Ok(Timestamp {
            seconds: header.mtime()?,
            nanoseconds: 0,
        }),
    }
}

/// Returns the device number. Other entries than devices have anything in these fields.
fn device(header: &Header<'_>) -> Result<Device, TarError> {
    if !matches!(header.typeflag(), b'3' | b'4') {
        return Ok(Device::default());
    }
    let (major, minor) = header.device()?;
    let part = |value: i64, field| {
        u32::try_from(value).map_err(|_| header.error(field, "it is not between 0 and 4294967295"))
    };
    Ok(Device {
        major: part(major, "devmajor")?,
        minor: part(minor, "devminor")?,
    })
}

/// Returns what the records say of a sparse file, if they do.
fn sparse_map(header: &Header<'_>, records: &InForce<'_>) -> Result<Option<Body>, TarError> {
    if !matches!(header.typeflag(), 0 | b'0' | b'7') {
        return Ok(None);
    }
    let bad = |reason| header.error("GNU.sparse", reason);
    let in_data = records.get("GNU.sparse.major") == Some(b"1")
        && records.get("GNU.sparse.minor") == Some(b"0");
    let regions = if in_data {
        None
    } else {
        match sparse::pax_0(records).map_err(bad)? {
            Some(regions) => Some(regions),
            None => return Ok(None),
        }
    };
    let mut length = records.number("GNU.sparse.realsize").map_err(bad)?;
    if length.is_none() {
        length = records.number("GNU.sparse.size").map_err(bad)?;
    }
    let length = length.ok_or_else(|| bad("it does not say how large the file is"))?;
    Ok(Some(match regions {
        Some(regions) => Body::Sparse(SparseMap { length, regions }),
        None => Body::MapInData { length },
    }))
}
