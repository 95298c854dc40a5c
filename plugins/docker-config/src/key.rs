//! The keys of Docker's files: registries, in the spellings of many years.

/// Docker Hub in msb's spelling.
const HUB: &str = "docker.io";

/// Docker Hub in Docker's.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Returns the key that Docker uses for a registry.
pub(crate) fn of(registry: &str) -> &str {
    if registry == HUB { HUB_KEY } else { registry }
}

/// What a key is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    /// The registry in its one spelling.
    pub(crate) registry: String,
    /// The beginning of the names of repositories, as Podman has it: `org/team`.
    pub(crate) namespace: Option<&'a str>,
}

impl<'a> Key<'a> {
    /// Parses a key. Docker's own URLs have paths that say nothing (`/v1/`); without a scheme a
    /// path is a namespace, except for these.
    pub(crate) fn parse(key: &'a str) -> Self {
        let (rest, url, port) = if let Some(rest) = key.strip_prefix("https://") {
            (rest, true, ":443")
        } else if let Some(rest) = key.strip_prefix("http://") {
            (rest, true, ":80")
        } else {
            (key, false, ":443")
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(port).unwrap_or(&host);
        let registry = match host {
            "index.docker.io" | "registry-1.docker.io" => HUB,
            host => host,
        };
        Self {
            registry: registry.to_owned(),
            namespace: (!url && !matches!(path, "" | "v1" | "v2")).then_some(path),
        }
    }

    /// How well the key fits a repository of a registry, by the length of its namespace. `None` if
    /// it does not.
    pub(crate) fn fits(&self, registry: &str, repository: Option<&str>) -> Option<usize> {
        if self.registry != registry {
            return None;
        }
        let Some(namespace) = self.namespace else {
            return Some(0);
        };
        let rest = repository?.strip_prefix(namespace)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(namespace.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_understood_in_all_spellings() {
        for (key, registry, namespace) in [
            ("ghcr.io", "ghcr.io", None),
            ("GHCR.io", "ghcr.io", None),
            ("https://ghcr.io", "ghcr.io", None),
            ("https://ghcr.io/", "ghcr.io", None),
            ("http://ghcr.io/v1/", "ghcr.io", None),
            ("ghcr.io/v1/", "ghcr.io", None),
            ("ghcr.io/v2", "ghcr.io", None),
            ("https://ghcr.io:443/v2/", "ghcr.io", None),
            ("https://ghcr.io/org", "ghcr.io", None),
            ("ghcr.io/org/team", "ghcr.io", Some("org/team")),
            ("localhost:5000", "localhost:5000", None),
            ("[::1]:5000/org", "[::1]:5000", Some("org")),
            ("docker.io", "docker.io", None),
            ("index.docker.io", "docker.io", None),
            ("registry-1.docker.io", "docker.io", None),
            ("https://index.docker.io/v1/", "docker.io", None),
            ("https://registry-1.docker.io", "docker.io", None),
            ("docker.io/library", "docker.io", Some("library")),
        ] {
            let registry = registry.to_owned();
            assert_eq!(
                Key::parse(key),
                Key {
                    registry,
                    namespace
                },
                "{key}"
            );
        }
    }

    #[test]
    fn a_namespace_fits_whole_components() {
        let fits = |key, repository| Key::parse(key).fits("ghcr.io", repository);
        assert_eq!(fits("ghcr.io/org", Some("org/app")), Some(3));
        assert_eq!(fits("ghcr.io/org/app", Some("org/app")), Some(7));
        assert_eq!(fits("ghcr.io/org", Some("organisation/app")), None);
        assert_eq!(fits("ghcr.io/org", None), None);
        assert_eq!(fits("ghcr.io", Some("org/app")), Some(0));
        assert_eq!(fits("ghcr.io:5000", Some("org/app")), None);
        assert_eq!(fits("https://ghcr.io:5000", None), None);
    }
}
