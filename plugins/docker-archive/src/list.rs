//! `manifest.json`, the list of the images in the archive.

use msb_plugin::{Archive, Error};
use serde::Deserialize;
use serde_json::Value;

/// The limit for `manifest.json`, in bytes.
const LIMIT: u64 = 4 << 20;

/// An image in `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Item {
    /// The path of the configuration.
    #[serde(default)]
    pub(crate) config: String,
    /// The names it was saved under.
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
    /// The paths of the layers, the bottom one first.
    #[serde(default)]
    pub(crate) layers: Option<Vec<String>>,
}

/// Returns the images in `manifest.json`, of which there is at least one.
pub(crate) fn read(archive: &dyn Archive) -> Result<Vec<Item>, Error> {
    let Some(entry) = archive.find("manifest.json") else {
        return Err(no_list(archive));
    };
    let list: Value = archive.read_json(&entry, LIMIT)?;
    match &list {
        Value::Null => {
            return Err(Error::Malformed(
                "manifest.json is null: the archive holds no image".to_owned(),
            ));
        }
        Value::Array(items) if items.is_empty() => {
            return Err(Error::Malformed(
                "manifest.json is an empty list: the archive holds no image".to_owned(),
            ));
        }
        // The `dir` format of skopeo has a file of this name, too.
        Value::Object(_) => {
            return Err(Error::NotMine(
                "manifest.json is not a list of images".to_owned(),
            ));
        }
        _ => {}
    }
    serde_json::from_value(list)
        .map_err(|error| Error::Malformed(format!("manifest.json is not valid: {error}")))
}

fn no_list(archive: &dyn Archive) -> Error {
    if archive.find("repositories").is_some() && archive.find("index.json").is_none() {
        return Error::Unsupported(
            "an archive without manifest.json, as Docker wrote them before version 1.10".to_owned(),
        );
    }
    Error::NotMine("there is no manifest.json".to_owned())
}
