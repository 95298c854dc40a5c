//! Keys of the settings that are not known, and look like one that is.
//!
//! Other keys are of other tools or of a later msb, and nothing is said of them.

use serde_json::{Map, Value};

/// The keys of `registries`.
const OF_REGISTRIES: [&str; 8] = [
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
const OF_HOST: [&str; 7] = [
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

/// Returns a notice for each key below `registries` that is probably misspelled.
pub(super) fn notices(file: &Map<String, Value>) -> Vec<String> {
    let Some(Value::Object(registries)) = file.get("registries") else {
        return Vec::new();
    };
    let mut notices = misspelled(registries, "registries", &OF_REGISTRIES);
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

fn misspelled(object: &Map<String, Value>, at: &str, known: &[&str]) -> Vec<String> {
    let unknown = object.keys().filter(|key| !known.contains(&key.as_str()));
    unknown
        .filter_map(|key| {
            let folded = key.to_ascii_lowercase().replace('-', "_");
            let meant = known
                .iter()
                .map(|known| (strsim::osa_distance(&folded, known), known))
                .min()
                .filter(|(distance, known)| *distance <= NEAR && *distance < known.len() / 2)?;
            Some(format!(
                "config.json: `{at}.{key}` is not a setting and has no effect; did you mean `{}`?",
                meant.1
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
            (r#"{"registries": []}"#, None),
            (r#"{"host": {}}"#, None),
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
