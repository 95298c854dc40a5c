//! `store serve microsandbox`: images of the store as microsandbox finds them in its cache.
//!
//! Owns which images are handed over, and what is told of those that are not. How one is laid is in
//! [`handover`](super::handover), how names go in [`microsandbox_prune`](super::microsandbox_prune).

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ServeError;
use super::handover::Handover;
use super::microsandbox_prune;
use super::microsandbox_reader::is_our_merged;
use crate::context::Context;
use crate::digest::Digest;
use crate::fs::{self, SHARED_DIRECTORY};
use crate::home::Home;
use crate::limits::Limits;
use crate::microsandbox;
use crate::reference::Reference;
use crate::store::{Foreign, ImageRecord, LayerKey, Store};

/// The lock of those who lay and remove names, next to the records.
const LOCK: &str = ".msb.lock";

/// What to serve to microsandbox.
#[derive(Clone, Debug, Default)]
pub struct ServeMicrosandboxOptions {
    /// The images that are served; all of the store where there are none.
    pub images: Vec<String>,
    /// Removes the names of what no image of the store has any more, and that microsandbox does not have
    /// either.
    pub prune: bool,
}

/// What was done. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServeMicrosandboxReport {
    /// Names by which microsandbox finds images from now on.
    pub added: Vec<String>,
    /// Names by which it has found the same images before.
    pub present: Vec<String>,
    /// Files of layers that got a name.
    pub layers_added: usize,
    /// Images that microsandbox does not find, or not by all of their names.
    pub unserved: Vec<UnservedImage>,
    /// Files that were removed.
    pub removed: usize,
    /// Names of images that the store does not have any more, and microsandbox does.
    pub kept: Vec<String>,
}

/// An image that microsandbox does not find, or not by this name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnservedImage {
    /// Its name, or `<none>`.
    pub image: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Why.
    pub reason: UnservedReason,
    /// The layers that are the reason, by their `diff_id`s.
    pub layers: Vec<Digest>,
    /// The sandboxes that are the reason.
    pub used_by: Vec<String>,
}

/// Why an image is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnservedReason {
    /// It has no name.
    Unnamed,
    /// It is for another platform than this machine.
    OtherPlatform,
    /// The store has no files of layers, or damaged ones.
    MissingLayers,
    /// microsandbox has files of its own for layers.
    ForeignLayers,
    /// The reader of microsandbox does not take what layers contain.
    UnreadableLayers,
    /// Sandboxes use the layers by names that would have to change.
    InUse,
    /// Another program is working on it.
    Busy,
    /// microsandbox uses the name for another image.
    NamedOtherwise,
}

/// Lays images where the microsandbox of a home finds them: a record for each name, hard links to the
/// files of layers and of the merged filesystem, and the descriptor of a disk. To be called again when
/// there are new images: what is there stays as it is.
///
/// # Errors
/// An image that is not there, a home that cannot be written or is on another filesystem than the store,
/// and an image that cannot be merged.
pub fn serve_microsandbox(
    store: &Store,
    home: &Home,
    options: &ServeMicrosandboxOptions,
    limits: &Limits,
    context: &Context,
) -> Result<ServeMicrosandboxReport, ServeError> {
    for directory in [home.layers(), home.fsmeta(), home.vmdk(), home.manifests()] {
        fs::create_directory(&directory, SHARED_DIRECTORY)
            .map_err(|source| ServeError::io("create", &directory, source))?;
    }
    let lock = home.manifests().join(LOCK);
    let Some(_lock) = microsandbox::lock(&lock, &context.cancel)? else {
        return Err(ServeError::Busy { path: lock });
    };
    let images = if options.images.is_empty() {
        store.images()?
    } else {
        let mut found: Vec<ImageRecord> = Vec::with_capacity(options.images.len());
        for selector in &options.images {
            let image = store.find(selector)?.image;
            if found.iter().all(|known| known.digest != image.digest) {
                found.push(image);
            }
        }
        found
    };
    let mut report = ServeMicrosandboxReport::default();
    let mut handover = Handover {
        store,
        home,
        is_own_home: is_same(home.root(), store.home().root()),
        claimed: claimed_layers(home)?,
        limits,
        context,
        report: &mut report,
    };
    for image in &images {
        context.cancel.check()?;
        handover.image(image)?;
    }
    if options.prune {
        microsandbox_prune::prune(store, home, &mut report, context)?;
    }
    Ok(report)
}

