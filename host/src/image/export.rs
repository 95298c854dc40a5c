//! `image export`: the root filesystem of an image as a tar, without mounting it.
//!
//! Owns the choice of the layers. How their files become a tar is [`crate::archive`]'s, where each layer
//! is checked against its digest first.

use std::sync::Arc;

use super::SaveError;
use super::save::{SaveTarget, open_target};
use crate::archive::{ArchiveOutput as _, OutputLayer, StoredFiles, TarOutput};
use crate::context::Context;
use crate::digest::Digest;
use crate::progress::Event;
use crate::store::{FoundImage, Store};

/// What was exported.
#[derive(Clone, Debug)]
pub struct ExportReport {
    /// The digest of the image's manifest.
    pub manifest_digest: Digest,
    /// Bytes of the tar.
    pub bytes: u64,
}

/// Writes the root filesystem of the image that `selector` names as a tar, with all metadata: what does
/// not fit a plain header is in PAX records, extended attributes as `SCHILY.xattr`.
pub fn export(
    store: &Store,
    selector: &str,
    target: SaveTarget,
    context: &Context,
) -> Result<ExportReport, SaveError> {
    let Context { progress, cancel } = context;
    let lease = store.lease(progress.as_ref(), cancel)?;
    let FoundImage { image, .. } = store.find(selector)?;
    let mut layers = Vec::with_capacity(image.layers.len());
    for layer in &image.layers {
        let missing = || SaveError::MissingLayer {
            image: selector.to_owned(),
            diff_id: layer.key.diff_id.clone(),
        };
        let stored = store.readable_layer(&layer.key)?.ok_or_else(missing)?;
        layers.push(OutputLayer {
            diff_id: layer.key.diff_id.clone(),
            size: stored.facts.tar_size,
            stored: vec![StoredFiles {
                chain: layer.key.chain.clone(),
                erofs: stored.erofs_path.clone(),
                recipe: (!stored.is_adopted()).then(|| stored.recipe_path.clone()),
            }],
        });
    }
    let diff_ids = layers.iter().map(|layer| &layer.diff_id);
    let _pins = store.pin_layers(diff_ids, progress.as_ref(), cancel)?;
    drop(lease);
    let (name, writer, file) = open_target(target, cancel)?;
    progress.report(Event::Layers(layers.len()));
    let numbers = 0..u32::try_from(layers.len()).unwrap_or(u32::MAX);
    let numbers: Vec<u32> = numbers.collect();
    let mut output = Box::new(TarOutput::new(
        name,
        writer,
        layers,
        Arc::clone(progress),
        cancel.clone(),
    ));
    output.put_merged("", &numbers)?;
    let bytes = output.finish()?;
    if let Some((path, file)) = file {
        let output = |source| SaveError::Output { path, source };
        file.put_in_place().map_err(output)?;
    }
    Ok(ExportReport {
        manifest_digest: image.digest,
        bytes,
    })
}
