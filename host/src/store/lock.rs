//! Locks between processes: who makes a layer, who uses it, who removes what nothing needs.
//!
//! Owns which byte of the lock file is which lock, the queue for the lease, and the waiting. The
//! file is in a folder that only its owner can enter, so a user who may only read the store cannot
//! hold any of them. It is never removed: a name that vanishes while a process waits on it would
//! let two in at once.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::catalogue::Store;
use super::range::{self, Mode};
use super::{StoreError, fs};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::home::Home;
use crate::progress::{Event, Progress};

/// How often a lock that is taken is tried again. Waiting in the kernel could not be cancelled.
const RETRY: Duration = Duration::from_millis(10);
/// How long a wait is before the user hears of it.
const SILENT_WAIT: Duration = Duration::from_millis(250);
/// How long another process may have the turn to write to the catalogue, which takes it a moment.
const WRITER_PATIENCE: Duration = Duration::from_mins(1);
/// How many bits of a byte's offset say which layer, part or directory it is for.
const NUMBER_BITS: u32 = 59;

const COLLECTING: &str = "another msb is removing what is not used";

/// What a lock is for. Each is a byte of the lock file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resource<'a> {
    /// The first place in the queue for [`Store`](Self::Store).
    Queue,
    /// The files of the store. Shared by those who publish and record, exclusive to the one who
    /// removes.
    Store,
    /// The file of the catalogue. Shared by those who have something under way, exclusive to the one
    /// who replaces it.
    Operations,
    /// Writing to the catalogue.
    Catalogue,
    /// The list of installed plugins.
    Plugins,
    /// Making a layer.
    Layer(&'a Digest),
    /// Fetching a layer. Of no concern to those who have its bytes already.
    Fetch(&'a Digest),
    /// The files of a layer. Shared by those who need them, exclusive to the one who removes them.
    LayerFiles(&'a Digest),
    /// The part of a blob.
    Part(&'a Digest),
    /// A staging directory, by its name.
    Staging(&'a str),
}

/// Locks that are held. Given back when dropped.
#[derive(Debug)]
pub(super) struct Locks {
    file: File,
    path: PathBuf,
}

/// The right to make and to fetch layers, as many as are locked. Given back when dropped.
#[derive(Debug)]
pub struct LayerLocks(Locks);

/// The assurance that some layers are not removed. Given back when dropped.
#[derive(Debug)]
pub struct LayerPins {
    // None in a store that cannot be written.
    _locks: Option<Locks>,
}

/// The assurance that nothing is removed. Given back when dropped. Who holds one must not ask for
/// another: a process that waits for the sole lease would be between the two.
#[derive(Debug)]
pub struct Lease {
    // None in a store that cannot be written.
    _locks: Option<Locks>,
}

/// The right to change what is installed of plugins. Given back when dropped.
#[derive(Debug)]
pub(crate) struct PluginsLock {
    _locks: Locks,
}

impl Store {
    /// Returns the locks of layers, none of which is taken.
    pub fn layer_locks(&self) -> Result<LayerLocks, StoreError> {
        Locks::open(self.home()).map(LayerLocks)
    }

    /// Waits for the right to make a layer; `on_wait` is called once if the wait is long.
    pub fn lock_layer(
        &self,
        diff_id: &Digest,
        on_wait: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<LayerLocks, StoreError> {
        let locks = self.layer_locks()?;
        locks.lock(diff_id, on_wait, cancel)?;
        Ok(locks)
    }

    /// Keeps layers from being removed, those that are there and those that will be. What has the
    /// files of a layer in use, or has published it and not yet recorded an image with it, holds
    /// pins for as long as that takes: they are in the way of nothing but removal.
    pub fn pin_layers<'a>(
        &self,
        diff_ids: impl IntoIterator<Item = &'a Digest>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<LayerPins, StoreError> {
        let Some(locks) = Locks::open_if_writable(self.home())? else {
            return Ok(LayerPins { _locks: None });
        };
        let mut on_wait = || progress.report(Event::StoreBusy(COLLECTING));
        for diff_id in diff_ids {
            let files = Resource::LayerFiles(diff_id);
            locks.take(files, Mode::Shared, &mut on_wait, cancel)?;
        }
        Ok(LayerPins {
            _locks: Some(locks),
        })
    }

    /// Waits until nothing is being removed, and keeps it so. To be held for a moment only: the
    /// process that wants to remove something waits for it, and all others wait behind that one.
    pub fn lease(&self, progress: &dyn Progress, cancel: &Cancel) -> Result<Lease, StoreError> {
        let Some(locks) = Locks::open_if_writable(self.home())? else {
            return Ok(Lease { _locks: None });
        };
        let mut on_wait = || progress.report(Event::StoreBusy(COLLECTING));
        locks.queue_for_store(Mode::Shared, &mut on_wait, cancel)?;
        Ok(Lease {
            _locks: Some(locks),
        })
    }

    /// Waits for the lease that excludes all others.
    pub(super) fn sole_lease(
        &self,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Lease, StoreError> {
        let locks = Locks::open(self.home())?;
        let mut on_wait = || progress.report(Event::StoreBusy("another msb is using the store"));
        locks.queue_for_store(Mode::Exclusive, &mut on_wait, cancel)?;
        Ok(Lease {
            _locks: Some(locks),
        })
    }

    /// Waits until no load or pull is under way, each of which has the catalogue open, and lets none
    /// begin.
    pub(super) fn without_operations(
        &self,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Lease, StoreError> {
        let locks = Locks::open(self.home())?;
        let mut on_wait = || progress.report(Event::StoreBusy("another msb is using the store"));
        locks.take(Resource::Operations, Mode::Exclusive, &mut on_wait, cancel)?;
        Ok(Lease {
            _locks: Some(locks),
        })
    }

    /// Returns the sole lease if it can be had at once.
    pub(super) fn try_sole_lease(&self) -> Result<Option<Lease>, StoreError> {
        let locks = Locks::open(self.home())?;
        let is_free = locks.try_take(Resource::Store, Mode::Exclusive)?;
        Ok(is_free.then_some(Lease {
            _locks: Some(locks),
        }))
    }
}

impl LayerLocks {
    /// Waits for the right to make one more layer; `on_wait` is called once if the wait is long.
    /// Whoever locks several does so in the order of their digests.
    pub fn lock(
        &self,
        diff_id: &Digest,
        on_wait: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<(), StoreError> {
        self.0
            .take(Resource::Layer(diff_id), Mode::Exclusive, on_wait, cancel)
    }

    /// Takes the right to fetch a layer unless another pull has it, and returns whether it did.
    pub fn try_fetch(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        self.0.try_take(Resource::Fetch(diff_id), Mode::Exclusive)
    }

    /// Gives the right to fetch a layer back.
    pub fn end_fetch(&self, diff_id: &Digest) -> Result<(), StoreError> {
        self.0.give_back(Resource::Fetch(diff_id))
    }

    /// Gives the right to make a layer back, and keeps the others.
    pub fn unlock(&self, diff_id: &Digest) -> Result<(), StoreError> {
        self.0.give_back(Resource::Layer(diff_id))
    }
}

impl Locks {
    /// Opens the lock file of a home, and makes it if there is none.
    pub(super) fn open(home: &Home) -> Result<Self, StoreError> {
        fs::create_private_directory(&home.locks())?;
        let path = home.lock();
        let file = fs::open_or_create_private(&path)?;
        Ok(Self { file, path })
    }

    /// Opens the lock file; `None` where this user cannot write it, and so removes nothing either.
    pub(super) fn open_if_writable(home: &Home) -> Result<Option<Self>, StoreError> {
        match Self::open(home) {
            Err(StoreError::Io { source, .. }) if is_read_only(&source) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Takes a lock unless another holds it, and returns whether it did.
    pub(super) fn try_take(&self, resource: Resource<'_>, mode: Mode) -> Result<bool, StoreError> {
        range::try_lock(&self.file, resource.byte(), mode).map_err(fs::error("lock", &self.path))
    }

    /// Waits for a lock; `on_wait` is called once if the wait is long.
    pub(super) fn take(
        &self,
        resource: Resource<'_>,
        mode: Mode,
        on_wait: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<(), StoreError> {
        let started = Instant::now();
        let mut told = false;
        while !self.try_take(resource, mode)? {
            cancel.check()?;
            if !told && started.elapsed() >= SILENT_WAIT {
                told = true;
                on_wait();
            }
            std::thread::sleep(RETRY);
        }
        Ok(())
    }

    /// Gives one lock back, and keeps the others.
    pub(super) fn give_back(&self, resource: Resource<'_>) -> Result<(), StoreError> {
        range::unlock(&self.file, resource.byte()).map_err(fs::error("unlock", &self.path))
    }

    /// Takes the lock of the store in turn: who comes later waits behind who waits already, so
    /// that many who share it one after the other do not shut out the one who wants it alone.
    fn queue_for_store(
        &self,
        mode: Mode,
        on_wait: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<(), StoreError> {
        let mut told = false;
        let mut once = || {
            if !std::mem::replace(&mut told, true) {
                on_wait();
            }
        };
        self.take(Resource::Queue, Mode::Exclusive, &mut once, cancel)?;
        self.take(Resource::Store, mode, &mut once, cancel)?;
        self.give_back(Resource::Queue)
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        let _ = range::unlock_all(&self.file);
    }
}

impl Resource<'_> {
    /// Returns its byte. Two layers of one byte would take turns, and that is all.
    fn byte(self) -> u64 {
        let number = |digest: &Digest| {
            let digits = digest.hex().get(..16).unwrap_or_default();
            u64::from_str_radix(digits, 16).unwrap_or_default() >> (u64::BITS - NUMBER_BITS)
        };
        let (kind, number) = match self {
            Self::Queue => (0, 0),
            Self::Store => (0, 1),
            Self::Catalogue => (0, 2),
            Self::Plugins => (0, 3),
            Self::Operations => (0, 4),
            Self::Layer(diff_id) => (1, number(diff_id)),
            Self::LayerFiles(diff_id) => (2, number(diff_id)),
            Self::Part(blob) => (3, number(blob)),
            Self::Staging(name) => (4, number(&Digest::of(name.as_bytes()))),
            Self::Fetch(diff_id) => (5, number(diff_id)),
        };
        (kind << NUMBER_BITS) | number
    }
}

/// Waits for the turn to write to the catalogue, so that writers do not depend on the luck of
/// `SQLite`'s own retries. `None` where there is no lock file, or a process that was stopped has the
/// turn: what becomes of the write is then for `SQLite` to say.
pub(super) fn turn_to_write(home: &Home) -> Option<Locks> {
    let locks = Locks::open(home).ok()?;
    let started = Instant::now();
    while !locks.try_take(Resource::Catalogue, Mode::Exclusive).ok()? {
        if started.elapsed() > WRITER_PATIENCE {
            return None;
        }
        std::thread::sleep(RETRY);
    }
    Some(locks)
}

/// Waits for the right to change what is installed of plugins, until the lock is dropped.
pub(crate) fn lock_plugins(
    home: &Home,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<PluginsLock, StoreError> {
    let locks = Locks::open(home)?;
    let mut on_wait = || progress.report(Event::StoreBusy("another msb is changing plugins"));
    locks.take(Resource::Plugins, Mode::Exclusive, &mut on_wait, cancel)?;
    Ok(PluginsLock { _locks: locks })
}

/// Removes the lock files that earlier versions had: one for each layer, and one for each purpose.
/// The caller has the sole lease.
pub(super) fn remove_old(home: &Home) {
    let entries = crate::fs::entries(&home.locks());
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let old = name.to_str().and_then(|name| name.strip_suffix(".lock"));
        let is_old = old.is_some_and(|old| {
            matches!(old, "layers" | "plugins")
                || old.replacen('_', ":", 1).parse::<Digest>().is_ok()
        });
        if is_old {
            let _ = crate::fs::remove_file(&entry.path());
        }
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}
