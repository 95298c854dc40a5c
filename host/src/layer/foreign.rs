//! The check of a layer image that another program has written, of which there is no tar.
//!
//! Owns what can be known of one: that it is whole and keeps the rules of the format, and which bytes it
//! has, so that another one is noticed later. That it holds what its name says cannot be known.

use std::fs::File;

use msb_erofs as erofs;

use super::LayerError;
use super::check::Cancellable;
use super::integrity::digest_of;
use crate::cancel::Cancel;
use crate::digest::Digest;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It can be read to its end, and keeps the rules of the format.
    Sound {
        /// The digest of the whole image.
        digest: Digest,
        /// How many inodes it has.
        inodes: u64,
    },
    /// It does not. The first rule that it breaks.
    Unsound(String),
}

/// Reads an image to its end.
///
/// # Errors
/// A file that cannot be read, and when the user asked to stop.
pub fn check_foreign(image: &File, cancel: &Cancel) -> Result<Foreign, LayerError> {
    let report = erofs::verify_foreign(Cancellable { image, cancel });
    cancel.check()?;
    let report = report?;
    if let Some(finding) = report.findings.first() {
        return Ok(Foreign::Unsound(finding.to_string()));
    }
    Ok(Foreign::Sound {
        digest: digest_of(image, cancel)?,
        inodes: report.inodes,
    })
}
