//! What to do about what a registry answers, or does not.

use msb_host::registry::{Origin, RegistryError};

use super::auth::for_auth;

pub(super) fn for_registry(error: &RegistryError) -> Option<String> {
    let hint = match error {
        RegistryError::Platform { offered, .. } => {
            let platform = offered.first()?;
            return Some(format!(
                "pull the image for another platform with `--platform {platform}`"
            ));
        }
        RegistryError::Denied { host, .. } => {
            return Some(format!(
                "look at the name; if the image is not for everybody, log in with \
                 `msb registry login {host}`"
            ));
        }
        RegistryError::Credentials { host, origin, .. } => {
            return Some(for_refused(host, origin.as_deref()));
        }
        RegistryError::Auth { source, .. } => return for_auth(source),
        RegistryError::RateLimited { host, .. } => {
            return Some(format!(
                "try again later, or log in with `msb registry login {host}`, for whom the limit \
                 is often higher"
            ));
        }
        RegistryError::NotFound { .. } => "look at the name and the tag",
        RegistryError::Certificate { .. } => {
            "name the CA that the registry's certificate comes from with `--ca-certs PATH`, or for \
             good with `registries.ca_certs` in config.json"
        }
        RegistryError::ClientCertificate { host, .. } => {
            return Some(format!(
                "name the certificate that you have for this registry, and its key, in \
                 config.json: {{\"registries\": {{\"hosts\": {{\"{host}\": {{\"client_cert\": PATH, \
                 \"client_key\": PATH}}}}}}}}"
            ));
        }
        RegistryError::PlainHttp { .. } => {
            "if you trust the network between here and there, use `--insecure`"
        }
        RegistryError::WebPage { .. } => {
            "open any web page in a browser and log in to the network or the proxy there, then run \
             the same command; without a portal, check that there is a registry at this address"
        }
        RegistryError::Connect {
            elsewhere: Some(_), ..
        } => {
            "the registry answers, and the server that it keeps its layers on cannot be reached from \
             here: check the network, the proxy and the firewall"
        }
        RegistryError::Connect { .. } => {
            "look at the name of the registry, at the network and at the proxy; a registry that \
             speaks plain HTTP needs `--insecure`"
        }
        RegistryError::Status {
            status: 400..=407 | 409..=424 | 426..=498,
            ..
        } => "the registry does not want this request; ask those who run it",
        RegistryError::Realm { .. } => {
            "do not trust this registry, unless it is yours: then let it name a token service on \
             its own host, or one that is reached over HTTPS"
        }
        RegistryError::Token { .. }
        | RegistryError::Malformed { .. }
        | RegistryError::Redirect { .. } => {
            "is there a registry at this address, and nothing in between? otherwise tell those who \
             run it"
        }
        RegistryError::Slow { .. } => {
            "try again later: what was received is kept; for a line that is as slow as this, lower \
             `registries.least_bytes_per_sec` in config.json"
        }
        RegistryError::Status {
            retry_after: Some(after),
            ..
        } if after.as_secs() > 0 => {
            return Some(format!(
                "try again in {} s: what was received is kept, and the same command goes on from \
                 there",
                after.as_secs()
            ));
        }
        RegistryError::Broken { .. }
        | RegistryError::Stalled { .. }
        | RegistryError::Status { .. }
        | RegistryError::Elsewhere { .. } => {
            "try again later: what was received is kept, and the same command goes on from there"
        }
        RegistryError::Digest { .. }
        | RegistryError::Size { .. }
        | RegistryError::Garbled { .. } => {
            "the registry, or something on the way, changes what it hands out; tell who runs it"
        }
        RegistryError::NoImage { .. } => {
            "msb pulls images that have a root filesystem, no other kind"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

pub(super) fn for_verify(error: &RegistryError) -> Option<String> {
    let hint = match error {
        RegistryError::Credentials { .. } | RegistryError::Denied { .. } => {
            "nothing was stored: look at the name and the password, which many registries want a \
             token for"
        }
        RegistryError::NotFound { .. } | RegistryError::Connect { .. } => {
            "look at the name of the registry; `--no-verify` stores the credentials without \
             trying them, `--insecure` speaks plain HTTP"
        }
        error => return for_registry(error),
    };
    Some(hint.to_owned())
}

/// Returns what to do about credentials that a registry does not take.
fn for_refused(host: &str, origin: Option<&Origin>) -> String {
    let again = format!("log in again with `msb registry login {host}`");
    match origin.map(|origin| origin.provider.as_str()) {
        Some("env") => format!("set the variable anew, or {again}"),
        Some("secret-file") => format!("write the file anew, or {again}"),
        _ => again,
    }
}
