//! How a layer's image says what of the layers below is gone, in the way that overlayfs reads.
//!
//! Source: Linux `Documentation/filesystems/overlayfs.rst`, "whiteouts and opaque directories".

use msb_erofs::{Device, FileType, InodeInfo, Xattrs};

/// Marks a directory in which nothing of the layers below shows. Overlayfs does not look at it on the
/// root of a layer; a program that mounts layers and finds it there leaves out those below.
pub(super) const OPAQUE_XATTR: (&[u8], &[u8]) = (b"trusted.overlay.opaque", b"y");
/// Makes overlayfs look for whiteouts in a directory that it would otherwise list as it is, since
/// no layer below has one of that name.
pub(super) const ORIGIN_XATTR: (&[u8], &[u8]) = (b"trusted.overlay.origin", b"");

/// Returns whether an inode hides what has its name in the layers below.
pub(super) fn is_whiteout(inode: &InodeInfo) -> bool {
    inode.file_type == FileType::CharDevice && inode.device() == Some(Device::default())
}

/// Returns whether a directory with these attributes hides all of that directory in the layers below.
pub(super) fn is_opaque(xattrs: &Xattrs) -> bool {
    let (name, value) = OPAQUE_XATTR;
    xattrs.get(name).is_some_and(|found| **found == *value)
}
