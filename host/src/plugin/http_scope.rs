//! The scope of an `http` grant: `[METHODS@][SCHEME://]HOST[:PORT][PATH]`.
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
    /// What is below it if it ends with `/`, else itself; all paths without one.
    path: Option<String>,
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
            && self
                .path
                .as_ref()
                .is_none_or(|path| covers(path, url.path()))
    }
}

/// Returns whether a path is within that of a scope. Both are as [`Url`] spells them, which has
/// resolved `.` and `..`; what a server might read as another path than that is within none.
fn covers(scope: &str, path: &str) -> bool {
    let is_below = scope.ends_with('/') && path.starts_with(scope);
    (is_below || path == scope) && is_unambiguous(path)
}

/// Returns whether all servers read a path alike: without empty and dot segments, escaped or not,
/// without escaped slashes and escapes of escapes, and without what some servers cut off.
fn is_unambiguous(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let escapes = ["%2f", "%5c", "%25", "%2e", "%00", "%3b"];
    !escapes.iter().any(|escape| lower.contains(escape))
        && !path.contains(['\\', ';'])
        && !path.contains("//")
        && path
            .split('/')
            .all(|segment| segment != "." && segment != "..")
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
        let (server, path) = match server.find('/') {
            Some(at) => (&server[..at], Some(&server[at..])),
            None => (server, None),
        };
        let plain = |it: char| {
            it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.' | ':' | '[' | ']')
        };
        if server.is_empty() || !server.chars().all(plain) {
            return Err(format!(
                "`{server}` is not a server; a scope is `[METHODS@][SCHEME://]HOST[:PORT][PATH]`"
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
        let path = path.map(|path| checked_path(&url, path)).transpose()?;
        Ok(Self {
            methods,
            host: host.to_string(),
            scheme,
            below,
            port,
            path,
        })
    }
}

/// Returns the path of a scope as [`Url`] spells it.
fn checked_path(server: &Url, path: &str) -> Result<String, String> {
    let url = server
        .join(path)
        .map_err(|error| format!("`{path}` is not a path: {error}"))?;
    let plain = |it: char| it.is_ascii_graphic() && !matches!(it, '?' | '#' | '*');
    if url.path() != path || !is_unambiguous(path) || !path.chars().all(plain) {
        return Err(format!(
            "`{path}` is not a plain path: it has no `.`, `..` or empty part, no `?`, `#`, `*` or \
             `;`, and is escaped as in addresses"
        ));
    }
    Ok(path.to_owned())
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
            ("https", 443) | ("http", 80) => {}
            (_, port) => write!(formatter, ":{port}")?,
        }
        formatter.write_str(self.path.as_deref().unwrap_or_default())
    }
}
