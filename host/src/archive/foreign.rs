//! Files that people take for archives of images: what they are, by their first bytes.
//!
//! Owns the recognition alone. The caller that shows the error says what to do about each.

use std::fmt;

/// A kind of file that is not a tar archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// Text of two bytes a character, as PowerShell's `>` makes of the output of any program.
    Utf16,
    /// Compressed bytes that were taken for text of UTF-8, and lost what is not.
    MangledText,
    /// A page of HTML, as servers answer in place of a file.
    Html,
    /// JSON: the answer of a server, or one of the documents of an image.
    Json,
    /// The stand-in that Git keeps for a large file.
    GitPointer,
    /// A zip archive.
    Zip,
    /// lz4.
    Lz4,
    /// lzip.
    Lzip,
    /// The format of `xz` before xz.
    Lzma,
    /// 7z.
    SevenZip,
    /// RAR.
    Rar,
    /// `compress`, with the ending `.Z`.
    Compress,
    /// A program or library for Linux.
    Elf,
    /// A filesystem of the kind `SquashFS`.
    Squashfs,
    /// A disk of QEMU.
    Qcow2,
    /// An RPM package.
    Rpm,
    /// A Debian package, or another archive of `ar`.
    Ar,
    /// A cpio archive.
    Cpio,
}

impl Foreign {
    /// Tells what begins with these bytes; `None` where they say nothing.
    pub fn sniff(start: &[u8]) -> Option<Self> {
        let begins = |magic: &[u8]| start.starts_with(magic);
        if begins(b"\xff\xfe") || begins(b"\xfe\xff") {
            return Some(Self::Utf16);
        }
        // Bytes that are no UTF-8 have become U+FFFD.
        if begins(b"\x1f\xef\xbf\xbd\x08") || begins(b"(\xef\xbf\xbd/\xef\xbf\xbd") {
            return Some(Self::MangledText);
        }
        let known: [(&[u8], Self); 17] = [
            (b"PK\x03\x04", Self::Zip),
            (b"PK\x05\x06", Self::Zip),
            (b"\x04\x22\x4d\x18", Self::Lz4),
            (b"\x02\x21\x4c\x18", Self::Lz4),
            (b"LZIP", Self::Lzip),
            (b"7z\xbc\xaf\x27\x1c", Self::SevenZip),
            (b"Rar!\x1a\x07", Self::Rar),
            (b"\x1f\x9d", Self::Compress),
            (b"\x7fELF", Self::Elf),
            (b"hsqs", Self::Squashfs),
            (b"QFI\xfb", Self::Qcow2),
            (b"\xed\xab\xee\xdb", Self::Rpm),
            (b"!<arch>\n", Self::Ar),
            (b"070701", Self::Cpio),
            (b"070707", Self::Cpio),
            (b"version https://git-lfs.github.com/", Self::GitPointer),
            (b"\x5d\x00\x00", Self::Lzma),
        ];
        if let Some((_, foreign)) = known.iter().find(|(magic, _)| begins(magic)) {
            return Some(*foreign);
        }
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let text = text.trim_ascii_start();
        let tag = text.get(..9).unwrap_or(text).to_ascii_lowercase();
        match text.first() {
            Some(b'<')
                if [&b"<!doctype"[..], b"<html", b"<head", b"<body", b"<?xml"]
                    .iter()
                    .any(|mark| tag.starts_with(mark)) =>
            {
                Some(Self::Html)
            }
            Some(b'{' | b'[')
                if std::str::from_utf8(text)
                    .map_or_else(|error| error.valid_up_to() > 400, |_| true) =>
            {
                Some(Self::Json)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Utf16 => "UTF-16 text, which PowerShell's `>` makes of what a program prints",
            Self::MangledText => {
                "compressed data that was written as text, and has lost what is not UTF-8"
            }
            Self::Html => "a web page (HTML)",
            Self::Json => "JSON",
            Self::GitPointer => "the pointer that Git LFS keeps in place of a file",
            Self::Zip => "a zip archive",
            Self::Lz4 => "lz4 data",
            Self::Lzip => "lzip data",
            Self::Lzma => "data of the old lzma format",
            Self::SevenZip => "a 7z archive",
            Self::Rar => "a RAR archive",
            Self::Compress => "data of `compress` (.Z)",
            Self::Elf => "a program for Linux",
            Self::Squashfs => "a SquashFS filesystem",
            Self::Qcow2 => "a QEMU disk (qcow2)",
            Self::Rpm => "an RPM package",
            Self::Ar => "an `ar` archive, for instance a Debian package",
            Self::Cpio => "a cpio archive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_archives_of_images_are_told_by_their_first_bytes() {
        for (start, expected) in [
            (&b"\xff\xfem\0a\0"[..], Some(Foreign::Utf16)),
            (b"\xfe\xff\0m", Some(Foreign::Utf16)),
            (b"\x1f\xef\xbf\xbd\x08\0", Some(Foreign::MangledText)),
            (b"\n <!DOCTYPE html>", Some(Foreign::Html)),
            (b"\xef\xbb\xbf<HTML lang", Some(Foreign::Html)),
            (b"<?xml version='1.0'?>", Some(Foreign::Html)),
            (b"{\"errors\": []}", Some(Foreign::Json)),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                Some(Foreign::GitPointer),
            ),
            (b"PK\x03\x04rest", Some(Foreign::Zip)),
            (b"\x04\x22\x4d\x18rest", Some(Foreign::Lz4)),
            (b"7z\xbc\xaf\x27\x1c", Some(Foreign::SevenZip)),
            (b"\x7fELF", Some(Foreign::Elf)),
            (b"this is a text", None),
            (b"<stdin", None),
            (b"{\xff\xff", None),
            (b"", None),
        ] {
            assert_eq!(Foreign::sniff(start), expected, "{}", start.escape_ascii());
        }
    }
}
