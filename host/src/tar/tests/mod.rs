//! Tests of the room as a whole: archives are read to the end, and put together again from what
//! was read.

mod corpus;
mod extensions;
mod framing;
mod sparse;

use std::io::{BufReader, Read as _};

use super::fixture::{tar, unended};
use super::*;
use crate::limits::{Budget, Limits};

fn reader_of<R: TarInput>(input: R) -> TarReader<R> {
    let limits = Limits::default();
    TarReader::new(input, &limits, &Budget::new(&limits))
}

/// Reads an archive and returns what `show` makes of each entry and its payload.
fn read_with(
    bytes: &[u8],
    show: impl Fn(&Entry, &[u8]) -> String,
) -> Result<Vec<String>, TarError> {
    let mut lines = Vec::new();
    // Small pieces, so that nothing depends on what comes in one.
    let input = BufReader::with_capacity(700, bytes);
    let mut reader = reader_of(input).keeping_skeleton();
    let mut rebuilt = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        rebuilt.append(reader.skeleton());
        assert_eq!(entry.data_offset, rebuilt.len() as u64);
        let mut payload = Vec::new();
        if reader.data().read_to_end(&mut payload).is_err() {
            return Err(reader.skip_data().unwrap_err());
        }
        rebuilt.extend(&payload);
        lines.push(show(&entry, &payload));
    }
    rebuilt.append(reader.skeleton());
    let mut buffer = [0; 300];
    loop {
        match reader.read_trailing(&mut buffer)? {
            0 => break,
            count => rebuilt.extend(&buffer[..count]),
        }
    }
    assert!(rebuilt == bytes, "what was read is not what is there");
    assert_eq!(reader.position(), bytes.len() as u64);
    Ok(lines)
}

/// Returns path and payload of every entry.
fn read(bytes: &[u8]) -> Result<Vec<String>, TarError> {
    read_with(bytes, |entry, payload| {
        let path = entry.path.escape_ascii();
        match payload {
            [] => path.to_string(),
            _ => format!("{path} = {}", payload.escape_ascii()),
        }
    })
}

#[track_caller]
fn assert_entries(bytes: &[u8], expected: &[&str]) {
    assert_eq!(read(bytes).unwrap(), expected);
}

#[track_caller]
fn assert_refused(bytes: &[u8], message: &str) {
    let error = read(bytes).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}
