//! What the parts of one operation share: memory, room on disk, and how far data may grow.
//!
//! Owns the sums and the error that names what took the most. Knows nothing of what is counted:
//! who keeps something that an input decides says how many bytes it takes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Limit, Limits};

/// Bytes that an account takes from the budget at a time, so that threads seldom meet there.
const STEP: u64 = 64 << 10;

/// What memory is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Files, directories and other inodes of a layer, with their names.
    Inodes,
    /// Extended attributes.
    Attributes,
    /// Targets of symbolic links, and hard links to what has not come yet.
    Links,
    /// Whiteouts.
    Whiteouts,
    /// Extension headers.
    Headers,
    /// Maps of sparse files.
    SparseMaps,
    /// Names in the layers below.
    LowerNames,
    /// Entries of the archive around the images.
    ArchiveEntries,
    /// Small files of that archive, manifests and configurations.
    Documents,
    /// Parts of files that are being compressed.
    Clusters,
}

impl Purpose {
    const ALL: [Self; 10] = [
        Self::Inodes,
        Self::Attributes,
        Self::Links,
        Self::Whiteouts,
        Self::Headers,
        Self::SparseMaps,
        Self::LowerNames,
        Self::ArchiveEntries,
        Self::Documents,
        Self::Clusters,
    ];

    fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Inodes => "files and directories",
            Self::Attributes => "extended attributes",
            Self::Links => "links",
            Self::Whiteouts => "whiteouts",
            Self::Headers => "extension headers",
            Self::SparseMaps => "maps of sparse files",
            Self::LowerNames => "names in the layers below",
            Self::ArchiveEntries => "entries of the archive",
            Self::Documents => "manifests, configurations and other small files",
            Self::Clusters => "parts of files that are being compressed",
        })
    }
}

/// An operation that would take more than its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Overdrawn {
    /// It would take more memory.
    #[error(
        "the input takes more than {max} bytes of memory, most of them for {purpose} (limit `{}`)",
        Limit::MemoryBytes.name()
    )]
    Memory {
        /// What is allowed.
        max: u64,
        /// What most of it was taken for.
        purpose: Purpose,
    },
    /// It would write more.
    #[error(
        "the layers take more than {max} bytes on disk together (limit `{}`)",
        Limit::ImageBytes.name()
    )]
    Disk {
        /// What is allowed.
        max: u64,
    },
}

/// What one operation may take, shared by all who work on it. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
    share: Arc<Share>,
}

/// What one part of an operation has written and inflated, so that it can be given back.
#[derive(Debug, Default)]
struct Share {
    written: AtomicU64,
    compressed: AtomicU64,
    inflated: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    memory_taken: AtomicU64,
    /// What of it was taken for which purpose. For the error, so it may lag behind a little.
    by_purpose: [AtomicU64; Purpose::ALL.len()],
    disk_taken: AtomicU64,
    growth: Growth,
}

/// How much larger data has become.
#[derive(Debug)]
struct Growth {
    /// Bytes as they came in, compressed.
    compressed: AtomicU64,
    /// Bytes that they have become.
    inflated: AtomicU64,
    /// All input comes through one decoder already, which alone counts what comes in.
    is_nested: AtomicBool,
}

