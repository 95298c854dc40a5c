//! An image on its way from a registry into the store.
//!
//! Owns which layers are fetched, from where and from which byte on, and that the image is recorded only
//! when all of them are there. How a layer is converted is [`convert`](crate::image::convert)'s.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use msb_documents::media_type::is_foreign;

use super::{PullOptions, PulledImage, TagLookup};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::image::convert::{ConvertContext, ConvertedLayer, LayerSource, processors};
use crate::image::locks::Locks;
use crate::image::manifest::LayerDescriptor;
use crate::image::placement::{NamedLayer, Placement};
use crate::image::plan::{LayerJob, PlanBuilder};
use crate::image::resolve::Resolved;
use crate::image::{ImageError, PullError, budget, same};
use crate::progress::{Event, LayerNumber};
use crate::reference::Reference;
use crate::registry::{BlobRequest, Repository, Retry};
use crate::store::{LayerKey, Part, Resumption, Store};

/// Layers that are fetched at once, on however few processors: most of the time is spent waiting.
const MIN_CONNECTIONS: usize = 4;

/// An image on its way into the store.
pub(super) struct Fetch<'a> {
    pub(super) store: &'a Store,
    pub(super) repository: &'a Repository,
    pub(super) context: ConvertContext<'a>,
    pub(super) layers: &'a [LayerDescriptor],
    /// How often a blob was not what its digest says.
    pub(super) failed: Mutex<HashMap<Digest, usize>>,
    pub(super) resumption: Resumption,
}

impl Fetch<'_> {
    /// Makes what the store does not have, and records the image.
    pub(super) fn run(
        &self,
        reference: &Reference,
        resolved: &Resolved,
        options: &PullOptions,
    ) -> Result<PulledImage, PullError> {
        let force = options.force;
        let Resolved {
            manifest,
            config,
            host,
            indexes,
        } = resolved;
        let registry_digest = resolved.registry_digest();
        let failed = |error| PullError::of(reference, host, error);
        let (store, context) = (self.store, &self.context);
        if force {
            // What is fetched again is fetched from its beginning.
            for layer in self.layers {
                store
                    .drop_part(&layer.digest)
                    .map_err(|error| failed(error.into()))?;
            }
        }
        let blobs = self.layers.iter().map(|layer| &layer.digest);
        // A load does not wait for the network: if several processes make one layer, the first one
        // publishes it, and the others find it there.
        let locks = context
            .find_to_fetch(store, config.diff_ids.iter().zip(blobs), force)
            .map_err(failed)?;
        let made = match self.convert(&config.diff_ids, &locks) {
            Ok(made) => made,
            Err(error) => {
                if self.resumption.is_given_up() {
                    self.give_up_parts();
                }
                return Err(failed(error));
            }
        };
        context.lock_made(&locks).map_err(failed)?;
        let mut placement = Placement::new(store, context.clone(), made);
        let named: Vec<_> = self
            .layers
            .iter()
            .zip(&config.diff_ids)
            .map(|(layer, diff_id)| NamedLayer {
                diff_id,
                name: layer.digest.to_string(),
            })
            .collect();
        let keys = placement.place(&named).map_err(failed)?;
        placement.keep(&keys);
        context.cancel.check()?;
        context.progress.report(Event::Phase("Writing store"));
        if !store.has_room() {
            self.give_up_parts();
        }
        let layers = placement.into_new();
        let lengths = self.layers.iter().map(LayerDescriptor::length);
        let mut new = manifest
            .clone()
            .record(config, keys.into_iter().zip(lengths));
        new.indexes.clone_from(indexes);
        new.supersedes = same::composed(store, &new.config_digest)?;
        let (progress, cancel) = (context.progress.as_ref(), context.cancel);
        budget::keep(store, options.max_bytes, &layers, &[&new], progress, cancel)?;
        store.publish_unless(&layers, force, context.cancel)?;
        let recorded =
            store.record_pulled(&new, reference, registry_digest, options.used_by.as_deref())?;
        for layer in self.layers {
            store.drop_part(&layer.digest)?;
        }
        Ok(PulledImage {
            reference: reference.clone(),
            registry_digest: registry_digest.clone(),
            manifest_digest: new.manifest_digest,
            config_digest: new.config_digest,
            platform: new.platform,
            already_present: layers.is_empty() && recorded.already_present,
            lookup: TagLookup::Confirmed,
            moved: recorded.moved,
        })
    }

    /// Fetches and converts the layers that are to be made, each once.
    fn convert(
        &self,
        diff_ids: &[Digest],
        locks: &Locks,
    ) -> Result<BTreeMap<LayerKey, ConvertedLayer>, ImageError> {
        let progress = self.context.progress;
        let mut jobs = PlanBuilder::default();
        let mut above = jobs.image();
        let mut present = Vec::new();
        for ((entry, layer), diff_id) in (0..).zip(self.layers).zip(diff_ids) {
            let job = locks.has(diff_id).then(|| LayerJob {
                entry,
                name: layer.digest.to_string(),
                size: layer.length(),
                diff_id: diff_id.clone(),
                blob: Some((layer.digest.clone(), layer.size)),
                position: None,
            });
            if job.is_none() {
                present.push((layer, diff_id));
            }
            above = jobs.add(&above, diff_id, job);
        }
        let plan = jobs.finish();
        let jobs = &plan.jobs;
        progress.report(Event::Layers(jobs.len() + present.len()));
        progress.report(Event::Bytes(jobs.iter().map(|job| job.size).sum()));
        for (number, (layer, diff_id)) in (jobs.len()..).zip(present) {
            let number = LayerNumber(number);
            progress.report(Event::LayerStarted {
                layer: number,
                name: &layer.digest.to_string(),
                size: layer.size,
            });
            progress.report(Event::LayerFinished {
                layer: number,
                diff_id,
                already_present: true,
            });
        }
        let workers = processors().max(MIN_CONNECTIONS);
        let made = self.context.convert_all(self, &plan, workers)?;
        made.into_iter()
            .map(|layer| layer.map(|layer| (layer.facts.key.clone(), layer)))
            .collect()
    }

    /// Deletes what the next pull could have continued from: the disk has no room for it.
    fn give_up_parts(&self) {
        let blobs = self.layers.iter().map(|layer| &layer.digest);
        let cancel = self.context.cancel;
        self.store.give_up_parts(&self.resumption, blobs, cancel);
    }

    fn layer(&self, job: &LayerJob) -> Option<&LayerDescriptor> {
        self.layers.get(usize::try_from(job.entry).ok()?)
    }
}

