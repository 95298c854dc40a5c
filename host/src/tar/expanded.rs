//! A sparse file as it was before it became sparse: its data, and zeros where there is none.
//!
//! Owns the order of data and zeros. What a file may grow to is up to the limits.

use std::io::{self, Read};
use std::sync::Arc;

use super::SparseMap;
use crate::limits::{Limit, Limits};

/// A reader of all bytes of a file, of which `payload` has those that are data.
#[derive(Debug)]
pub struct Expanded<R> {
    payload: R,
    map: Option<Arc<SparseMap>>,
    /// The region that is being read, or comes next.
    region: usize,
    /// Bytes of the file that were read.
    position: u64,
    /// The limit that the file is beyond.
    beyond: Option<u64>,
}

impl<R: Read> Expanded<R> {
    /// Returns a reader of the whole file. Without a map the payload is the file.
    pub fn new(payload: R, map: Option<Arc<SparseMap>>) -> Self {
        Self {
            payload,
            map,
            region: 0,
            position: 0,
            beyond: None,
        }
    }

    /// Returns a reader from `position` on. The payload has to begin with the data of the first
    /// region that ends behind it, past what of that lies before `position`.
    pub fn from(payload: R, map: Arc<SparseMap>, region: usize, position: u64) -> Self {
        Self {
            payload,
            map: Some(map),
            region,
            position,
            beyond: None,
        }
    }

    /// Makes the next read an error if the file grows beyond [`Limits::growth`].
    #[must_use]
    pub fn within(mut self, limits: &Limits) -> Self {
        self.beyond = self.map.as_ref().and_then(|map| {
            let data = map.regions.iter().map(|region| region.length).sum();
            (map.length > limits.growth(data)).then_some(limits.inflate_ratio)
        });
        self
    }
}

impl<R: Read> Read for Expanded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(max) = self.beyond {
            return Err(io::Error::other(Growth { max }));
        }
        let Some(map) = &self.map else {
            return self.payload.read(buffer);
        };
        let next = loop {
            match map.regions.get(self.region) {
                Some(region) if region.end() <= self.position => self.region += 1,
                next => break next,
            }
        };
        let (end, is_data) = match next {
            Some(region) if region.offset <= self.position => (region.end(), true),
            Some(region) => (region.offset, false),
            None => (map.length, false),
        };
        let left = usize::try_from(end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let (target, _) = buffer.split_at_mut(left.min(buffer.len()));
        let count = if is_data {
            let count = self.payload.read(target)?;
            if count == 0 && !target.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            count
        } else {
            target.fill(0);
            target.len()
        };
        self.position += count as u64;
        Ok(count)
    }
}

/// A sparse file that is larger than its data by more than is allowed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the sparse file grows to more than {max} times its data (limit `{}`)",
    Limit::InflateRatio.name()
)]
struct Growth {
    max: u64,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::SparseRegion;
    use super::*;

    fn map(length: u64, regions: &[(u64, u64)]) -> Arc<SparseMap> {
        let regions = regions.iter().map(|(offset, length)| SparseRegion {
            offset: *offset,
            length: *length,
        });
        Arc::new(SparseMap {
            length,
            regions: regions.collect(),
        })
    }

    fn read(mut reader: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn holes_are_zeros_between_the_data() {
        for (map, expected) in [
            (map(8, &[(2, 2), (5, 1)]), &b"\0\0ab\0c\0\0"[..]),
            (map(3, &[(0, 3)]), b"abc"),
            (map(3, &[(0, 0), (0, 3), (3, 0)]), b"abc"),
            (map(4, &[]), b"\0\0\0\0"),
            (map(0, &[]), b""),
        ] {
            let whole = Expanded::new(&b"abc"[..], Some(Arc::clone(&map)));
            assert_eq!(read(whole), expected);
        }
        assert_eq!(read(Expanded::new(&b"abc"[..], None)), b"abc");
    }

    #[test]
    fn reading_may_begin_anywhere() {
        let map = map(8, &[(2, 2), (5, 1)]);
        for (region, position, payload, expected) in [
            (0, 1, &b"abc"[..], &b"\0ab\0c\0\0"[..]),
            (0, 3, b"bc", b"b\0c\0\0"),
            (1, 4, b"c", b"\0c\0\0"),
            (2, 7, b"", b"\0"),
        ] {
            let part = Expanded::from(payload, Arc::clone(&map), region, position);
            assert_eq!(read(part), expected, "{position}");
        }
    }

    #[test]
    fn data_that_is_missing_is_an_error() {
        let mut reader = Expanded::new(&b"a"[..], Some(map(3, &[(0, 2)])));
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_file_of_holes_alone_is_refused_at_once_and_names_the_limit() {
        let huge = map(1 << 40, &[(0, 1)]);
        let mut reader = Expanded::new(&b"a"[..], Some(huge));
        assert_eq!(reader.read(&mut [7]).unwrap(), 1);
        let mut reader = reader.within(&Limits::default());
        let error = reader.read(&mut [0; 16]).unwrap_err().to_string();
        assert!(error.contains("`inflate_ratio`"), "{error}");
    }
}
