//! The check of what is spread over the image: its counts, and which bytes belong to what.

use crate::ErofsError;
use crate::format::Nid;
use crate::source::ReadAt;

use super::Check;

impl<R: ReadAt> Check<R> {
    /// Checks the numbers that are spread over the image.
    pub(super) fn counts(&mut self) {
        if self.image.compression.is_some() != self.has_compressed {
            let what = "the superblock says that files are compressed, and none is";
            self.add(None, None, what);
        }
        if self.report.inodes != self.image.superblock().inodes {
            let what = "the superblock has a wrong number of inodes";
            self.add(None, None, what);
        }
        let mut wrong: Vec<Nid> = self
            .seen
            .iter()
            .filter(|(_, seen)| seen.nlink != seen.names)
            .map(|(nid, _)| *nid)
            .collect();
        wrong.sort_unstable();
        for nid in wrong {
            self.add(Some(nid), None, "it has a wrong number of names");
        }
        let mut inos: Vec<u32> = self.seen.values().map(|seen| seen.ino).collect();
        inos.sort_unstable();
        inos.dedup();
        if inos.len() != self.seen.len() {
            self.add(None, None, "two inodes have one number for 32 bit systems");
        }
    }

    /// Checks that no byte belongs to two things, and that those of nothing are zero. Files may have
    /// their data in common: those of msb all of it or none.
    pub(super) fn space(&mut self) -> Result<(), ErofsError> {
        let mut data = std::mem::take(&mut self.data);
        data.sort_unstable();
        data.dedup_by(|next, before| {
            let is_same = next == before;
            let overlaps = !self.is_own && next.0 < before.1;
            if overlaps {
                before.1 = before.1.max(next.1);
            }
            is_same || overlaps
        });
        let mut used = std::mem::take(&mut self.used);
        used.append(&mut data);
        used.sort_unstable();
        let size = self.image.size();
        let mut end = 0;
        let mut buffer = vec![0; 1 << 16];
        for (start, stop) in used.into_iter().chain([(size, size)]) {
            if start < end {
                self.add(None, None, "two inodes share bytes");
            }
            while end < start {
                let left = usize::try_from(start - end).unwrap_or(usize::MAX);
                let length = left.min(buffer.len());
                let bytes = buffer.get_mut(..length).unwrap_or_default();
                self.image.source().read(end, bytes)?;
                if self.is_own && bytes.iter().any(|byte| *byte != 0) {
                    self.add(None, None, "bytes that belong to nothing are not zero");
                    end = start;
                } else {
                    end += bytes.len() as u64;
                }
            }
            end = end.max(stop);
        }
        Ok(())
    }
}
