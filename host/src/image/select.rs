//! Which images of an archive are loaded: those for the platform, under the names they have.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::document::Config;
use super::manifest::Manifest;
use super::{LoadError, LoadOptions, name};
use crate::archive::ArchiveSource;
use crate::cancel::Cancel;
use crate::limits::{Account, Purpose};
use crate::platform::Platform;
use crate::plugin::{Document, PlannedImage, PlannedLayer};
use crate::progress::{Event, Progress};
use crate::reference::Reference;

/// Bytes of memory that a document takes for each of its own: as text, and as what it says.
const DOCUMENT: u64 = 3;

/// An image that was picked: its documents are read and agree with each other.
pub(super) struct Selected {
    pub(super) config: Config,
    pub(super) manifest: Option<Manifest>,
    pub(super) layers: Vec<PlannedLayer>,
    pub(super) references: Vec<Reference>,
}

/// Reads the documents of the planned images and picks those for the platform.
pub(super) fn select(
    source: &Arc<dyn ArchiveSource>,
    planned: Vec<PlannedImage>,
    options: &LoadOptions,
    progress: &Arc<dyn Progress>,
    account: &mut Account,
    cancel: &Cancel,
) -> Result<Vec<Selected>, LoadError> {
    let wanted = options.platform.clone().unwrap_or_else(Platform::host);
    let mut selected: Vec<Selected> = Vec::new();
    let mut offered = Vec::new();
    // An index may list one image again and again; its documents are read once.
    let mut known: HashMap<(u32, u32), usize> = HashMap::new();
    for image in planned {
        cancel.check()?;
        let documents = entries_of(&image);
        if let Some(number) = documents.and_then(|documents| known.get(&documents)) {
            if let Some(same) = selected.get_mut(*number) {
                add_references(
                    &mut same.references,
                    image.references,
                    &same.config,
                    progress,
                );
            }
            continue;
        }
        let config = Config::read(source, &image, &options.limits)?;
        if !wanted.runs(&config.platform) {
            progress.report(Event::Notice(&format!(
                "passed over image {}: it is for {}",
                config.digest.short(),
                config.platform
            )));
            offered.push(config.platform);
            known.extend(documents.map(|documents| (documents, usize::MAX)));
            continue;
        }
        let manifest = Manifest::read(source, &image, &config, &options.limits)?;
        let size =
            config.bytes.len() + manifest.as_ref().map_or(0, |manifest| manifest.bytes.len());
        account.take(Purpose::Documents, DOCUMENT * size as u64)?;
        known.extend(documents.map(|documents| (documents, selected.len())));
        let mut references = Vec::new();
        add_references(&mut references, image.references, &config, progress);
        selected.push(Selected {
            config,
            manifest,
            layers: image.layers,
            references,
        });
    }
    name::settle(&mut selected, options.tag.as_ref(), progress.as_ref());
    match (selected.is_empty(), offered.is_empty()) {
        (true, true) => Err(LoadError::NoImages),
        (true, false) => Err(LoadError::Platform { wanted, offered }),
        (false, _) => Ok(selected),
    }
}

/// Returns the entries of an image's documents, if it is one that the archive describes by them.
fn entries_of(image: &PlannedImage) -> Option<(u32, u32)> {
    match (&image.manifest, &image.config) {
        (Some(Document::Entry(manifest)), Document::Entry(config)) => Some((*manifest, *config)),
        _ => None,
    }
}

/// Adds the references that can be read and that the image does not have yet.
fn add_references(
    references: &mut Vec<Reference>,
    texts: Vec<String>,
    config: &Config,
    progress: &Arc<dyn Progress>,
) {
    let mut known: HashSet<Reference> = references.iter().cloned().collect();
    for text in texts {
        match text.parse::<Reference>() {
            Ok(reference) if known.insert(reference.clone()) => references.push(reference),
            Ok(_) => {}
            Err(error) => progress.report(Event::Notice(&format!(
                "image {} is kept without the reference `{text}`: {error}",
                config.digest.short()
            ))),
        }
    }
}
