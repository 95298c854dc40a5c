//! What is done with a registry, as programs tell it apart and messages name it.

use std::fmt;

use crate::digest::Digest;

/// What is done with a registry. Messages name what it is about: `manifest library/python:3`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryOperation {
    /// Getting ready, before any registry is asked.
    Prepare,
    /// Finding the image for a platform: its reference.
    FindImage(String),
    /// Fetching a manifest or index: its repository, with tag or digest.
    FetchManifest(String),
    /// Fetching a configuration: its digest and repository.
    FetchConfig {
        /// The digest.
        digest: Box<Digest>,
        /// The repository.
        repository: String,
    },
    /// Fetching a layer: its digest, or what its image calls it.
    FetchLayer(String),
    /// Listing the tags of a repository.
    ListTags(String),
    /// Listing what refers to a manifest: its digest and repository.
    ListReferrers {
        /// The digest.
        digest: Box<Digest>,
        /// The repository.
        repository: String,
    },
    /// Asking how long a layer is.
    MeasureLayer(Digest),
    /// Uploading a blob.
    PushBlob(Digest),
    /// Uploading a manifest: its tag or digest.
    PushManifest(String),
    /// Finding the user's credentials.
    FindCredentials,
    /// Fetching a token: for which operation, where that matters.
    FetchToken(Option<Box<Self>>),
    /// Checking a login: its user.
    CheckLogin(String),
    /// Finding out whether a registry that was asked in plain HTTP speaks HTTPS.
    ProbeHttps,
}

impl fmt::Display for RegistryOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare => write!(formatter, "a connection"),
            Self::FindImage(reference) => write!(formatter, "{reference}"),
            Self::FetchManifest(name) | Self::PushManifest(name) => {
                write!(formatter, "manifest {name}")
            }
            Self::FetchConfig { digest, repository } => {
                write!(formatter, "configuration {digest} of {repository}")
            }
            Self::ListTags(repository) => write!(formatter, "tags of {repository}"),
            Self::ListReferrers { digest, repository } => {
                write!(formatter, "list of what refers to {digest} of {repository}")
            }
            Self::FetchLayer(name) => write!(formatter, "layer {name}"),
            Self::MeasureLayer(digest) => write!(formatter, "length of layer {digest}"),
            Self::PushBlob(digest) => write!(formatter, "blob {digest}"),
            Self::FindCredentials => write!(formatter, "credentials"),
            Self::FetchToken(None) => write!(formatter, "a token"),
            Self::FetchToken(Some(operation)) => write!(formatter, "a token for {operation}"),
            Self::CheckLogin(user) => write!(formatter, "the login of {user}"),
            Self::ProbeHttps => write!(formatter, "a look at whether it speaks HTTPS"),
        }
    }
}
