//! `rmi`: one image, or one of its references.

use crate::digest::Digest;
use crate::reference::Reference;
use crate::store::{FoundImage, Store, StoreError};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Also if sandboxes use the image, or if several references lead to what was named by its ID.
    pub force: bool,
}

/// What was removed.
#[derive(Clone, Debug)]
pub struct Removed {
    /// References that are gone.
    pub untagged: Vec<Reference>,
    /// The manifest digest of the image, if that is gone too.
    pub image: Option<Digest>,
    /// Layers that are gone.
    pub layers: usize,
    /// Bytes of disk that are free now; `None` when another msb was using the store, and the
    /// files wait for the next prune.
    pub bytes: Option<u64>,
}

/// Removes what `selector` names: of several references to an image just the one, else the image
/// with the layers that no other image has.
///
/// # Errors
/// [`StoreError::InUse`] and [`StoreError::SeveralReferences`] unless forced.
pub fn remove(
    store: &Store,
    selector: &str,
    options: RemoveOptions,
) -> Result<Removed, StoreError> {
    let FoundImage { image, reference } = store.find(selector)?;
    if let Some(reference) = &reference
        && image.references.len() > 1
    {
        store.untag(&reference.canonical())?;
        return Ok(Removed {
            untagged: vec![reference.clone()],
            image: None,
            layers: 0,
            bytes: Some(0),
        });
    }
    if reference.is_none() && image.references.len() > 1 && !options.force {
        return Err(StoreError::SeveralReferences {
            image: selector.to_owned(),
            references: image.references.iter().map(ToString::to_string).collect(),
        });
    }
    let sandboxes = store.users(&image.digest)?;
    if !sandboxes.is_empty() && !options.force {
        return Err(StoreError::InUse {
            image: selector.to_owned(),
            sandboxes,
        });
    }
    store.forget(&image.digest)?;
    let collected = store.try_collect()?;
    Ok(Removed {
        untagged: image.references,
        image: Some(image.digest),
        layers: collected.as_ref().map_or(0, |collected| collected.layers),
        bytes: collected.map(|collected| collected.bytes),
    })
}
