//! What to do about failures of the operating system, whatever failed.

use std::io;

use msb_host::Error;
use msb_host::archive::ArchiveError;
use msb_host::image::{ImageError, MergeError, PullError, SaveError};
use msb_host::plugin::FormatError;
use msb_host::store::StoreError;

use crate::error::{errno, io_kind};

const EIO: i32 = 5;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Returns what to do about a failure of the operating system.
pub(super) fn for_system(error: &Error) -> Option<String> {
    let place = if concerns_output(error) {
        "choose another place with --output"
    } else {
        "point MSB_HOME to a directory elsewhere"
    };
    // Numbers that have no kind in the standard library, on all systems that msb runs on.
    match errno(error) {
        Some(EIO) => {
            return Some(
                "the disk, or the way to it, has failed: the log of the system (`dmesg`) says more. \
                 Nothing was removed for it; try again, and save what you can if it goes on"
                    .to_owned(),
            );
        }
        Some(EMFILE) => {
            return Some("allow more open files: `ulimit -n 4096`".to_owned());
        }
        Some(ENFILE) => {
            return Some(
                "all programs of this machine together have too many files open: end some of them, \
                 or raise `fs.file-max` with `sysctl`"
                    .to_owned(),
            );
        }
        _ => {}
    }
    match io_kind(error) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Some(format!(
            "free some space, for instance with `msb image prune`, or {place}"
        )),
        Some(io::ErrorKind::BrokenPipe) if concerns_output(error) => {
            Some("the reader closed the pipe".to_owned())
        }
        Some(io::ErrorKind::ReadOnlyFilesystem) if needs_this_store(error) => Some(
            "mount the filesystem of the store so that it can be written to; images can be listed, \
             saved and exported as it is"
                .to_owned(),
        ),
        Some(io::ErrorKind::PermissionDenied) if needs_this_store(error) => {
            Some("run msb as the user that owns the store".to_owned())
        }
        Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
            if concerns_output(error) || concerns_store(error) =>
        {
            Some(place.to_owned())
        }
        _ => None,
    }
}

/// Returns whether it is the archive being written that failed.
pub(super) fn concerns_output(error: &Error) -> bool {
    matches!(
        error,
        Error::Save(
            SaveError::Output { .. }
                | SaveError::Archive(ArchiveError::Write { .. })
                | SaveError::Format(FormatError::Archive(ArchiveError::Write { .. }))
        ) | Error::Merge(MergeError::Write { .. })
    )
}

/// Returns whether the store failed under a command for the images that it has: another store would not
/// help.
fn needs_this_store(error: &Error) -> bool {
    if matches!(error, Error::Load(_) | Error::Pull(_)) || concerns_output(error) {
        return false;
    }
    // One that could not be made has nothing in it.
    match error.store() {
        Some(StoreError::Io { path, .. }) => path
            .ancestors()
            .any(|directory| directory.join("db/images.db").exists()),
        _ => false,
    }
}

/// Returns whether it is the store that failed.
fn concerns_store(error: &Error) -> bool {
    match error {
        Error::Store(_)
        | Error::Load(
            ImageError::Store(_)
            | ImageError::Write { .. }
            | ImageError::Archive(ArchiveError::Store(_) | ArchiveError::Stage { .. }),
        )
        | Error::Pull(PullError::Store(_))
        | Error::Merge(MergeError::Store(_) | MergeError::Merged { .. })
        | Error::Save(SaveError::Store(_)) => true,
        Error::Pull(PullError::Image { source, .. }) => match &**source {
            ImageError::Layer { source, .. } => source.is_output(),
            ImageError::Write { .. } | ImageError::Archive(ArchiveError::Store(_)) => true,
            _ => false,
        },
        Error::Load(
            ImageError::Layer { source, .. }
            | ImageError::Archive(ArchiveError::Convert { source, .. }),
        ) => source.is_output(),
        _ => false,
    }
}
