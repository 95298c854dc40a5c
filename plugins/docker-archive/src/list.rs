//! `manifest.json`, the list of the images in the archive.

use msb_plugin::documents::{self, Shape};
use msb_plugin::{Archive, Error};
use serde::Deserialize;

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

const LIST: Shape = Shape::List(&Shape::Record(&[
    ("Config", Shape::Text),
    ("RepoTags", Shape::List(&Shape::Text)),
    ("Layers", Shape::List(&Shape::Text)),
    ("Parent", Shape::Unread),
    ("LayerSources", Shape::Unread),
]));

/// Returns the images in `manifest.json`, of which there is at least one.
pub(crate) fn read(archive: &dyn Archive) -> Result<Vec<Item>, Error> {
    let Some(entry) = archive.find("manifest.json") else {
        return Err(no_list(archive));
    };
    let bytes = archive.read_all(&entry, LIMIT)?;
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    // The `dir` format of skopeo has a file of this name, too.
    if first == Some(&b'{') && documents::value(&bytes, &Shape::Unread).is_ok() {
        return Err(Error::NotMine(
            "manifest.json is not a list of images".to_owned(),
        ));
    }
    let invalid = |error| Error::Malformed(format!("manifest.json is not valid: {error}"));
    let list: Vec<Item> = documents::parse(&bytes, &LIST).map_err(invalid)?;
    if list.is_empty() {
        return Err(Error::Malformed(
            "manifest.json is an empty list: the archive holds no image".to_owned(),
        ));
    }
    Ok(list)
}

fn no_list(archive: &dyn Archive) -> Error {
    if archive.find("repositories").is_some() && archive.find("index.json").is_none() {
        return Error::Unsupported(
            "an archive without manifest.json, as Docker wrote them before version 1.10".to_owned(),
        );
    }
    Error::NotMine("there is no manifest.json".to_owned())
}
