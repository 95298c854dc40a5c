//! Extended attributes behind their inode, or shared.
//!
//! Owns the split of a name into the number of its namespace and the rest, and the encoding of the
//! attributes of an inode (`struct erofs_xattr_ibody_header`, `struct erofs_xattr_entry`). Which of
//! them are shared is decided in [`shared`](super::shared).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::raw::{RawXattrEntry, RawXattrHeader, XATTR_ENTRY_SIZE, XATTR_HEADER_SIZE};
use super::tree::Xattrs;

/// The namespaces (`EROFS_XATTR_INDEX_*`) of which any attribute may be stored.
const PREFIXES: [(u8, &[u8]); 3] = [(1, b"user."), (4, b"trusted."), (6, b"security.")];

/// The attributes that have a number of their own and an empty rest.
const ACLS: [(u8, &[u8]); 2] = [
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
];

/// Bytes of the name behind the prefix.
pub(super) const SUFFIX_MAX: usize = u8::MAX as usize;
/// Bytes of a value.
pub(super) const VALUE_MAX: usize = u16::MAX as usize;
/// Bytes of all attributes of an inode together: the count in an inode has 16 bits.
pub(super) const BODY_MAX: u64 = XATTR_HEADER_SIZE as u64 + 4 * (u16::MAX as u64 - 1);

/// Returns whether EROFS has a place for an attribute of this full name: `user.`, `trusted.` and
/// `security.` with something behind, and the two POSIX ACLs. The writer refuses any other.
pub fn is_storable_xattr(name: &[u8]) -> bool {
    split(name).is_some_and(|(_, suffix)| suffix.len() <= SUFFIX_MAX)
}

/// Returns the number of the namespace and the rest of the name. The rest of a prefix is never
/// empty and has no zero byte, since no system call could ask for such a name.
pub(super) fn split(name: &[u8]) -> Option<(u8, &[u8])> {
    if let Some((index, _)) = ACLS.iter().find(|(_, acl)| *acl == name) {
        return Some((*index, &[]));
    }
    PREFIXES
        .iter()
        .find_map(|(index, prefix)| Some((*index, name.strip_prefix(*prefix)?)))
        .filter(|(_, suffix)| !suffix.is_empty() && !suffix.contains(&0))
}

/// Returns the full name of an attribute, `None` for a number that is not in use.
pub(super) fn join(index: u8, suffix: &[u8]) -> Option<Box<[u8]>> {
    if let Some((_, acl)) = ACLS.iter().find(|(acl, _)| *acl == index) {
        return suffix.is_empty().then(|| Box::from(*acl));
    }
    let (_, prefix) = PREFIXES.iter().find(|(number, _)| *number == index)?;
    Some([prefix, suffix].concat().into())
}

/// Returns the bytes that the attributes take behind the inode, all of them inline.
pub(super) fn body_size(xattrs: &Xattrs) -> u64 {
    if xattrs.is_empty() {
        return 0;
    }
    let entries = xattrs.iter().map(|(name, value)| entry_size(name, value));
    (XATTR_HEADER_SIZE + entries.sum::<usize>()) as u64
}

/// Returns the bytes that an attribute takes.
pub(super) fn entry_size(name: &[u8], value: &[u8]) -> usize {
    let suffix = split(name).map_or(0, |(_, suffix)| suffix.len());
    (XATTR_ENTRY_SIZE + suffix + value.len()).next_multiple_of(4)
}

/// Returns the count in an inode whose attributes take `size` bytes.
pub(super) fn body_count(size: u64) -> Option<u16> {
    match size.checked_sub(XATTR_HEADER_SIZE as u64) {
        None => Some(0),
        Some(entries) => u16::try_from(entries / 4 + 1).ok(),
    }
}

/// Returns the header in front of the attributes of an inode, with the count of shared ones.
pub(super) fn header(shared: usize) -> RawXattrHeader {
    RawXattrHeader {
        shared_count: u8::try_from(shared).unwrap_or(u8::MAX),
        ..RawXattrHeader::default()
    }
}

