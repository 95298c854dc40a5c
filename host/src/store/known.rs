//! Which files the catalogue needs, as names of files: those of our images and of microsandbox.

use std::collections::HashSet;

use rusqlite::Connection;

use super::catalogue::WriteError;
use super::foreign::Foreign;
use super::layer_file::ADOPTED;
use super::layer_record::LayerKey;
use crate::digest::Digest;

/// What the catalogue needs, as names of files.
#[derive(Debug)]
pub(super) struct Known {
    /// The layers of our images.
    pub(super) layers: HashSet<String>,
    /// The layers of microsandbox.
    pub(super) their_layers: HashSet<String>,
    /// Manifests, configurations and indexes.
    pub(super) blobs: HashSet<String>,
    /// Manifests of our images.
    pub(super) manifests: HashSet<String>,
    /// Manifests of microsandbox.
    pub(super) their_manifests: HashSet<String>,
    /// Manifests that were removed just now.
    pub(super) removed: HashSet<String>,
    /// Whether there is a microsandbox.
    pub(super) shared: bool,
}

/// What of the cache is looked at when a single image goes.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// Layers.
    pub(super) layers: Vec<&'a LayerKey>,
    /// Manifests, configurations and indexes.
    pub(super) documents: Vec<&'a Digest>,
    /// The manifest of an image that was removed.
    pub(super) removed: Option<&'a Digest>,
}

impl Known {
    /// Reads what the rows of the catalogue need, now that the manifests `removed` have gone.
    pub(super) fn read(
        catalogue: &Connection,
        foreign: &Foreign,
        removed: HashSet<String>,
    ) -> Result<Self, WriteError> {
        let column = |query: &str| {
            catalogue
                .prepare(query)?
                .query_map([], |row| Ok(file_stem(&row.get::<_, String>(0)?)))?
                .collect::<rusqlite::Result<HashSet<String>>>()
        };
        let manifests = column("SELECT digest FROM msb_image")?;
        let mut blobs = column("SELECT config_digest FROM msb_image")?;
        blobs.extend(manifests.iter().cloned());
        blobs.extend(column("SELECT digest FROM msb_image_index")?);
        let stems = |digests: Vec<String>| digests.into_iter().map(|digest| file_stem(&digest));
        let mut layers = column("SELECT file FROM msb_layer")?;
        // Made again, a layer has another file. Who uses the image may not know that yet.
        let in_use = "SELECT DISTINCT diff_id FROM msb_use JOIN msb_image_layer USING (image)";
        let in_use = column(in_use)?;
        layers.extend(in_use.iter().map(|layer| format!("{layer}{ADOPTED}")));
        Ok(Self {
            layers,
            their_layers: stems(foreign.layers()?).collect(),
            blobs,
            manifests,
            their_manifests: stems(foreign.manifests()?).collect(),
            removed,
            shared: foreign.is_shared()?,
        })
    }
}

impl Known {
    /// Reads what of some parts the rows of the catalogue need.
    pub(super) fn of(
        catalogue: &Connection,
        foreign: &Foreign,
        parts: &Parts<'_>,
    ) -> Result<Self, WriteError> {
        let mut layers = HashSet::new();
        for key in &parts.layers {
            let files = catalogue
                .prepare_cached("SELECT file FROM msb_layer WHERE diff_id = ?1")?
                .query_map([key.diff_id.to_string()], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            layers.extend(files);
        }
        let mut blobs = HashSet::new();
        for digest in &parts.documents {
            let is_needed = catalogue
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM msb_image WHERE digest = ?1)
                         OR EXISTS (SELECT 1 FROM msb_image WHERE config_digest = ?1)
                         OR EXISTS (SELECT 1 FROM msb_image_index WHERE digest = ?1)",
                )?
                .query_row([digest.to_string()], |row| row.get(0))?;
            if is_needed {
                blobs.insert(digest.file_stem());
            }
        }
        let stems = |digests: Vec<String>| digests.into_iter().map(|digest| file_stem(&digest));
        let mut manifests = HashSet::new();
        if let Some(removed) = parts.removed {
            let is_there: bool = catalogue.query_row(
                "SELECT EXISTS (SELECT 1 FROM msb_image WHERE digest = ?1)",
                [removed.to_string()],
                |row| row.get(0),
            )?;
            manifests.extend(is_there.then(|| removed.file_stem()));
        }
        Ok(Self {
            layers,
            their_layers: stems(foreign.layers()?).collect(),
            blobs,
            manifests,
            their_manifests: stems(foreign.manifests()?).collect(),
            removed: parts
                .removed
                .iter()
                .map(|digest| digest.file_stem())
                .collect(),
            shared: foreign.is_shared()?,
        })
    }
}

fn file_stem(digest: &str) -> String {
    digest.replacen(':', "_", 1)
}
