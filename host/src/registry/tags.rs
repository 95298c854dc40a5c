//! The tags of a repository.

use std::collections::BTreeSet;

use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;

use super::exchange::EndpointRequest;
use super::{RegistryError, RegistryOperation, Repository, Retry, body};
use crate::cancel::Cancel;

/// Tags that are asked for at a time.
const PAGE: usize = 1_000;
/// Pages of one repository.
const MAX_PAGES: usize = 100;
/// Bytes of one page.
const MAX_BYTES: u64 = 4 << 20;

#[derive(Deserialize)]
struct Page {
    // Some registries have `null` where there are none.
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Lists the tags, in the order of their letters; at most 100,000 of them.
    ///
    /// # Errors
    /// What the last endpoint says, which is the registry itself.
    pub fn tags(
        &self,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<Vec<String>, RegistryError> {
        let mut tags = BTreeSet::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let (page, is_last) = self.page_of_tags(after.as_deref(), on_retry, cancel)?;
            let last = page.last().cloned();
            let before = tags.len();
            tags.extend(page);
            // One that begins again from the start would never end.
            if is_last || tags.len() == before {
                break;
            }
            after = last;
        }
        Ok(tags.into_iter().collect())
    }

    fn page_of_tags(
        &self,
        after: Option<&str>,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<(Vec<String>, bool), RegistryError> {
        // A mirror has some tags of some time.
        self.at_each_endpoint(false, on_retry, cancel, |endpoint, context| {
            let what = RegistryOperation::ListTags(endpoint.config.repository.clone());
            let mut path = format!("tags/list?n={PAGE}");
            if let Some(after) = after {
                path.push_str("&last=");
                path.extend(url::form_urlencoded::byte_serialize(after.as_bytes()));
            }
            let request = EndpointRequest {
                path,
                headers: HeaderMap::new(),
                what: &what,
                upload: None,
            };
            let response = endpoint.send(context, &request)?;
            let is_last = !response.headers().contains_key(LINK);
            let url = response.url().clone();
            let mut incoming = endpoint.incoming(context, response, &what);
            let unread = |unread| endpoint.unread(unread, endpoint.elsewhere(&url), &what);
            let body = body::read(&mut incoming, MAX_BYTES).map_err(unread)?;
            let bytes = body.content(MAX_BYTES).map_err(unread)?;
            let page: Page = serde_json::from_slice(&bytes)
                .map_err(|error| endpoint.malformed(&what, &error))?;
            Ok((page.tags.unwrap_or_default(), is_last))
        })
    }
}
