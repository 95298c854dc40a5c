//! Where an image is read from.
//!
//! Owns positioned reads and a small cache for metadata, which is read in pieces of a few bytes.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use super::ErofsError;

/// Bytes that can be read at any offset.
pub trait ReadAt {
    /// Reads at `offset` and returns how many bytes of `buf` are filled, 0 only at the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Returns how many bytes there are.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.get(start..).unwrap_or_default();
        let count = bytes.len().min(buf.len());
        for (target, byte) in buf.iter_mut().zip(bytes) {
            *target = *byte;
        }
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

/// Bytes of a cached window.
const WINDOW: u64 = 64 << 10;

/// How many windows are held, so that an inode, its directory and its neighbours are at hand.
const WINDOWS: u64 = 16;

/// A source with the windows of it that were read last.
pub(super) struct Source<R> {
    inner: R,
    size: u64,
    windows: Mutex<Vec<Window>>,
}

#[derive(Clone, Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl<R: ReadAt> Source<R> {
    pub(super) fn new(inner: R) -> Result<Self, ErofsError> {
        let size = inner.size().map_err(|source| read_error(0, source))?;
        Ok(Self {
            inner,
            size,
            windows: Mutex::default(),
        })
    }

    /// Returns how many bytes there are.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buf`, from the source itself.
    pub(super) fn read(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<(), ErofsError> {
        while !buf.is_empty() {
            match self.inner.read_at(buf, offset) {
                Ok(0) => return Err(read_error(offset, io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    offset += count as u64;
                    buf = buf.get_mut(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(offset, error)),
            }
        }
        Ok(())
    }

    /// Fills `buf`, from the cached windows where they have the bytes.
    pub(super) fn read_cached(
        &self,
        mut offset: u64,
        mut buf: &mut [u8],
    ) -> Result<(), ErofsError> {
        if buf.len() as u64 >= WINDOW {
            return self.read(offset, buf);
        }
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        while !buf.is_empty() {
            let window = self.window(&mut windows, offset)?;
            let skip = usize::try_from(offset - window.start).unwrap_or(usize::MAX);
            let bytes = window.bytes.get(skip..).unwrap_or_default();
            let count = bytes.len().min(buf.len());
            if count == 0 {
                return Err(read_error(offset, io::ErrorKind::UnexpectedEof.into()));
            }
            let (filled, rest) = buf.split_at_mut(count);
            for (target, byte) in filled.iter_mut().zip(bytes) {
                *target = *byte;
            }
            offset += count as u64;
            buf = rest;
        }
        Ok(())
    }

    fn window<'w>(
        &self,
        windows: &'w mut Vec<Window>,
        offset: u64,
    ) -> Result<&'w Window, ErofsError> {
        let start = offset - offset % WINDOW;
        let index = usize::try_from(start / WINDOW % WINDOWS).unwrap_or_default();
        if windows.len() <= index {
            windows.resize_with(index + 1, Window::default);
        }
        let window = windows.get_mut(index).ok_or(ErofsError::ImageTooLarge)?;
        if window.start != start || window.bytes.is_empty() {
            let length = self.size.saturating_sub(start).min(WINDOW);
            window.bytes.clear();
            window
                .bytes
                .resize(usize::try_from(length).unwrap_or_default(), 0);
            window.start = start;
            let read = self.read(start, &mut window.bytes);
            if read.is_err() {
                window.bytes.clear();
            }
            read?;
        }
        Ok(window)
    }
}

impl<R> fmt::Debug for Source<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Source")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

fn read_error(offset: u64, source: io::Error) -> ErofsError {
    ErofsError::Io {
        operation: "read",
        offset,
        source,
    }
}
