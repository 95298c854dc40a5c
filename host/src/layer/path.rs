//! Paths of entries: what they name, and what their last name is for.
//!
//! A path is cleaned by its text alone, as all tools that unpack layers do: `a/../b` is `b`, also
//! where `a` is a symbolic link. Nothing leads above the root.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use super::LayerError;

/// Bytes of a name in EROFS, and in Linux.
const NAME_MAX: usize = 255;
const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";
const AUFS_PREFIX: &[u8] = b".wh..wh.";
const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// The directory of AUFS with files that have hard links elsewhere.
pub(super) const AUFS_LINKS: &[u8] = b".wh..wh.plnk";

/// What the name of an entry says it is for. Markers are known by name, whatever else they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role<'a> {
    /// The root directory.
    Root,
    /// Something with a name.
    Node,
    /// A marker: this name of the layers below is gone.
    Whiteout(&'a [u8]),
    /// A marker: everything of the layers below is gone.
    Opaque,
    /// Bookkeeping of AUFS, not part of the layer.
    Bookkeeping,
}

/// Tells what an entry is for by its clean path.
fn role(path: &[u8], is_marked: bool) -> Result<Role<'_>, LayerError> {
    let (_, name) = split(path);
    if name.is_empty() {
        return Ok(Role::Root);
    }
    if is_marked {
        return Ok(Role::Bookkeeping);
    }
    if name == OPAQUE_MARKER {
        return Ok(Role::Opaque);
    }
    if name.starts_with(AUFS_PREFIX) {
        return Ok(Role::Bookkeeping);
    }
    let victim = name.strip_prefix(WHITEOUT_PREFIX);
    if matches!(victim, Some(b"" | b"." | b"..")) {
        return Err(LayerError::entry(path, "it is a whiteout of no name"));
    }
    check_name(path, victim.unwrap_or(name))?;
    Ok(victim.map_or(Role::Node, Role::Whiteout))
}

/// Returns whether a marker is among the directories on a clean path.
fn is_marked(path: &[u8]) -> bool {
    let is_marker = |name: &[u8]| name.starts_with(WHITEOUT_PREFIX) && name != AUFS_LINKS;
    components(split(path).0).any(is_marker)
}

/// Refuses a name that no directory can hold.
pub(super) fn check_name(path: &[u8], name: &[u8]) -> Result<(), LayerError> {
    if name.len() > NAME_MAX {
        return Err(LayerError::entry(
            path,
            "a name in it is longer than 255 bytes",
        ));
    }
    Ok(())
}

/// Returns a path without what means nothing: slashes around it, empty names, `.`, and `..` with
/// the name that it takes back. The root is the empty path.
pub(super) fn clean(path: &[u8]) -> Cow<'_, [u8]> {
    let mut path = path;
    while let Some(rest) = path.strip_prefix(b"/").or_else(|| path.strip_prefix(b"./")) {
        path = rest;
    }
    while let Some(rest) = path.strip_suffix(b"/") {
        path = rest;
    }
    let odd = |name: &[u8]| matches!(name, b"" | b"." | b"..");
    if !path.split(|byte| *byte == b'/').any(odd) {
        return Cow::Borrowed(path);
    }
    let mut clean: Vec<u8> = Vec::with_capacity(path.len());
    for name in components(path) {
        if name == b".." {
            let parent = split(&clean).0.len();
            clean.truncate(parent);
        } else {
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(name);
        }
    }
    Cow::Owned(clean)
}

/// Paths from this length on are remembered: they do not fit into a header, so a global one may
/// stand for many entries, each of which would have all of it looked at.
const LONG: usize = 512;

/// Makes paths clean, the last long one only once.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    written: Vec<u8>,
    clean: Arc<[u8]>,
    is_marked: bool,
}

/// A clean path.
#[derive(Debug)]
pub(super) struct CleanPath<'a> {
    text: Text<'a>,
    /// A marker is among the directories on its way.
    is_marked: bool,
}

#[derive(Debug)]
enum Text<'a> {
    Own(Cow<'a, [u8]>),
    Shared(Arc<[u8]>),
}

