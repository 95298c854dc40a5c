//! `Content-Encoding`: compression that something on the way has added to an answer. Source: RFC
//! 9110 section 8.4.
//!
//! msb asks for none. Proxies compress all the same, and digests are those of the content.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// The most encodings over each other.
const MAX_ENCODINGS: usize = 3;
/// The largest window of zstd, as a power of two. Source: RFC 9659 section 3.
const MAX_ZSTD_WINDOW: u32 = 23;

/// One encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Zstd,
}

/// What was done to the content of an answer, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Encoding(Vec<Coding>);

/// Why an encoding could not be undone.
#[derive(Debug)]
pub(super) enum NotUndone {
    /// There are more bytes than the limit.
    TooLong,
    /// It is not what it says, or cut off.
    Damaged(io::Error),
}

impl Encoding {
    /// Returns what an answer says was done to it; `None` for nothing.
    ///
    /// # Errors
    /// The name of an encoding that msb does not know.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, String> {
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let text = String::from_utf8_lossy(value.as_bytes());
            for name in text.split(',').map(str::trim) {
                match name.to_ascii_lowercase().as_str() {
                    "" | "identity" => {}
                    "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                    "deflate" => codings.push(Coding::Deflate),
                    "zstd" => codings.push(Coding::Zstd),
                    _ => return Err(name.to_owned()),
                }
            }
        }
        match codings.len() {
            0 => Ok(None),
            1..=MAX_ENCODINGS => Ok(Some(Self(codings))),
            _ => Err(format!("{} encodings over each other", codings.len())),
        }
    }

    /// Returns the content, in memory that does not depend on it.
    pub(super) fn undone<'a>(
        &self,
        input: impl Read + Send + 'a,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        let mut reader: Box<dyn Read + Send + 'a> = Box::new(input);
        for coding in self.0.iter().rev() {
            reader = match coding {
                Coding::Gzip => Box::new(MultiGzDecoder::new(reader)),
                Coding::Deflate => deflated(reader)?,
                Coding::Zstd => {
                    let mut decoder = zstd::stream::read::Decoder::new(reader)?;
                    decoder.window_log_max(MAX_ZSTD_WINDOW)?;
                    Box::new(decoder)
                }
            };
        }
        Ok(reader)
    }

    /// Returns content of limited length.
    pub(super) fn undo(&self, bytes: &[u8], limit: u64) -> Result<Vec<u8>, NotUndone> {
        let mut content = Vec::new();
        self.undone(bytes)
            .and_then(|reader| {
                reader
                    .take(limit.saturating_add(1))
                    .read_to_end(&mut content)
            })
            .map_err(NotUndone::Damaged)?;
        if content.len() as u64 > limit {
            return Err(NotUndone::TooLong);
        }
        Ok(content)
    }

    /// Returns as much of the content as there is of what was cut off.
    pub(super) fn undo_beginning(&self, bytes: &[u8], limit: u64) -> Vec<u8> {
        let mut content = Vec::new();
        if let Ok(reader) = self.undone(bytes) {
            // What came before the fault is in it.
            let _ = reader.take(limit).read_to_end(&mut content);
        }
        content
    }
}

/// Returns what is within `deflate`: zlib by the book, and bare of some servers. Source: RFC 9110
/// section 8.4.1.2; RFC 1950 section 2.2.
fn deflated<'a>(reader: Box<dyn Read + Send + 'a>) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut reader = BufReader::new(reader);
    let is_zlib = match reader.fill_buf()? {
        [first, second, ..] => {
            first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
        }
        _ => true,
    };
    Ok(if is_zlib {
        Box::new(ZlibDecoder::new(reader))
    } else {
        Box::new(DeflateDecoder::new(reader))
    })
}

/// Returns whether bytes are the beginning of something that is compressed.
pub(super) fn is_compressed(bytes: &[u8]) -> bool {
    [
        &[0x1f, 0x8b][..],
        &[0x28, 0xb5, 0x2f, 0xfd],
        b"BZh",
        b"\xfd7zXZ\0",
    ]
    .iter()
    .any(|magic| bytes.starts_with(magic))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn of(values: &[&str]) -> Result<Option<Encoding>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, value.parse().unwrap());
        }
        Encoding::of(&headers)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn encodings_are_read_as_servers_write_them() {
        for none in [&[][..], &[""], &["identity"], &["Identity, "]] {
            assert_eq!(of(none), Ok(None));
        }
        let both = Some(Encoding(vec![Coding::Gzip, Coding::Zstd]));
        assert_eq!(of(&["X-GZIP, zstd"]), Ok(both.clone()));
        assert_eq!(of(&["gzip", "zstd"]), Ok(both));
        assert_eq!(of(&["br"]), Err("br".to_owned()));
        assert!(of(&["gzip,gzip,gzip,gzip"]).is_err());
    }

    #[test]
    fn what_was_done_is_undone() {
        let bytes = b"{\"schemaVersion\": 2}".repeat(99);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&bytes).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(&bytes).unwrap();
        let zstd = zstd::encode_all(&bytes[..], 3).unwrap();
        for (name, encoded) in [
            ("gzip", gzip(&bytes)),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", bare.finish().unwrap()),
            ("zstd", zstd.clone()),
            ("zstd, gzip", gzip(&zstd)),
        ] {
            let encoding = of(&[name]).unwrap().unwrap();
            assert_eq!(encoding.undo(&encoded, 9999).unwrap(), bytes, "{name}");
            let cut = &encoded[..encoded.len() - 3];
            assert!(
                matches!(encoding.undo(cut, 9999), Err(NotUndone::Damaged(_))),
                "{name}"
            );
            assert!(
                matches!(encoding.undo(&encoded, 99), Err(NotUndone::TooLong)),
                "{name}"
            );
        }
    }

    #[test]
    fn little_that_becomes_much_is_not_kept() {
        let bomb = gzip(&gzip(&vec![0; 64 << 20]));
        assert!(bomb.len() < 1000);
        let encoding = of(&["gzip, gzip"]).unwrap().unwrap();
        assert!(matches!(
            encoding.undo(&bomb, 4096),
            Err(NotUndone::TooLong)
        ));
        assert_eq!(encoding.undo_beginning(&bomb, 4096), [0; 4096]);
    }
}
