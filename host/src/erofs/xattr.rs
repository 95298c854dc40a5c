//! Extended attributes as EROFS keeps them: behind the inode, names cut into prefix and suffix.

use std::collections::BTreeMap;

use super::format::XATTR_HEADER;

/// Prefixes by their index. The two of POSIX ACLs are whole names.
const PREFIXES: [(u8, &[u8], bool); 5] = [
    (2, b"system.posix_acl_access", true),
    (3, b"system.posix_acl_default", true),
    (1, b"user.", false),
    (4, b"trusted.", false),
    (6, b"security.", false),
];

/// Returns the index of a name's prefix and the rest of the name.
fn split(name: &[u8]) -> Option<(u8, &[u8])> {
    PREFIXES.iter().find_map(|(index, prefix, whole)| {
        let rest = name.strip_prefix(*prefix)?;
        (rest.is_empty() == *whole).then_some((*index, rest))
    })
}

/// Returns the bytes behind the inode, or why the attributes do not fit there.
pub(super) fn encode(xattrs: &BTreeMap<Box<[u8]>, Box<[u8]>>) -> Result<Vec<u8>, &'static str> {
    if xattrs.is_empty() {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; XATTR_HEADER];
    for (name, value) in xattrs {
        let (index, suffix) =
            split(name).ok_or("the name of an extended attribute has an unknown prefix")?;
        let suffix_length = u8::try_from(suffix.len())
            .map_err(|_| "the name of an extended attribute is too long")?;
        let value_length = u16::try_from(value.len())
            .map_err(|_| "an extended attribute is longer than 65535 bytes")?;
        bytes.extend([suffix_length, index]);
        bytes.extend(value_length.to_le_bytes());
        bytes.extend_from_slice(suffix);
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    count(bytes.len()).ok_or("the extended attributes are too long together")?;
    Ok(bytes)
}

/// Returns what the inode says of the length of its attributes.
pub(super) fn count(length: usize) -> Option<u16> {
    match length {
        0 => Some(0),
        length => u16::try_from((length - XATTR_HEADER) / 4 + 1).ok(),
    }
}
