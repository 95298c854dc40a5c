//! Registries: where images come from over the network.
//!
//! Owns the protocol: challenges and tokens, manifests and blobs by digest, redirects, retries and
//! resuming. Knows nothing of the store, of layers and of EROFS; what it fetches is bytes whose
//! digest is checked. Source: OCI distribution-spec, and the token specification of the
//! distribution project.

mod authorize;
mod blob;
mod body;
mod certificate;
mod challenge;
mod client;
mod download;
mod encoding;
mod endpoint;
mod error;
mod exchange;
mod failure;
mod health;
mod incoming;
mod log;
mod login;
mod manifest;
mod network;
mod notices;
mod operation;
mod outcome;
mod page;
mod patience;
mod proxy;
mod push;
mod realm;
mod redirect;
mod referrers;
mod repository;
mod retry;
mod scheme;
mod tags;
mod token;
mod token_request;
mod token_scope;
mod transport;

pub use blob::{BlobReader, BlobRequest};
pub use certificate::CertificateProblem;
pub use client::Client;
pub use download::DownloadError;
pub use error::{DeniedIdentity, RegistryError, RegistryErrorKind, ServerMessage};
pub use login::{LoginCheck, VerifyError};
pub use manifest::{FetchedManifest, ManifestRef};
pub use operation::RegistryOperation;
pub use proxy::{ProxyError, ProxyServer};
pub use referrers::Referrer;
pub use repository::Repository;
pub use retry::Retry;
pub(crate) use transport::{client_for, client_for_loopback};
