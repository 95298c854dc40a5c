//! Keys of the settings that are not known, and look like one that is.
//!
//! Other keys are of other tools or of a later msb, and nothing is said of them.

use serde_json::{Map, Value};

use super::key_shown;
use super::registries::host_of;

/// Our objects. In a file that other tools share, only keys that are nearly these are told.
pub(super) const OF_FILE: [&str; 4] = ["limits", "plugins", "registries", "store"];
/// The keys of `store`.
pub(super) const OF_STORE: [&str; 3] = ["max_bytes", "merge", "serve"];
/// The keys of `plugins`, those of the system's file included.
pub(super) const OF_PLUGINS: [&str; 12] = [
    "order",
    "tiers",
    "store",
    "format",
    "settings",
    "limits",
    "signatures",
    "trust_root",
    "index",
    "allowed_sources",
    "allowed_grants",
    "home",
];
/// The keys of `registries`.
pub(super) const OF_REGISTRIES: [&str; 8] = [
    "ca_certs",
    "attempts",
    "retry_delay_ms",
    "stall_timeout_secs",
    "give_up_after_secs",
    "least_bytes_per_sec",
    "hosts",
    "auth",
];
/// The keys of one host.
pub(super) const OF_HOST: [&str; 7] = [
    "insecure",
    "tls_verify",
    "ca_certs",
    "client_cert",
    "client_key",
    "mirrors",
    "auth",
];
/// So many letters may differ.
const NEAR: usize = 2;

/// Returns a notice for each key that is probably one of ours, misspelled.
pub(super) fn notices(file: &Map<String, Value>) -> Vec<String> {
    let mut notices = misspelled(file, "", &OF_FILE);
    for (at, known) in [("store", &OF_STORE as &[&str]), ("plugins", &OF_PLUGINS)] {
        if let Some(Value::Object(object)) = file.get(at) {
            notices.extend(misspelled(object, at, known));
        }
    }
    let Some(Value::Object(registries)) = file.get("registries") else {
        return notices;
    };
    notices.extend(misspelled(registries, "registries", &OF_REGISTRIES));
    if let Some(Value::Object(entries)) = registries.get("auth") {
        let nowhere = entries.keys().filter(|key| host_of(key).is_none());
        notices.extend(nowhere.map(|key| {
            let key = key_shown(&format!("registries.auth.{key}"));
            format!("config.json: `{key}` names no registry and has no effect")
        }));
    }
    if let Some(Value::Object(hosts)) = registries.get("hosts") {
        for (host, settings) in hosts {
            if let Value::Object(settings) = settings {
                let at = format!("registries.hosts.{host}");
                notices.extend(misspelled(settings, &at, &OF_HOST));
            }
        }
    }
    notices
}

/// Returns the key that a misspelled one is probably meant to be.
pub(super) fn meant<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let folded = key.to_ascii_lowercase().replace('-', "_");
    let near = known
        .iter()
        .map(|known| (strsim::osa_distance(&folded, known), *known));
    near.min()
        .filter(|(distance, known)| *distance <= NEAR && *distance < known.len() / 2)
        .map(|(_, known)| known)
}

fn misspelled(object: &Map<String, Value>, at: &str, known: &[&str]) -> Vec<String> {
    let unknown = object.keys().filter(|key| !known.contains(&key.as_str()));
    unknown
        .filter_map(|key| {
            let meant = meant(key, known)?;
            let at = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            Some(format!(
                "config.json: `{at}` is not a setting and has no effect; did you mean `{meant}`?"
            ))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_nearly_one_gets_a_notice() {
        for (text, expected) in [
            (
                r#"{"registries": {"host": {}}}"#,
                Some("did you mean `hosts`?"),
            ),
            (
                r#"{"registries": {"ca-certs": []}}"#,
                Some("did you mean `ca_certs`?"),
            ),
            (
                r#"{"registries": {"Attempts": 2}}"#,
                Some("did you mean `attempts`?"),
            ),
            (
                r#"{"registries": {"hosts": {"a.example": {"mirror": []}}}}"#,
                Some("`registries.hosts.a.example.mirror`"),
            ),
            (r#"{"registries": {"hosts": {}, "auth": {}}}"#, None),
            (r#"{"registries": {"something_else": 1}}"#, None),
            (
                r#"{"registries": {"auth": {"a b": {}}}}"#,
                Some("`registries.auth.a b` names no registry"),
            ),
            (r#"{"registries": {"auth": {"ghcr.io/x": {}}}}"#, None),
            (r#"{"registries": []}"#, None),
            (r#"{"host": {}}"#, None),
            (r#"{"registry": {}, "profiles": {}}"#, None),
            (r#"{"limit": {}}"#, Some("did you mean `limits`?")),
            (r#"{"Registries": {}}"#, Some("did you mean `registries`?")),
            (
                r#"{"store": {"max_byte": 5}}"#,
                Some("`store.max_byte` is not a setting"),
            ),
            (
                r#"{"plugins": {"orders": []}}"#,
                Some("did you mean `order`?"),
            ),
        ] {
            let notices = notices(&serde_json::from_str(text).unwrap());
            assert_eq!(notices.len(), usize::from(expected.is_some()), "{text}");
            assert!(
                notices.concat().contains(expected.unwrap_or_default()),
                "{notices:?}"
            );
        }
    }
}
