//! The file whose bytes are the locks between processes.
//!
//! Owns which byte is which lock, the queue for the lease, and the waiting. The file is in a folder
//! that only its owner can enter, so a user who may only read the store cannot hold any of them. It is
//! never removed: a name that vanishes while a process waits on it would let two in at once.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::range::{self, Mode};
use super::{StoreError, fs};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::home::Home;

/// How often a lock that is taken is tried again. Waiting in the kernel could not be cancelled.
pub(super) const RETRY: Duration = Duration::from_millis(10);
/// How long a wait is before the user hears of it.
const SILENT_WAIT: Duration = Duration::from_millis(250);
/// How many bits of a byte's offset say which layer, part or directory it is for.
const NUMBER_BITS: u32 = 59;

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
    pub(super) fn queue_for_store(
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

fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}
