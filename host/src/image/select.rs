//! Which images of an archive are loaded: those for the platform, under the names they have.

use std::sync::Arc;

use super::document::Config;
use super::manifest::Manifest;
use super::{LoadError, LoadOptions, name};
use crate::archive::ArchiveSource;
use crate::platform::Platform;
use crate::plugin::{PlannedImage, PlannedLayer};
use crate::progress::{Event, Progress};
use crate::reference::Reference;

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
) -> Result<Vec<Selected>, LoadError> {
    let wanted = options.platform.clone().unwrap_or_else(Platform::host);
    let mut selected: Vec<Selected> = Vec::new();
    let mut offered = Vec::new();
    for image in planned {
        let config = Config::read(source, &image, &options.limits)?;
        if !wanted.runs(&config.platform) {
            progress.report(Event::Notice(&format!(
                "passed over image {}: it is for {}",
                config.digest.short(),
                config.platform
            )));
            offered.push(config.platform);
            continue;
        }
        let manifest = Manifest::read(source, &image, &config, &options.limits)?;
        let mut references: Vec<Reference> = Vec::new();
        for text in image.references {
            match text.parse::<Reference>() {
                Ok(reference) if references.contains(&reference) => {}
                Ok(reference) => references.push(reference),
                Err(error) => progress.report(Event::Notice(&format!(
                    "image {} is kept without the reference `{text}`: {error}",
                    config.digest.short()
                ))),
            }
        }
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
