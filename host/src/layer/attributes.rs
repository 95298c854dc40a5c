//! Extended attributes of a layer's inodes: equal sets are kept once, and equal names and values.
//!
//! Owns what a set costs: the first inode that has it pays, and each other one a look-up. What came
//! as one copy is known by its address, so that not even that depends on its size.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use msb_erofs::Xattrs;

use super::xattr::select;
use crate::limits::{Account, Overdrawn, Purpose};
use crate::tar;

/// Bytes of memory that a set takes, an attribute in it, and a name or a value besides its text.
const SET: u64 = 512;
const ATTRIBUTE: u64 = 64;
const SHARED_TEXT: u64 = 96;

/// Bytes of memory that any text takes besides its own.
pub(super) const TEXT: u64 = 16;

/// The sets of one layer.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// Names and values, and where they are.
    texts: HashSet<Arc<[u8]>>,
    places: HashSet<usize>,
    /// Sets by where their names and values are.
    sets: HashMap<Box<[usize]>, Xattrs>,
    /// What became of those that many entries of the tar share, by their address.
    shared: HashMap<usize, (tar::PaxXattrs, Xattrs)>,
    /// Sets with one more attribute, by the address of the set and the name of the attribute.
    marked: HashMap<(usize, &'static [u8]), (Xattrs, Xattrs)>,
}

impl Attributes {
    /// Returns the set of an entry. `dropped` is told the names that EROFS has no place for, those
    /// of entries that share them once.
    pub(super) fn of_entry(
        &mut self,
        xattrs: tar::PaxXattrs,
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
        let mut texts = Vec::with_capacity(2 * set.len());
        for (name, value) in &set {
            for text in [name, value] {
                texts.push(self.text(text, account)?);
            }
        }
        let places: Box<[usize]> = texts.iter().map(place).collect();
        if let Some(known) = self.sets.get(&places) {
            return Ok(known.clone());
        }
        let count = set.len() as u64;
        account.take(Purpose::Attributes, SET + count * ATTRIBUTE)?;
        let pairs = texts.chunks_exact(2).filter_map(|pair| match pair {
            [name, value] => Some((Arc::clone(name), Arc::clone(value))),
            _ => None,
        });
        let set: Xattrs = pairs.collect();
        self.sets.insert(places, set.clone());
        Ok(set)
    }

    /// Returns the copy of a name or a value that is kept.
    fn text(&mut self, text: &Arc<[u8]>, account: &mut Account) -> Result<Arc<[u8]>, Overdrawn> {
        if self.places.contains(&place(text)) {
            return Ok(Arc::clone(text));
        }
        if let Some(known) = self.texts.get(text) {
            return Ok(Arc::clone(known));
        }
        account.take(Purpose::Attributes, SHARED_TEXT + text_size(text))?;
        self.texts.insert(Arc::clone(text));
        self.places.insert(place(text));
        Ok(Arc::clone(text))
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

fn place(text: &Arc<[u8]>) -> usize {
    Arc::as_ptr(text).cast::<u8>() as usize
}

/// Returns the bytes of memory that text takes; where pieces of any size come and go, some between
/// them lie waste.
pub(super) fn text_size(text: &[u8]) -> u64 {
    let length = text.len() as u64;
    TEXT + length + length / 8
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::limits::{Budget, Limits};

    fn entry(value: &[u8]) -> tar::PaxXattrs {
        Arc::new(vec![(Arc::from(&b"user.a"[..]), Arc::from(value))])
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
        assert!(account.used() >= taken + 1000);
    }

    #[test]
    fn different_sets_share_equal_names_and_values() {
        let mut account = Budget::new(&Limits::default()).account();
        let mut attributes = Attributes::default();
        let mut of_entry = |own: &str| {
            let pair = |name: &[u8], value: &[u8]| (Arc::from(name), Arc::from(value));
            let set = vec![
                pair(b"user.a", &[7; 10_000]),
                pair(b"user.own", own.as_bytes()),
            ];
            let drop = |_: &[u8]| unreachable!();
            attributes
                .of_entry(Arc::new(set), &mut account, drop)
                .unwrap()
        };
        let value = |set: &Xattrs| Arc::clone(&set[&b"user.a"[..]]);
        let one = of_entry("0");
        for number in 1..100 {
            let other = of_entry(&number.to_string());
            assert!(!other.is_same(&one));
            assert!(Arc::ptr_eq(&value(&other), &value(&one)));
        }
        assert!(account.used() < 120_000, "{}", account.used());
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