impl LayerSource for Fetch<'_> {
    fn open<'a>(
        &'a self,
        job: &'a LayerJob,
        number: LayerNumber,
        cancel: &'a Cancel,
    ) -> Result<Box<dyn Read + Send + 'a>, ImageError> {
        let Some(layer) = self.layer(job) else {
            return Ok(Box::new(std::io::empty()));
        };
        let (digest, size) = (&layer.digest, layer.length());
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        // A server that sent wrong bytes may do so again: these are not kept.
        let part = match failed.get(digest) {
            Some(_) => None,
            None if self.resumption.is_given_up() => None,
            None => self.store.part(digest, size)?,
        };
        let request = BlobRequest {
            digest,
            size,
            urls: elsewhere(layer),
            offset: part.as_ref().map_or(0, Part::length),
            passed_endpoints: failed.get(digest).copied().unwrap_or(0),
        };
        let progress = self.context.progress;
        let on_retry = move |retry: &Retry<'_>| {
            progress.report(Event::LayerRetrying {
                layer: number,
                reason: &retry.error.to_string(),
                after: retry.after,
            });
        };
        let blob = self.repository.blob(request, Box::new(on_retry), cancel);
        Ok(match part {
            Some(part) => Box::new(part.followed_by(blob, &self.resumption)),
            None => Box::new(blob),
        })
    }

    fn is_worth_another_try(
        &self,
        job: &LayerJob,
        _number: LayerNumber,
        error: &ImageError,
    ) -> bool {
        if error.is_full() {
            self.give_up_parts();
            return true;
        }
        let is_damaged = match error {
            ImageError::LayerDigest { .. } | ImageError::DiffId { .. } => true,
            ImageError::Layer { source, .. } => source.may_be_damage(),
            _ => false,
        };
        let Some(layer) = self.layer(job).filter(|_| is_damaged) else {
            return false;
        };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failed.entry(layer.digest.clone()).or_default();
        *times += 1;
        // To continue from wrong bytes would be wrong again.
        self.store.drop_part(&layer.digest).is_ok()
    }
}

/// Returns other addresses of a layer than that in the registry. Only a foreign layer may have some:
/// with others, a registry could make msb ask for any address.
fn elsewhere(layer: &LayerDescriptor) -> &[String] {
    if is_foreign(&layer.media_type) {
        &layer.urls
    } else {
        &[]
    }
}
