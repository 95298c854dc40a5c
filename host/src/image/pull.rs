//! `pull`: an image out of a registry into the store.
//!
//! Owns the order of things: look whether the image is there, find the one for the platform, fetch
//! and convert what the store does not have, and only then make anything visible.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use msb_documents::media_type::is_foreign;

use super::convert::{ConvertContext, ConvertedLayer, LayerJob, LayerSource, processors};
use super::locks::Locks;
use super::manifest::LayerDescriptor;
use super::placement::{NamedLayer, Placement};
use super::plan::PlanBuilder;
use super::resolve::{Resolved, Resolver};
use super::{ImageError, PullError, budget, same};
use crate::auth::{Chain, Lookup};
use crate::cancel::Cancel;
use crate::context::Context;
use crate::credential::{Action, RegistryAuth};
use crate::digest::Digest;
use crate::limits::{Budget, Limits};
use crate::platform::Platform;
use crate::progress::{Event, LayerNumber, Progress, few_notices};
use crate::reference::Reference;
use crate::registry::{BlobRequest, Client, Repository, Retry};
use crate::store::{ImageRecord, LayerKey, MovedReference, Part, Resumption, Store, StoreError};

/// Layers that are fetched at once, on however few processors: most of the time is spent waiting.
const MIN_CONNECTIONS: usize = 4;

/// How to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// The platform to pick; the host's where none is given.
    pub platform: Option<Platform>,
    /// When the registry is asked.
    pub policy: PullPolicy,
    /// Fetch and convert all of it, whatever the store has and whatever the policy says.
    pub force: bool,
    /// What an image may cost.
    pub limits: Limits,
    /// Bytes of disk that all images may take together. The least used go to keep to it.
    pub max_bytes: Option<u64>,
    /// Who we are to the registry of the reference, before everything that is configured; `None`
    /// where nothing is said. [`RegistryAuth::Anonymous`] is deliberately anonymous.
    pub auth: Option<RegistryAuth>,
    /// The sandbox that uses the image from the moment in which the store has it.
    pub used_by: Option<String>,
    /// Who is asked for credentials otherwise. By default, no one is.
    pub chain: Arc<Chain>,
}

/// When the registry is asked for an image. What has a digest never changes: under any policy, it is not
/// asked for if it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// If the image is not in the store.
    #[default]
    Missing,
    /// Always, and the image is fetched if its tag names another one now. If the registry cannot be asked,
    /// the image in the store is good enough.
    Newer,
    /// Always; the image in the store is used only if the registry still gives it.
    Always,
    /// Never: an image that is not in the store is an error.
    Never,
}

/// What is known of whether the tag of a pulled image still names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagLookup {
    /// The registry was not asked.
    NotAsked,
    /// The registry was asked, and named this image.
    Confirmed,
    /// The registry could not be asked, which a notice has told.
    Failed,
}

/// An image that the store now has.
#[derive(Clone, Debug)]
pub struct PulledImage {
    /// The reference that names it.
    pub reference: Reference,
    /// The digest that the registry knows the reference by: that of an index, or of the manifest.
    pub registry_digest: Digest,
    /// The digest of its manifest.
    pub manifest_digest: Digest,
    /// The digest of its configuration, which people call the image's ID.
    pub config_digest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// The store had all of it before.
    pub already_present: bool,
    /// Whether the tag was looked up.
    pub lookup: TagLookup,
    /// The reference named another image before.
    pub moved: Vec<MovedReference>,
}

impl PullOptions {
    /// Says who we are to the registry, before everything that is configured.
    #[must_use]
    pub fn registry_auth(self, auth: RegistryAuth) -> Self {
        Self {
            auth: Some(auth),
            ..self
        }
    }
}

