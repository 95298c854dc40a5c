//! What a pull finds in the store already.
//!
//! Owns when an image that is there is good enough: it is whole, for the platform, and where the policy
//! asks for it the registry still gives it under its tag. Fetches no layer.

use std::error::Error;

use super::{PullOptions, PulledImage, TagLookup};
use crate::context::Context;
use crate::digest::Digest;
use crate::image::PullError;
use crate::platform::Platform;
use crate::progress::Event;
use crate::reference::Reference;
use crate::registry::{Repository, Retry};
use crate::store::{ImageRecord, Store, StoreError};

/// Returns the image of a reference if it is there, whole, and for the platform.
///
/// A reference with a digest need not have been pulled before: what has the digest, or was led to by
/// an index that has it, is what the registry would give.
pub(super) fn present(
    store: &Store,
    reference: &Reference,
    wanted: &Platform,
) -> Result<Option<PulledImage>, PullError> {
    let is_wanted = |image: &ImageRecord| wanted.runs(&image.platform);
    let named = store.referenced(reference)?.filter(is_wanted);
    let is_named = named.is_some();
    let image = match (named, reference.digest()) {
        (Some(image), _) => image,
        (None, Some(digest)) => {
            let mut pinned = store.pinned(reference, digest)?;
            pinned.retain(is_wanted);
            match (pinned.pop(), pinned.is_empty()) {
                (Some(image), true) => image,
                // Which of several ones an index means is for the registry's index to say.
                _ => return Ok(None),
            }
        }
        (None, None) => return Ok(None),
    };
    for layer in &image.layers {
        if store.layer(&layer.key)?.is_none() {
            return Ok(None);
        }
    }
    let is_whole = |digest: &Digest| store.blob(digest).is_ok();
    let pulled = image.registry_digests.get(reference);
    if !is_whole(&image.digest) || !is_whole(&image.config_digest) || !pulled.is_none_or(is_whole) {
        return Ok(None);
    }
    let registry_digest = store.registry_digest(&image, reference);
    let moved = if is_named {
        Vec::new()
    } else {
        match store.name(&image, reference, &registry_digest) {
            // It was removed since it was found.
            Err(StoreError::NotFound(_)) => return Ok(None),
            named => named?,
        }
    };
    Ok(Some(PulledImage {
        reference: reference.clone(),
        registry_digest,
        manifest_digest: image.digest,
        config_digest: image.config_digest,
        platform: image.platform,
        already_present: true,
        lookup: TagLookup::NotAsked,
        moved,
    }))
}

/// Asks the registry whether a tag still names the image that is there, or whether that is good enough;
/// `None` if it does not. Only the digest is asked for.
pub(super) fn look_up(
    repository: &Repository,
    reference: &Reference,
    image: &PulledImage,
    Context { progress, cancel }: &Context,
) -> Result<Option<TagLookup>, PullError> {
    let on_retry = |retry: &Retry<'_>| {
        progress.report(Event::Retrying {
            reason: &retry.error.to_string(),
            after: retry.after,
        });
    };
    let tag = reference.tag().unwrap_or("latest");
    match repository.digest_of_tag(tag, &on_retry, cancel) {
        Ok(digest) => {
            Ok((digest.as_ref() == Some(&image.registry_digest)).then_some(TagLookup::Confirmed))
        }
        Err(error) => {
            cancel.check()?;
            let causes = std::iter::successors(Some(&error as &dyn Error), |&error| error.source());
            let causes: Vec<String> = causes.map(ToString::to_string).collect();
            progress.report(Event::Notice(&format!(
                "could not look up whether {reference} has changed, so the image in the store is used: {}",
                causes.join(": ")
            )));
            Ok(Some(TagLookup::Failed))
        }
    }
}

/// Records the use of an image that is there, if one is to be recorded. Returns whether the image still
/// is: another process may have removed it.
pub(super) fn is_used(
    store: &Store,
    image: &PulledImage,
    options: &PullOptions,
) -> Result<bool, StoreError> {
    store.touch(&image.manifest_digest);
    let Some(sandbox) = &options.used_by else {
        return Ok(true);
    };
    match store.use_image(sandbox, &image.manifest_digest.to_string()) {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
