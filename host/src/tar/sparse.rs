//! Maps of sparse files: old GNU in the header, PAX 0.0 and 0.1 in records, PAX 1.0 in the data.
//!
//! The forms are those of the GNU tar manual, appendix "Storing Sparse Files".

use super::entry::{SparseMap, SparseRegion};
use super::globals::InForce;
use super::header::{Block, number};
use super::pax::parse_decimal;

/// More regions than this are taken for an attack.
const MAX_REGIONS: usize = 1 << 20;
/// Digits of a number in a map in the data.
const MAX_DIGITS: usize = 20;
const NOT_NUMBERS: &str = "its map is not a list of numbers";

/// The map of an old GNU header and the blocks behind it, in the making.
#[derive(Default)]
pub(super) struct GnuMap {
    regions: Vec<SparseRegion>,
}

impl GnuMap {
    /// Takes in a header. Returns whether another block follows.
    pub(super) fn header(&mut self, block: &Block) -> Result<bool, &'static str> {
        self.add(&block[386..482])?;
        Ok(block[482] != 0)
    }

    /// Takes in a block behind the header. Returns whether another follows.
    pub(super) fn extension(&mut self, block: &Block) -> Result<bool, &'static str> {
        self.add(&block[..504])?;
        Ok(block[504] != 0)
    }

    /// Returns the map of a file with this old GNU header.
    pub(super) fn finish(self, header: &Block) -> Result<SparseMap, &'static str> {
        Ok(SparseMap {
            length: size(&header[483..495])?,
            regions: self.regions,
        })
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        for pair in bytes.chunks_exact(24) {
            let (offset, length) = pair.split_at(12);
            if offset.first() == Some(&0) {
                break;
            }
            if self.regions.len() >= MAX_REGIONS {
                return Err("its map has too many regions");
            }
            self.regions.push(SparseRegion {
                offset: size(offset)?,
                length: size(length)?,
            });
        }
        Ok(())
    }
}

/// Reads the map of PAX 0.0 or 0.1, if there is one.
pub(super) fn pax_0(records: &InForce<'_>) -> Result<Option<Vec<SparseRegion>>, &'static str> {
    let texts: Vec<&[u8]> = if let Some(map) = records.get("GNU.sparse.map") {
        map.split(|byte| *byte == b',').collect()
    } else if records.own.sparse_pairs().len() > 0 {
        let mut pairs = records.own.sparse_pairs().enumerate();
        if !pairs.all(|(place, (is_offset, _))| is_offset == place.is_multiple_of(2)) {
            return Err("its map does not alternate between offsets and lengths");
        }
        records.own.sparse_pairs().map(|(_, text)| text).collect()
    } else {
        // A file without any data has an empty map, and still says how large it is.
        let empty = records.get("GNU.sparse.numblocks") == Some(b"0");
        return Ok(empty.then(Vec::new));
    };
    let numbers: Option<Vec<u64>> = texts.into_iter().map(parse_decimal).collect();
    regions(&numbers.ok_or(NOT_NUMBERS)?).map(Some)
}

/// The map of PAX 1.0 in the making: decimal numbers, a line each, at the start of the data.
#[derive(Default)]
pub(super) struct DataMap {
    line: Vec<u8>,
    numbers: Vec<u64>,
    /// How many numbers follow the first, once that is known.
    expected: Option<usize>,
}

impl DataMap {
    /// Takes in another block and returns the map once it is whole.
    pub(super) fn add(&mut self, block: &Block) -> Result<Option<Vec<SparseRegion>>, &'static str> {
        for byte in block {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > MAX_DIGITS {
                    return Err(NOT_NUMBERS);
                }
                continue;
            }
            let number = parse_decimal(&self.line).ok_or(NOT_NUMBERS)?;
            self.line.clear();
            if self.expected.is_some() {
                self.numbers.push(number);
            } else {
                let count = usize::try_from(number).unwrap_or(usize::MAX);
                if count > MAX_REGIONS {
                    return Err("its map has too many regions");
                }
                self.expected = Some(2 * count);
            }
            if self.expected == Some(self.numbers.len()) {
                return regions(&self.numbers).map(Some);
            }
        }
        Ok(None)
    }
}

/// Returns whether the regions come in order, inside of the file, and add up to the payload.
pub(super) fn is_valid(map: &SparseMap, payload: u64) -> bool {
    let mut end = 0;
    let mut sum = 0_u64;
    for region in &map.regions {
        let next = region.offset.checked_add(region.length);
        match next {
            Some(next) if region.offset >= end && next <= map.length => end = next,
            _ => return false,
        }
        sum = sum.saturating_add(region.length);
    }
    sum == payload
}

fn size(field: &[u8]) -> Result<u64, &'static str> {
    u64::try_from(number(field)?).map_err(|_| "a number of its map is negative")
}

fn regions(numbers: &[u64]) -> Result<Vec<SparseRegion>, &'static str> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > MAX_REGIONS {
        return Err("its map has half a region");
    }
    let region = |[offset, length]: &[u64; 2]| SparseRegion {
        offset: *offset,
        length: *length,
    };
    Ok(pairs.iter().map(region).collect())
}