/// Appends an attribute to `bytes`. One whose name or value does not fit is left out; the writer has
/// refused it before.
pub(super) fn encode(name: &[u8], value: &[u8], bytes: &mut Vec<u8>) {
    let Some((name_index, suffix)) = split(name) else {
        return;
    };
    let (Ok(name_size), Ok(value_size)) = (u8::try_from(suffix.len()), u16::try_from(value.len()))
    else {
        return;
    };
    let end = bytes.len() + entry_size(name, value);
    let entry = RawXattrEntry {
        name_size,
        name_index,
        value_size: U16::new(value_size),
    };
    bytes.extend_from_slice(entry.as_bytes());
    bytes.extend_from_slice(suffix);
    bytes.extend_from_slice(value);
    bytes.resize(end, 0);
}

/// Returns the bytes that the count in an inode stands for.
pub(super) fn counted_size(count: u16) -> u64 {
    match count.checked_sub(1) {
        None => 0,
        Some(words) => XATTR_HEADER_SIZE as u64 + 4 * u64::from(words),
    }
}

/// What follows an inode of its attributes.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// The numbers of shared attributes.
    pub(super) shared: Vec<u32>,
    /// The inline ones, in the order of their names.
    pub(super) inline: Vec<Pair>,
}

/// The full name and the value of an attribute.
pub(super) type Pair = (Box<[u8]>, Box<[u8]>);

/// Returns the attributes of an inode, or the rule that they break.
pub(super) fn decode(body: &[u8]) -> Result<Body, &'static str> {
    let mut decoded = Body::default();
    if body.is_empty() {
        return Ok(decoded);
    }
    let (header, rest) = RawXattrHeader::ref_from_prefix(body)
        .ok()
        .filter(|(_, entries)| !entries.is_empty())
        .ok_or("its attributes are a header alone")?;
    let count = usize::from(header.shared_count);
    if *header != self::header(count) {
        return Err("its attributes have a name filter");
    }
    let (numbers, mut rest) = <[U32]>::ref_from_prefix_with_elems(rest, count)
        .map_err(|_| "its shared attributes reach beyond the others")?;
    decoded.shared = numbers.iter().map(|number| number.get()).collect();
    while !rest.is_empty() {
        let (pair, size) = decode_one(rest)?;
        let last = decoded.inline.last();
        if last.is_some_and(|(last, _)| *last >= pair.0) {
            return Err("its attributes are not in order");
        }
        decoded.inline.push(pair);
        rest = rest.get(size..).unwrap_or_default();
    }
    Ok(decoded)
}

/// Returns the attribute that bytes begin with and how many they are, or the rule that it breaks.
pub(super) fn decode_one(bytes: &[u8]) -> Result<(Pair, usize), &'static str> {
    let outside = "an attribute reaches beyond the others";
    let (head, tail) = RawXattrEntry::ref_from_prefix(bytes).map_err(|_| outside)?;
    let used = head.used_size();
    let padded = used.next_multiple_of(4);
    let (entry, _) = tail.split_at_checked(padded).ok_or(outside)?;
    let (entry, padding) = entry.split_at(used);
    let (suffix, value) = entry.split_at(usize::from(head.name_size));
    let name = join(head.name_index, suffix).ok_or("an attribute has an unknown name")?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err("the padding of an attribute is not zero");
    }
    Ok(((name, value.into()), XATTR_ENTRY_SIZE + padded))
}

impl RawXattrEntry {
    /// Returns the bytes of the whole attribute.
    pub(super) fn whole_size(self) -> usize {
        XATTR_ENTRY_SIZE + self.used_size().next_multiple_of(4)
    }

    fn used_size(self) -> usize {
        usize::from(self.name_size) + usize::from(self.value_size.get())
    }
}
