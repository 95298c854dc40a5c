//! Room on a disk that is full: what is kept for removing images, and what is given up for it.
//!
//! Whoever wants to free a full disk needs some of it first: the catalogue has a log, and files for
//! it. So the store keeps a reserve, as bytes and as files, and gives it up where a removal finds no
//! room. Then goes what can be had again: what killed processes have left, and compiled plugins.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::catalogue::Store;
use super::{StoreError, fault, fs, leftovers, sweep};
use crate::home::Home;

/// Files of the reserve, and how long each is. What removes an image needs fewer and less.
const PIECES: u8 = 4;
const PIECE: u64 = 64 << 10;
/// What removing an image takes at most, until it gives something back.
const NEEDED: u64 = 192 << 10;

impl Store {
    /// Returns whether there is as much room as a change of the catalogue takes.
    pub(crate) fn has_room(&self) -> bool {
        has_room(self.home())
    }

    /// Sees to it that something can be removed, on a disk that has no room left.
    pub(super) fn make_room(&self) {
        make(self.home());
    }

    /// Returns whether there was a reserve and there is none now.
    pub(super) fn has_given_up_reserve(&self) -> bool {
        self.home().reserve().is_dir() && !pieces(self.home()).all(|path| path.exists())
    }

    /// Makes the reserve whole again, if there is room for it.
    pub(super) fn keep_reserve(&self) {
        keep_reserve(self.home());
    }
}

/// Gives up one thing after the other until there is room to remove something.
pub(super) fn make(home: &Home) {
    let drop_compiled = |home: &Home| {
        drop_compiled(home);
    };
    let steps: [fn(&Home); 3] = [release_reserve, drop_unfinished, drop_compiled];
    for step in steps {
        if has_room(home) {
            return;
        }
        step(home);
    }
}

/// Makes those files of the reserve that are missing. It may fail: then there is none.
pub(super) fn keep_reserve(home: &Home) {
    let is_whole = |path: PathBuf| crate::fs::length(&path) == Some(PIECE);
    if pieces(home).all(is_whole) {
        return;
    }
    let make = || -> Result<(), StoreError> {
        fs::create_directory(&home.reserve())?;
        for path in pieces(home) {
            let file = fs::open_or_create(&path)?;
            fill(&file).map_err(fs::error("write", &path))?;
        }
        Ok(())
    };
    if make().is_err() {
        release_reserve(home);
    }
}

/// Removes parts of blobs that no pull is at, and what killed processes have left.
pub(super) fn drop_unfinished(home: &Home) {
    leftovers::drop_unfinished(home, |_| true);
}

/// Removes compiled plugins, which are compiled again when they are needed. Returns whether any was
/// removed.
pub(super) fn drop_compiled(home: &Home) -> bool {
    let names = sweep::names(&home.plugin_cache()).unwrap_or_default();
    let compiled = names
        .iter()
        .filter(|name| name.ends_with(crate::home::COMPILED_CODE));
    let removed = compiled.map(|name| fs::remove(&home.plugin_cache().join(name)).is_ok());
    removed.fold(false, |any, removed| any | removed)
}

/// Makes a file as long as a piece, with all its blocks.
fn fill(mut file: &File) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, PIECE) {
        // Not every filesystem can.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            io::copy(&mut io::repeat(0xff).take(PIECE), &mut file).map(drop)
        }
        done => Ok(done?),
    }
}

fn pieces(home: &Home) -> impl Iterator<Item = PathBuf> {
    let reserve = home.reserve();
    (0..PIECES).map(move |piece| reserve.join(piece.to_string()))
}

fn release_reserve(home: &Home) {
    for path in pieces(home) {
        let _ = crate::fs::remove_file(&path);
    }
}

fn has_room(home: &Home) -> bool {
    let probed = fault::probe(&home.catalogue(), NEEDED);
    !probed.is_err_and(|error| fault::is_full(&error))
}
