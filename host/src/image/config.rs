//! What an image's configuration says, for people to look at.
//!
//! Owns a lenient reading of it: fields that are missing, `null` or of another type than the
//! specification has are left out, and nothing of it makes inspecting fail. Source: OCI
//! image-spec, `config.md`.

use std::collections::BTreeMap;

use msb_documents::CONFIG_DETAILS;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::digest::Digest;

/// How the image is run by default, and where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImageConfig {
    /// The digest of the configuration, which people call the image's ID.
    pub digest: String,
    /// When the image was built, as its configuration says.
    pub created: Option<String>,
    /// Who built it.
    pub author: Option<String>,
    /// Environment variables, each as `NAME=value`.
    pub env: Vec<String>,
    /// The arguments of the entry point, or the command where there is none.
    pub cmd: Option<Vec<String>>,
    /// The command that is always run.
    pub entrypoint: Option<Vec<String>>,
    /// The directory that the command starts in.
    pub working_dir: Option<String>,
    /// User and group that run the command.
    pub user: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that stops the container.
    pub stop_signal: Option<String>,
    /// Ports that are meant to be reached, each as `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// Directories that are meant to hold data.
    pub volumes: Vec<String>,
    /// How the layers came to be, the bottom one first.
    pub history: Vec<HistoryEntry>,
}

/// A step of the build of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// When.
    pub created: Option<String>,
    /// By which command.
    pub created_by: Option<String>,
    /// A remark.
    pub comment: Option<String>,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Reads a configuration. Bytes that are not JSON give one without any content.
    pub(super) fn read(digest: &Digest, bytes: &[u8]) -> Self {
        let document = msb_documents::value(bytes, &CONFIG_DETAILS).unwrap_or(Value::Null);
        let config = document.get("config").unwrap_or(&Value::Null);
        Self {
            digest: digest.to_string(),
            created: text(&document, "created"),
            author: text(&document, "author"),
            env: texts(config, "Env").unwrap_or_default(),
            cmd: texts(config, "Cmd"),
            entrypoint: texts(config, "Entrypoint"),
            working_dir: text(config, "WorkingDir"),
            user: text(config, "User"),
            labels: object(config, "Labels")
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            stop_signal: text(config, "StopSignal"),
            exposed_ports: names(config, "ExposedPorts"),
            volumes: names(config, "Volumes"),
            history: document
                .get("history")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(|entry| HistoryEntry {
                    created: text(entry, "created"),
                    created_by: text(entry, "created_by"),
                    comment: text(entry, "comment"),
                    empty_layer: entry.get("empty_layer") == Some(&Value::Bool(true)),
                })
                .collect(),
        }
    }
}

/// An empty text is what builders write for "not set".
fn text(value: &Value, key: &str) -> Option<String> {
    let text = value.get(key)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn texts(value: &Value, key: &str) -> Option<Vec<String>> {
    match value.get(key)? {
        // Docker's first formats had a command as one text.
        Value::String(text) if !text.is_empty() => Some(vec![text.clone()]),
        Value::Array(items) if !items.is_empty() => Some(
            items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
        ),
        _ => None,
    }
}

fn object<'a>(value: &'a Value, key: &str) -> Option<&'a Map<String, Value>> {
    value.get(key)?.as_object()
}

/// A set, which JSON has as an object of empty objects.
fn names(value: &Value, key: &str) -> Vec<String> {
    object(value, key)
        .into_iter()
        .flat_map(Map::keys)
        .cloned()
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> ImageConfig {
        ImageConfig::read(&Digest::of(text.as_bytes()), text.as_bytes())
    }

    #[test]
    fn a_full_configuration_is_read() {
        let config = read(
            r#"{"created": "2024-01-01T00:00:00Z", "author": "me", "config": {
                "User": "1000:1000", "Env": ["PATH=/bin", "A=b"], "Cmd": ["-c", "true"],
                "Entrypoint": ["/bin/sh"], "WorkingDir": "/srv", "Labels": {"b": "2", "a": "1"},
                "StopSignal": "SIGINT", "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}},
                "history": [{"created_by": "RUN true", "empty_layer": true}, {"comment": "x"}]}"#,
        );
        assert_eq!(config.user.as_deref(), Some("1000:1000"));
        assert_eq!(config.env, ["PATH=/bin", "A=b"]);
        assert_eq!(config.cmd.unwrap(), ["-c", "true"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh"]);
        assert_eq!(config.working_dir.as_deref(), Some("/srv"));
        assert_eq!(config.labels.get("a").map(String::as_str), Some("1"));
        assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(config.exposed_ports, ["80/tcp"]);
        assert_eq!(config.volumes, ["/data"]);
        assert_eq!(config.author.as_deref(), Some("me"));
        assert_eq!(config.history.len(), 2);
        assert!(config.history[0].empty_layer);
        assert_eq!(config.history[1].comment.as_deref(), Some("x"));
    }

    #[test]
    fn what_is_null_missing_or_of_another_type_is_not_set() {
        for text in [
            "{}",
            "null",
            "not JSON",
            r#"{"config": null, "history": null}"#,
            r#"{"config": {"User": null, "Env": null, "Cmd": null, "Labels": null}}"#,
            r#"{"config": {"User": "", "Env": [], "Cmd": [], "Entrypoint": "", "Labels": {}}}"#,
            r#"{"config": {"User": 1, "Env": "", "Labels": [], "Volumes": 2}, "unknown": [[]]}"#,
        ] {
            let config = read(text);
            assert_eq!(config.user, None, "{text}");
            assert_eq!(config.cmd, None, "{text}");
            assert_eq!(config.entrypoint, None, "{text}");
            assert!(config.env.is_empty() && config.labels.is_empty(), "{text}");
            assert!(config.history.is_empty(), "{text}");
        }
    }

    #[test]
    fn keys_are_read_as_others_read_them() {
        let config = read(
            r#"{"Author": "me\ud800", "Config": {"user": "root", "CMD": ["run"],
                "labels": {"A": "1", "a": "2"}}, "HISTORY": [{"Created_By": "x"}]}"#,
        );
        assert_eq!(config.author.as_deref(), Some("me\u{fffd}"));
        assert_eq!(config.user.as_deref(), Some("root"));
        assert_eq!(config.cmd.unwrap(), ["run"]);
        assert_eq!(config.labels.len(), 2);
        assert_eq!(config.history[0].created_by.as_deref(), Some("x"));
    }

    #[test]
    fn a_command_that_is_one_text_is_one_argument() {
        let config = read(r#"{"config": {"Cmd": "run me"}}"#);
        assert_eq!(config.cmd.unwrap(), ["run me"]);
    }
}
