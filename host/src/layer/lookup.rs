//! From a path to what it leads to in the filesystem that layers show together, as the kernel finds it
//! for a process whose root is that filesystem.
//!
//! Owns symbolic links, `..` and slashes at the end. Nothing leads out of the layers.

use msb_erofs::{InodeId, Kind};

use super::merge::MergedTree;
use super::path::components;

/// Symbolic links that are followed on the way to one path, as in Linux.
const MAX_LINKS: usize = 40;

/// What a path leads to. Paths have no symbolic links on the way and no slash at their beginning; that
/// of the root is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookedUp {
    /// Something that is there.
    Found {
        /// Its path.
        path: Vec<u8>,
        /// Its inode.
        id: InodeId,
    },
    /// A directory does not have a name.
    Missing {
        /// The path of the directory.
        directory: Vec<u8>,
        /// Its inode.
        id: InodeId,
        /// The name.
        name: Box<[u8]>,
    },
    /// Something on the way, with this path, is not a directory.
    NotADirectory(Vec<u8>),
    /// There are more than 40 symbolic links on the way; the last of them has this path.
    TooManyLinks(Vec<u8>),
}

impl MergedTree {
    /// Returns what a path leads to. A symbolic link at its end is followed if `follow` says so, or if
    /// there is a slash after it.
    pub fn look_up(&self, path: &[u8], follow: bool) -> LookedUp {
        let is_directory = path.ends_with(b"/") || path.ends_with(b"/.");
        let follow = follow || is_directory;
        let mut way: Vec<(&[u8], InodeId)> = Vec::new();
        let mut ahead: Vec<&[u8]> = components(path).rev().collect();
        let mut links = 0;
        // What is at the end, unless that is the directory to which the way leads.
        let mut end: Option<(&[u8], InodeId)> = None;
        while let Some(name) = ahead.pop() {
            end = None;
            if name == b".." {
                way.pop();
                continue;
            }
            let here = way.last().map_or(InodeId::ROOT, |(_, here)| *here);
            let Some(id) = self.child(here, name) else {
                return LookedUp::Missing {
                    directory: joined(&way, None),
                    id: here,
                    name: name.into(),
                };
            };
            match &self.tree().get(id).kind {
                Kind::Directory(_) => way.push((name, id)),
                Kind::Symlink(target) if follow || !ahead.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return LookedUp::TooManyLinks(joined(&way, Some(name)));
                    }
                    if target.starts_with(b"/") {
                        way.clear();
                    }
                    ahead.extend(components(target).rev());
                }
                _ if ahead.is_empty() && !is_directory => end = Some((name, id)),
                _ => return LookedUp::NotADirectory(joined(&way, Some(name))),
            }
        }
        let here = way.last().map_or(InodeId::ROOT, |(_, here)| *here);
        LookedUp::Found {
            path: joined(&way, end.map(|(name, _)| name)),
            id: end.map_or(here, |(_, id)| id),
        }
    }
}

fn joined(way: &[(&[u8], InodeId)], name: Option<&[u8]>) -> Vec<u8> {
    let directories = way.iter().map(|(name, _)| *name);
    directories.chain(name).collect::<Vec<_>>().join(&b'/')
}
