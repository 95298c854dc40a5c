//! The rules for the fields of an inode.

use crate::format::FileType;
use crate::inode::InodeInfo;
use crate::raw::RawInode;

/// Returns the rule that the fields of an inode break.
pub(super) fn broken_rule(
    info: &InodeInfo,
    start: u64,
    raw: &RawInode,
    is_own: bool,
) -> Option<&'static str> {
    let has_data = matches!(
        info.file_type,
        FileType::Regular | FileType::Directory | FileType::Symlink
    );
    let (first, last) = info.blocks();
    let rules = [
        (
            !is_own || (raw.reserved.get() == 0 && raw.reserved_end == [0; 16]),
            "a reserved field is not zero",
        ),
        (
            info.mtime.nanoseconds < 1_000_000_000,
            "its time has a second or more of nanoseconds",
        ),
        (
            has_data || info.size == 0,
            "it has contents without a place",
        ),
        (
            !is_own
                || first < last
                || info.address == 0
                || info.device().is_some()
                || info.index_size() > 0,
            "it has a block without contents",
        ),
        (
            !is_own || info.file_type != FileType::Regular || info.tail() == 0,
            "it is a regular file with inline data",
        ),
        (
            info.is_readable_link(start),
            "its target is not in the block of the inode",
        ),
    ];
    rules
        .into_iter()
        .find(|(kept, _)| !kept)
        .map(|(_, what)| what)
}
