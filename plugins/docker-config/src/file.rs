//! A file of Docker or Podman, and what it says of a registry.

use std::borrow::Cow;
use std::collections::BTreeMap;

use msb_plugin::credential::{Credential, Entry, Error};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::entry;
use crate::key::{self, Key};

/// What is in a file. Entries are parsed when they are needed: one that is broken concerns no one
/// but its registry.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config<'a> {
    #[serde(borrow)]
    auths: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

/// What a file says of a registry.
pub(crate) enum Found {
    /// The credentials themselves.
    Credential {
        /// The name, where one is known.
        username: Option<String>,
        /// The credentials.
        credential: Credential,
        /// The key under which they stand.
        key: String,
    },
    /// The helper that has them.
    Helper {
        /// Its name.
        helper: String,
        /// What it is asked for.
        server: String,
        /// The field that names it.
        field: &'static str,
    },
}

impl<'a> Config<'a> {
    /// Parses a file. Errors name the file and the place in it: the words of the parser would have
    /// what stands there, which may be a secret.
    pub(crate) fn parse(text: &'a [u8], name: &str) -> Result<Self, Error> {
        // Editors of Windows put a mark before it.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        // The parser takes a list for the fields in their order.
        if text.trim_ascii().starts_with(b"[") {
            return Err(Error::misconfigured(format!("{name} is not a JSON object")));
        }
        serde_json::from_slice(text).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => "is not as Docker writes it",
                _ => "is not valid JSON",
            };
            Error::misconfigured(format!(
                "{name} {what} (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }

    /// Forgets which helpers the file names.
    pub(crate) fn forget_helpers(&mut self) {
        self.helpers = None;
        self.store = None;
    }

    /// Returns what the file says of a repository of a registry: a helper of its own first (which
    /// the empty word sends back to the file), then the store for all, which hides what stands in
    /// the file, then that. `name` is the file's.
    pub(crate) fn find(
        &self,
        registry: &str,
        repository: Option<&str>,
        name: &str,
    ) -> Result<Option<Found>, Error> {
        if let Some((key, helper)) = self.helper(registry) {
            if !helper.is_empty() {
                return Ok(Some(Found::Helper {
                    helper: helper.to_owned(),
                    server: key.to_owned(),
                    field: "credHelpers",
                }));
            }
        } else if let Some(store) = self.store.as_deref().filter(|store| !store.is_empty()) {
            return Ok(Some(Found::Helper {
                helper: store.to_owned(),
                server: self.server(registry),
                field: "credsStore",
            }));
        }
        for (key, raw) in self.fitting(registry, repository) {
            let place = || format!("{name}: auths[{key:?}]");
            if let Some((username, credential)) = entry::read(raw.get(), place)? {
                return Ok(Some(Found::Credential {
                    username,
                    credential,
                    key: key.to_owned(),
                }));
            }
        }
        Ok(None)
    }

    /// Returns whether logins differ between repositories of a registry.
    pub(crate) fn has_namespaces(&self, registry: &str) -> bool {
        self.keys().any(|key| {
            let key = Key::parse(key);
            key.registry == registry && key.namespace.is_some()
        })
    }

    /// Returns the registries that the file has something for.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = Entry> {
        let mut registries: Vec<String> = self.keys().map(|key| Key::parse(key).registry).collect();
        registries.extend(
            self.helpers
                .iter()
                .flatten()
                .map(|(key, _)| Key::parse(key).registry),
        );
        registries.sort();
        registries.dedup();
        registries.into_iter().filter_map(move |registry| {
            let (username, source) = match self.find(&registry, None, name) {
                Ok(Some(Found::Credential { username, .. })) => (username, name.to_owned()),
                Ok(Some(Found::Helper { helper, .. })) => {
                    (None, format!("docker-credential-{helper} ({name})"))
                }
                Ok(None) if self.has_namespaces(&registry) => (None, name.to_owned()),
                Ok(None) => return None,
                // It has something, and a pull will say what is wrong with it.
                Err(_) => (None, name.to_owned()),
            };
            Some(Entry {
                registry,
                username,
                source: Some(source),
                expires: None,
            })
        })
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.auths.iter().flatten().map(|(key, _)| key.as_ref())
    }

    /// Returns the helper of a registry and its key, the exact one before others.
    fn helper(&self, registry: &str) -> Option<(&str, &str)> {
        let helpers = self.helpers.as_ref()?;
        let exact = helpers.get_key_value(key::of(registry));
        let (key, helper) = exact.or_else(|| {
            helpers
                .iter()
                .find(|(key, _)| Key::parse(key).fits(registry, None).is_some())
        })?;
        Some((key, helper))
    }

    /// Returns what a store is asked for: the key under which Docker has left its marker.
    fn server(&self, registry: &str) -> String {
        let exact = key::of(registry);
        if self.keys().any(|key| key == exact) {
            return exact.to_owned();
        }
        let marked = self
            .keys()
            .find(|key| Key::parse(key).fits(registry, None).is_some());
        marked.unwrap_or(exact).to_owned()
    }

    /// Returns the entries that fit: the longest namespace first, then the exact key, then others
    /// in the order of the alphabet.
    fn fitting(&self, registry: &str, repository: Option<&str>) -> Vec<(&str, &'a RawValue)> {
        let exact = key::of(registry);
        let mut fitting: Vec<(usize, bool, &str, &RawValue)> = self
            .auths
            .iter()
            .flatten()
            .filter_map(|(key, raw)| {
                let fit = Key::parse(key).fits(registry, repository)?;
                Some((fit, key == exact, key.as_ref(), *raw))
            })
            .collect();
        fitting.sort_by_key(|(fit, exact, ..)| std::cmp::Reverse((*fit, *exact)));
        fitting
            .into_iter()
            .map(|(_, _, key, raw)| (key, raw))
            .collect()
    }
}
