//! The document `image.json`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msb_plugin::{Archive, Error};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Where the document is.
const PATH: &str = "image.json";

/// The limit for the document, in bytes.
const LIMIT: u64 = 32 << 20;

/// An image.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageDocument {
    /// The version of the format, which is 1.
    #[serde(rename = "image-json")]
    version: u32,
    /// The names of the image.
    #[serde(default)]
    pub(crate) references: Vec<String>,
    /// Its configuration, in the OCI form, without `rootfs`.
    pub(crate) config: Map<String, Value>,
    /// The files of its layers, the bottom one first.
    #[serde(default)]
    pub(crate) layers: Vec<Vec<File>>,
}

/// A file of a layer.
#[derive(Deserialize)]
#[serde(try_from = "Fields")]
pub(crate) struct File {
    /// Where it is.
    pub(crate) path: String,
    /// What it is.
    pub(crate) contents: Contents,
    /// Its permissions.
    pub(crate) mode: u32,
    /// Its owner.
    pub(crate) uid: u64,
    /// Its group.
    pub(crate) gid: u64,
}

/// What a file is.
pub(crate) enum Contents {
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A file with the bytes of this entry of the archive.
    Entry(String),
    /// A symbolic link.
    Symlink(String),
    /// A directory.
    Directory,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    path: String,
    text: Option<String>,
    base64: Option<String>,
    entry: Option<String>,
    symlink: Option<String>,
    #[serde(default)]
    directory: bool,
    mode: Option<String>,
    #[serde(default)]
    uid: u64,
    #[serde(default)]
    gid: u64,
}

impl TryFrom<Fields> for File {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let path = fields.path;
        if path
            .split('/')
            .any(|component| matches!(component, "" | "." | ".."))
        {
            return Err(format!("{path:?} is not a path inside of the image"));
        }
        let mut contents = Vec::new();
        contents.extend(fields.text.map(|text| Contents::Bytes(text.into_bytes())));
        if let Some(text) = fields.base64 {
            let bytes = STANDARD.decode(text);
            let bytes = bytes.map_err(|error| format!("the base64 of {path} is wrong: {error}"))?;
            contents.push(Contents::Bytes(bytes));
        }
        contents.extend(fields.entry.map(Contents::Entry));
        contents.extend(fields.symlink.map(Contents::Symlink));
        contents.extend(fields.directory.then_some(Contents::Directory));
        let (Some(contents), None) = (contents.pop(), contents.pop()) else {
            return Err(format!(
                "{path} needs one of `text`, `base64`, `entry`, `symlink` and `directory`"
            ));
        };
        let mode = match (fields.mode, &contents) {
            (Some(mode), _) => u32::from_str_radix(&mode, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| format!("the mode of {path} is not an octal number: {mode:?}"))?,
            (None, Contents::Directory) => 0o755,
            (None, Contents::Symlink(_)) => 0o777,
            (None, _) => 0o644,
        };
        Ok(Self {
            path,
            contents,
            mode,
            uid: fields.uid,
            gid: fields.gid,
        })
    }
}

impl ImageDocument {
    /// Reads the document. `not-mine` where there is none.
    pub(crate) fn read(archive: &dyn Archive) -> Result<Self, Error> {
        let Some(entry) = archive.find(PATH) else {
            return Err(Error::NotMine(format!("there is no {PATH}")));
        };
        let document: Self = archive.read_json(&entry, LIMIT)?;
        if document.version != 1 {
            return Err(Error::Unsupported(format!(
                "{PATH} has version {}, and this plugin reads version 1",
                document.version
            )));
        }
        Ok(document)
    }
}
