//! Global records: what they are together with those of an entry.
//!
//! Owns the sum of all global headers and its limit. An entry costs what its own records cost,
//! however many global ones there are: nothing is laid together again for each entry.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::entry::PaxXattrs;
use super::pax::{Attribute, Records, attribute, is_xattr, parse_decimal, xattrs};
use crate::limits::{Account, Overdrawn, Purpose};

/// Bytes of memory that a record takes besides its key and value, and an attribute besides its text.
const RECORD: u64 = 160;
const ATTRIBUTE: u64 = 96;
/// Bytes of memory that a set of attributes takes, and each attribute in it.
const SET: u64 = 256;
const IN_SET: u64 = 48;
/// Maps of sparse files are about one file; nothing writes them for all.
const SPARSE: &[u8] = b"GNU.sparse.";

/// The global records in force.
#[derive(Debug, Default)]
pub(super) struct Globals {
    by_key: BTreeMap<Box<[u8]>, Global>,
    /// Bytes of all keys and values.
    bytes: u64,
    /// How many of the keys are attributes.
    attributes: usize,
    /// The attributes of entries, by what their own records say. Only where there are global ones.
    /// What was made under earlier headers stays on the account: headers that take turns cost time.
    known: HashMap<Vec<u8>, PaxXattrs>,
    none: PaxXattrs,
}

/// A global record.
#[derive(Debug)]
struct Global {
    /// Empty where it is about an attribute, which has it.
    value: Box<[u8]>,
    attribute: Option<Attribute>,
    /// Bytes of its key and value, and bytes of memory that it takes.
    bytes: u64,
    cost: u64,
}

impl Global {
    fn new(key: &[u8], value: &[u8]) -> Self {
        let bytes = (key.len() + value.len()) as u64;
        let (value, attribute) = if is_xattr(key) {
            (&[][..], attribute(key, value))
        } else {
            (value, None)
        };
        let text = attribute.as_ref().map_or(0, text_cost);
        Self {
            cost: RECORD + (key.len() + value.len()) as u64 + text,
            value: value.into(),
            attribute,
            bytes,
        }
    }
}

impl Globals {
    /// Adds the records of one more header, which may take some back by giving them no value.
    /// Returns the bytes of all that are in force.
    pub(super) fn add(
        &mut self,
        records: &Records,
        account: &mut Account,
    ) -> Result<u64, Overdrawn> {
        for (key, value) in records.iter() {
            if key.starts_with(SPARSE) {
                continue;
            }
            let before = self.by_key.remove(key);
            if let Some(before) = &before {
                self.bytes -= before.bytes;
                account.give_back(Purpose::Headers, before.cost);
            }
            if is_xattr(key) {
                self.attributes -= usize::from(before.is_some());
                self.known.clear();
            }
            // An attribute may well be empty, where there is nothing to be taken back.
            if before.is_none() || !value.is_empty() {
                let global = Global::new(key, value);
                account.take(Purpose::Headers, global.cost)?;
                self.bytes += global.bytes;
                self.attributes += usize::from(is_xattr(key));
                self.by_key.insert(key.into(), global);
            }
        }
        Ok(self.bytes)
    }

    /// Returns the attributes of an entry with records of its own.
    pub(super) fn xattrs(
        &mut self,
        own: &Records,
        account: &mut Account,
    ) -> Result<PaxXattrs, Overdrawn> {
        if self.attributes == 0 {
            return Ok(if own.iter().any(|(key, _)| is_xattr(key)) {
                let own = own.iter();
                xattrs(own.filter_map(|(key, value)| attribute(key, value))).into()
            } else {
                Arc::clone(&self.none)
            });
        }
        let mut said = Vec::new();
        for (key, value) in own.iter().filter(|(key, _)| is_xattr(key)) {
            for part in [key, value] {
                said.extend_from_slice(&part.len().to_le_bytes());
                said.extend_from_slice(part);
            }
        }
        if let Some(known) = self.known.get(&said) {
            return Ok(Arc::clone(known));
        }
        // One list and the other, both sorted by key; the entry's own win.
        let mut merged: BTreeMap<&[u8], Option<Attribute>> = self
            .by_key
            .iter()
            .filter(|(key, _)| is_xattr(key))
            .map(|(key, global)| (&**key, global.attribute.clone()))
            .collect();
        let mut cost = SET + said.len() as u64;
        for (key, value) in own.iter().filter(|(key, _)| is_xattr(key)) {
            if merged.remove(key).is_none() || !value.is_empty() {
                let attribute = attribute(key, value);
                cost += attribute.as_ref().map_or(0, text_cost);
                merged.insert(key, attribute);
            }
        }
        let set: PaxXattrs = xattrs(merged.into_values().flatten()).into();
        cost += set.len() as u64 * IN_SET;
        account.take(Purpose::Attributes, cost)?;
        self.known.insert(said, Arc::clone(&set));
        Ok(set)
    }
}

