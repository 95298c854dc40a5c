//! Reading extended attributes, of an inode and those that inodes share.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{MutexGuard, PoisonError};

use zerocopy::IntoBytes as _;

use crate::ErofsError;
use crate::format::BLOCK_SIZE;
use crate::inode::InodeInfo;
use crate::raw::{INODE_SIZE, RawXattrEntry, XATTR_ENTRY_SIZE, XATTR_ID_SIZE};
use crate::source::ReadAt;
use crate::tree::Xattrs;
use crate::xattr::{self, Pair};

use super::{Image, KEPT_SETS};

impl<R: ReadAt> Image<R> {
    /// Returns the extended attributes of an inode by their full names.
    pub fn xattrs(&self, inode: &InodeInfo) -> Result<Xattrs, ErofsError> {
        if inode.xattr_size == 0 {
            return Ok(Xattrs::default());
        }
        let bytes = self.xattr_body(inode)?;
        let known = |sets: &HashMap<Vec<u8>, Xattrs>| sets.get(&bytes).cloned();
        if let Some(xattrs) = known(&self.sets()) {
            return Ok(xattrs);
        }
        let body = xattr::decode(&bytes).map_err(|what| inode.damaged(what))?;
        if body.shared.is_empty() {
            return Ok(body.inline.into_iter().collect());
        }
        let mut xattrs = body.inline;
        for number in body.shared {
            let (pair, _) = self
                .shared_xattr(number)?
                .map_err(|what| inode.damaged(what))?;
            xattrs.push(pair);
        }
        let count = xattrs.len();
        let xattrs: Xattrs = xattrs.into_iter().collect();
        if xattrs.len() < count {
            return Err(inode.damaged("an attribute is there twice"));
        }
        let mut sets = self.sets();
        if sets.len() >= KEPT_SETS {
            sets.clear();
        }
        sets.insert(bytes, xattrs.clone());
        Ok(xattrs)
    }

    /// Returns what follows an inode of its attributes.
    pub(crate) fn xattr_body(&self, inode: &InodeInfo) -> Result<Vec<u8>, ErofsError> {
        let mut body = vec![0; usize::try_from(inode.xattr_size).unwrap_or_default()];
        let offset = self.offset(inode.nid).ok_or(ErofsError::ImageTooLarge)?;
        self.source
            .read_cached(offset + INODE_SIZE as u64, &mut body)?;
        Ok(body)
    }

    /// Returns a shared attribute and where it lies in the image, or the rule that it breaks.
    pub(crate) fn shared_xattr(
        &self,
        number: u32,
    ) -> Result<Result<(Pair, Range<u64>), &'static str>, ErofsError> {
        let area = u64::from(self.superblock.xattr_block) * BLOCK_SIZE;
        let start = area + u64::from(number) * XATTR_ID_SIZE as u64;
        let end = start.saturating_add(XATTR_ENTRY_SIZE as u64);
        if area == 0 || end > self.size() {
            return Ok(Err("a shared attribute lies outside of the image"));
        }
        let mut head = RawXattrEntry::default();
        self.source.read_cached(start, head.as_mut_bytes())?;
        let size = head.whole_size();
        let end = start.saturating_add(size as u64);
        if end > self.size() {
            return Ok(Err("a shared attribute lies outside of the image"));
        }
        let mut bytes = vec![0; size];
        self.source.read_cached(start, &mut bytes)?;
        Ok(xattr::decode_one(&bytes).map(|(pair, _)| (pair, start..end)))
    }

    fn sets(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Xattrs>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
