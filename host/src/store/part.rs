//! Parts of blobs: what a pull has received, kept until the layer is made.
//!
//! A pull that is killed leaves its parts behind, and the next one goes on from there. Their bytes
//! are not trusted: a reader checks the digest of the whole.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::catalogue::Store;
use super::lock_file::{Locks, Resource};
use super::range::Mode;
use super::{StoreError, fs, room};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::fs::IfThere as _;
use crate::home::Home;

/// How long a part is kept for a pull to go on with.
const KEPT: Duration = Duration::from_hours(7 * 24);
const SUFFIX: &str = ".blob.part";
/// How long others have to empty their parts.
const EMPTIED: Duration = Duration::from_secs(2);

/// What there is of a blob, open for more.
#[derive(Debug)]
pub struct Part {
    file: File,
    length: u64,
    _lock: Locks,
}

/// A blob whose beginning is in a part. What is read behind it is added to the part.
#[derive(Debug)]
pub struct PartReader<'a, R> {
    part: Part,
    position: u64,
    rest: R,
    is_kept: bool,
    resumption: &'a Resumption,
}

/// Whether a pull keeps what it receives for the next one to go on with: until the disk is full.
#[derive(Debug, Default)]
pub struct Resumption {
    is_given_up: AtomicBool,
    /// Parts that take room.
    held: AtomicUsize,
}

impl Store {
    /// Opens the part of a blob, empty where there is none. One that is longer than the blob is
    /// not a part of it and starts again. `None` when another process is working on it.
    pub fn part(&self, digest: &Digest, size: u64) -> Result<Option<Part>, StoreError> {
        self.prepare()?;
        let lock = Locks::open(self.home())?;
        if !lock.try_take(Resource::Part(digest), Mode::Exclusive)? {
            return Ok(None);
        }
        let path = path(self.home(), digest);
        let mut file = fs::open_or_create(&path)?;
        let failed = fs::error("read", &path);
        let mut length = file.metadata().map_err(&failed)?.len();
        if length > size {
            file.set_len(0).map_err(fs::error("write", &path))?;
            length = 0;
        }
        file.seek(SeekFrom::Start(0)).map_err(&failed)?;
        Ok(Some(Part {
            file,
            length,
            _lock: lock,
        }))
    }

    /// Returns how many bytes there are of a blob now.
    pub fn part_length(&self, digest: &Digest) -> u64 {
        crate::fs::length(&path(self.home(), digest)).unwrap_or_default()
    }

    /// Gives up the parts of a pull, so that there is room for the image itself. Parts that are being
    /// written are emptied by those who write them, for which this waits a moment.
    pub fn give_up_parts<'a>(
        &self,
        resumption: &Resumption,
        blobs: impl Iterator<Item = &'a Digest>,
        cancel: &Cancel,
    ) {
        resumption.is_given_up.store(true, Ordering::Release);
        for digest in blobs {
            drop_unused(self.home(), &name(digest));
        }
        room::drop_unfinished(self.home());
        let deadline = Instant::now() + EMPTIED;
        while resumption.held.load(Ordering::Acquire) > 0
            && Instant::now() < deadline
            && !cancel.is_cancelled()
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Removes the part of a blob.
    pub fn drop_part(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = path(self.home(), digest);
        crate::fs::remove_file(&path).if_there()?;
        Ok(())
    }
}

impl Part {
    /// Returns how many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the blob whose bytes behind this part are `rest`.
    pub fn followed_by<R: Read>(self, rest: R, resumption: &Resumption) -> PartReader<'_, R> {
        resumption.held.fetch_add(1, Ordering::AcqRel);
        PartReader {
            part: self,
            position: 0,
            rest,
            is_kept: true,
            resumption,
        }
    }
}

impl Resumption {
    /// Returns whether nothing is kept any more.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }
}

