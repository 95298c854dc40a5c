//! What to do about what a registry answers, or does not.

use std::time::Duration;

use msb_host::credential::{AuthSourceKind, CredentialSource};
use msb_host::hosts::{HostsError, NamedBy, PemError};
use msb_host::registry::{CertificateProblem, ProxyError, RegistryError, RegistryErrorKind};

use super::auth::for_auth;
use super::image::NO_IMAGE;

/// From this many seconds on, a registry is not waited for.
const LONG_WAIT: Duration = Duration::from_hours(24);

pub(super) fn for_registry(error: &RegistryError) -> Option<String> {
    let host = &error.host;
    let hint = match &error.kind {
        RegistryErrorKind::Platform { offered, .. } => {
            let platform = offered.iter().find(|platform| platform.can_be_named())?;
            format!("pull the image for another platform with `--platform {platform}`")
        }
        RegistryErrorKind::Denied { .. } => format!(
            "check the name; if the image is private, log in with \
             `msb registry login {host}`"
        ),
        RegistryErrorKind::Credentials { source, .. } => for_refused(host, source.as_deref()),
        RegistryErrorKind::Auth(source) => return source.downcast_ref().and_then(for_auth),
        RegistryErrorKind::RateLimited { .. } => format!(
            "try again later, or log in with `msb registry login {host}`, for whom the limit is \
             often higher"
        ),
        RegistryErrorKind::Certificate(problem) => for_certificate(host, problem),
        RegistryErrorKind::ClientCertificate(_) => format!(
            "name the certificate that you have for this registry, and its key, in config.json: \
             {{\"registries\": {{\"hosts\": {{\"{host}\": {{\"client_cert\": PATH, \
             \"client_key\": PATH}}}}}}}}"
        ),
        RegistryErrorKind::Handshake(_) => format!(
            "have the registry offer TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or ChaCha20, and a \
             certificate with a key of RSA, ECDSA or Ed25519; if it requires a client certificate, name one in config.json: \
             {{\"registries\": {{\"hosts\": {{\"{host}\": {{\"client_cert\": PATH, \
             \"client_key\": PATH}}}}}}}}"
        ),
        RegistryErrorKind::Proxy(source) => for_proxy(host, source),
        RegistryErrorKind::Connect {
            elsewhere,
            proxy: Some(proxy),
            ..
        } => format!(
            "check that the proxy is there; else correct or unset `{}`, or add {} to `NO_PROXY`",
            proxy.variable(),
            without_port(elsewhere.as_ref().unwrap_or(host))
        ),
        RegistryErrorKind::Realm {
            realm,
            is_plain: true,
            ..
        } => {
            let server = realm.split("//").nth(1).unwrap_or_default();
            let server = server.split(['/', '?', '#']).next().unwrap_or_default();
            let server = server.rsplit('@').next().unwrap_or_default();
            format!(
                "let the registry name a token service of HTTPS; if you trust the network between \
                 here and {server}, name it in config.json: {{\"registries\": {{\"hosts\": \
                 {{\"{server}\": {{\"insecure\": true}}}}}}}}"
            )
        }
        RegistryErrorKind::Status {
            status: 408 | 425 | 499..,
            retry_after: Some(after),
            ..
        } if *after > LONG_WAIT => "ask those who run the registry when it is back; what was \
                                    received is kept, and the same command continues from there"
            .to_owned(),
        kind => for_any(kind)?.to_owned(),
    };
    Some(hint)
}

/// Returns what to do about an error whatever the values in it.
fn for_any(kind: &RegistryErrorKind) -> Option<&'static str> {
    Some(match kind {
        RegistryErrorKind::NotFound { .. } => "check the name and the tag",
        RegistryErrorKind::PlainHttp => {
            "if you trust the network between here and there, use `--insecure`"
        }
        RegistryErrorKind::WebPage { .. } => {
            "open any web page in a browser and log in to the network or the proxy there, then run \
             the same command; without a portal, check that there is a registry at this address"
        }
        RegistryErrorKind::SpeaksHttps => {
            "leave out `--insecure` (in config.json: `\"insecure\": true`), which means plain HTTP; \
             where the registry's certificate is not trusted, give it with `--ca-certs PATH`, or go \
             without with `--tls-verify=false`"
        }
        RegistryErrorKind::Connect {
            elsewhere: Some(_), ..
        } => {
            "the registry answers, and the server that it keeps its layers on cannot be reached from \
             here: check the network and the firewall"
        }
        RegistryErrorKind::Connect { .. } => {
            "check the name of the registry and the network; a registry that speaks plain HTTP \
             needs `--insecure`"
        }
        RegistryErrorKind::Status { status: 407, .. } => {
            "the proxy wants a name and a password: write them into its variable, as \
             http://NAME:PASSWORD@HOST:PORT"
        }
        RegistryErrorKind::Status {
            status: 400..=407 | 409..=424 | 426..=498,
            ..
        } => "the registry does not want this request; ask those who run it",
        RegistryErrorKind::Realm { .. } => {
            "do not trust this registry, unless it is yours: then let it name a token service on \
             its own host, or one that is reached over HTTPS"
        }
        RegistryErrorKind::Token { .. }
        | RegistryErrorKind::Malformed { .. }
        | RegistryErrorKind::Redirect { .. } => {
            "is there a registry at this address, and nothing in between? otherwise tell those who \
             run it"
        }
        RegistryErrorKind::Slow { .. } => {
            "try again later: what was received is kept; for a line that is as slow as this, lower \
             `registries.least_bytes_per_sec` in config.json"
        }
        RegistryErrorKind::Broken { .. }
        | RegistryErrorKind::Stalled { .. }
        | RegistryErrorKind::Status { .. }
        | RegistryErrorKind::Elsewhere { .. } => {
            "try again later: what was received is kept, and the same command continues from there"
        }
        RegistryErrorKind::Digest { .. }
        | RegistryErrorKind::Size { .. }
        | RegistryErrorKind::Garbled { .. } => {
            "the registry, or something on the way, changes what it hands out; tell who runs it"
        }
        RegistryErrorKind::Schemes { .. } => {
            "msb shows credentials by the schemes Basic and Bearer: have the registry offer one of \
             them"
        }
        RegistryErrorKind::NoImage { .. } => NO_IMAGE,
        _ => return None,
    })
}

