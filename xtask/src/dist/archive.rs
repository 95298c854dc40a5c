//! Archives that are the same for the same files: sorted, with one time, owned by root.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use walkdir::WalkDir;

use crate::command::Result;

/// Writes a folder as a `.tar.gz` in which it has the given name.
pub(super) fn write(folder: &Path, name: &str, time: u64, path: &Path) -> Result<()> {
    let gzip = GzBuilder::new().write(File::create(path)?, Compression::best());
    let mut builder = tar::Builder::new(gzip);
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        let inside = Path::new(name).join(entry.path().strip_prefix(folder)?);
        let metadata = entry.metadata()?;
        let is_program = metadata.is_dir() || metadata.permissions().mode() & 0o100 != 0;
        let mut header = tar::Header::new_gnu();
        header.set_mode(if is_program { 0o755 } else { 0o644 });
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        if metadata.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            builder.append_data(&mut header, inside.join(""), io::empty())?;
        } else {
            header.set_size(metadata.len());
            builder.append_data(&mut header, inside, fs::File::open(entry.path())?)?;
        }
    }
    builder.into_inner()?.finish()?.flush()?;
    Ok(())
}
