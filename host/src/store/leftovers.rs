//! What processes that were killed have left: staging directories, parts of blobs, files that were not
//! completed.
//!
//! Owns where it lies and who it may be taken from. What the catalogue does not need is
//! [`sweep`](super::sweep)'s.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::sweep::names;
use super::{lock, part, staging};
use crate::fs::{self, atomic};
use crate::home::Home;

/// Removes what processes that were killed have left of things that no other will go on with, as far
/// as it can be removed. The caller has the sole lease.
pub(super) fn tidy(home: &Home, now: SystemTime) {
    lock::remove_old(home);
    drop_unfinished(home, |path| part::is_too_old(path, now));
}

/// Removes staging directories of processes that are gone, and those unused parts of blobs that the
/// caller can do without.
pub(super) fn drop_unfinished(home: &Home, is_dispensable: impl Fn(&Path) -> bool) {
    for name in names(&home.tmp()).unwrap_or_default() {
        let path = home.tmp().join(&name);
        if staging::is_dead(home, &name).is_ok_and(|is_dead| is_dead) {
            let _ = fs::remove_tree(&path);
        } else if is_dispensable(&path) {
            part::drop_unused(home, &name);
        }
    }
}

/// Returns the files that processes which were killed have not completed, in all directories of the
/// home. Of some of them others know nothing: they may be closed to this user.
pub(super) fn unfinished(home: &Home) -> Vec<PathBuf> {
    let mut left = Vec::new();
    for (directory, former) in [
        (home.root().to_owned(), Some(atomic::FORMER_SETTINGS)),
        (home.passwords(), Some(atomic::FORMER_PASSWORD)),
        (home.plugins(), None),
        (home.plugin_cache(), None),
        (home.blobs(), None),
        (home.sidecars(), None),
        (home.fsmeta(), None),
    ] {
        let names = names(&directory).unwrap_or_default();
        let paths = names.into_iter().map(|name| directory.join(name));
        left.extend(paths.filter(|path| atomic::is_left(path, former)));
    }
    left
}