/// Returns the bytes of memory that the text of an attribute takes.
fn text_cost((name, value): &Attribute) -> u64 {
    ATTRIBUTE + (name.len() + value.len()) as u64
}

/// The records that count for one entry: its own, then the global ones.
#[derive(Clone, Copy)]
pub(super) struct InForce<'a> {
    pub(super) own: &'a Records,
    pub(super) globals: &'a Globals,
}

impl<'a> InForce<'a> {
    /// Returns a value, unless it is empty: then the header itself counts.
    pub(super) fn get(&self, key: &str) -> Option<&'a [u8]> {
        let key = key.as_bytes();
        let global = || self.globals.by_key.get(key).map(|global| &*global.value);
        let value = self.own.get(key).or_else(global);
        value.filter(|value| !value.is_empty())
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, &'static str> {
        self.get(key)
            .map(|value| parse_decimal(value).ok_or("it is not a number"))
            .transpose()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::limits::{Budget, Limits};

    fn parse(records: &[(&str, &str)]) -> Records {
        let records = records
            .iter()
            .flat_map(|(key, value)| fixture::record(key.as_bytes(), value.as_bytes()));
        Records::parse(records.collect()).unwrap()
    }

    fn pair(name: &[u8], value: &[u8]) -> Attribute {
        (name.into(), value.into())
    }

    fn account() -> Account {
        Budget::new(&Limits::default()).account()
    }

    #[test]
    fn an_empty_value_takes_a_global_record_back() {
        let mut account = account();
        let mut globals = Globals::default();
        let first = parse(&[
            ("path", "g"),
            ("gid", "7"),
            ("SCHILY.xattr.user.global", "g"),
        ]);
        globals.add(&first, &mut account).unwrap();
        let own = parse(&[
            ("path", ""),
            ("gid", "8"),
            ("SCHILY.xattr.user.global", ""),
            ("SCHILY.xattr.user.local", ""),
        ]);
        let records = InForce {
            own: &own,
            globals: &globals,
        };
        assert_eq!(records.get("path"), None);
        assert_eq!(records.get("gid"), Some(&b"8"[..]));
        let xattrs = globals.xattrs(&own, &mut account).unwrap();
        assert_eq!(**xattrs, [pair(b"user.local", b"")]);
        let none = globals.add(&parse(&[("path", ""), ("gid", "")]), &mut account);
        assert_eq!(none.unwrap(), "SCHILY.xattr.user.globalg".len() as u64);
    }

    #[test]
    fn entries_share_their_attributes_until_a_header_changes_them() {
        let mut account = account();
        let mut globals = Globals::default();
        globals
            .add(&parse(&[("SCHILY.xattr.user.a", "1")]), &mut account)
            .unwrap();
        let own = Records::default();
        let one = globals.xattrs(&own, &mut account).unwrap();
        let taken = account.used();
        for _ in 0..100 {
            let two = globals.xattrs(&own, &mut account).unwrap();
            assert!(Arc::ptr_eq(&one, &two));
        }
        globals
            .add(&parse(&[("comment", "x")]), &mut account)
            .unwrap();
        assert!(Arc::ptr_eq(
            &one,
            &globals.xattrs(&own, &mut account).unwrap()
        ));
        assert!(account.used() < taken + 1000);
        globals
            .add(&parse(&[("SCHILY.xattr.user.a", "2")]), &mut account)
            .unwrap();
        let three = globals.xattrs(&own, &mut account).unwrap();
        assert_eq!(**three, [pair(b"user.a", b"2")]);
    }

    #[test]
    fn entries_with_attributes_of_their_own_share_the_global_ones() {
        let mut account = account();
        let mut globals = Globals::default();
        let value = "v".repeat(10_000);
        for key in ["SCHILY.xattr.user.a", "LIBARCHIVE.xattr.user.b"] {
            let records = parse(&[(key, &value)]);
            globals.add(&records, &mut account).unwrap();
        }
        let taken = account.used();
        let sets: Vec<_> = (0..100)
            .map(|number| {
                let own = parse(&[("SCHILY.xattr.user.own", &number.to_string())]);
                globals.xattrs(&own, &mut account).unwrap()
            })
            .collect();
        for set in &sets {
            assert_eq!(set.len(), 3);
            assert!(Arc::ptr_eq(&set[0].1, &sets[0][0].1));
            assert!(Arc::ptr_eq(&set[1].1, &sets[0][1].1));
        }
        assert!(account.used() < taken + 100_000);
    }
}
