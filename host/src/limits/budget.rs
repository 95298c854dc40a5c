//! What the parts of one operation share: memory, room on disk, and how far data may grow.
//!
//! Owns the sums and the error that names what took the most. Knows nothing of what is counted:
//! who keeps something that an input decides says how many bytes it takes.

mod account;
mod purpose;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Limit, Limits};

pub use account::Account;
pub use purpose::Purpose;

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
