//! The JSON Schema of `config.json`, for editors.
//!
//! It is written by hand, with words that help where a file is written, and held to what msb reads by the
//! tests below: every key is known, and a value of another type than it says is refused.

/// The schema, as JSON. Source: JSON Schema, draft 2020-12.
pub const SCHEMA: &str = include_str!("config.schema.json");

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::spelling::{OF_FILE, OF_HOST, OF_PLUGINS, OF_REGISTRIES, OF_STORE};
    use super::super::{Settings, SettingsError};
    use super::SCHEMA;
    use crate::limits::Limit;

    fn schema() -> Value {
        serde_json::from_str(SCHEMA).unwrap()
    }

    fn read(settings: &Value) -> Result<Settings, SettingsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), settings.to_string()).unwrap();
        Settings::read_from(file.path())
    }

    fn keys(object: &Value) -> Vec<&str> {
        let mut keys: Vec<&str> = object
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        keys
    }

    #[track_caller]
    fn assert_keys(object: &Value, known: &[&str]) {
        let mut known = known.to_vec();
        known.sort_unstable();
        assert_eq!(keys(object), known);
    }

    #[test]
    fn the_schema_has_the_keys_that_msb_reads() {
        let schema = schema();
        let properties = &schema["properties"];
        let of = |key: &str| &properties[key]["properties"];
        assert_keys(properties, &OF_FILE);
        assert_keys(of("limits"), &Limit::ALL.map(Limit::name));
        assert_keys(of("store"), &OF_STORE);
        assert_keys(of("registries"), &OF_REGISTRIES);
        assert_keys(of("plugins"), &OF_PLUGINS);
        let host = &of("registries")["hosts"]["additionalProperties"]["properties"];
        assert_keys(host, &OF_HOST);
    }

    #[test]
    fn the_examples_of_the_schema_can_be_read() {
        for example in schema()["examples"].as_array().unwrap() {
            let settings = read(example).unwrap();
            assert!(settings.notices.is_empty(), "{:?}", settings.notices);
            assert_ne!(settings, Settings::default());
        }
    }

    #[test]
    fn a_value_of_another_type_than_the_schema_says_is_refused() {
        // The file of the system has these, and other readers.
        let systems = [
            "plugins.allowed_sources",
            "plugins.allowed_grants",
            "plugins.home",
        ];
        let mut tried = 0;
        walk(&schema(), &mut Vec::new(), &mut |path, kind| {
            if systems.contains(&path.join(".").as_str()) {
                return;
            }
            let wrong = match kind {
                "integer" => json!("many"),
                "boolean" => json!("yes"),
                "string" => json!(5),
                "array" | "object" => json!(true),
                kind => panic!("{path:?}: {kind}"),
            };
            let mut settings = wrong;
            for key in path.iter().rev() {
                settings = Value::Object(Map::from_iter([(key.clone(), settings)]));
            }
            assert!(read(&settings).is_err(), "{settings}");
            tried += 1;
        });
        assert!(tried > 40, "{tried}");
    }

    /// Visits each value that has a type, by the keys that lead to it.
    fn walk(schema: &Value, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &str)) {
        if let (Some(kind), false) = (schema["type"].as_str(), path.is_empty()) {
            visit(path, kind);
        }
        if let Some(properties) = schema["properties"].as_object() {
            for (key, below) in properties {
                path.push(key.clone());
                walk(below, path, visit);
                path.pop();
            }
        }
        if schema["additionalProperties"].is_object() {
            path.push("a.example".to_owned());
            walk(&schema["additionalProperties"], path, visit);
            path.pop();
        }
    }
}
