//! The parts of an image's configuration that people ask for.
//!
//! Source: OCI image-spec, `config.md`. Absent and `null` mean the same; what is unknown is left
//! alone, since the configuration itself is kept as it came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a container of the image runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImageConfig {
    /// The digest of the configuration, which people call the image's ID.
    pub digest: String,
    /// Environment, `NAME=value`.
    pub env: Vec<String>,
    /// Default arguments.
    pub cmd: Option<Vec<String>>,
    /// What the arguments are given to.
    pub entrypoint: Option<Vec<String>>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// User and group.
    pub user: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that stops it.
    pub stop_signal: Option<String>,
    /// Ports it listens on, `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// Directories that hold data of their own.
    pub volumes: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    config: Option<Fields>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Fields {
    env: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    stop_signal: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
}

impl ImageConfig {
    /// Reads a configuration.
    pub fn parse(digest: String, bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let Document { config } = serde_json::from_slice(bytes)?;
        let fields = config.unwrap_or_default();
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        let keys = |map: Option<BTreeMap<String, _>>| map.unwrap_or_default().into_keys().collect();
        Ok(Self {
            digest,
            env: fields.env.unwrap_or_default(),
            cmd: fields.cmd,
            entrypoint: fields.entrypoint,
            working_dir: set(fields.working_dir),
            user: set(fields.user),
            labels: fields.labels.unwrap_or_default(),
            stop_signal: set(fields.stop_signal),
            exposed_ports: keys(fields.exposed_ports),
            volumes: keys(fields.volumes),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn null_and_absent_mean_the_same_and_unknown_fields_are_no_error() {
        for text in [
            r"{}",
            r#"{"config": null}"#,
            r#"{"config": {"Env": null, "User": "", "Cmd": null, "New": [1, {}]}, "more": 1}"#,
        ] {
            let config = ImageConfig::parse("d".to_owned(), text.as_bytes()).unwrap();
            assert_eq!(config.env, Vec::<String>::new(), "{text}");
            assert_eq!(config.user, None, "{text}");
            assert_eq!(config.cmd, None, "{text}");
        }
    }

    #[test]
    fn what_people_ask_for_is_read() {
        let text = r#"{"config": {"Env": ["A=1"], "Cmd": ["sh", "-c"], "WorkingDir": "/srv",
            "Labels": {"b": "2"}, "StopSignal": "SIGINT", "ExposedPorts": {"80/tcp": {}},
            "Volumes": {"/data": {}}}}"#;
        let config = ImageConfig::parse("d".to_owned(), text.as_bytes()).unwrap();
        assert_eq!(config.env, ["A=1"]);
        assert_eq!(config.cmd.unwrap(), ["sh", "-c"]);
        assert_eq!(config.working_dir.unwrap(), "/srv");
        assert_eq!(config.labels["b"], "2");
        assert_eq!(config.stop_signal.unwrap(), "SIGINT");
        assert_eq!(config.exposed_ports, ["80/tcp"]);
        assert_eq!(config.volumes, ["/data"]);
    }
}
