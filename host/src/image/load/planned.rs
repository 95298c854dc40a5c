//! The documents of an image that a format plugin has planned: read from the archive, within their limits,
//! and compared with the digests that the plan states.

use std::sync::Arc;

use super::super::ImageError;
use super::super::document::{Config, checked_digest};
use super::super::manifest::Manifest;
use crate::archive::ArchiveSource;
use crate::limits::Limits;
use crate::plugin::{Document, PlannedImage};

impl Manifest {
    /// Reads the manifest of a planned image, if it has one.
    pub(in crate::image) fn read(
        source: &Arc<dyn ArchiveSource>,
        image: &PlannedImage,
        limits: &Limits,
    ) -> Result<Option<Self>, ImageError> {
        const WHAT: &str = "manifest";
        let Some(document) = &image.manifest else {
            return Ok(None);
        };
        let limit = (limits.manifest_bytes, "manifest_bytes");
        let bytes = read_document(source, document, WHAT, limit)?;
        let digest = checked_digest(&bytes, image.manifest_digest.as_ref(), WHAT)?;
        Self::of(bytes, digest, None).map(Some)
    }
}

impl Config {
    /// Reads and checks the configuration of a planned image.
    pub(in crate::image) fn read(
        source: &Arc<dyn ArchiveSource>,
        image: &PlannedImage,
        limits: &Limits,
    ) -> Result<Self, ImageError> {
        const WHAT: &str = "configuration";
        let limit = (limits.config_bytes, "config_bytes");
        let bytes = read_document(source, &image.config, WHAT, limit)?;
        let digest = checked_digest(&bytes, image.config_digest.as_ref(), WHAT)?;
        Self::of(bytes, digest, image.layers.len(), "archive")
    }
}

/// Returns the bytes of a document, which may be no longer than a limit.
pub(super) fn read_document(
    source: &Arc<dyn ArchiveSource>,
    document: &Document,
    what: &'static str,
    (limit, setting): (u64, &'static str),
) -> Result<Vec<u8>, ImageError> {
    let too_large = |size| ImageError::DocumentTooLarge {
        what,
        size,
        limit,
        setting,
    };
    match document {
        Document::Bytes(bytes) if bytes.len() as u64 > limit => Err(too_large(bytes.len() as u64)),
        Document::Bytes(bytes) => Ok(bytes.clone()),
        Document::Entry(number) => {
            let size = source.index().get(*number).map_or(0, |entry| entry.size);
            if size > limit {
                return Err(too_large(size));
            }
            let length = u32::try_from(size).map_err(|_| too_large(size))?;
            Ok(source.read(*number, 0, length)?)
        }
    }
}
