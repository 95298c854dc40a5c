//! The scope of an `http` grant: `[METHODS@][SCHEME://]HOST[:PORT]`.
//!
//! Owns its syntax and whether it covers a request. Knows nothing of how requests are sent.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use url::Url;

/// Servers that a plugin may ask, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpScope {
    /// The methods in upper case; empty for all.
    methods: BTreeSet<String>,
    /// `http` or `https`.
    scheme: String,
    /// Whether the names below the host are meant and not the host itself.
    below: bool,
    /// In the spelling of `url::Url`.
    host: String,
    port: u16,
}

impl HttpScope {
    /// Returns whether a request is within the scope.
    pub(super) fn covers(&self, method: &str, url: &Url) -> bool {
        let method_fits =
            self.methods.is_empty() || self.methods.contains(&method.to_ascii_uppercase());
        let host = url.host_str().unwrap_or_default();
        let host_fits = if self.below {
            host.strip_suffix(self.host.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty())
        } else {
            host == self.host
        };
        method_fits
            && host_fits
            && url.scheme() == self.scheme
            && url.port_or_known_default() == Some(self.port)
    }
}

impl FromStr for HttpScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (methods, server) = match text.split_once('@') {
            Some((methods, server)) => (Some(methods), server),
            None => (None, text),
        };
        let methods = methods
            .into_iter()
            .flat_map(|methods| methods.split(','))
            .map(|method| {
                let valid = !method.is_empty() && method.chars().all(|it| it.is_ascii_alphabetic());
                if valid {
                    Ok(method.to_ascii_uppercase())
                } else {
                    Err(format!("`{method}` is not a method"))
                }
            })
            .collect::<Result<_, _>>()?;
        let (scheme, server) = match server.split_once("://") {
            Some((scheme, server)) => (scheme.to_ascii_lowercase(), server),
            None => ("https".to_owned(), server),
        };
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(format!("`{scheme}` is neither `http` nor `https`"));
        }
        let (below, server) = match server.strip_prefix("*.") {
            Some(server) => (true, server),
            None => (false, server),
        };
        let plain = |it: char| {
            it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.' | ':' | '[' | ']')
        };
        if server.is_empty() || !server.chars().all(plain) {
            return Err(format!(
                "`{server}` is not a server; a scope is `[METHODS@][SCHEME://]HOST[:PORT]`, without a path"
            ));
        }
        let url = Url::parse(&format!("{scheme}://{server}"))
            .map_err(|error| format!("`{server}` is not a server: {error}"))?;
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(format!("`{server}` is not a server"));
        };
        if below && !matches!(host, url::Host::Domain(_)) {
            return Err("`*.` stands before a name, not before an address".to_owned());
        }
        Ok(Self {
            methods,
            host: host.to_string(),
            scheme,
            below,
            port,
        })
    }
}

impl fmt::Display for HttpScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for method in &self.methods {
            write!(formatter, "{separator}{method}")?;
            separator = ",";
        }
        if !self.methods.is_empty() {
            formatter.write_str("@")?;
        }
        let below = if self.below { "*." } else { "" };
        write!(formatter, "{}://{below}{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("https", 443) | ("http", 80) => Ok(()),
            (_, port) => write!(formatter, ":{port}"),
        }
    }
}
