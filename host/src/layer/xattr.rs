//! Which extended attributes of an archive a filesystem image carries, and under what name.

use std::sync::Arc;

use msb_erofs::{Xattrs, is_storable_xattr};

/// What overlayfs takes for its own. An archive must not speak to it, so these get another
/// `overlay.` in between, which overlayfs takes away again (Linux 6.7, `overlayfs.rst`).
const OVERLAY: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
/// Labels of the machine where an image was built; the kernel of another gives its own.
const HOST_SPECIFIC: [&[u8]; 2] = [b"security.selinux", b"system.nfs4_acl"];

/// The name and the value of an attribute.
type Pair = (Arc<[u8]>, Arc<[u8]>);

/// Returns the attributes to keep, and the names of those that EROFS has no place for.
pub(super) fn select(xattrs: &[Pair]) -> (Xattrs, Vec<&[u8]>) {
    let mut kept: Vec<Pair> = Vec::new();
    let mut dropped = Vec::new();
    for (name, value) in xattrs {
        if HOST_SPECIFIC.contains(&&**name) {
            continue;
        }
        let stored = escaped(name).map_or_else(|| Arc::clone(name), Arc::from);
        if is_storable_xattr(&stored) {
            kept.push((stored, Arc::clone(value)));
        } else {
            dropped.push(&**name);
        }
    }
    (kept.into_iter().collect(), dropped)
}

/// Returns another name for an attribute that overlayfs would obey.
fn escaped(name: &[u8]) -> Option<Vec<u8>> {
    OVERLAY.iter().find_map(|prefix| {
        let rest = name.strip_prefix(*prefix)?;
        Some([prefix, &b"overlay."[..], rest].concat())
    })
}

/// Returns attributes as an archive had them: without those that overlayfs obeys, and what would be
/// one of these under its own name.
pub(super) fn original(xattrs: &Xattrs) -> Xattrs {
    let is_plain = |name: &Arc<[u8]>| !OVERLAY.iter().any(|prefix| name.starts_with(prefix));
    if xattrs.keys().all(is_plain) {
        return xattrs.clone();
    }
    let kept = xattrs.iter().filter_map(|(name, value)| {
        let Some(prefix) = OVERLAY.iter().find(|prefix| name.starts_with(prefix)) else {
            return Some((Arc::clone(name), Arc::clone(value)));
        };
        let rest = name.get(prefix.len()..)?.strip_prefix(b"overlay.")?;
        Some(([prefix, rest].concat().into(), Arc::clone(value)))
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_what_an_archive_had() {
        let pair = |name: &str| -> Pair { (name.as_bytes().into(), b"v"[..].into()) };
        let archive = ["trusted.overlay.opaque", "user.overlay.x", "user.note"].map(pair);
        let (mut stored, _) = select(&archive);
        let expected: Xattrs = archive.into_iter().collect();
        stored.insert(b"trusted.overlay.opaque"[..].into(), b"y"[..].into());
        assert_eq!(original(&stored), expected);
    }

    #[test]
    fn attributes_are_kept_escaped_or_left_out_by_name() {
        let cases = [
            ("user.comment", Some("user.comment")),
            ("security.capability", Some("security.capability")),
            ("trusted.x", Some("trusted.x")),
            ("system.posix_acl_access", Some("system.posix_acl_access")),
            ("system.posix_acl_default", Some("system.posix_acl_default")),
            (
                "trusted.overlay.opaque",
                Some("trusted.overlay.overlay.opaque"),
            ),
            (
                "trusted.overlay.overlay.opaque",
                Some("trusted.overlay.overlay.overlay.opaque"),
            ),
            (
                "user.overlay.whiteout",
                Some("user.overlay.overlay.whiteout"),
            ),
            ("user.overlayed", Some("user.overlayed")),
            ("security.selinux", None),
            ("system.nfs4_acl", None),
            ("system.other", None),
            ("com.apple.quarantine", None),
            ("user.", None),
        ];
        for (name, expected) in cases {
            let xattrs = [(Arc::from(name.as_bytes()), Arc::from(&b"v"[..]))];
            let (kept, _) = select(&xattrs);
            let kept: Vec<&[u8]> = kept.keys().map(|name| &**name).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(kept, expected, "{name}");
        }
    }

    #[test]
    fn names_without_a_place_are_reported_and_labels_of_a_host_are_not() {
        let names = ["com.apple.quarantine", "security.selinux", "user.kept"];
        let xattrs = names.map(|name| (Arc::from(name.as_bytes()), Arc::from(&b""[..])));
        assert_eq!(select(&xattrs).1, [b"com.apple.quarantine"]);
    }
}
