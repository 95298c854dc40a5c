//! Extended headers: records of `length key=value\n`, global and for one entry.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use msb_erofs::Timestamp;

const SCHILY: &[u8] = b"SCHILY.xattr.";
const LIBARCHIVE: &[u8] = b"LIBARCHIVE.xattr.";
/// Keys whose values become C strings, so that a NUL would hide what follows.
const TEXTS: [&[u8]; 3] = [b"path", b"linkpath", b"GNU.sparse.name"];
/// Digits of a record's length.
const MAX_DIGITS: usize = 20;

/// The records of one extended header, each key once.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// In the order of their keys.
    spans: Vec<RecordSpan>,
    /// The numbers of a map in the way of GNU 0.0, whose keys come again and again. The flag says
    /// whether it is an offset or else a length.
    sparse_pairs: Vec<(bool, RecordSpan)>,
}

/// Where a record stands: its key ends at `=`, its value before the line end.
#[derive(Clone, Copy, Debug)]
struct RecordSpan {
    start: usize,
    equals: usize,
    end: usize,
}

impl Records {
    /// Reads the records of one extended header. What is wrong is said without the place.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, &'static str> {
        let mut spans = Vec::new();
        let mut sparse_pairs = Vec::new();
        // Some tools fill up with NULs.
        let padding = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let end = bytes.len() - padding;
        let mut start = 0;
        while start < end {
            let (record, next) = first_record(&bytes[start..])?;
            let at = start + record.start;
            let record = &bytes[at..start + record.end];
            let equals = record
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or("a record has no `=`")?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            if key.is_empty() {
                return Err("a record has no key");
            }
            if key.contains(&0) || (TEXTS.contains(&key) && value.contains(&0)) {
                return Err("a record holds a NUL");
            }
            let span = RecordSpan {
                start: at,
                equals: at + equals,
                end: at + record.len(),
            };
            match key {
                b"GNU.sparse.offset" => sparse_pairs.push((true, span)),
                b"GNU.sparse.numbytes" => sparse_pairs.push((false, span)),
                _ => spans.push(span),
            }
            start += next;
        }
        let mut records = Self {
            bytes,
            spans: Vec::new(),
            sparse_pairs,
        };
        spans.sort_by(|one, other| records.key(*one).cmp(records.key(*other)));
        // Of equal keys the last one counts.
        spans.dedup_by(|later, earlier| {
            let is_same = records.key(*later) == records.key(*earlier);
            if is_same {
                *earlier = *later;
            }
            is_same
        });
        records.spans = spans;
        Ok(records)
    }

    /// Returns keys and values in the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.spans
            .iter()
            .map(|span| (self.key(*span), self.value(*span)))
    }

    /// Returns a value, which may be empty.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let found = self.spans.binary_search_by(|span| self.key(*span).cmp(key));
        found.ok().map(|index| self.value(self.spans[index]))
    }

    /// Returns the numbers of a map in the way of GNU 0.0, and whether each is an offset.
    pub(super) fn sparse_pairs(&self) -> impl ExactSizeIterator<Item = (bool, &[u8])> {
        let pairs = self.sparse_pairs.iter();
        pairs.map(|(is_offset, span)| (*is_offset, self.value(*span)))
    }

    fn key(&self, span: RecordSpan) -> &[u8] {
        &self.bytes[span.start..span.equals]
    }

    fn value(&self, span: RecordSpan) -> &[u8] {
        &self.bytes[span.equals + 1..span.end]
    }
}

/// Returns whether a key is about an extended attribute.
pub(super) fn is_xattr(key: &[u8]) -> bool {
    key.starts_with(SCHILY) || key.starts_with(LIBARCHIVE)
}

/// An extended attribute: its name and its value.
pub(super) type Attribute = (Arc<[u8]>, Arc<[u8]>);

/// Returns the extended attribute that a record is about, if it makes sense.
pub(super) fn attribute(key: &[u8], value: &[u8]) -> Option<Attribute> {
    if let Some(name) = key.strip_prefix(LIBARCHIVE) {
        return Some((percent_decoded(name)?.into(), base64_decoded(value)?.into()));
    }
    let name = key.strip_prefix(SCHILY)?;
    (!name.is_empty()).then(|| (name.into(), value.into()))
}

/// Returns the extended attributes of records in the order of their keys. Where both forms of one
/// name exist, one of them.
pub(super) fn xattrs(records: impl Iterator<Item = Attribute>) -> Vec<Attribute> {
    // The keys of libarchive sort before those of star, so that the latter win.
    let xattrs: BTreeMap<_, _> = records.collect();
    xattrs.into_iter().collect()
}

