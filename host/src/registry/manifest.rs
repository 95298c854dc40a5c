//! Manifests and indexes as a registry gives them. What they are is decided elsewhere.

use crate::digest::Digest;

/// Everything that a manifest may be, for the `Accept` header.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// Which manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one that a tag names now.
    Tag(&'a str),
    /// The one of a digest.
    Digest(&'a Digest),
}

/// A manifest or index as a registry gave it. Its digest was checked.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// The registry or mirror that gave it.
    pub host: String,
    /// What the registry calls it.
    pub content_type: Option<String>,
}
