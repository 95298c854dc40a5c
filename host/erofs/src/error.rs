//! What can go wrong when an image is written or read.

use std::io;

use tokio_util::sync::CancellationToken;

use super::format::Nid;

/// An error of this crate. Paths are those inside the image; the caller knows the image file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErofsError {
    /// The image file could not be read or written.
    #[error("cannot {operation} the image at byte {offset}")]
    Io {
        /// `read`, `write` or `truncate`.
        operation: &'static str,
        /// Where in the image.
        offset: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// A number does not fit its field in the format.
    #[error("`{path}`: {what} is {actual}, and EROFS stores {limit} at most")]
    Limit {
        /// The inode, by its first name.
        path: String,
        /// What is too large, with its unit.
        what: &'static str,
        /// Its value.
        actual: u64,
        /// The largest value that fits.
        limit: u64,
    },
    /// A name that no directory can hold: empty, `.`, `..`, or with a slash or a zero byte.
    #[error("`{path}`: a directory cannot hold this name")]
    Name {
        /// The path that ends in the name.
        path: String,
    },
    /// A symbolic link whose target is empty or has a zero byte.
    #[error("`{path}`: the target of the symbolic link is empty or has a zero byte")]
    Target {
        /// The link.
        path: String,
    },
    /// An extended attribute outside of the namespaces that EROFS knows.
    #[error("`{path}`: EROFS has no place for the extended attribute `{name}`")]
    XattrName {
        /// The inode, by its first name.
        path: String,
        /// The full name of the attribute.
        name: String,
    },
    /// A second name leads to a directory.
    #[error("`{path}`: the directory has another name already")]
    DirectoryLink {
        /// The second name.
        path: String,
    },
    /// A file whose data was never written to this image.
    #[error("`{path}`: its data lies outside of what was written")]
    Extent {
        /// The file, by its first name.
        path: String,
    },
    /// The image needs more blocks than a 32 bit number counts.
    #[error("the image is larger than 2^32 blocks of 4 KiB")]
    ImageTooLarge,
    /// An image with more devices than a 16 bit number counts.
    #[error("an image refers to 65535 devices at most, not {count}")]
    TooManyDevices {
        /// How many there were to be.
        count: usize,
    },
    /// File data on a device that the reader was not given.
    #[error("the data is on device {device} of the image, which is not there")]
    NoDevice {
        /// The number of the device, 1 for the first.
        device: u16,
    },
    /// A call that does not fit the state of the writer.
    #[error("cannot {operation} now: {reason}")]
    OutOfOrder {
        /// What was asked for.
        operation: &'static str,
        /// Why it makes no sense.
        reason: &'static str,
    },
    /// An image that is damaged, or no EROFS image at all.
    #[error("the image is damaged: {what}")]
    Damaged {
        /// The rule that it breaks.
        what: &'static str,
    },
    /// An inode that is damaged.
    #[error("the image is damaged: inode {nid}: {what}")]
    DamagedInode {
        /// The inode.
        nid: Nid,
        /// The rule that it breaks.
        what: &'static str,
    },
    /// An image that uses a part of the format that this crate neither writes nor reads.
    #[error("the image has {what}, which is not supported")]
    Unsupported {
        /// The part.
        what: &'static str,
    },
}

/// Returns an error once the caller asked to stop. Called in every loop over inodes or bytes.
pub(super) fn check(cancel: &CancellationToken) -> Result<(), ErofsError> {
    if cancel.is_cancelled() {
        Err(ErofsError::Cancelled)
    } else {
        Ok(())
    }
}