/// Returns where the first record stands, between its length and its line end, and where the next
/// one begins.
fn first_record(bytes: &[u8]) -> Result<(Range<usize>, usize), &'static str> {
    const NO_LENGTH: &str = "a record has no length";
    let digits = bytes
        .iter()
        .take(MAX_DIGITS + 1)
        .position(|byte| *byte == b' ')
        .ok_or(NO_LENGTH)?;
    let length = parse_decimal(&bytes[..digits]).ok_or(NO_LENGTH)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let record = bytes
        .get(digits + 1..length)
        .ok_or("the length of a record is wrong")?;
    if !record.ends_with(b"\n") {
        return Err("a record has no line end");
    }
    Ok((digits + 1..length - 1, length))
}

pub(super) fn parse_decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads a time with a fraction, which may be negative: -1.5 is half a second after -2. Digits
/// below a nanosecond do not count.
pub(super) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = text.split_at(point.unwrap_or(text.len()));
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = i64::try_from(parse_decimal(whole)?).ok()?;
    let digits = fraction.iter().chain(std::iter::repeat(&b'0'));
    let nanoseconds = digits
        .take(9)
        .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some(match (negative, nanoseconds) {
        (false, _) => Timestamp {
            seconds,
            nanoseconds,
        },
        (true, 0) => Timestamp {
            seconds: -seconds,
            nanoseconds: 0,
        },
        (true, _) => Timestamp {
            seconds: -seconds - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}

fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            decoded.push(u8::from_str_radix(hex, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    (!decoded.is_empty() && !decoded.contains(&0)).then_some(decoded)
}

fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' | b'\n' => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(decoded)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::fixture;
    use super::*;

    fn time(seconds: i64, nanoseconds: u32) -> Timestamp {
        Timestamp {
            seconds,
            nanoseconds,
        }
    }

    #[test]
    fn times_count_nanoseconds_forward_before_the_epoch_too() {
        let cases: [(&str, Option<Timestamp>); 13] = [
            ("0", Some(time(0, 0))),
            ("1400000000", Some(time(1_400_000_000, 0))),
            ("123.5", Some(time(123, 500_000_000))),
            ("1.0000000019", Some(time(1, 1))),
            ("8589934592.000000001", Some(time(1 << 33, 1))),
            ("-5", Some(time(-5, 0))),
            ("-5.5", Some(time(-6, 500_000_000))),
            ("-0.25", Some(time(-1, 750_000_000))),
            ("7.", Some(time(7, 0))),
            ("", None),
            (".5", None),
            ("1.5e3", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_time(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn case_06_malformed_records_are_refused() {
        let cases: [&[u8]; 13] = [
            b"path=a\n",
            b" 9 path=a\n",
            b"9path=abc\n",
            b"3 path=a\n",
            b"2 path=a\n",
            b"99 path=a\n",
            b"99999999999999999999 path=a\n",
            b"99999999999999999999999999 path=a\n",
            b"9 path=a ",
            b"8 path a\n",
            b"5 =a\n",
            b"10 path=\0a\n",
            b"8 \0\0=xy\n",
        ];
        for bytes in cases {
            assert!(
                Records::parse(bytes.to_vec()).is_err(),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    fn parse(records: &[(&str, &str)]) -> Records {
        let records = records
            .iter()
            .flat_map(|(key, value)| fixture::record(key.as_bytes(), value.as_bytes()));
        Records::parse(records.collect()).unwrap()
    }

    fn xattr(name: &str, value: &[u8]) -> Attribute {
        (name.as_bytes().into(), value.into())
    }

    fn xattrs_of(records: &Records) -> Vec<Attribute> {
        xattrs(
            records
                .iter()
                .filter_map(|(key, value)| attribute(key, value)),
        )
    }

    #[test]
    fn the_length_of_a_record_decides_where_its_value_ends() {
        let value = "x\n9 path=b";
        let records = parse(&[("SCHILY.xattr.user.a", value), ("path", "c")]);
        assert_eq!(xattrs_of(&records), [xattr("user.a", value.as_bytes())]);
        assert_eq!(records.get(b"path"), Some(&b"c"[..]));
    }

    #[test]
    fn nuls_behind_the_records_are_padding() {
        assert!(Records::parse(b"9 path=a\n\0\0\0".to_vec()).is_ok());
        assert!(Records::parse(b"9 path=a\n\0\0x".to_vec()).is_err());
    }

    #[test]
    fn case_65_an_attribute_in_both_forms_is_there_once() {
        let records = parse(&[
            ("LIBARCHIVE.xattr.user.a%3d", "AAH/"),
            ("SCHILY.xattr.user.b", "CD"),
            ("LIBARCHIVE.xattr.user.b", "QUI="),
            ("LIBARCHIVE.xattr.user.c", "?"),
        ]);
        assert_eq!(
            xattrs_of(&records),
            [xattr("user.a=", b"\0\x01\xff"), xattr("user.b", b"CD")]
        );
    }
}