/// Pulls an image. By default, one that is there and whole is not asked for.
///
/// Nothing is visible in the store until every layer has been converted and checked. What was
/// received of a layer is kept when the pull fails, and the next one goes on from there.
pub fn pull(
    store: &Store,
    client: &Arc<Client>,
    reference: &Reference,
    options: &PullOptions,
    context: &Context,
) -> Result<PulledImage, PullError> {
    let Context { progress, cancel } = context;
    let wanted = options.platform.clone().unwrap_or_else(Platform::host);
    let here = if options.force {
        None
    } else {
        present(store, reference, &wanted)?
    };
    let may_change = reference.digest().is_none();
    let is_looked_up = matches!(options.policy, PullPolicy::Newer | PullPolicy::Always);
    if !(is_looked_up && may_change)
        && let Some(image) = &here
        && is_used(store, image, options)?
    {
        return Ok(image.clone());
    }
    if options.policy == PullPolicy::Never && !options.force {
        return Err(PullError::NotInStore {
            reference: reference.clone(),
        });
    }
    progress.report(Event::Phase(&format!("Resolving {reference}")));
    let progress = &few_notices(progress);
    let staging = store.staging(cancel)?;
    let budget = Budget::new(&options.limits);
    let mut credentials = Lookup::new(Arc::clone(&options.chain), Arc::clone(progress));
    if let Some(auth) = &options.auth {
        credentials = credentials.with(reference.registry(), auth.clone());
    }
    let repository = client
        .repository(reference, Action::Pull, Arc::new(credentials))?
        .telling(Arc::clone(progress));
    if options.policy == PullPolicy::Newer
        && let Some(image) = here
    {
        let lookup = look_up(&repository, reference, &image, context)?;
        tell(progress.as_ref(), client);
        if let Some(lookup) = lookup
            && is_used(store, &image, options)?
        {
            return Ok(PulledImage { lookup, ..image });
        }
    }
    let resolver = Resolver {
        repository: &repository,
        reference,
        wanted: &wanted,
        limits: &options.limits,
        progress: progress.as_ref(),
        cancel,
    };
    let found = resolver.resolve();
    tell(progress.as_ref(), client);
    let found = found?;
    progress.report(Event::Phase(&format!("Pulling {reference}")));
    let context = ConvertContext {
        staging: &staging,
        limits: &options.limits,
        budget: &budget,
        progress,
        cancel,
    };
    let pull = Pull {
        store,
        repository: &repository,
        context,
        layers: &found.manifest.layers,
        failed: Mutex::default(),
        resumption: Resumption::default(),
    };
    let made = pull.run(reference, &found, options);
    tell(progress.as_ref(), client);
    made
}

/// Asks the registry whether a tag still names the image that is there, or whether that is good enough;
/// `None` if it does not. Only the digest is asked for.
fn look_up(
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
fn is_used(store: &Store, image: &PulledImage, options: &PullOptions) -> Result<bool, StoreError> {
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

/// Returns the image of a reference if it is there, whole, and for the platform.
///
/// A reference with a digest need not have been pulled before: what has the digest, or was led to by
/// an index that has it, is what the registry would give.
fn present(
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

fn tell(progress: &dyn Progress, client: &Client) {
    for notice in client.notices() {
        progress.report(Event::Notice(&notice));
    }
}

/// An image on its way into the store.
struct Pull<'a> {
    store: &'a Store,
    repository: &'a Repository,
    context: ConvertContext<'a>,
    layers: &'a [LayerDescriptor],
    /// How often a blob was not what its digest says.
    failed: Mutex<HashMap<Digest, usize>>,
    resumption: Resumption,
}

impl Pull<'_> {
    fn run(
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
        let blobs = self.layers.iter().map(|layer| &layer.digest);
        // While bytes come from the network no load waits for us: of those who make one layer, the
        // first one publishes it, and the others find it there.
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

    /// Gives up what was kept for the next pull to go on with: there is no room for it.
    fn give_up_parts(&self) {
        let blobs = self.layers.iter().map(|layer| &layer.digest);
        let cancel = self.context.cancel;
        self.store.give_up_parts(&self.resumption, blobs, cancel);
    }

    fn layer(&self, job: &LayerJob) -> Option<&LayerDescriptor> {
        self.layers.get(usize::try_from(job.entry).ok()?)
    }
}

/// Returns where a layer can be had beside the registry. Of other layers than foreign ones this is
/// not believed: any registry could make msb ask for any address.
fn elsewhere(layer: &LayerDescriptor) -> &[String] {
    if is_foreign(&layer.media_type) {
        &layer.urls
    } else {
        &[]
    }
}

impl LayerSource for Pull<'_> {
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
        // Who gives wrong bytes may do so again: these are not kept.
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
        // Going on from bytes that are wrong would be wrong again.
        self.store.drop_part(&layer.digest).is_ok()
    }
}
