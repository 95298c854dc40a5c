//! The memory that one part of an operation has taken of the budget.
//!
//! Owns how often the part and the budget meet, so that threads seldom wait for each other.

use std::sync::atomic::Ordering;

use super::{Budget, Overdrawn, Purpose};

/// Bytes that an account takes from the budget at a time, so that threads seldom meet there.
const STEP: u64 = 64 << 10;

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

impl Budget {
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
