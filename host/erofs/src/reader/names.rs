//! Reading the names in directories, and the targets of symbolic links.

use crate::ErofsError;
use crate::dirent::{self, DirEntry};
use crate::format::{BLOCK, FileType, Nid, TARGET_MAX};
use crate::inode::InodeInfo;
use crate::source::ReadAt;

use super::Image;

/// The names in a directory.
#[derive(Debug)]
pub(crate) struct Directory {
    /// Where `..` leads.
    pub(crate) parent: Nid,
    /// All other names but `.`, in order.
    pub(crate) entries: Vec<DirEntry>,
}

impl<R: ReadAt> Image<R> {
    /// Returns the names in a directory in their order, without `.` and `..`.
    ///
    /// # Errors
    /// A directory that breaks a rule of the format, and an inode that is none, are damaged.
    pub fn entries(&self, inode: &InodeInfo) -> Result<Vec<DirEntry>, ErofsError> {
        Ok(self.directory(inode)?.entries)
    }

    /// Returns the target of a symbolic link.
    pub fn read_link(&self, inode: &InodeInfo) -> Result<Box<[u8]>, ErofsError> {
        let damaged = |what| inode.damaged(what);
        let size = usize::try_from(inode.size).unwrap_or(usize::MAX);
        if inode.file_type != FileType::Symlink {
            return Err(damaged("it is not a symbolic link"));
        }
        if size == 0 || size > TARGET_MAX {
            return Err(damaged("its target is empty or longer than 4095 bytes"));
        }
        let mut target = vec![0; size];
        self.read_contents(inode, 0, &mut target)?;
        if target.contains(&0) {
            return Err(damaged("its target has a zero byte"));
        }
        Ok(target.into())
    }

    /// Returns the names in a directory, and whether they keep the rules: rising, with `.` and
    /// `..`, the former leading to the directory itself.
    pub(crate) fn directory(&self, inode: &InodeInfo) -> Result<Directory, ErofsError> {
        if inode.file_type != FileType::Directory {
            return Err(inode.damaged("it is not a directory"));
        }
        let mut dots = [None, None];
        let mut entries: Vec<DirEntry> = Vec::new();
        let mut previous: Box<[u8]> = Box::default();
        let mut block = Vec::new();
        for offset in (0..inode.size).step_by(BLOCK) {
            let length = usize::try_from(inode.size - offset).unwrap_or(BLOCK);
            block.resize(length.min(BLOCK), 0);
            self.read_contents(inode, offset, &mut block)?;
            for entry in dirent::parse(&block).map_err(|what| inode.damaged(what))? {
                if entry.name <= previous {
                    return Err(inode.damaged("its names are not in order"));
                }
                previous.clone_from(&entry.name);
                match &*entry.name {
                    b"." => dots[0] = Some(entry),
                    b".." => dots[1] = Some(entry),
                    _ => entries.push(entry),
                }
            }
        }
        let [Some(itself), Some(parent)] = dots else {
            return Err(inode.damaged("it lacks `.` or `..`"));
        };
        if itself.nid != inode.nid || itself.file_type != FileType::Directory {
            return Err(inode.damaged("its `.` leads elsewhere"));
        }
        if parent.file_type != FileType::Directory {
            return Err(inode.damaged("its `..` is not a directory"));
        }
        Ok(Directory {
            parent: parent.nid,
            entries,
        })
    }
}
