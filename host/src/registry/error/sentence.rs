//! The sentences of the errors of registries.

use std::fmt;
use std::time::Duration;

use super::{RegistryError, RegistryErrorKind as Kind};
use crate::address;
use crate::credential::CredentialSource;
use crate::platform::Platform;
use crate::registry::proxy::ProxyServer;

impl fmt::Display for RegistryError {
    #[expect(clippy::too_many_lines, reason = "a sentence for each kind")]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, what, kind } = self;
        let peer = |elsewhere: &Option<String>| peer(host, elsewhere.as_deref());
        match kind {
            Kind::Connect {
                elsewhere, proxy, ..
            } => write!(
                formatter,
                "could not connect to {} for {what}{}",
                peer(elsewhere),
                through(proxy.as_deref())
            ),
            Kind::Certificate(_) => write!(formatter, "no trusted connection to registry {host}"),
            Kind::ClientCertificate(_) => write!(
                formatter,
                "registry {host} requires a client certificate (none, or the wrong one, was sent)"
            ),
            Kind::Handshake(_) => write!(
                formatter,
                "registry {host} ended the TLS handshake: there is no version, cipher or kind of \
                 certificate that both take"
            ),
            Kind::PlainHttp => write!(formatter, "registry {host} does not speak HTTPS"),
            Kind::SpeaksHttps => write!(
                formatter,
                "registry {host} speaks HTTPS, and was asked in plain HTTP"
            ),
            Kind::Proxy(_) => write!(formatter, "could not find the proxy for registry {host}"),
            Kind::Broken { elsewhere, .. } => write!(
                formatter,
                "the connection to {} broke off during {what}",
                peer(elsewhere)
            ),
            Kind::Stalled { elsewhere, after } => write!(
                formatter,
                "{} sent nothing for {} s during {what} (settings `registries.stall_timeout_secs` \
                 and `registries.give_up_after_secs`)",
                peer(elsewhere),
                after.as_secs()
            ),
            Kind::Slow {
                elsewhere,
                bytes,
                during,
            } => write!(
                formatter,
                "{} sent only {} of {what} in {} s (setting `registries.least_bytes_per_sec`)",
                peer(elsewhere),
                amount(*bytes),
                during.as_secs()
            ),
            Kind::WebPage { elsewhere, title } => write!(
                formatter,
                "{} answered the request for {what} with a web page{} (captive portal or proxy \
                 login?)",
                peer(elsewhere),
                titled(title)
            ),
            Kind::NotFound { .. } => write!(formatter, "{what} was not found on registry {host}"),
            Kind::Denied { identity, .. } => write!(
                formatter,
                "{what} on registry {host}: not found, or no access{identity}"
            ),
            Kind::Credentials { source, .. } => write!(
                formatter,
                "registry {host} does not accept the credentials{} for {what}",
                of(source.as_deref())
            ),
            Kind::Schemes { schemes } => write!(
                formatter,
                "registry {host} wants credentials by {}, which msb does not speak",
                schemes.join(", ")
            ),
            Kind::Auth(_) => write!(formatter, "could not get credentials for registry {host}"),
            Kind::RateLimited { retry_after, .. } => write!(
                formatter,
                "registry {host} limits the rate of requests{}",
                wait(*retry_after)
            ),
            Kind::Status {
                status,
                retry_after,
                ..
            } => write!(
                formatter,
                "registry {host} answered {status} to the request for {what}{}",
                wait(*retry_after)
            ),
            Kind::Elsewhere {
                elsewhere,
                status,
                retry_after,
            } => write!(
                formatter,
                "{elsewhere}, to which registry {host} refers for {what}, answered {status}{}",
                wait(*retry_after)
            ),
            Kind::Redirect { reason } => write!(
                formatter,
                "registry {host} redirects the request for {what}: {reason}"
            ),
            Kind::Realm { realm, reason, .. } => write!(
                formatter,
                "registry {host} asks for a token from `{}`, which is not asked: {reason}",
                address::shown(realm)
            ),
            Kind::Token { server, reason } => write!(
                formatter,
                "no token for registry {host} from {server}: {reason}"
            ),
            Kind::TooLarge { limit, setting } => write!(
                formatter,
                "{what} from registry {host} is more than {limit} bytes long (limit `{setting}`)"
            ),
            Kind::Digest { stated, actual } => write!(
                formatter,
                "{what} from registry {host} does not match its digest: {stated} is stated, \
                 {actual} is there"
            ),
            Kind::Size { stated, actual } => write!(
                formatter,
                "{what} from registry {host} is {actual} bytes long, its descriptor says {stated}"
            ),
            Kind::Garbled { reason } => write!(
                formatter,
                "registry {host} gave {what} that cannot be read: {reason}"
            ),
            Kind::Malformed { reason } => write!(
                formatter,
                "registry {host} gave {what} that cannot be used: {reason}"
            ),
            Kind::NoImage { reason } => write!(
                formatter,
                "{what} on registry {host} cannot be kept as an image: {reason}"
            ),
            Kind::Platform { wanted, offered } => write!(
                formatter,
                "{what} on registry {host} has no image for platform {wanted}: there is {}",
                list(offered)
            ),
            Kind::Setup(_) => {
                write!(
                    formatter,
                    "could not set up the connection to registry {host}"
                )
            }
            Kind::Cancelled(cancelled) => cancelled.fmt(formatter),
        }
    }
}

/// Returns who failed: the registry, or a server that it refers to.
fn peer(host: &str, elsewhere: Option<&str>) -> String {
    match elsewhere {
        None => format!("registry {host}"),
        Some(elsewhere) => format!("{elsewhere}, to which registry {host} refers,"),
    }
}

fn titled(title: &str) -> String {
    match title {
        "" => String::new(),
        title => format!(" \u{201c}{title}\u{201d}"),
    }
}

fn amount(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{} KiB", bytes / 1024),
    }
}

fn of(source: Option<&CredentialSource>) -> String {
    source.map_or_else(String::new, |source| format!(" of {source}"))
}

/// Returns the proxy of a connection, for a sentence.
pub(in crate::registry) fn through(proxy: Option<&ProxyServer>) -> String {
    proxy.map_or_else(String::new, |proxy| {
        format!(
            " through the proxy {proxy} (variable `{}`)",
            proxy.variable()
        )
    })
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |after| {
        format!(": it wants us to wait for {}", span(after.as_secs()))
    })
}

/// Returns a time in the unit that people would say it in.
fn span(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    match seconds {
        0..=600 => format!("{seconds} s"),
        601..=7200 => format!("{} min", seconds.div_ceil(MINUTE)),
        7201..=172_800 => format!("{} h", seconds.div_ceil(HOUR)),
        172_801..=63_072_000 => format!("{} days", seconds.div_ceil(DAY)),
        _ => format!("{} years", seconds / YEAR),
    }
}

fn list(platforms: &[Platform]) -> String {
    let mut names: Vec<String> = platforms.iter().map(Platform::to_string).collect();
    names.dedup();
    match names.len() {
        0 => "none".to_owned(),
        _ => names.join(", "),
    }
}
