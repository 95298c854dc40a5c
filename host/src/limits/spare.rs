//! Memory that an operation can do without.
//!
//! Owns its sum, and the rule that everything else comes first: what is taken here never makes an
//! [`Account`](super::Account) fail.

use std::sync::atomic::Ordering;

use super::Budget;

/// Memory that one part of an operation takes while nothing else needs it. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Spare {
    budget: Budget,
    held: u64,
}

impl Spare {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, held: 0 }
    }

    /// Changes how many bytes are taken, and returns whether the budget has room for them. If not,
    /// none are taken any more, and the caller frees what it has.
    pub(crate) fn hold(&mut self, bytes: u64) -> bool {
        let spare = self.budget.spare_taken();
        if bytes > self.held {
            spare.fetch_add(bytes - self.held, Ordering::Relaxed);
        } else {
            spare.fetch_sub(self.held - bytes, Ordering::Relaxed);
        }
        self.held = bytes;
        if bytes == 0 || self.budget.has_room() {
            return true;
        }
        self.release();
        false
    }

    fn release(&mut self) {
        let spare = self.budget.spare_taken();
        spare.fetch_sub(std::mem::take(&mut self.held), Ordering::Relaxed);
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::{Budget, Limits, Purpose};

    #[test]
    fn spare_memory_yields_to_everything_else() {
        let budget = Budget::new(&Limits {
            memory_bytes: 1000,
            ..Limits::default()
        });
        let (mut one, mut two) = (budget.spare(), budget.spare());
        assert!(one.hold(600));
        assert!(!two.hold(401));
        assert!(two.hold(400));
        // It stands in the way of nothing.
        let mut account = budget.account();
        account.take(Purpose::Inodes, 1000).unwrap();
        assert!(!one.hold(600));
        assert!(!two.hold(1));
        assert!(one.hold(0));
        drop(account);
        assert!(one.hold(1000));
        drop(one);
        assert!(two.hold(1000));
    }
}