impl Budget {
    /// Returns the budget of one operation, of which nothing is taken.
    pub fn new(limits: &Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                limits: limits.clone(),
                memory_taken: AtomicU64::new(0),
                by_purpose: Default::default(),
                disk_taken: AtomicU64::new(0),
                growth: Growth {
                    compressed: AtomicU64::new(0),
                    inflated: AtomicU64::new(0),
                    is_nested: AtomicBool::new(false),
                },
            }),
            share: Arc::default(),
        }
    }

    /// Returns the same budget for one part of the operation, which may come to nothing.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            share: Arc::default(),
        }
    }

    /// Gives back what was written and inflated of this share: it has come to nothing, and what was
    /// written is removed.
    pub fn give_back(&self) {
        let Share {
            written,
            compressed,
            inflated,
        } = &*self.share;
        let growth = &self.shared.growth;
        for (of_all, own) in [
            (&self.shared.disk_taken, written),
            (&growth.compressed, compressed),
            (&growth.inflated, inflated),
        ] {
            of_all.fetch_sub(own.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Returns the limits that it was made with.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Opens an account, with nothing in it.
    pub fn account(&self) -> Account {
        Account {
            budget: self.clone(),
            taken: [0; Purpose::ALL.len()],
            told: [0; Purpose::ALL.len()],
            used: 0,
            held: 0,
        }
    }

    /// Counts bytes that are written.
    ///
    /// # Errors
    /// [`Overdrawn::Disk`] when all that was written is more than the limit.
    pub fn write(&self, bytes: u64) -> Result<(), Overdrawn> {
        let before = self.shared.disk_taken.fetch_add(bytes, Ordering::Relaxed);
        self.share.written.fetch_add(bytes, Ordering::Relaxed);
        let max = self.shared.limits.image_bytes;
        if before.saturating_add(bytes) > max {
            return Err(Overdrawn::Disk { max });
        }
        Ok(())
    }

    /// Gives back bytes that were counted and have been taken off the disk.
    pub(crate) fn unwrite(&self, bytes: u64) {
        self.shared.disk_taken.fetch_sub(bytes, Ordering::Relaxed);
        self.share.written.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns the count of one decoder whose output is layers.
    pub fn inflation(&self) -> Inflation {
        Inflation {
            budget: self.clone(),
            is_outer: false,
            compressed: 0,
            inflated: 0,
        }
    }

    /// Returns the count of the decoder around everything: what the layers have grown from is what
    /// goes into this one.
    pub fn outer_inflation(&self) -> Inflation {
        self.shared.growth.is_nested.store(true, Ordering::Relaxed);
        Inflation {
            is_outer: true,
            ..self.inflation()
        }
    }

    /// Takes between `least` and `most` bytes, and returns how many.
    fn take(&self, least: u64, most: u64) -> Option<u64> {
        let taken = &self.shared.memory_taken;
        for wanted in [most, least] {
            let grown = |taken: u64| {
                let next = taken.checked_add(wanted)?;
                (next <= self.shared.limits.memory_bytes).then_some(next)
            };
            if taken
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
                .is_ok()
            {
                return Some(wanted);
            }
        }
        None
    }
}

/// What one part of an operation has taken of its budget. Given back when dropped.
#[derive(Debug)]
pub struct Account {
    budget: Budget,
    /// By purpose, and what of it the budget was told.
    taken: [u64; Purpose::ALL.len()],
    told: [u64; Purpose::ALL.len()],
    /// Bytes in use, and bytes taken from the budget for them.
    used: u64,
    held: u64,
}

impl Account {
    /// Takes memory.
    ///
    /// # Errors
    /// [`Overdrawn::Memory`] when the operation would take more than its budget.
    pub fn take(&mut self, purpose: Purpose, bytes: u64) -> Result<(), Overdrawn> {
        self.taken[purpose.index()] = self.taken[purpose.index()].saturating_add(bytes);
        let used = self.used.saturating_add(bytes);
        if used > self.held {
            let missing = used - self.held;
            self.tell();
            match self.budget.take(missing, missing.max(STEP)) {
                Some(more) => self.held += more,
                None => return Err(self.overdrawn()),
            }
        }
        self.used = used;
        Ok(())
    }

    /// Gives back what was taken for a purpose and is not in use any more.
    pub fn give_back(&mut self, purpose: Purpose, bytes: u64) {
        let taken = &mut self.taken[purpose.index()];
        *taken = taken.saturating_sub(bytes);
        self.used = self.used.saturating_sub(bytes);
        if self.held - self.used > 2 * STEP {
            let rest = self.held - self.used - STEP;
            let taken = &self.budget.shared.memory_taken;
            taken.fetch_sub(rest, Ordering::Relaxed);
            self.held -= rest;
        }
    }

    /// Returns the budget that it takes from.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Returns how many bytes are in use.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Tells the budget what was taken for which purpose.
    fn tell(&mut self) {
        let sums = self.budget.shared.by_purpose.iter();
        for ((taken, told), sum) in self.taken.iter().zip(&mut self.told).zip(sums) {
            sum.fetch_add(taken.wrapping_sub(*told), Ordering::Relaxed);
            *told = *taken;
        }
    }

    fn overdrawn(&self) -> Overdrawn {
        let sum = |purpose: &Purpose| {
            let sums = &self.budget.shared.by_purpose;
            sums[purpose.index()].load(Ordering::Relaxed)
        };
        Overdrawn::Memory {
            max: self.budget.shared.limits.memory_bytes,
            purpose: Purpose::ALL
                .into_iter()
                .max_by_key(sum)
                .unwrap_or(Purpose::Inodes),
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.taken = [0; Purpose::ALL.len()];
        self.tell();
        let taken = &self.budget.shared.memory_taken;
        taken.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// How far one decoder has come, counted for the whole operation.
#[derive(Debug)]
pub struct Inflation {
    budget: Budget,
    is_outer: bool,
    compressed: u64,
    inflated: u64,
}

impl Inflation {
    /// Counts what a decoder has read and given so far. Returns whether the operation is still
    /// within its ratio.
    pub fn is_bearable(&mut self, compressed: u64, inflated: u64) -> bool {
        let more_compressed = compressed.saturating_sub(self.compressed);
        let more_inflated = inflated.saturating_sub(self.inflated);
        (self.compressed, self.inflated) = (compressed, inflated);
        let Budget { shared, share } = &self.budget;
        let growth = &shared.growth;
        let allowed = |compressed: u64| shared.limits.growth(compressed);
        if self.is_outer {
            let compressed = growth
                .compressed
                .fetch_add(more_compressed, Ordering::Relaxed)
                .saturating_add(more_compressed);
            return inflated <= allowed(compressed);
        }
        if !growth.is_nested.load(Ordering::Relaxed) {
            let of_all = &growth.compressed;
            of_all.fetch_add(more_compressed, Ordering::Relaxed);
            share
                .compressed
                .fetch_add(more_compressed, Ordering::Relaxed);
        }
        share.inflated.fetch_add(more_inflated, Ordering::Relaxed);
        let compressed = growth.compressed.load(Ordering::Relaxed);
        let inflated = growth
            .inflated
            .fetch_add(more_inflated, Ordering::Relaxed)
            .saturating_add(more_inflated);
        inflated <= allowed(compressed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
