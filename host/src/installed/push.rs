//! Putting a component into a registry, for others to install.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::artifact::{self, About};
use super::error::InstalledError;
use super::fetch::{self, Network};
use crate::cancel::Cancel;
use crate::credential::Action;
use crate::digest::Digest;
use crate::plugin::{Inspection, Runtime};
use crate::progress::Progress;
use crate::reference::Reference;

/// Pushes the component in a file under a reference, and returns the digest of its manifest.
///
/// # Errors
/// When the file is not a plugin for this msb, or the registry does not take it.
pub fn push(
    path: &Path,
    reference: &Reference,
    network: &Network,
    runtime: &Runtime,
    progress: &Arc<dyn Progress>,
    cancel: &Cancel,
) -> Result<Digest, InstalledError> {
    let component = fetch::read_component(path)?;
    let file_name = path.file_name().unwrap_or(path.as_os_str());
    let file_name = file_name.to_string_lossy();
    let inspection = runtime.inspect(&file_name, &component, progress, cancel)?;
    let about = About {
        file_name: &file_name,
        imports: inspection.imports.clone(),
        exports: vec![format!(
            "msb:plugin/{}@{}",
            match inspection.kind {
                crate::plugin::PluginKind::Format(_) => "archive",
                crate::plugin::PluginKind::Credential(_) => "credentials",
            },
            inspection.api
        )],
        annotations: annotations(&inspection),
        created: artifact::created(),
    };
    let artifact = artifact::compose(&component, &about)?;
    let actual = Digest::of(&artifact.manifest);
    if reference.digest().is_some_and(|named| *named != actual) {
        return Err(InstalledError::OtherDigest {
            reference: reference.familiar(),
            actual,
        });
    }
    let credentials = Arc::clone(&network.credentials);
    let repository = network
        .client
        .repository(reference, Action::Push, credentials)?
        .telling(Arc::clone(&network.progress));
    for blob in [&artifact.config, &Bytes::from(component)] {
        repository.push_blob(blob, &|_| {}, cancel)?;
    }
    let manifest = &artifact.manifest;
    let media_type = artifact::MANIFEST;
    Ok(repository.push_manifest(reference.tag(), media_type, manifest, &|_| {}, cancel)?)
}

fn annotations(inspection: &Inspection) -> BTreeMap<&'static str, String> {
    let about = &inspection.metadata;
    let all = [
        ("authors", &about.authors),
        ("description", &about.description),
        ("licenses", &about.licenses),
        ("revision", &about.revision),
        ("source", &about.source),
        ("url", &about.homepage),
        ("version", &about.version),
    ];
    all.into_iter()
        .filter_map(|(key, value)| Some((key, value.clone()?)))
        .collect()
}
