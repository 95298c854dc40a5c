//! What refers to a manifest: signatures, attestations and other artifacts about it.
//!
//! Source: "Listing Referrers" of the distribution specification 1.1, with its fallback tag for
//! registries that do not keep such lists.

use reqwest::Response;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;

use super::exchange::EndpointRequest;
use super::{ManifestRef, RegistryError, RegistryErrorKind, RegistryOperation, Repository, body};
use crate::cancel::Cancel;
use crate::digest::Digest;

/// Pages of one list.
const MAX_PAGES: usize = 16;
/// Entries of one list.
const MAX_REFERRERS: usize = 4_096;

/// Something that refers to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The digest of its manifest.
    pub digest: Digest,
    /// What it is.
    pub artifact_type: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    digest: Digest,
    artifact_type: Option<String>,
}

impl Repository {
    /// Lists what refers to a manifest and has a type that begins like this; at most 4,096 of them.
    ///
    /// # Errors
    /// What the last endpoint says, unless it says that it has no such list.
    pub fn referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
        limit: u64,
        cancel: &Cancel,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let mut found = Vec::new();
        // One type in several versions: all are asked for, and what is of another type is left out here.
        let mut query = None;
        for _ in 0..MAX_PAGES {
            let page = self.page_of_referrers(subject, query.as_deref(), limit, cancel);
            let (page, next) = match page {
                Err(error) if has_no_list(&error) => break,
                page => page?,
            };
            found.extend(of_type(page, artifact_type));
            query = next;
            if query.is_none() || found.len() >= MAX_REFERRERS {
                break;
            }
        }
        if found.is_empty() {
            found = self.referrers_of_tag(subject, artifact_type, limit, cancel)?;
        }
        found.truncate(MAX_REFERRERS);
        Ok(found)
    }

    fn page_of_referrers(
        &self,
        subject: &Digest,
        query: Option<&str>,
        limit: u64,
        cancel: &Cancel,
    ) -> Result<(Index, Option<String>), RegistryError> {
        // A mirror has some of them of some time.
        self.at_each_endpoint(false, &|_| {}, cancel, |endpoint, context| {
            let what = RegistryOperation::ListReferrers {
                digest: Box::new(subject.clone()),
                repository: endpoint.config.repository.clone(),
            };
            let mut path = format!("referrers/{subject}");
            if let Some(query) = query {
                path.push('?');
                path.push_str(query);
            }
            let request = EndpointRequest {
                path,
                headers: HeaderMap::new(),
                what: &what,
                upload: None,
            };
            let response = endpoint.send(context, &request)?;
            let next = next_query(&response);
            let url = response.url().clone();
            let mut incoming = endpoint.incoming(context, response, &what);
            let unread = |unread| endpoint.unread(unread, endpoint.elsewhere(&url), &what);
            let body = body::read(&mut incoming, limit).map_err(unread)?;
            let bytes = body.content(limit).map_err(unread)?;
            let page = serde_json::from_slice(&bytes)
                .map_err(|error| endpoint.malformed(&what, &error))?;
            Ok((page, next))
        })
    }

    /// Lists what a client has written under the tag that stands in for the list.
    fn referrers_of_tag(
        &self,
        subject: &Digest,
        artifact_type: &str,
        limit: u64,
        cancel: &Cancel,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let tag = format!("{}-{}", subject.algorithm().name(), subject.hex());
        match self.manifest(ManifestRef::Tag(&tag), limit, &|_| {}, cancel) {
            Ok(index) => {
                let index: Index =
                    serde_json::from_slice(&index.bytes).unwrap_or(Index { manifests: None });
                Ok(of_type(index, artifact_type).collect())
            }
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn of_type(page: Index, artifact_type: &str) -> impl Iterator<Item = Referrer> {
    let entries = page.manifests.unwrap_or_default().into_iter();
    entries.filter_map(move |entry| {
        let kind = entry.artifact_type?;
        kind.starts_with(artifact_type).then_some(Referrer {
            digest: entry.digest,
            artifact_type: kind,
        })
    })
}

/// Returns the query that asks for the next page. Source: RFC 8288, as the specification uses it.
fn next_query(response: &Response) -> Option<String> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = rest.replace([' ', '"'], "").contains("rel=next");
    let (_, query) = address.split_once('?')?;
    is_next.then(|| query.to_owned())
}

/// Returns whether an error says that the registry keeps no such lists.
fn has_no_list(error: &RegistryError) -> bool {
    match &error.kind {
        RegistryErrorKind::Status { status, .. } => {
            matches!(status, 400 | 404..=406 | 410 | 415 | 422 | 501)
        }
        RegistryErrorKind::NotFound { .. }
        | RegistryErrorKind::WebPage { .. }
        | RegistryErrorKind::Redirect { .. }
        | RegistryErrorKind::Elsewhere { status: 404, .. }
        | RegistryErrorKind::Malformed { .. }
        | RegistryErrorKind::Garbled { .. } => true,
        _ => false,
    }
}
