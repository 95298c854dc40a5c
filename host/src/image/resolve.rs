//! From a reference to the one image of its repository that suits the platform.

use super::PullError;
use super::document::Config;
use super::manifest::Manifest;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::limits::Limits;
use crate::platform::Platform;
use crate::progress::{Event, Progress};
use crate::reference::Reference;
use crate::registry::{
    Choice, Document, Fetched, Offer, RegistryError, Repository, Retry, Which, choose, is_index,
};
use crate::store::NewImageIndex;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How deep an index may lie in others.
const MAX_DEPTH: usize = 4;
/// How many manifests are fetched to find the one for a platform.
const MAX_MANIFESTS: usize = 16;

/// An image that was found. Its documents are checked.
pub(super) struct Resolved {
    pub(super) manifest: Manifest,
    pub(super) config: Config,
    /// The registry or mirror that the manifest came from.
    pub(super) host: String,
    /// The indexes that led to it, from the one that the reference names down.
    pub(super) indexes: Vec<NewImageIndex>,
}

impl Resolved {
    /// Returns the digest that the registry knows the reference by.
    pub(super) fn registry_digest(&self) -> &Digest {
        self.indexes
            .first()
            .map_or(&self.manifest.digest, |index| &index.digest)
    }
}

/// The search for an image.
pub(super) struct Resolver<'a> {
    pub(super) repository: &'a Repository,
    pub(super) reference: &'a Reference,
    pub(super) wanted: &'a Platform,
    pub(super) limits: &'a Limits,
    pub(super) progress: &'a dyn Progress,
    pub(super) cancel: &'a Cancel,
}

/// What the search has cost and seen.
#[derive(Default)]
struct Search {
    fetched: usize,
    offered: Vec<Platform>,
}

impl Resolver<'_> {
    /// Finds the image.
    pub(super) fn resolve(&self) -> Result<Resolved, PullError> {
        let which = match (self.reference.digest(), self.reference.tag()) {
            (Some(digest), _) => Which::Digest(digest),
            (None, tag) => Which::Tag(tag.unwrap_or("latest")),
        };
        let mut search = Search::default();
        let top = self.fetch(which, &mut search)?;
        let host = top.host.clone();
        match self.look_into(top, None, 0, &mut search)? {
            Some(resolved) => Ok(resolved),
            None => Err(self.failed(RegistryError::Platform {
                host,
                what: self.reference.to_string(),
                wanted: Box::new(self.wanted.clone()),
                offered: search.offered,
            })),
        }
    }

    /// Returns the image of a manifest, or the one of an index; `None` when there is none for the
    /// platform.
    fn look_into(
        &self,
        fetched: Fetched,
        stated: Option<&Platform>,
        depth: usize,
        search: &mut Search,
    ) -> Result<Option<Resolved>, PullError> {
        let unusable = |reason| {
            self.failed(RegistryError::NoImage {
                host: fetched.host.clone(),
                what: format!("manifest {}", fetched.digest),
                reason,
            })
        };
        let offers = match fetched.read().map_err(unusable)? {
            Document::Image { media_type } => {
                return self.look_at(fetched, media_type, stated, search);
            }
            Document::Index(offers) => offers,
        };
        if depth >= MAX_DEPTH {
            let reason = format!("its indexes are nested more than {MAX_DEPTH} deep");
            return Err(unusable(reason));
        }
        // Where it says nothing itself, what the registry has called it.
        let index = NewImageIndex {
            media_type: index_type(&fetched),
            digest: fetched.digest.clone(),
            bytes: fetched.bytes.clone(),
        };
        let led_by = |mut resolved: Resolved| {
            resolved.indexes.insert(0, index.clone());
            resolved
        };
        let digest = |offer: &Offer| match &offer.digest {
            Ok(digest) => Ok(digest.clone()),
            Err(error) => Err(unusable(error.to_string())),
        };
        match choose(self.wanted, &offers) {
            Choice::Image(offer) => {
                let image = self.fetch(Which::Digest(&digest(offer)?), search)?;
                let found = self.look_into(image, offer.platform.as_ref(), depth + 1, search)?;
                Ok(found.map(led_by))
            }
            Choice::Perhaps(candidates) => {
                let platforms = offers.iter().filter_map(|offer| offer.platform.clone());
                search.offered.extend(platforms);
                for offer in candidates {
                    let image = self.fetch(Which::Digest(&digest(offer)?), search)?;
                    let found = self.look_into(image, None, depth + 1, search)?;
                    if found.is_some() {
                        return Ok(found.map(led_by));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Reads the configuration of an image, and returns the image if it is for the platform.
    fn look_at(
        &self,
        fetched: Fetched,
        media_type: String,
        stated: Option<&Platform>,
        search: &mut Search,
    ) -> Result<Option<Resolved>, PullError> {
        let image = |error| PullError::of(self.reference, &fetched.host, error);
        let manifest = Manifest::of(
            fetched.bytes.clone(),
            fetched.digest.clone(),
            Some(media_type),
        )
        .map_err(image)?;
        let bytes = self
            .repository
            .small_blob(
                &manifest.config,
                manifest.config_size,
                self.limits.config_bytes,
                &|retry| report(self.progress, retry),
                self.cancel,
            )
            .map_err(|error| self.failed(error))?;
        let layers = manifest.layers.len();
        let config =
            Config::of(bytes, manifest.config.clone(), layers, "manifest").map_err(image)?;
        match stated {
            Some(stated) if !stated.runs(&config.platform) => {
                self.progress.report(Event::Notice(&format!(
                    "image {} is listed for {stated}, and is for {} by its configuration",
                    config.digest.short(),
                    config.platform
                )));
            }
            None if !self.wanted.runs(&config.platform) => {
                search.offered.push(config.platform);
                return Ok(None);
            }
            _ => {}
        }
        Ok(Some(Resolved {
            manifest,
            config,
            host: fetched.host,
            indexes: Vec::new(),
        }))
    }

    fn fetch(&self, which: Which<'_>, search: &mut Search) -> Result<Fetched, PullError> {
        search.fetched += 1;
        if search.fetched > MAX_MANIFESTS {
            let reason = format!("it takes more than {MAX_MANIFESTS} manifests to find the image");
            return Err(self.failed(RegistryError::NoImage {
                host: self.reference.registry().to_owned(),
                what: self.reference.to_string(),
                reason,
            }));
        }
        let on_retry = |retry: &Retry<'_>| report(self.progress, retry);
        self.repository
            .manifest(which, self.limits.manifest_bytes, &on_retry, self.cancel)
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: RegistryError) -> PullError {
        PullError::at(self.reference, error)
    }
}

/// Returns the media type of an index: its own, else what the registry calls it.
fn index_type(fetched: &Fetched) -> String {
    #[derive(serde::Deserialize)]
    struct Fields {
        #[serde(default, rename = "mediaType")]
        media_type: Option<String>,
    }
    let own = serde_json::from_slice::<Fields>(&fetched.bytes)
        .ok()
        .and_then(|fields| fields.media_type);
    own.filter(|own| !own.is_empty())
        .or_else(|| fetched.content_type.clone())
        .filter(|stated| is_index(stated))
        .unwrap_or_else(|| OCI_INDEX.to_owned())
}

/// Tells of an attempt that failed.
fn report(progress: &dyn Progress, retry: &Retry<'_>) {
    progress.report(Event::Retrying {
        reason: &retry.error.to_string(),
        after: retry.after,
    });
}
