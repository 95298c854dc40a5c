//! Attributes that many inodes have: kept once in an area of their own.
//!
//! Owns the choice. An image in which equal attributes take little room has all of them inline, as
//! every image had before there were shared ones; only where copies would take more than
//! [`SHARED_FROM`] are they kept once. Source: `erofs.rst`, "Xattrs"; `struct
//! erofs_xattr_ibody_header` in `fs/erofs/erofs_fs.h`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use zerocopy::IntoBytes as _;
use zerocopy::little_endian::U32;

use super::error::{ErofsError, check};
use super::raw::{XATTR_HEADER_SIZE, XATTR_ID_SIZE};
use super::tree::{InodeId, Tree, Xattrs};
use super::xattr;

/// Bytes that copies of attributes may take before they are shared.
const SHARED_FROM: u64 = 1 << 20;
/// Shared attributes of one inode: their count has 8 bits.
const SHARED_MAX: usize = u8::MAX as usize;

/// An attribute: its name and its value.
type Pair<'t> = (&'t [u8], &'t [u8]);
/// Where the name and the value of an attribute are in memory. Sets that share them need no look at
/// their bytes.
type Address = (usize, usize);

/// Where the attributes of all inodes go.
#[derive(Debug, Default)]
pub(super) struct Shared<'t> {
    /// The shared ones, in the order of the area.
    pairs: Vec<Pair<'t>>,
    /// Bytes of the area.
    pub(super) size: u64,
    /// What follows the inodes that have a set, by the address of the set.
    bodies: HashMap<usize, Body>,
}

/// What follows an inode of its attributes.
#[derive(Debug)]
struct Body {
    size: u64,
    /// Of each attribute in order its number in the shared area; none for inline ones.
    numbers: Box<[Option<u32>]>,
}

impl<'t> Shared<'t> {
    /// Looks at the sets of all inodes of a tree.
    pub(super) fn plan(
        tree: &'t Tree,
        order: &[InodeId],
        cancel: &CancellationToken,
    ) -> Result<Self, ErofsError> {
        let mut sets: HashMap<usize, (&'t Xattrs, u64)> = HashMap::new();
        for id in order {
            check(cancel)?;
            let xattrs = &tree.get(*id).metadata.xattrs;
            if !xattrs.is_empty() {
                sets.entry(xattrs.address()).or_insert((xattrs, 0)).1 += 1;
            }
        }
        let mut found: HashMap<Address, (Pair<'t>, u64)> = HashMap::new();
        for (xattrs, count) in sets.values() {
            check(cancel)?;
            for (name, value) in *xattrs {
                let place = found.entry(address(name, value));
                place.or_insert(((&**name, &**value), 0)).1 += count;
            }
        }
        let mut counts: BTreeMap<Pair<'t>, u64> = BTreeMap::new();
        for (pair, count) in found.values() {
            check(cancel)?;
            *counts.entry(*pair).or_default() += count;
        }
        counts.retain(|(name, value), count| {
            *count > 1 && xattr::entry_size(name, value) > XATTR_ID_SIZE
        });
        let copies = counts.iter().map(|((name, value), count)| {
            (count - 1).saturating_mul(xattr::entry_size(name, value) as u64)
        });
        if copies.fold(0, u64::saturating_add) < SHARED_FROM {
            counts.clear();
        }
        // Only those that may be shared count from here on.
        found.retain(|_, (pair, _)| counts.contains_key(pair));
        // An inode has room for so many of them; what no inode refers to is not in the area.
        let mut referred = HashSet::new();
        for (xattrs, _) in sets.values() {
            check(cancel)?;
            let addresses = xattrs.iter().map(|(name, value)| address(name, value));
            let shared = addresses.filter(|address| found.contains_key(address));
            referred.extend(shared.take(SHARED_MAX));
        }
        let pairs = referred.iter().filter_map(|address| found.get(address));
        let pairs: BTreeSet<Pair<'t>> = pairs.map(|(pair, _)| *pair).collect();
        let mut shared = Self::default();
        let mut numbers = BTreeMap::new();
        for pair in pairs {
            // Too far into the area for its number to be written: it stays inline.
            let Ok(number) = u32::try_from(shared.size / XATTR_ID_SIZE as u64) else {
                break;
            };
            numbers.insert(pair, number);
            shared.pairs.push(pair);
            shared.size += xattr::entry_size(pair.0, pair.1) as u64;
        }
        let numbers = found
            .into_iter()
            .filter_map(|(address, (pair, _))| Some((address, *numbers.get(&pair)?)));
        let numbers: HashMap<Address, u32> = numbers.collect();
        for (address, (xattrs, _)) in sets {
            check(cancel)?;
            let body = Body::plan(xattrs, &numbers);
            shared.bodies.insert(address, body);
        }
        Ok(shared)
    }

    /// Returns the bytes that the attributes of an inode take behind it.
    pub(super) fn body_size(&self, xattrs: &Xattrs) -> u64 {
        self.body(xattrs).map_or(0, |body| body.size)
    }

    /// Appends what follows an inode of its attributes.
    pub(super) fn encode_body(&self, xattrs: &Xattrs, bytes: &mut Vec<u8>) {
        let Some(body) = self.body(xattrs) else {
            return;
        };
        let numbers: Vec<U32> = body
            .numbers
            .iter()
            .flatten()
            .copied()
            .map(U32::new)
            .collect();
        bytes.extend_from_slice(xattr::header(numbers.len()).as_bytes());
        bytes.extend_from_slice(numbers.as_bytes());
        for ((name, value), number) in xattrs.iter().zip(&body.numbers) {
            if number.is_none() {
                xattr::encode(name, value, bytes);
            }
        }
    }

    /// Returns the bytes of each shared attribute.
    pub(super) fn entries(&self) -> impl Iterator<Item = Vec<u8>> {
        self.pairs.iter().map(|(name, value)| {
            let mut bytes = Vec::new();
            xattr::encode(name, value, &mut bytes);
            bytes
        })
    }

    fn body(&self, xattrs: &Xattrs) -> Option<&Body> {
        self.bodies.get(&xattrs.address())
    }
}

impl Body {
    fn plan(xattrs: &Xattrs, shared: &HashMap<Address, u32>) -> Self {
        let mut size = XATTR_HEADER_SIZE;
        let mut left = SHARED_MAX;
        let numbers = xattrs
            .iter()
            .map(|(name, value)| {
                let number = shared.get(&address(name, value)).filter(|_| left > 0);
                match number {
                    Some(_) => {
                        left -= 1;
                        size += XATTR_ID_SIZE;
                    }
                    None => size += xattr::entry_size(name, value),
                }
                number.copied()
            })
            .collect();
        Self {
            size: size as u64,
            numbers,
        }
    }
}

fn address(name: &Arc<[u8]>, value: &Arc<[u8]>) -> Address {
    let of = |text: &Arc<[u8]>| Arc::as_ptr(text).cast::<u8>() as usize;
    (of(name), of(value))
}
