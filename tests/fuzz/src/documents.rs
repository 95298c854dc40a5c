//! Archives around images as text: easy to read, easy to change, and every digest is right.
//!
//! A line `--- PATH` begins a file, `--- @` a blob of an OCI layout, `--- PATH -> TARGET` a
//! symbolic link. In the lines between, `$0` to `$9` stand for the digests of the files so far,
//! and `$+0` to `$+9` for these without the algorithm. A line end in front of `---` is not part of
//! a file.

use msb_plugin::fake::FakeArchive;
use msb_plugin::{Archive, Document, sha256};

/// Returns the archive that a text describes, with a hundred files at most.
pub fn archive(text: &str) -> FakeArchive {
    let mut archive = FakeArchive::new();
    let mut digests: Vec<String> = Vec::new();
    let text = text.strip_prefix("--- ").unwrap_or(text);
    for part in text.split("\n--- ").take(100) {
        let (head, contents) = part.split_once('\n').unwrap_or((part, ""));
        let contents = substituted(contents, &digests);
        archive = match head.split_once(" -> ") {
            Some((path, target)) => archive.symlink(path, target),
            None if head == "@" => archive.blob(&contents),
            None if head.ends_with('/') => archive.directory(head.trim_end_matches('/')),
            None => archive.file(head, &contents),
        };
        digests.push(sha256(contents.as_bytes()));
    }
    archive
}

/// Returns the bytes of a document of a plan.
pub fn bytes(archive: &FakeArchive, document: &Document) -> Option<Vec<u8>> {
    match document {
        Document::Bytes(bytes) => Some(bytes.clone()),
        Document::Entry(number) => archive.read(*number, 0, 1 << 20).ok(),
    }
}

fn substituted(text: &str, digests: &[String]) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        result += before;
        let (short, digit) = match behind.strip_prefix('+') {
            Some(digit) => (true, digit),
            None => (false, behind),
        };
        let number = digit.bytes().next().filter(u8::is_ascii_digit);
        let digest = number.and_then(|number| digests.get(usize::from(number - b'0')));
        if let Some(digest) = digest {
            let algorithm = if short { "sha256:".len() } else { 0 };
            result += &digest[algorithm..];
            rest = &digit[1..];
        } else {
            result.push('$');
            rest = behind;
        }
    }
    result + rest
}
