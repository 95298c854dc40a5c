//! Answers of servers that the author has set.
//!
//! Knows nothing of the server that gives them.

use url::Url;

use super::files::filled;

/// What a server says below an address.
#[derive(Debug)]
pub(super) struct OwnAnswer {
    address: Url,
    sample: String,
}

impl OwnAnswer {
    /// Takes the address as a plugin asks for it, and a sample of what is answered.
    pub(super) fn parse(address: &str, sample: &str) -> Result<Self, String> {
        let address: Url = address.parse().map_err(|error| format!("{error}"))?;
        if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
            return Err("it begins with neither `https://` nor `http://`".to_owned());
        }
        Ok(Self {
            address,
            sample: sample.to_owned(),
        })
    }

    /// Returns the answer about a registry, if this is what an address is answered with.
    pub(super) fn to(&self, url: &Url, registry: &str) -> Option<String> {
        let is_below = url.scheme() == self.address.scheme()
            && url.host_str() == self.address.host_str()
            && url.port_or_known_default() == self.address.port_or_known_default()
            && url.path().starts_with(self.address.path());
        is_below.then(|| filled(&self.sample, registry))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::conformance::canary::CANARY;

    #[test]
    fn an_answer_is_for_what_is_below_its_address() {
        let answer = OwnAnswer::parse("https://a.example/v1/", "{{registry}}={{secret}}").unwrap();
        let to = |url: &str| answer.to(&url.parse().unwrap(), "ghcr.io");
        let said = format!("ghcr.io={CANARY}");
        assert_eq!(to("https://a.example:443/v1/x?y"), Some(said));
        for other in [
            "http://a.example/v1/x",
            "https://b.example/v1/x",
            "https://a.example:444/v1/x",
            "https://a.example/v2/x",
        ] {
            assert_eq!(to(other), None, "{other}");
        }
        assert!(OwnAnswer::parse("a.example", "").is_err());
        assert!(OwnAnswer::parse("file:///a", "").is_err());
    }
}
