//! Copying what is in a file to a place in another one: its holes stay holes, and where the filesystem can
//! share blocks, it does. Knows nothing of disks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::fs::copy_file_range;
use rustix::io::Errno;

use crate::cancel::Cancel;
use crate::layer::next_data;

/// Bytes that are copied at a time where the kernel does not copy by itself.
const BUFFER: usize = 1 << 20;
/// Bytes that the kernel copies at a time, so that a wish to stop is heard.
const STEP: u64 = 256 << 20;

/// Copies the first `size` bytes of a file into another one, to `start` in it, but for its holes. Where the
/// filesystem can share blocks, it does.
pub(in crate::image) fn copy_data(
    input: &File,
    size: u64,
    output: &File,
    start: u64,
    cancel: &Cancel,
) -> io::Result<()> {
    let mut at = 0;
    while let Some((from, to)) = next_data(input, at, size) {
        copy(input, from, output, start + from, to - from, cancel)?;
        at = to;
    }
    Ok(())
}

/// Copies bytes from one file to another.
fn copy(
    input: &File,
    mut from: u64,
    output: &File,
    mut to: u64,
    mut length: u64,
    cancel: &Cancel,
) -> io::Result<()> {
    while length > 0 {
        cancel.check().map_err(io::Error::other)?;
        let step = usize::try_from(length.min(STEP)).unwrap_or(usize::MAX);
        match copy_file_range(input, Some(&mut from), output, Some(&mut to), step) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => length -= count as u64,
            Err(Errno::INTR) => {}
            Err(
                Errno::XDEV
                | Errno::NOSYS
                | Errno::INVAL
                | Errno::OPNOTSUPP
                | Errno::BADF
                | Errno::PERM,
            ) => return copy_by_hand(input, from, output, to, length, cancel),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(
    input: &File,
    mut from: u64,
    output: &File,
    mut to: u64,
    mut length: u64,
    cancel: &Cancel,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    while length > 0 {
        cancel.check().map_err(io::Error::other)?;
        let step = usize::try_from(length).unwrap_or(usize::MAX).min(BUFFER);
        let (part, _) = buffer.split_at_mut(step);
        input.read_exact_at(part, from)?;
        output.write_all_at(part, to)?;
        from += step as u64;
        to += step as u64;
        length -= step as u64;
    }
    Ok(())
}
