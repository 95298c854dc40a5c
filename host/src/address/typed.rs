//! An address that can be asked for, and that does not print what is secret in it.

use std::fmt;
use std::str::FromStr;

use url::Url;

use super::{LEFT_OUT, shown};

/// An address. Prints itself without what may be secret in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Box<Url>);

impl Address {
    /// Returns the address with all that is secret in it, to ask for it and for nothing else.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Returns whether a secret was left out of it when it was shown.
    pub fn lacks_secret(&self) -> bool {
        let mut pairs = self.0.query_pairs();
        pairs.any(|(name, value)| value == LEFT_OUT || name == LEFT_OUT)
    }

    /// Returns the address of a file beside this one: its path with something after it.
    #[must_use]
    pub fn beside(&self, ending: &str) -> Self {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{ending}", self.0.path()));
        Self(url)
    }
}

impl From<Url> for Address {
    fn from(url: Url) -> Self {
        Self(Box::new(url))
    }
}

impl FromStr for Address {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|url| Self(Box::new(url)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&shown(self.0.as_str()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_no_secret_and_keeps_it_to_ask_with() {
        let address: Address = "https://a.example/p.wasm?token=secret".parse().unwrap();
        assert!(!format!("{address} {address:?}").contains("secret"));
        assert_eq!(address.expose().query(), Some("token=secret"));
        assert!(!address.lacks_secret());
        let kept: Address = address.to_string().parse().unwrap();
        assert!(kept.lacks_secret());
        let beside = address.beside(".minisig");
        assert_eq!(
            beside.expose().as_str(),
            "https://a.example/p.wasm.minisig?token=secret"
        );
    }
}
