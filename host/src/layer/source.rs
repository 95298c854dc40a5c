//! The blob as it comes in: progress, failures, and no more bytes than were stated.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::pipeline::BUFFER;
use crate::cancel::Cancel;

/// How long bytes wait at most until they are reported: over a slow line they are few.
const PATIENCE: Duration = Duration::from_millis(100);

/// A reader of a blob.
pub(super) struct Source<'a, R> {
    input: R,
    cancel: &'a Cancel,
    /// Told how many bytes were read since it was told last.
    advanced: &'a (dyn Fn(u64) + Sync),
    /// Bytes that have not been reported yet.
    unreported: u64,
    reported: Instant,
    /// What may still be read; one byte more than stated shows that there are too many.
    left: u64,
    failed: bool,
}

impl<'a, R> Source<'a, R> {
    pub(super) fn new(
        input: R,
        stated: Option<u64>,
        advanced: &'a (dyn Fn(u64) + Sync),
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            input,
            cancel,
            advanced,
            unreported: 0,
            reported: Instant::now(),
            left: stated.map_or(u64::MAX, |size| size.saturating_add(1)),
            failed: false,
        }
    }

    /// Returns whether the input itself gave an error.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn report(&mut self) {
        if self.unreported > 0 {
            self.reported = Instant::now();
            (self.advanced)(std::mem::take(&mut self.unreported));
        }
    }
}

impl<R: Read> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A decoder may read on and on without a byte to show for it.
        self.cancel.check().map_err(io::Error::other)?;
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (target, _) = buffer.split_at_mut(left.min(buffer.len()));
        match self.input.read(target) {
            Ok(count) => {
                self.left = self.left.saturating_sub(count as u64);
                self.unreported += count as u64;
                let is_due =
                    self.unreported >= BUFFER as u64 || self.reported.elapsed() >= PATIENCE;
                if count == 0 || is_due {
                    self.report();
                }
                Ok(count)
            }
            Err(error) => {
                self.failed |= error.kind() != io::ErrorKind::Interrupted;
                Err(error)
            }
        }
    }
}
