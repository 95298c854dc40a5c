//! The tags of a repository.
//!
//! Owns how their pages follow one another. Source: distribution specification 1.1, "Listing tags";
//! RFC 8288 for the header that leads to the next page, whose address is the registry's own matter.

use std::collections::{BTreeSet, HashSet};

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;
use serde_json::Value;

use super::exchange::EndpointRequest;
use super::{RegistryError, RegistryOperation, Repository, Retry, body};
use crate::cancel::Cancel;
use crate::reference::is_tag;

/// Tags that are asked for at a time.
const PAGE: usize = 1_000;
/// Pages of one repository.
const MAX_PAGES: usize = 100;
/// Bytes of one page.
const MAX_BYTES: u64 = 4 << 20;

/// A page as it is sent.
#[derive(Deserialize)]
struct Body {
    // Some registries have `null` where there are none.
    tags: Option<Vec<Value>>,
}

/// A page of tags, and where the one after it is.
struct Page {
    tags: Vec<String>,
    next: Next,
}

/// Where the next page is.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// There is none.
    None,
    /// At this path of the registry, with its query.
    At(String),
    /// It is said that there is one, and not where it is on this registry.
    Somewhere,
}

impl Repository {
    /// Lists the tags, in the order of their letters; at most 100 pages of them. What cannot be a tag is
    /// left out.
    ///
    /// # Errors
    /// What the last endpoint says, which is the registry itself.
    pub fn tags(
        &self,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<Vec<String>, RegistryError> {
        let mut tags = BTreeSet::new();
        let mut asked = HashSet::new();
        let mut path = format!("tags/list?n={PAGE}");
        while asked.len() < MAX_PAGES && asked.insert(path.clone()) {
            let page = self.page_of_tags(&path, on_retry, cancel)?;
            let last = page.tags.last().cloned();
            let before = tags.len();
            tags.extend(page.tags);
            path = match (page.next, last) {
                (Next::At(path), _) => path,
                // One that begins again from the start would never end.
                (Next::Somewhere, Some(last)) if tags.len() > before => {
                    let last: String =
                        url::form_urlencoded::byte_serialize(last.as_bytes()).collect();
                    format!("tags/list?n={PAGE}&last={last}")
                }
                _ => break,
            };
        }
        Ok(tags.into_iter().filter(|tag| is_tag(tag)).collect())
    }

    fn page_of_tags(
        &self,
        path: &str,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<Page, RegistryError> {
        // A mirror has some tags of some time.
        self.at_each_endpoint(false, on_retry, cancel, |endpoint, context| {
            let what = RegistryOperation::ListTags(endpoint.config.repository.clone());
            let request = EndpointRequest {
                path: path.to_owned(),
                headers: HeaderMap::new(),
                what: &what,
                upload: None,
            };
            let response = endpoint.send(context, &request)?;
            let url = response.url().clone();
            let next = next(response.headers(), &url, &endpoint.base(context, &what)?);
            let mut incoming = endpoint.incoming(context, response, &what);
            let unread = |unread| endpoint.unread(unread, endpoint.elsewhere(&url), &what);
            let body = body::read(&mut incoming, MAX_BYTES).map_err(unread)?;
            let bytes = body.content(MAX_BYTES).map_err(unread)?;
            let page: Body = serde_json::from_slice(&bytes)
                .map_err(|error| endpoint.malformed(&what, &error))?;
            let tags = page.tags.into_iter().flatten();
            let texts = tags.filter_map(|tag| tag.as_str().map(str::to_owned));
            Ok(Page {
                tags: texts.collect(),
                next,
            })
        })
    }
}

/// Returns where the next page is after the one at `url`, on the server at `base` alone: no other one
/// is asked for the tags of this registry.
fn next(headers: &HeaderMap, url: &Url, base: &Url) -> Next {
    let mut has_links = false;
    for value in headers.get_all(LINK) {
        has_links = true;
        let text = String::from_utf8_lossy(value.as_bytes());
        let mut rest = &*text;
        while let Some((target, after)) = rest
            .split_once('<')
            .and_then(|(_, after)| after.split_once('>'))
        {
            let end = after.find('<').unwrap_or(after.len());
            let (parameters, others) = after.split_at(end);
            rest = others;
            let Some(to) = url.join(target).ok().filter(|_| is_next(parameters)) else {
                continue;
            };
            // A path of two slashes would name another server.
            if to.origin() == base.origin() && !to.path().starts_with("//") {
                let query = to.query().map(|query| format!("?{query}"));
                return Next::At(format!("{}{}", to.path(), query.unwrap_or_default()));
            }
        }
    }
    if has_links {
        Next::Somewhere
    } else {
        Next::None
    }
}

/// Returns whether the parameters of a link say that it leads to the next page.
fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        let mut relations = value.trim().trim_matches('"').split_whitespace();
        name.trim().eq_ignore_ascii_case("rel")
            && relations.any(|it| it.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_where_the_link_leads_on_the_same_server() {
        let asked: Url = "https://r.example/v2/a/tags/list?n=1000".parse().unwrap();
        let base: Url = "https://r.example".parse().unwrap();
        let at = |path: &str| Next::At(path.to_owned());
        for (link, expected) in [
            (
                r#"</v2/a/tags/list?next_page=x%3D&n=2>; rel="next""#,
                at("/v2/a/tags/list?next_page=x%3D&n=2"),
            ),
            ("<?last=b>;rel=next", at("/v2/a/tags/list?last=b")),
            (
                r#"</first>; rel="first", </second>; title="a"; REL="x Next""#,
                at("/second"),
            ),
            (
                r#"<https://r.example:443/v2/a/tags/list?last=b>; rel="next""#,
                at("/v2/a/tags/list?last=b"),
            ),
            (r#"<https://evil.example/x>; rel="next""#, Next::Somewhere),
            (r#"<//evil.example/x>; rel="next""#, Next::Somewhere),
            (r#"<http://r.example/x>; rel="next""#, Next::Somewhere),
            (
                r#"<https://r.example//evil.example/x>; rel="next""#,
                Next::Somewhere,
            ),
            ("nonsense", Next::Somewhere),
            ("</x", Next::Somewhere),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(LINK, link.parse().unwrap());
            assert_eq!(next(&headers, &asked, &base), expected, "{link}");
        }
        assert_eq!(next(&HeaderMap::new(), &asked, &base), Next::None);
    }
}
