//! Names that an archive gives its images: who has one that several claim, and which none may have.

use std::collections::{HashMap, HashSet};

use super::ImageError;
use super::select::SelectedImage;
use crate::progress::{Event, Progress};
use crate::reference::Reference;
use crate::store::{NewImage, Store};

/// Gives the first image the tags that the user has chosen.
pub(super) fn add_tags(images: &mut [SelectedImage], tags: &[Reference]) {
    if let Some(first) = images.first_mut() {
        for tag in tags {
            first.references.retain(|own| own != tag);
            first.references.push(tag.clone());
        }
    }
}

/// Gives each name to one image: the last that claims it, as docker, podman and containerd do. Of
/// images for different platforms, which an index has under its one name, it is the first. `tags`
/// are those that the user has chosen for the first image.
pub(super) fn settle(images: &mut [SelectedImage], tags: &[Reference], progress: &dyn Progress) {
    let mut owners: HashMap<Reference, usize> = HashMap::new();
    let mut lost = Vec::new();
    owners.extend(tags.iter().map(|tag| (tag.clone(), 0)));
    for (number, image) in images.iter().enumerate() {
        for reference in &image.references {
            let owner = *owners.entry(reference.clone()).or_insert(number);
            let Some(before) = images.get(owner).filter(|before| !is_same(before, image)) else {
                continue;
            };
            let is_variant = before.config.platform != image.config.platform;
            let loser = if is_variant || tags.contains(reference) {
                number
            } else {
                owners.insert(reference.clone(), number);
                owner
            };
            lost.push((loser, reference.clone(), is_variant));
        }
    }
    let mut taken: HashMap<usize, HashSet<Reference>> = HashMap::new();
    for (loser, reference, is_variant) in lost {
        let winner = owners.get(&reference).and_then(|owner| images.get(*owner));
        let winner = winner.map(|image| image.config.digest.short().to_owned());
        let Some((image, winner)) = images.get(loser).zip(winner) else {
            continue;
        };
        if !is_variant {
            progress.report(Event::Notice(&format!(
                "several images of the archive are called `{reference}`: {winner} has the name, \
                 {} is kept without it",
                image.config.digest.short()
            )));
        }
        taken.entry(loser).or_default().insert(reference);
    }
    for (loser, names) in taken {
        if let Some(image) = images.get_mut(loser) {
            image.references.retain(|own| !names.contains(own));
        }
    }
}

/// Takes those names with a digest from an image that it may not have, and says so.
pub(super) fn keep_proven(
    store: &Store,
    image: &mut SelectedImage,
    new: &NewImage,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    for reference in std::mem::take(&mut image.references) {
        if store.may_name(new, &reference)? {
            image.references.push(reference);
        } else {
            progress.report(Event::Notice(&format!(
                "image {} is kept without the reference `{reference}`: its digest is {}",
                image.config.digest.short(),
                new.manifest_digest
            )));
        }
    }
    Ok(())
}

/// Returns whether two entries of an archive are one image.
fn is_same(one: &SelectedImage, other: &SelectedImage) -> bool {
    let manifest = |image: &SelectedImage| {
        let manifest = image.manifest.as_ref()?;
        Some(manifest.digest.clone())
    };
    one.config.digest == other.config.digest && manifest(one) == manifest(other)
}
