//! Extended attributes inline, behind their inode.
//!
//! Owns the split of a name into the number of its namespace and the rest, and the encoding of the
//! attributes of an inode (`struct erofs_xattr_ibody_header`, `struct erofs_xattr_entry`).

use std::collections::BTreeMap;

use super::format::{XATTR_ENTRY_SIZE, XATTR_HEADER_SIZE};

/// The attributes of an inode, as the model holds them.
pub(super) type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

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

/// Returns the bytes that the attributes take behind the inode.
pub(super) fn body_size(xattrs: &Xattrs) -> u64 {
    if xattrs.is_empty() {
        return 0;
    }
    let entries = xattrs.iter().map(|(name, value)| {
        let suffix = split(name).map_or(0, |(_, suffix)| suffix.len());
        (XATTR_ENTRY_SIZE + suffix + value.len()).next_multiple_of(4)
    });
    (XATTR_HEADER_SIZE + entries.sum::<usize>()) as u64
}

/// Returns the count in an inode whose attributes take `size` bytes.
pub(super) fn body_count(size: u64) -> Option<u16> {
    match size.checked_sub(XATTR_HEADER_SIZE as u64) {
        None => Some(0),
        Some(entries) => u16::try_from(entries / 4 + 1).ok(),
    }
}

/// Appends the attributes to `body`, in the order of their names. Attributes whose names or values
/// do not fit are left out; the writer has refused them before.
pub(super) fn encode(xattrs: &Xattrs, body: &mut Vec<u8>) {
    if xattrs.is_empty() {
        return;
    }
    body.extend_from_slice(&[0; XATTR_HEADER_SIZE]);
    for (name, value) in xattrs {
        let Some((index, suffix)) = split(name) else {
            continue;
        };
        let (Ok(name_size), Ok(value_size)) =
            (u8::try_from(suffix.len()), u16::try_from(value.len()))
        else {
            continue;
        };
        body.extend_from_slice(&[name_size, index]);
        body.extend_from_slice(&value_size.to_le_bytes());
        body.extend_from_slice(suffix);
        body.extend_from_slice(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
}

/// Returns the bytes that the count in an inode stands for.
pub(super) fn counted_size(count: u16) -> u64 {
    match count.checked_sub(1) {
        None => 0,
        Some(words) => XATTR_HEADER_SIZE as u64 + 4 * u64::from(words),
    }
}

/// Returns the attributes of an inode, or the rule that they break.
pub(super) fn decode(body: &[u8]) -> Result<Xattrs, &'static str> {
    let mut xattrs = Xattrs::new();
    if body.is_empty() {
        return Ok(xattrs);
    }
    let (header, mut rest) = body
        .split_at_checked(XATTR_HEADER_SIZE)
        .filter(|(_, entries)| !entries.is_empty())
        .ok_or("its attributes are a header alone")?;
    if header.iter().any(|byte| *byte != 0) {
        return Err("its attributes have a name filter or are shared");
    }
    while let Some((head, tail)) = rest.split_first_chunk::<XATTR_ENTRY_SIZE>() {
        let [name_size, index, low, high] = *head;
        let used = usize::from(name_size) + usize::from(u16::from_le_bytes([low, high]));
        let padded = used.next_multiple_of(4);
        let (entry, later) = tail
            .split_at_checked(padded)
            .ok_or("an attribute reaches beyond the others")?;
        let (entry, padding) = entry.split_at(used);
        let (suffix, value) = entry.split_at(usize::from(name_size));
        let name = join(index, suffix).ok_or("an attribute has an unknown name")?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err("the padding of an attribute is not zero");
        }
        if xattrs
            .last_key_value()
            .is_some_and(|(last, _)| *last >= name)
        {
            return Err("its attributes are not in order");
        }
        xattrs.insert(name, value.into());
        rest = later;
    }
    Ok(xattrs)
}
