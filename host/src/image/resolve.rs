//! From a reference to the one image of its repository that suits the platform.

use msb_documents::{Document, DocumentError, Index, media_type};

use super::document::Config;
use super::manifest::Manifest;
use super::selection::{IndexEntry, order};
use super::{ImageError, PullError};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::limits::Limits;
use crate::platform::Platform;
use crate::progress::{Event, Progress};
use crate::reference::Reference;
use crate::registry::{
    FetchedManifest, ManifestRef, RegistryError, RegistryErrorKind, RegistryOperation, Repository,
    Retry,
};
use crate::store::NewImageIndex;

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
    /// What was skipped since it is in order and no image, such as an artifact.
    others: Vec<PullError>,
    /// What was skipped since its documents are not in order.
    broken: Vec<PullError>,
}

impl Search {
    fn skip(&mut self, error: PullError, is_of_another_kind: bool) {
        if is_of_another_kind {
            self.others.push(error);
        } else {
            self.broken.push(error);
        }
    }
}

/// How an index refers to a document.
#[derive(Clone, Copy, Default)]
struct Way<'a> {
    called: Option<&'a str>,
    platform: Option<&'a Platform>,
    depth: usize,
}

impl Resolver<'_> {
    /// Finds the image.
    pub(super) fn resolve(&self) -> Result<Resolved, PullError> {
        let which = match (self.reference.digest(), self.reference.tag()) {
            (Some(digest), _) => ManifestRef::Digest(digest),
            (None, tag) => ManifestRef::Tag(tag.unwrap_or("latest")),
        };
        let mut search = Search::default();
        let top = self.fetch(which, &mut search)?;
        let host = top.host.clone();
        let found = self.look_into(top, Way::default(), &mut search)?;
        let Search {
            offered,
            others,
            broken,
            ..
        } = search;
        if let Some(resolved) = found {
            for error in broken.iter().chain(&others) {
                let reason = std::error::Error::source(error).map(ToString::to_string);
                let notice = format!("skipped: {}", reason.unwrap_or_default());
                self.progress.report(Event::Notice(&notice));
            }
            return Ok(resolved);
        }
        // What might have been the image comes first, then what there is for other machines.
        let others = others.into_iter().filter(|_| offered.is_empty());
        let first = broken.into_iter().chain(others).next();
        Err(first.unwrap_or_else(|| {
            let kind = RegistryErrorKind::Platform {
                wanted: Box::new(self.wanted.clone()),
                offered,
            };
            self.failed(RegistryError::new(host, self.operation(), kind))
        }))
    }

    /// Returns the image of a manifest, or the one of an index; `None` when there is none for the
    /// platform.
    fn look_into(
        &self,
        fetched: FetchedManifest,
        way: Way<'_>,
        search: &mut Search,
    ) -> Result<Option<Resolved>, PullError> {
        let called = way.called.or(fetched.content_type.as_deref());
        let error = match Document::read(&fetched.bytes, called) {
            Ok(Document::Manifest(manifest)) => {
                let (bytes, digest) = (fetched.bytes, fetched.digest);
                return match Manifest::from_document(bytes, digest, manifest) {
                    Ok(manifest) => self.look_at(manifest, &fetched.host, way.platform, search),
                    Err(error) => self.skip(error, &fetched.host, search),
                };
            }
            Ok(Document::Index(index)) if index.is_build_cache() => (
                "it is a build cache of BuildKit, which holds no image".to_owned(),
                true,
            ),
            Ok(Document::Index(_)) if way.depth >= MAX_DEPTH => (
                format!("its indexes are nested more than {MAX_DEPTH} deep"),
                false,
            ),
            Ok(Document::Index(index)) => return self.choose(&fetched, &index, way.depth, search),
            Err(DocumentError::Json(error)) => {
                (format!("its manifest cannot be understood: {error}"), false)
            }
            Err(error) => (error.to_string(), false),
        };
        let (reason, is_of_another_kind) = error;
        let error = self.failed(no_image(&fetched, reason));
        search.skip(error, is_of_another_kind);
        Ok(None)
    }

    /// Returns the image of an index.
    fn choose(
        &self,
        fetched: &FetchedManifest,
        index: &Index,
        depth: usize,
        search: &mut Search,
    ) -> Result<Option<Resolved>, PullError> {
        let entries: Vec<IndexEntry> = index.manifests.iter().map(IndexEntry::of).collect();
        for position in order(self.wanted, &entries) {
            let (Some(entry), Some(descriptor)) =
                (entries.get(position), index.manifests.get(position))
            else {
                continue;
            };
            let digest = match descriptor.digest.parse() {
                Ok(digest) => digest,
                Err(error) => {
                    let error = self.failed(no_image(fetched, format!("{error}")));
                    search.skip(error, false);
                    continue;
                }
            };
            let inner = self.fetch(ManifestRef::Digest(&digest), search)?;
            let called = Some(descriptor.media_type.as_str());
            let way = Way {
                called: called.filter(|it| media_type::is_index(it) || media_type::is_manifest(it)),
                platform: entry.platform.as_ref(),
                depth: depth + 1,
            };
            if let Some(mut found) = self.look_into(inner, way, search)? {
                let led_by = NewImageIndex {
                    media_type: index.media_type.clone(),
                    digest: fetched.digest.clone(),
                    bytes: fetched.bytes.clone().into(),
                };
                found.indexes.insert(0, led_by);
                return Ok(Some(found));
            }
        }
        let suitable = entries.iter().filter(|it| it.role.leads_to_images());
        let platforms = suitable.filter_map(|entry| entry.platform.clone());
        search.offered.extend(platforms);
        Ok(None)
    }

    /// Reads the configuration of an image, and returns the image if it is for the platform.
    fn look_at(
        &self,
        manifest: Manifest,
        host: &str,
        stated: Option<&Platform>,
        search: &mut Search,
    ) -> Result<Option<Resolved>, PullError> {
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
        let config = match Config::of(bytes, manifest.config.clone(), layers, "manifest") {
            Ok(config) => config,
            Err(error) => return self.skip(error, host, search),
        };
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
            manifest: self.measured(manifest)?,
            config,
            host: host.to_owned(),
            indexes: Vec::new(),
        }))
    }

    /// Asks for the lengths of layers that the manifest does not state.
    fn measured(&self, mut manifest: Manifest) -> Result<Manifest, PullError> {
        for layer in manifest.layers.iter_mut().filter(|it| it.size.is_none()) {
            let on_retry = |retry: &Retry<'_>| report(self.progress, retry);
            let length = self
                .repository
                .blob_length(&layer.digest, &on_retry, self.cancel);
            layer.size = Some(length.map_err(|error| self.failed(error))?);
        }
        Ok(manifest)
    }

    /// Goes on without an image whose documents are not in order.
    fn skip(
        &self,
        error: ImageError,
        host: &str,
        search: &mut Search,
    ) -> Result<Option<Resolved>, PullError> {
        let is_of_one_image = error.is_of_one_image();
        let is_of_another_kind = error.is_of_another_kind();
        let error = PullError::of(self.reference, host, error);
        if !is_of_one_image {
            return Err(error);
        }
        search.skip(error, is_of_another_kind);
        Ok(None)
    }

    fn fetch(
        &self,
        which: ManifestRef<'_>,
        search: &mut Search,
    ) -> Result<FetchedManifest, PullError> {
        search.fetched += 1;
        if search.fetched > MAX_MANIFESTS {
            let reason = format!("it takes more than {MAX_MANIFESTS} manifests to find the image");
            let kind = RegistryErrorKind::NoImage { reason };
            let host = self.reference.registry();
            return Err(self.failed(RegistryError::new(host, self.operation(), kind)));
        }
        let on_retry = |retry: &Retry<'_>| report(self.progress, retry);
        self.repository
            .manifest(which, self.limits.manifest_bytes, &on_retry, self.cancel)
            .map_err(|error| self.failed(error))
    }

    fn operation(&self) -> RegistryOperation {
        RegistryOperation::FindImage(self.reference.to_string())
    }

    fn failed(&self, error: RegistryError) -> PullError {
        PullError::at(self.reference, error)
    }
}

fn no_image(fetched: &FetchedManifest, reason: String) -> RegistryError {
    let what = RegistryOperation::FetchManifest(fetched.digest.to_string());
    let kind = RegistryErrorKind::NoImage { reason };
    RegistryError::new(fetched.host.clone(), what, kind)
}

/// Tells of an attempt that failed.
fn report(progress: &dyn Progress, retry: &Retry<'_>) {
    progress.report(Event::Retrying {
        reason: &retry.error.to_string(),
        after: retry.after,
    });
}
