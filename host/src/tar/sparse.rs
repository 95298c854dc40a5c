//! Maps of sparse files: old GNU in the header, PAX 0.0 and 0.1 in records, PAX 1.0 in the data.

use super::entry::SparseRegion;
use super::header::{Block, number};
use super::pax::{Records, parse_decimal};

/// More regions than this are taken for an attack.
const MAX_REGIONS: usize = 1 << 20;

/// Reads the pairs of an old GNU header or of an extension block behind it.
pub(super) fn old_gnu(bytes: &[u8], regions: &mut Vec<SparseRegion>) -> Result<(), &'static str> {
    for pair in bytes.chunks_exact(24) {
        if pair[0] == 0 || regions.len() >= MAX_REGIONS {
            break;
        }
        let field = |bytes: &[u8]| {
            u64::try_from(number(bytes)?).map_err(|_| "a region lies before the start")
        };
        regions.push(SparseRegion {
            offset: field(&pair[..12])?,
            length: field(&pair[12..])?,
        });
    }
    Ok(())
}

/// Returns the pairs in an old GNU header, and whether an extension block follows.
pub(super) fn old_gnu_header(block: &Block) -> (&[u8], bool) {
    (&block[386..482], block[482] != 0)
}

/// Returns the pairs in an extension block, and whether another follows.
pub(super) fn old_gnu_extension(block: &Block) -> (&[u8], bool) {
    (&block[..504], block[504] != 0)
}

/// Reads the map of PAX 0.0 or 0.1, if there is one.
pub(super) fn pax_0(records: &Records) -> Result<Option<Vec<SparseRegion>>, &'static str> {
    const BAD: &str = "it is not a list of numbers";
    let numbers: Vec<u64> = if let Some(map) = records.get("GNU.sparse.map") {
        map.split(|byte| *byte == b',')
            .map(|text| parse_decimal(text).ok_or(BAD))
            .collect::<Result<_, _>>()?
    } else if records.sparse_pairs.is_empty() {
        return Ok(None);
    } else {
        let alternate = records
            .sparse_pairs
            .iter()
            .enumerate()
            .all(|(place, (is_offset, _))| *is_offset == (place % 2 == 0));
        if !alternate {
            return Err(BAD);
        }
        records
            .sparse_pairs
            .iter()
            .map(|(_, text)| parse_decimal(text).ok_or(BAD))
            .collect::<Result<_, _>>()?
    };
    if !numbers.len().is_multiple_of(2) || numbers.len() / 2 > MAX_REGIONS {
        return Err(BAD);
    }
    Ok(Some(
        numbers
            .chunks_exact(2)
            .map(|pair| SparseRegion {
                offset: pair[0],
                length: pair[1],
            })
            .collect(),
    ))
}

/// The map of PAX 1.0 in the making: decimal numbers, a line each, at the start of the data.
#[derive(Default)]
pub(super) struct DataMap {
    line: Vec<u8>,
    numbers: Vec<u64>,
}

impl DataMap {
    /// Takes in another block and returns the map once it is whole.
    pub(super) fn add(&mut self, block: &Block) -> Result<Option<Vec<SparseRegion>>, &'static str> {
        const BAD: &str = "the map in the data is not a list of numbers";
        for byte in block {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > 20 {
                    return Err(BAD);
                }
                continue;
            }
            self.numbers.push(parse_decimal(&self.line).ok_or(BAD)?);
            self.line.clear();
            let regions = usize::try_from(self.numbers[0]).unwrap_or(usize::MAX);
            if regions > MAX_REGIONS {
                return Err(BAD);
            }
            if self.numbers.len() == 1 + 2 * regions {
                let map = self.numbers[1..]
                    .chunks_exact(2)
                    .map(|pair| SparseRegion {
                        offset: pair[0],
                        length: pair[1],
                    })
                    .collect();
                return Ok(Some(map));
            }
        }
        Ok(None)
    }
}

/// Returns whether regions come in order, inside of the file, and add up to the payload.
pub(super) fn is_valid(regions: &[SparseRegion], file: u64, payload: u64) -> bool {
    let mut end = 0;
    let mut sum = 0_u64;
    for region in regions {
        let next = region.offset.checked_add(region.length);
        match next {
            Some(next) if region.offset >= end && next <= file => end = next,
            _ => return false,
        }
        sum = sum.saturating_add(region.length);
    }
    sum == payload
}
