//! Which extended attributes of an archive a filesystem image carries, and under what name.

use std::collections::BTreeMap;

use crate::erofs::is_storable_xattr;

/// What overlayfs takes for its own. An archive must not speak to it, so these get another
/// `overlay.` in between, which overlayfs takes away again (Linux 6.7, `overlayfs.rst`).
const OVERLAY: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
/// Labels of the machine where an image was built; the kernel of another gives its own.
const HOST_SPECIFIC: [&[u8]; 2] = [b"security.selinux", b"system.nfs4_acl"];
type Kept = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// Returns the attributes to keep, and the names of those that EROFS cannot hold.
pub(super) fn select(xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> (Kept, Vec<Vec<u8>>) {
    let mut kept = BTreeMap::new();
    let mut dropped = Vec::new();
    for (name, value) in xattrs {
        if HOST_SPECIFIC.contains(&name.as_slice()) {
            continue;
        }
        let overlay = OVERLAY.iter().find(|prefix| name.starts_with(prefix));
        if let Some(prefix) = overlay {
            let rest = &name[prefix.len()..];
            let name = [prefix, &b"overlay."[..], rest].concat();
            kept.insert(name.into(), value.into());
        } else if is_storable_xattr(&name) {
            kept.insert(name.into(), value.into());
        } else {
            dropped.push(name);
        }
    }
    (kept, dropped)
}