impl<R> PartReader<'_, R> {
    /// Gives back the room of the part.
    fn let_go(&mut self) {
        if std::mem::take(&mut self.is_kept) {
            let _ = self.part.file.set_len(0);
            self.resumption.held.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl<R> Drop for PartReader<'_, R> {
    fn drop(&mut self) {
        if self.resumption.is_given_up() {
            self.let_go();
        } else if self.is_kept {
            self.resumption.held.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl<R: Read> Read for PartReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.part.length - self.position;
        if left > 0 {
            let most = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let target = buffer.get_mut(..most).unwrap_or_default();
            let count = self.part.file.read(target)?;
            if count == 0 && most > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.position += count as u64;
            return Ok(count);
        }
        if self.resumption.is_given_up() {
            self.let_go();
        }
        let count = self.rest.read(buffer)?;
        let received = buffer.get(..count).unwrap_or_default();
        // Where there is no room for both, the image itself is worth more.
        if self.is_kept && self.part.file.write_all(received).is_err() {
            self.resumption.is_given_up.store(true, Ordering::Release);
            self.let_go();
        }
        Ok(count)
    }
}

/// Removes the part of this name in `cache/tmp`, unless a pull is at it.
pub(super) fn drop_unused(home: &Home, name: &str) {
    if let Ok(locks) = Locks::open(home)
        && claim(Some(&locks), name).is_ok_and(|is_claimed| is_claimed)
    {
        let _ = crate::fs::remove_file(&home.tmp().join(name));
    }
}

/// Returns whether a name in `cache/tmp` is that of a part which no pull is at. None begins to use it
/// while the locks last.
pub(super) fn claim(locks: Option<&Locks>, name: &str) -> Result<bool, StoreError> {
    match (blob(name), locks) {
        (Some(blob), Some(locks)) => locks.try_take(Resource::Part(&blob), Mode::Exclusive),
        (Some(_), None) => Ok(true),
        (None, _) => Ok(false),
    }
}

/// Returns whether a file in `cache/tmp` is a part that is too old for a pull to go on with.
pub(super) fn is_too_old(path: &Path, now: SystemTime) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let age = || {
        let modified = crate::fs::metadata(path).ok()?.modified().ok()?;
        now.duration_since(modified).ok()
    };
    name.is_some_and(|name| blob(name).is_some()) && age().is_some_and(|age| age > KEPT)
}

/// Returns the blob that a name in `cache/tmp` is a part of.
fn blob(name: &str) -> Option<Digest> {
    let stem = name.strip_suffix(SUFFIX)?;
    stem.replacen('_', ":", 1).parse().ok()
}

fn path(home: &Home, digest: &Digest) -> PathBuf {
    home.tmp().join(name(digest))
}

fn name(digest: &Digest) -> String {
    format!("{}{SUFFIX}", digest.file_stem())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::tests::TestStore;
    use super::*;

    fn read(store: &Store, digest: &Digest, rest: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let part = store.part(digest, 100).unwrap().unwrap();
        let resumption = Resumption::default();
        part.followed_by(rest, &resumption)
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(resumption.held.load(Ordering::Acquire), 0);
        bytes
    }

    #[test]
    fn parts_that_are_given_up_take_no_room_and_cost_no_bytes() {
        let store = TestStore::new();
        let digests = [Digest::of(b"x"), Digest::of(b"y"), Digest::of(b"z")];
        let size = |digest: &Digest| {
            std::fs::metadata(path(store.store.home(), digest)).map(|file| file.len())
        };
        // One of an earlier pull, one that is read from its beginning, and one that is written.
        read(&store.store, &digests[0], b"of before");
        read(&store.store, &digests[1], b"first ");
        let resumption = Resumption::default();
        let open = |digest| store.store.part(digest, 100).unwrap().unwrap();
        let mut resumed = open(&digests[1]).followed_by(&b"second"[..], &resumption);
        let mut new = open(&digests[2]).followed_by(&b"onetwo"[..], &resumption);
        let mut three = [0; 3];
        new.read_exact(&mut three).unwrap();
        std::thread::scope(|scope| {
            let giving_up = scope.spawn(|| {
                let cancel = Cancel::default();
                store
                    .store
                    .give_up_parts(&resumption, digests.iter(), &cancel);
            });
            while !resumption.is_given_up() {
                std::thread::yield_now();
            }
            new.read_exact(&mut three).unwrap();
            assert_eq!(three, *b"two");
            let mut bytes = Vec::new();
            resumed.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"first second");
            giving_up.join().unwrap();
        });
        assert!(size(&digests[0]).is_err());
        assert_eq!(size(&digests[1]).unwrap(), 0);
        assert_eq!(size(&digests[2]).unwrap(), 0);
    }

    #[test]
    fn a_part_grows_by_what_is_read_behind_it() {
        let store = TestStore::new();
        let digest = Digest::of(b"x");
        assert_eq!(read(&store.store, &digest, b"first "), b"first ");
        assert_eq!(read(&store.store, &digest, b"second"), b"first second");
        let part = store.store.part(&digest, 100).unwrap().unwrap();
        assert_eq!(part.length(), 12);
        drop(part);
        store.store.drop_part(&digest).unwrap();
        store.store.drop_part(&digest).unwrap();
        assert_eq!(read(&store.store, &digest, b"anew"), b"anew");
    }

    #[test]
    fn a_part_that_is_longer_than_the_blob_begins_anew() {
        let store = TestStore::new();
        let digest = Digest::of(b"x");
        read(&store.store, &digest, b"too long");
        let part = store.store.part(&digest, 3).unwrap().unwrap();
        assert_eq!(part.length(), 0);
    }

    #[test]
    fn a_part_has_one_writer() {
        let store = TestStore::new();
        let digest = Digest::of(b"x");
        let part = store.store.part(&digest, 9).unwrap();
        assert!(part.is_some());
        assert!(store.store.part(&digest, 9).unwrap().is_none());
    }

    #[test]
    fn an_old_part_stays_while_a_pull_is_at_it() {
        let store = TestStore::new();
        let digest = Digest::of(b"x");
        let home = store.store.home();
        let part = store.store.part(&digest, 9).unwrap().unwrap();
        let late = SystemTime::now() + Duration::from_hours(8 * 24);
        super::super::leftovers::tidy(home, late);
        assert!(path(home, &digest).exists());
        drop(part);
        super::super::leftovers::tidy(home, late);
        assert!(!path(home, &digest).exists());
    }

    #[test]
    fn a_part_is_too_old_after_a_week() {
        let store = TestStore::new();
        let digest = Digest::of(b"x");
        read(&store.store, &digest, b"bytes");
        let (path, now) = (path(store.store.home(), &digest), SystemTime::now());
        assert!(!is_too_old(&path, now + Duration::from_hours(6 * 24)));
        assert!(is_too_old(&path, now + Duration::from_hours(8 * 24)));
        let other = path.with_extension("other");
        std::fs::write(&other, "").unwrap();
        assert!(!is_too_old(&other, now + Duration::from_hours(8 * 24)));
    }
}
