//! The permissions of one plugin, and whether they cover a use.
//!
//! Knows nothing of who gives grants and of what the uses do.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::Url;

use super::grant::{CONFIGURED, Capability, Grant, is_helper_name};
use super::http_scope::HttpScope;
use super::symbolic_path::{self, SymbolicPath};
use crate::wildcard::{self, Stars};

/// The permissions of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(BTreeSet<Grant>);

/// How a file that a grant covers may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// The grant names this file: a link is followed wherever it leads.
    Followed,
    /// The grant names what is in a directory: a link may not lead out of it. The number of the
    /// path's components that name the directory.
    Inside(usize),
}

/// What ends a component in the name of a service.
const BOUNDARY: [char; 3] = ['.', '/', ':'];

impl Grants {
    /// Returns them in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether this very grant is among them.
    pub fn contains(&self, grant: &Grant) -> bool {
        self.0.contains(grant)
    }

    /// Adds a grant, and returns whether it is new.
    pub fn insert(&mut self, grant: Grant) -> bool {
        self.0.insert(grant)
    }

    /// Takes a grant away, and returns whether there was one.
    pub fn remove(&mut self, grant: &Grant) -> bool {
        self.0.remove(grant)
    }

    /// Returns whether a variable may be read. `configured` is the one that the user has named for
    /// the registry of the request.
    pub fn allow_env(&self, name: &str, configured: Option<&str>) -> bool {
        self.scopes(Capability::Env).any(|scope| {
            if scope == CONFIGURED {
                configured == Some(name)
            } else {
                wildcard::matches(scope, Stars::Any, name)
            }
        })
    }

    /// Returns whether a file may be read, and how.
    pub(super) fn allow_file(&self, path: &SymbolicPath) -> Option<Links> {
        let mut allowed = None;
        for scope in self.scopes(Capability::Files) {
            let pattern = symbolic_path::pattern(scope).ok()?;
            match pattern.covers(path) {
                Some(Links::Followed) => return Some(Links::Followed),
                Some(inside) => allowed = allowed.or(Some(inside)),
                None => {}
            }
        }
        allowed
    }

    /// Returns whether items of a service may be used.
    pub fn allow_keychain(&self, service: &str) -> bool {
        self.scopes(Capability::Keychain).any(|scope| {
            service.strip_prefix(scope).is_some_and(|rest| {
                rest.is_empty() || scope.ends_with(BOUNDARY) || rest.starts_with(BOUNDARY)
            })
        })
    }

    /// Returns whether a credential helper may be run.
    pub fn allow_helper(&self, name: &str) -> bool {
        is_helper_name(name)
            && self
                .scopes(Capability::Helper)
                .any(|scope| wildcard::matches(scope, Stars::Any, name))
    }

    /// Returns whether a request may be sent.
    pub fn allow_http(&self, method: &str, url: &Url) -> bool {
        self.scopes(Capability::Http)
            .filter_map(|scope| scope.parse::<HttpScope>().ok())
            .any(|scope| scope.covers(method, url))
    }

    /// Returns whether a capability without scopes was granted.
    pub fn allow(&self, capability: Capability) -> bool {
        self.0.iter().any(|grant| grant.capability() == capability)
    }

    fn scopes(&self, capability: Capability) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |grant| grant.capability() == capability)
            .filter_map(Grant::scope)
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<T: IntoIterator<Item = Grant>>(grants: T) -> Self {
        Self(grants.into_iter().collect())
    }
}

/// Says what grants come to that bring in secrets and reach servers: the one can be sent to the
/// other. `None` unless there are both.
pub fn exposure<'a>(grants: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let (mut secrets, mut servers) = (Vec::new(), Vec::new());
    for grant in grants.into_iter().filter_map(|it| it.parse::<Grant>().ok()) {
        match grant.capability() {
            Capability::Env | Capability::Files | Capability::Keychain | Capability::Helper => {
                secrets.push(format!("`{grant}`"));
            }
            Capability::Http => servers.extend(grant.scope().map(|it| format!("`{it}`"))),
            Capability::Clock | Capability::Reveal | Capability::State | Capability::Prompt => {}
        }
    }
    (!secrets.is_empty() && !servers.is_empty()).then(|| {
        format!(
            "it can send what {} holds to {}",
            secrets.join(", "),
            servers.join(", ")
        )
    })
}

#[cfg(test)]
#[path = "grants_tests.rs"]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
