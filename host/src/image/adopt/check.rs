//! What is checked before an image of microsandbox is believed.
//!
//! Manifest and configuration are what their digests say. Of a layer, microsandbox has no tar: it is read to
//! its end and checked against the rules of the format, and nothing proves that it has the contents of its
//! `diff_id`.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use msb_erofs::BLOCK_SIZE;
use rustix::fs::OFlags;

use crate::context::Context;
use crate::digest::Digest;
use crate::fs::FileError;
use crate::image::adopt_error::AdoptError;
use crate::image::document::{Config, checked_digest};
use crate::image::manifest::Manifest;
use crate::layer;
use crate::microsandbox::Record;
use crate::store::{AdoptedLayer, LayerKey};

/// Reads the documents of a record. Their digests prove them.
pub(super) fn documents(record: &Record) -> Result<(Manifest, Config), AdoptError> {
    let stated = |text: &str, what| {
        let parsed = text.parse::<Digest>();
        parsed.map_err(|_| AdoptError::Digest {
            what,
            text: text.to_owned(),
        })
    };
    let bytes = record.raw_manifest_json.clone().into_bytes();
    let digest = stated(&record.manifest_digest, "manifest")?;
    let digest = checked_digest(&bytes, Some(&digest), "manifest")?;
    let manifest = Manifest::of(bytes, digest, None)?;
    let bytes = record.raw_config_json.clone().into_bytes();
    let digest = stated(&record.config_digest, "configuration")?;
    let digest = checked_digest(&bytes, Some(&digest), "configuration")?;
    let config = Config::of(bytes, digest, manifest.layers.len(), "manifest")?;
    manifest.check_config(&config)?;
    Ok((manifest, config))
}

/// Reads a layer of microsandbox to its end. What it is called by is not proven by this.
pub(super) fn check_layer(
    diff_id: &Digest,
    path: &Path,
    context: &Context,
) -> Result<AdoptedLayer, AdoptError> {
    let unusable = |what: String| AdoptError::Layer {
        diff_id: diff_id.clone(),
        path: path.to_owned(),
        what,
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = File::options();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path).map_err(FileError::of("open", path))?;
    let metadata = file.metadata().map_err(FileError::of("inspect", path))?;
    if !metadata.is_file() {
        return Err(unusable("it is not a file".to_owned()));
    }
    if metadata.len() == 0 || metadata.len() % BLOCK_SIZE != 0 {
        return Err(unusable(format!(
            "it has {} bytes, which are not whole blocks",
            metadata.len()
        )));
    }
    let checked = layer::check_foreign(&file, &context.cancel).map_err(|source| match source {
        layer::LayerError::Cancelled(cancelled) => AdoptError::Cancelled(cancelled),
        source => AdoptError::Unreadable {
            diff_id: diff_id.clone(),
            path: path.to_owned(),
            source,
        },
    })?;
    match checked {
        layer::Foreign::Sound { digest, inodes } => Ok(AdoptedLayer {
            diff_id: diff_id.clone(),
            digest,
            size: metadata.len(),
            entries: inodes,
            identity: (metadata.dev(), metadata.ino()),
        }),
        layer::Foreign::Unsound(finding) => Err(unusable(finding)),
    }
}

/// Returns the layers that a record has, the bottom one first. Of those that msb has served, a layer that depends
/// on those below is told by its chain ID.
pub(super) fn layer_keys(record: &Record, config: &Config) -> Vec<LayerKey> {
    let mut below = None;
    let mut keys = Vec::with_capacity(config.diff_ids.len());
    for (number, diff_id) in config.diff_ids.iter().enumerate() {
        let chain = layer::chain_id(below.as_ref(), diff_id);
        let told = record.layers.get(number).map(|layer| &layer.diff_id);
        let depends = below.is_some() && told.is_some_and(|told| *told == chain.to_string());
        keys.push(LayerKey {
            diff_id: diff_id.clone(),
            chain: depends.then(|| chain.clone()),
        });
        below = Some(chain);
    }
    keys
}