pub(super) fn for_verify(error: &RegistryError) -> Option<String> {
    let hint = match error.kind {
        RegistryErrorKind::Credentials { .. } | RegistryErrorKind::Denied { .. } => {
            "nothing was stored: check user name and password; many registries want an access token as \
             the password"
        }
        RegistryErrorKind::RateLimited { .. }
        | RegistryErrorKind::Status {
            status: 408 | 425 | 499..,
            ..
        }
        | RegistryErrorKind::Broken { .. }
        | RegistryErrorKind::Stalled { .. }
        | RegistryErrorKind::Slow { .. }
        | RegistryErrorKind::Elsewhere { .. } => {
            "nothing was stored: try again later, or store the credentials untried with `--no-verify`"
        }
        RegistryErrorKind::NotFound { .. } | RegistryErrorKind::Connect { proxy: None, .. } => {
            "check the name of the registry; `--no-verify` stores the credentials without \
             trying them, `--insecure` speaks plain HTTP"
        }
        _ => return for_registry(error),
    };
    Some(hint.to_owned())
}

/// Returns what to do about a certificate, by what is wrong with it.
pub(super) fn for_certificate(host: &str, problem: &CertificateProblem) -> String {
    let bare = without_port(host);
    match problem {
        CertificateProblem::UnknownIssuer | CertificateProblem::SelfSigned => {
            "give the certificate of its authority, or its own, with `--ca-certs PATH`, or for good \
             with `registries.ca_certs` in config.json"
                .to_owned()
        }
        CertificateProblem::Name { names, .. } => {
            let name = names.iter().find(|name| !name.contains('*'));
            let other = name.map_or_else(String::new, |name| {
                let port = host.strip_prefix(bare).unwrap_or_default();
                format!("if it is the same registry, call it `{name}{port}`; else ")
            });
            format!("{other}have a certificate made for {bare}")
        }
        CertificateProblem::NoAuthorities => {
            "install the certificates of authorities (the package `ca-certificates`), or name a \
             file of them with `SSL_CERT_FILE` or `--ca-certs PATH`"
                .to_owned()
        }
        CertificateProblem::NoName
        | CertificateProblem::AddressAsName { .. }
        | CertificateProblem::Version => {
            let kind = if bare.parse::<std::net::IpAddr>().is_ok() || bare.starts_with('[') {
                "IP"
            } else {
                "DNS"
            };
            let bare = bare.trim_matches(['[', ']']);
            format!(
                "have a certificate made that has the name: `openssl req -x509 … -addext \
                 subjectAltName={kind}:{bare}`"
            )
        }
        CertificateProblem::NotYetValid { .. } => {
            "check the clock of this machine; if it is right, the certificate has to be replaced"
                .to_owned()
        }
        _ => "have the certificate replaced; until then `--tls-verify=false` connects without \
              verifying it"
            .to_owned(),
    }
}

/// Returns what to do about a file of certificates or keys, which the error names.
pub(super) fn for_pem(problem: &PemError) -> Option<String> {
    let hint = match problem {
        PemError::EncryptedKey => {
            "write the key without its passphrase, `openssl pkey -in KEY -out FILE`, and name that \
             file"
        }
        PemError::Pkcs7 => {
            "write what is in it as PEM, `openssl pkcs7 -print_certs -in BUNDLE -out FILE` (with \
             `-inform DER` if it is binary), and name that file"
        }
        PemError::Pkcs12 => {
            "write what is in it as PEM, `openssl pkcs12 -nodes -in STORE -out FILE`, and name \
             that file"
        }
        PemError::KeyKind => "have a certificate issued for a key of RSA, ECDSA or Ed25519",
        PemError::Pair(_) => {
            "name the key of the certificate; of a file with several certificates, its own has to \
             be the first"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns what to do about files that say how registries are asked.
pub(super) fn for_hosts(error: &HostsError) -> Option<String> {
    let hint = match error {
        HostsError::Certificates { named_by, .. } if **named_by == NamedBy::CertsD => {
            "make it a file that you may read, or take it out of the directory"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns what to do about a variable that does not name a proxy.
pub(super) fn for_proxy(host: &str, error: &ProxyError) -> String {
    format!(
        "correct `{}` or unset it, or add {} to `NO_PROXY`",
        error.variable,
        without_port(host)
    )
}

/// Returns a host as certificates and `NO_PROXY` have it.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Returns what to do about credentials that a registry does not take.
fn for_refused(host: &str, source: Option<&CredentialSource>) -> String {
    let again = format!("log in again with `msb registry login {host}`");
    match source.and_then(|source| source.reads) {
        Some(AuthSourceKind::PasswordEnv) => format!("update the variable, or {again}"),
        Some(AuthSourceKind::SecretName) => format!("update the file, or {again}"),
        _ => again,
    }
}
