//! Hosts of registries, and the canonical form that each has.

use super::DEFAULT_REGISTRY;

/// Returns a host in the spelling that references have it in; `None` if the text is not a host.
///
/// Takes what Docker's files call a registry as well: with a scheme, a slash behind it, or the
/// version of the protocol (`https://index.docker.io/v1/` is `docker.io`).
pub fn canonical_host(text: &str) -> Option<String> {
    let text = without_scheme(text.trim());
    let text = text.strip_suffix('/').unwrap_or(text);
    let text = ["/v1", "/v2"]
        .iter()
        .find_map(|version| text.strip_suffix(version))
        .unwrap_or(text);
    is_host(text).then(|| normal(text))
}

/// Returns the canonical form of a host.
pub(super) fn normal(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY.to_owned(),
        _ => host,
    }
}

fn without_scheme(text: &str) -> &str {
    ["https://", "http://"]
        .iter()
        .find_map(|scheme| match text.get(..scheme.len()) {
            Some(start) if start.eq_ignore_ascii_case(scheme) => text.get(scheme.len()..),
            _ => None,
        })
        .unwrap_or(text)
}

pub(super) fn is_host(host: &str) -> bool {
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (
                "v6",
                port.strip_prefix(':').or(port.is_empty().then_some("0")),
            )
        }
        None => match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, Some("0")),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    port.is_some_and(is_port) && host.split('.').all(is_label)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_has_one_normal_form() {
        for (text, expected) in [
            ("docker.io", "docker.io"),
            ("Index.Docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("HTTPS://GHCR.io/", "ghcr.io"),
            ("http://host:5000/v2/", "host:5000"),
            ("[::1]:5000", "[::1]:5000"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(canonical_host(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_hosts_have_no_spelling() {
        for text in [
            "",
            "https://",
            "a b",
            "host:port",
            "ghcr.io/org",
            "é",
            "h/é",
            "u:p@h",
        ] {
            assert_eq!(canonical_host(text), None, "{text}");
        }
    }
}