/// Returns the digest by which microsandbox is told of a layer: the `diff_id`, or the chain ID of a layer that
/// depends on those below. microsandbox takes either for the name of a file, and has no other layer by a chain
/// ID, so a layer over others never takes the place of the same layer over these.
pub(super) fn layer_digest(key: &LayerKey) -> &Digest {
    key.chain.as_ref().unwrap_or(&key.diff_id)
}

/// Returns the layers that merged images of microsandbox's own refer to, by the digests that they have there: the
/// blocks of a file that it has written and that may be missing. Another file must not take such a name.
fn claimed_layers(home: &Home) -> Result<BTreeSet<String>, ServeError> {
    let foreign = Foreign::open(home)?;
    let mut claimed = BTreeSet::new();
    let mut judged: Option<(String, bool)> = None;
    for (manifest, diff_id) in foreign.layers_of_manifests()? {
        let is_theirs = match &judged {
            Some((known, is_theirs)) if *known == manifest => *is_theirs,
            _ => {
                let is_theirs = manifest.parse::<Digest>().is_ok_and(|digest| {
                    let path = merged_path(home, &digest);
                    path.exists() && !is_our_merged(&path)
                });
                judged = Some((manifest, is_theirs));
                is_theirs
            }
        };
        if is_theirs {
            claimed.insert(diff_id);
        }
    }
    Ok(claimed)
}

/// Returns where microsandbox has the merged filesystem of a manifest.
pub(super) fn merged_path(home: &Home, manifest: &Digest) -> PathBuf {
    home.fsmeta()
        .join(format!("{}.erofs", manifest.file_stem()))
}

/// Returns where microsandbox has the descriptor of the disk of a manifest.
pub(super) fn disk_path(home: &Home, manifest: &Digest) -> PathBuf {
    home.vmdk().join(format!("{}.vmdk", manifest.file_stem()))
}

/// Returns whether two directories are one.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

impl fmt::Display for UnservedReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unnamed => "it has no name",
            Self::OtherPlatform => "it is for another platform",
            Self::MissingLayers => "the store has no files of layers; pull or load it again",
            Self::ForeignLayers => "microsandbox has layers of its own, and merges it itself",
            Self::UnreadableLayers => "microsandbox cannot read what layers contain",
            Self::InUse => "its layers are in use by a name that would have to change",
            Self::Busy => "another program is at work on it",
            Self::NamedOtherwise => "microsandbox uses the name for another image",
        })
    }
}

impl fmt::Display for UnservedImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            image,
            reason,
            layers,
            used_by,
            ..
        } = self;
        write!(formatter, "{image}: {reason}")?;
        match layers.len() {
            0 => {}
            1 => formatter.write_str(" (1 layer)")?,
            count => write!(formatter, " ({count} layers)")?,
        }
        if !used_by.is_empty() {
            write!(formatter, "; in use by {}", used_by.join(", "))?;
        }
        Ok(())
    }
}

impl ServeMicrosandboxReport {
    /// Takes note that an image is not served, by its first name.
    pub(super) fn refuse(
        &mut self,
        image: &ImageRecord,
        reason: UnservedReason,
    ) -> &mut UnservedImage {
        let name = image.references.first().map(Reference::familiar);
        self.unserved.push_mut(UnservedImage {
            image: name.unwrap_or_else(|| super::NO_REFERENCE.to_owned()),
            digest: image.digest.clone(),
            reason,
            layers: Vec::new(),
            used_by: Vec::new(),
        })
    }
}
