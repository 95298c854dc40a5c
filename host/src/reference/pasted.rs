//! What people paste in place of a reference: addresses of web pages, transports of skopeo and
//! podman, whole commands.
//!
//! Owns the recognition of these, and the reference that is meant. None of them is taken for it:
//! what is asked for stays what was typed.

use super::Reference;

/// A text that is something else than a reference, and can be understood all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pasted {
    /// What is wrong with it.
    pub problem: String,
    /// What to do instead, where that is known.
    pub instead: Option<Instead>,
}

/// What a user who pasted something meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Instead {
    /// This reference.
    Reference(String),
    /// To load this file or directory.
    Load(String),
    /// To load what another engine of this machine has under this name.
    Transfer(String),
}

/// Transports of skopeo and podman that name something of this machine.
const LOCAL: [(&str, bool); 7] = [
    ("oci:", true),
    ("oci-archive:", true),
    ("docker-archive:", true),
    ("dir:", true),
    ("docker-daemon:", false),
    ("containers-storage:", false),
    ("docker-image:", false),
];

impl Pasted {
    /// Returns what a text is that is not a reference; `None` where that cannot be told.
    pub(super) fn recognise(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        if trimmed != text {
            let problem = "there is a space before or after it";
            return Some(Self::of(problem, trimmed.to_owned()));
        }
        if let Some((scheme, rest)) = text.split_once("://").filter(|(it, _)| is_scheme(it)) {
            let problem =
                format!("it begins with the scheme `{scheme}://`, which references have not");
            return Some(match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" => Self {
                    problem,
                    instead: of_page(rest).and_then(reference),
                },
                "file" => Self {
                    problem,
                    instead: Some(Instead::Load(rest.to_owned())),
                },
                _ => Self {
                    problem,
                    instead: reference(rest.to_owned()),
                },
            });
        }
        if let Some((transport, is_path)) = LOCAL.iter().find(|(it, _)| text.starts_with(it)) {
            let rest = text.get(transport.len()..).unwrap_or_default().to_owned();
            return Some(Self {
                problem: format!(
                    "`{transport}` is a transport of skopeo and podman, not a registry"
                ),
                instead: Some(match (*is_path, *transport) {
                    (false, _) => Instead::Transfer(rest),
                    (true, "dir:") => Instead::Load(rest),
                    // Behind the path may stand which image of several is meant.
                    (true, _) => Instead::Load(rest.split(':').next().unwrap_or(&rest).to_owned()),
                }),
            });
        }
        if text.contains(char::is_whitespace) {
            let last = text.split_whitespace().next_back()?;
            let problem = "there is a space in it";
            return Some(Self::of(problem, last.to_owned()));
        }
        if let Some((name, tag)) = text.rsplit_once('@')
            && !tag.contains(':')
            && !tag.is_empty()
        {
            let problem = "after an `@` stands a digest; a tag stands after a colon";
            return Some(Self::of(problem, format!("{name}:{tag}")));
        }
        None
    }

    /// Returns what the address of a page is that looks like a reference to a registry, which the
    /// web site of Docker Hub is not.
    pub(super) fn page(text: &str) -> Option<Self> {
        let path = text.strip_prefix("hub.docker.com/")?;
        let is_page = ["_/", "r/", "layers/", "repository/", "u/", "search"]
            .iter()
            .any(|start| path.starts_with(start));
        is_page.then(|| Self {
            problem: "hub.docker.com is a web site, not a registry".to_owned(),
            instead: of_page(text).and_then(reference),
        })
    }

    fn of(problem: &str, meant: String) -> Self {
        Self {
            problem: problem.to_owned(),
            instead: reference(meant),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
}

fn reference(text: String) -> Option<Instead> {
    let understood = text.parse::<Reference>().is_ok();
    understood.then_some(Instead::Reference(text))
}

/// Returns the reference that the page at an address, which is without its scheme, is about.
fn of_page(address: &str) -> Option<String> {
    let (address, query) = address.split_once(['?', '#']).unwrap_or((address, ""));
    let (host, path) = address.split_once('/')?;
    let host = host.rsplit('@').next().unwrap_or(host);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let tag = query
        .split('&')
        .find_map(|pair| {
            pair.strip_prefix("tag=")
                .or_else(|| pair.strip_prefix("name="))
        })
        .filter(|tag| !tag.is_empty())
        .map_or_else(String::new, |tag| format!(":{tag}"));
    match (host.to_ascii_lowercase().as_str(), parts.as_slice()) {
        ("hub.docker.com" | "registry.hub.docker.com", parts) => match parts {
            ["_", name, ..] | ["layers", "library", name] => Some(format!("{name}{tag}")),
            ["layers", "library", name, tag, ..] => Some(format!("{name}:{tag}")),
            ["layers", owner, name, tag, ..] => Some(format!("{owner}/{name}:{tag}")),
            ["r", owner, name, ..] | ["repository", "docker", owner, name, ..] => {
                Some(format!("{owner}/{name}{tag}"))
            }
            _ => None,
        },
        (
            "github.com",
            [owner, _, "pkgs", "container", name, ..]
            | [
                "orgs" | "users",
                owner,
                "packages",
                "container",
                "package",
                name,
                ..,
            ],
        ) => {
            let path = format!("{owner}/{name}").to_ascii_lowercase();
            Some(format!("ghcr.io/{path}{tag}"))
        }
        ("gallery.ecr.aws", [owner, name, ..]) => {
            Some(format!("public.ecr.aws/{owner}/{name}{tag}"))
        }
        ("quay.io", ["repository", owner, name, ..]) => {
            Some(format!("quay.io/{owner}/{name}{tag}"))
        }
        (_, ["v2", name @ .., "manifests", wanted]) => {
            let mark = if wanted.contains(':') { '@' } else { ':' };
            Some(format!("{host}/{}{mark}{wanted}", name.join("/")))
        }
        (_, ["v2", name @ .., "tags", "list"]) => Some(format!("{host}/{}", name.join("/"))),
        (_, []) => None,
        (_, parts) => Some(format!("{host}/{}{tag}", parts.join("/"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::ParseReferenceError;
    use super::*;

    fn instead(text: &str) -> Option<Instead> {
        match text.parse::<Reference>().unwrap_err() {
            ParseReferenceError::Pasted { pasted, .. } => pasted.instead,
            error => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn what_is_pasted_leads_to_the_reference_that_is_meant() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (text, expected) in [
            ("docker://nginx:1", "nginx:1"),
            ("docker://localhost:5000/app", "localhost:5000/app"),
            ("oci://ghcr.io/org/app:1", "ghcr.io/org/app:1"),
            ("https://ghcr.io/org/app:v1", "ghcr.io/org/app:v1"),
            ("http://127.0.0.1:5619/app/", "127.0.0.1:5619/app"),
            ("https://user:secret@ghcr.io/org/app", "ghcr.io/org/app"),
            ("https://hub.docker.com/_/nginx", "nginx"),
            ("https://hub.docker.com/_/nginx/tags", "nginx"),
            (
                "HTTPS://hub.docker.com/_/nginx?tab=tags&name=1.27",
                "nginx:1.27",
            ),
            ("hub.docker.com/_/nginx", "nginx"),
            ("hub.docker.com/r/grafana/loki", "grafana/loki"),
            (
                "https://hub.docker.com/r/grafana/loki#readme",
                "grafana/loki",
            ),
            (
                "https://hub.docker.com/layers/library/nginx/1.27/images/sha256-ab",
                "nginx:1.27",
            ),
            (
                "https://hub.docker.com/layers/grafana/loki/3.0/images/x",
                "grafana/loki:3.0",
            ),
            (
                "https://github.com/Org/repo/pkgs/container/App",
                "ghcr.io/org/app",
            ),
            (
                "https://github.com/orgs/org/packages/container/package/app",
                "ghcr.io/org/app",
            ),
            (
                "https://gallery.ecr.aws/nginx/nginx",
                "public.ecr.aws/nginx/nginx",
            ),
            (
                "https://quay.io/repository/org/app?tab=tags&tag=latest",
                "quay.io/org/app:latest",
            ),
            (
                "https://quay.io/v2/org/app/manifests/v1",
                "quay.io/org/app:v1",
            ),
            (
                &format!("https://quay.io/v2/org/app/manifests/{digest}"),
                &format!("quay.io/org/app@{digest}"),
            ),
            (" nginx", "nginx"),
            ("nginx\n", "nginx"),
            ("docker pull ghcr.io/org/app:1", "ghcr.io/org/app:1"),
            ("nginx@latest", "nginx:latest"),
        ] {
            let expected = Instead::Reference(expected.to_owned());
            assert_eq!(instead(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_on_this_machine_is_not_pulled() {
        for (text, expected) in [
            ("oci:/srv/layout:1", Instead::Load("/srv/layout".to_owned())),
            ("dir:./image", Instead::Load("./image".to_owned())),
            (
                "docker-archive:a/b.tar",
                Instead::Load("a/b.tar".to_owned()),
            ),
            ("file:///srv/a.tar", Instead::Load("/srv/a.tar".to_owned())),
            (
                "docker-daemon:org/app:1",
                Instead::Transfer("org/app:1".to_owned()),
            ),
        ] {
            assert_eq!(instead(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_scheme_is_named_even_where_nothing_follows_from_it() {
        for text in [
            "https://",
            "https://hub.docker.com/search?q=nginx",
            "docker://",
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            let scheme = text.split("//").next().unwrap();
            assert!(error.contains(&format!("`{scheme}//`")), "{error}");
            assert_eq!(instead(text), None, "{text}");
        }
    }

    #[test]
    fn no_password_of_an_address_is_repeated() {
        let error = "https://user:secret@ghcr.io/org/App"
            .parse::<Reference>()
            .unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(error.to_string().contains("ghcr.io/org/App"), "{error}");
    }

    #[test]
    fn repositories_of_such_names_are_still_references() {
        for text in [
            "oci",
            "dir/app",
            "docker-archive:1",
            "localhost/_x",
            "hub.docker.com:5000/r",
        ] {
            if let Err(error) = text.parse::<Reference>() {
                assert!(
                    matches!(error, ParseReferenceError::Invalid { .. }),
                    "{error}"
                );
            }
        }
        assert!("docker-archive:1".parse::<Reference>().is_ok());
        assert!("oci:layout".parse::<Reference>().is_ok());
    }
}