impl Cleaner {
    /// Returns a path without what means nothing, as [`clean`] does.
    pub(super) fn clean<'a>(&mut self, path: &'a [u8]) -> CleanPath<'a> {
        if path.len() < LONG {
            let text = clean(path);
            let is_marked = is_marked(&text);
            let text = Text::Own(text);
            return CleanPath { text, is_marked };
        }
        if self.written != path {
            self.written.clear();
            self.written.extend_from_slice(path);
            self.clean = clean(path).into();
            self.is_marked = is_marked(&self.clean);
        }
        CleanPath {
            text: Text::Shared(Arc::clone(&self.clean)),
            is_marked: self.is_marked,
        }
    }
}

impl CleanPath<'_> {
    /// Tells what an entry is for.
    ///
    /// # Errors
    /// A whiteout that names nothing, and a name too long for Linux.
    pub(super) fn role(&self) -> Result<Role<'_>, LayerError> {
        role(self, self.is_marked)
    }
}

impl Deref for CleanPath<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.text {
            Text::Own(text) => text,
            Text::Shared(text) => text,
        }
    }
}

/// Returns the path of the directory that a clean path lies in, and its last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Returns the names in a path that mean something, `..` among them.
pub(super) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn role_of(path: &[u8]) -> Result<Role<'_>, LayerError> {
        role(path, is_marked(path))
    }

    #[test]
    fn spellings_of_one_path_are_one_path() {
        let cases = [
            ("a/b", "a/b"),
            ("./a/b", "a/b"),
            ("/a/b", "a/b"),
            ("a//b", "a/b"),
            ("a/./b", "a/b"),
            ("a/b/", "a/b"),
            (".//./a/b//", "a/b"),
            ("../a/b", "a/b"),
            ("a/c/../b", "a/b"),
            ("a/../../b", "b"),
            ("a/..", ""),
            ("..", ""),
            (".", ""),
            ("./", ""),
            ("/", ""),
            ("", ""),
            ("...", "..."),
            ("a/..b", "a/..b"),
            (" /a", " /a"),
        ];
        for (path, expected) in cases {
            let cleaned = clean(path.as_bytes());
            assert_eq!(cleaned.escape_ascii().to_string(), expected, "{path}");
        }
    }

    #[test]
    fn the_name_says_what_an_entry_is_for() {
        let cases = [
            ("", Role::Root),
            ("a/b", Role::Node),
            ("a/.why", Role::Node),
            (".wh.a", Role::Whiteout(b"a")),
            ("d/.wh.a.b", Role::Whiteout(b"a.b")),
            ("d/.wh....", Role::Whiteout(b"...")),
            ("d/.wh..wh..opq", Role::Opaque),
            (".wh..wh..opq", Role::Opaque),
            (".wh..wh.aufs", Role::Bookkeeping),
            (".wh..wh.orph", Role::Bookkeeping),
            (".wh..wh.plnk", Role::Bookkeeping),
            (".wh..wh.plnk/7.9", Role::Node),
            (".wh..wh.orph/x", Role::Bookkeeping),
            (".wh.d/x", Role::Bookkeeping),
        ];
        for (path, expected) in cases {
            assert_eq!(role_of(path.as_bytes()).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn whiteouts_of_nothing_are_refused() {
        for path in [".wh.", "a/.wh..", "a/.wh..."] {
            let error = role_of(path.as_bytes()).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("entry `{path}`: it is a whiteout of no name")
            );
        }
    }

    #[test]
    fn names_may_have_255_bytes() {
        for prefix in ["", "d/", ".wh."] {
            let fits = format!("{prefix}{}", "n".repeat(255));
            assert!(role_of(fits.as_bytes()).is_ok());
            let long = format!("{fits}n");
            let error = role_of(long.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(&fits), "{error}");
        }
    }

    #[test]
    fn a_long_path_that_comes_again_is_the_same_one() {
        let mut cleaner = Cleaner::default();
        let marked = format!(".wh.d/{}x", "a/./".repeat(1000));
        let plain = format!("{}x", "a/./".repeat(1000));
        for path in [&marked, &plain, &plain, &marked] {
            let found = cleaner.clean(path.as_bytes());
            assert_eq!(*found, *clean(path.as_bytes()));
            let role = if *path == marked {
                Role::Bookkeeping
            } else {
                Role::Node
            };
            assert_eq!(found.role().unwrap(), role);
        }
    }
}
