//! Extended headers: records of `length key=value\n`, global and for one entry.

use std::collections::BTreeMap;

use crate::erofs::Timestamp;

const SCHILY: &[u8] = b"SCHILY.xattr.";
const LIBARCHIVE: &[u8] = b"LIBARCHIVE.xattr.";

/// The records in force. An empty value stands for a record that is taken back.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    by_key: BTreeMap<Vec<u8>, Vec<u8>>,
    /// `GNU.sparse.offset` and `GNU.sparse.numbytes` come again and again; their order counts.
    pub(super) sparse_pairs: Vec<(bool, Vec<u8>)>,
}

impl Records {
    /// Adds the records of one extended header. What is wrong is said without the place.
    pub(super) fn add(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            // Some tools fill up with NULs.
            if bytes.iter().all(|byte| *byte == 0) {
                return Ok(());
            }
            let space = bytes
                .iter()
                .take(20)
                .position(|byte| *byte == b' ')
                .ok_or("a record has no length")?;
            let length = parse_decimal(&bytes[..space]).ok_or("a record has no length")?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let record = bytes
                .get(space + 1..length)
                .ok_or("the length of a record is wrong")?;
            let record = record
                .strip_suffix(b"\n")
                .ok_or("a record has no line end")?;
            let equals = record
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or("a record has no `=`")?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            if key.is_empty() {
                return Err("a record has no key");
            }
            match key {
                b"GNU.sparse.offset" => self.sparse_pairs.push((true, value.to_vec())),
                b"GNU.sparse.numbytes" => self.sparse_pairs.push((false, value.to_vec())),
                _ => {}
            }
            self.by_key.insert(key.to_vec(), value.to_vec());
            bytes = &bytes[length..];
        }
        Ok(())
    }

    /// Returns these records with those of one entry laid over them.
    pub(super) fn overlaid(&self, local: Self) -> Self {
        let mut records = self.clone();
        records.by_key.extend(local.by_key);
        if !local.sparse_pairs.is_empty() {
            records.sparse_pairs = local.sparse_pairs;
        }
        records
    }

    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.by_key
            .get(key.as_bytes())
            .map(Vec::as_slice)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, &'static str> {
        self.get(key)
            .map(|value| parse_decimal(value).ok_or("it is not a number"))
            .transpose()
    }

    /// Returns the extended attributes. Where both forms of one name exist, one copy.
    pub(super) fn xattrs(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut xattrs = BTreeMap::new();
        for (key, value) in &self.by_key {
            if let Some(name) = key.strip_prefix(LIBARCHIVE)
                && let (Some(name), Some(value)) = (percent_decoded(name), base64_decoded(value))
            {
                xattrs.entry(name).or_insert(value);
            } else if let Some(name) = key.strip_prefix(SCHILY)
                && !name.is_empty()
            {
                xattrs.insert(name.to_vec(), value.clone());
            }
        }
        xattrs.into_iter().collect()
    }
}

pub(super) fn parse_decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads a time with a fraction, which may be negative: -1.5 is half a second after -2.
pub(super) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let mut nanoseconds = 0;
    for place in 0..9 {
        let digit = fraction.as_bytes().get(place).map_or(0, |byte| byte - b'0');
        nanoseconds = nanoseconds * 10 + u32::from(digit);
    }
    Some(match (negative, nanoseconds) {
        (false, nanoseconds) => Timestamp {
            seconds,
            nanoseconds,
        },
        (true, 0) => Timestamp {
            seconds: -seconds,
            nanoseconds: 0,
        },
        (true, nanoseconds) => Timestamp {
            seconds: -seconds - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}

fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            decoded.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    (!decoded.is_empty()).then_some(decoded)
}

fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
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
