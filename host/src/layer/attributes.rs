//! Extended attributes of a layer's inodes, equal sets kept once.
//!
//! Owns what a set costs: the first inode that has it pays, and each other one a look-up. What came
//! as one copy is known by its address, so that not even that depends on its size.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::xattr::select;
use crate::erofs::Xattrs;
use crate::limits::{Account, Overdrawn, Purpose};
use crate::tar;

/// Bytes of memory that a set takes besides its attributes, and an attribute besides its text.
const SET: u64 = 256;
const ATTRIBUTE: u64 = 112;

/// The sets of one layer.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    sets: HashSet<Xattrs>,
    /// What became of those that many entries of the tar share, by their address.
    shared: HashMap<usize, (tar::Xattrs, Xattrs)>,
    /// Sets with one more attribute, by the address of the set and the name of the attribute.
    marked: HashMap<(usize, &'static [u8]), (Xattrs, Xattrs)>,
}

impl Attributes {
    /// Returns the set of an entry. `dropped` is told the names that EROFS has no place for, those
    /// of entries that share them once.
    pub(super) fn of_entry(
        &mut self,
        xattrs: tar::Xattrs,
        account: &mut Account,
        mut dropped: impl FnMut(&[u8]),
    ) -> Result<Xattrs, Overdrawn> {
        if xattrs.is_empty() {
            return Ok(Xattrs::default());
        }
        let address = Arc::as_ptr(&xattrs) as usize;
        if let Some((_, known)) = self.shared.get(&address) {
            return Ok(known.clone());
        }
        let (kept, left_out) = select(&xattrs);
        for name in left_out {
            dropped(name);
        }
        let set = self.unique(kept, account)?;
        if Arc::strong_count(&xattrs) > 1 {
            account.take(Purpose::Attributes, SET)?;
            self.shared.insert(address, (xattrs, set.clone()));
        }
        Ok(set)
    }

    /// Returns the copy of a set that is kept.
    pub(super) fn unique(
        &mut self,
        set: Xattrs,
        account: &mut Account,
    ) -> Result<Xattrs, Overdrawn> {
        if set.is_empty() {
            return Ok(set);
        }
        if let Some(known) = self.sets.get(&set) {
            return Ok(known.clone());
        }
        let each = set.iter().map(|(name, value)| name.len() + value.len());
        let size = each.map(|size| ATTRIBUTE + size as u64).sum::<u64>();
        account.take(Purpose::Attributes, SET + size)?;
        self.sets.insert(set.clone());
        Ok(set)
    }

    /// Returns a set with one more attribute.
    pub(super) fn with(
        &mut self,
        set: &Xattrs,
        (name, value): (&'static [u8], &'static [u8]),
        account: &mut Account,
    ) -> Result<Xattrs, Overdrawn> {
        let key = (set.address(), name);
        if let Some((_, known)) = self.marked.get(&key) {
            return Ok(known.clone());
        }
        let mut more = set.clone();
        more.insert(name.into(), value.into());
        let more = self.unique(more, account)?;
        account.take(Purpose::Attributes, SET)?;
        self.marked.insert(key, (set.clone(), more.clone()));
        Ok(more)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::limits::{Budget, Limits};

    fn entry(value: &[u8]) -> tar::Xattrs {
        vec![(b"user.a".to_vec(), value.to_vec())].into()
    }

    #[test]
    fn equal_sets_are_one_copy_and_paid_once() {
        let mut account = Budget::new(&Limits::default()).account();
        let mut attributes = Attributes::default();
        let mut of_entry = |value: &[u8], account: &mut Account| {
            let drop = |_: &[u8]| unreachable!();
            attributes.of_entry(entry(value), account, drop).unwrap()
        };
        let one = of_entry(&[1; 1000], &mut account);
        let taken = account.used();
        assert!(taken >= 1000);
        for _ in 0..100 {
            assert!(of_entry(&[1; 1000], &mut account).is_same(&one));
        }
        assert_eq!(account.used(), taken);
        assert!(!of_entry(&[2; 1000], &mut account).is_same(&one));
        assert!(account.used() >= 2 * taken);
    }

    #[test]
    fn a_mark_is_put_on_a_set_once() {
        let mut account = Budget::new(&Limits::default()).account();
        let mut attributes = Attributes::default();
        let set = attributes
            .of_entry(entry(b"1"), &mut account, |_| {})
            .unwrap();
        let mark = (&b"trusted.overlay.opaque"[..], &b"y"[..]);
        let one = attributes.with(&set, mark, &mut account).unwrap();
        let taken = account.used();
        assert!(
            attributes
                .with(&set, mark, &mut account)
                .unwrap()
                .is_same(&one)
        );
        assert_eq!(account.used(), taken);
        assert_eq!(one.len(), 2);
    }
}
