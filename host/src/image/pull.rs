//! `pull`: an image out of a registry into the store.
//!
//! Owns the order of things: look whether the image is there, find the one for the platform, fetch
//! and convert what the store does not have, and only then make anything visible. What counts as
//! there is in [`present`](self::present), how layers arrive in [`fetch`].

mod fetch;
mod present;

use std::sync::{Arc, Mutex};

use self::fetch::Fetch;
use self::present::{is_used, look_up, present};
use super::PullError;
use super::convert::ConvertContext;
use super::resolve::Resolver;
use crate::auth::{Chain, Lookup};
use crate::context::Context;
use crate::credential::{Action, RegistryAuth};
use crate::digest::Digest;
use crate::limits::{Budget, Limits};
use crate::platform::Platform;
use crate::progress::{Event, Progress, few_notices};
use crate::reference::Reference;
use crate::registry::Client;
use crate::store::{MovedReference, Resumption, Store};

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
    /// The credentials for the registry of the reference, before everything that is configured; `None`
    /// to use what is configured. [`RegistryAuth::Anonymous`] is deliberately anonymous.
    pub auth: Option<RegistryAuth>,
    /// The sandbox that uses the image from the moment in which the store has it.
    pub used_by: Option<String>,
    /// The providers that are asked for credentials otherwise. None by default.
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
    /// Uses these credentials for the registry, before everything that is configured.
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
    let fetch = Fetch {
        store,
        repository: &repository,
        context,
        layers: &found.manifest.layers,
        failed: Mutex::default(),
        resumption: Resumption::default(),
    };
    let made = fetch.run(reference, &found, options);
    tell(progress.as_ref(), client);
    made
}

fn tell(progress: &dyn Progress, client: &Client) {
    for notice in client.notices() {
        progress.report(Event::Notice(&notice));
    }
}
