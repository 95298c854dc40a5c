//! The record of an image: a JSON file for each reference.
//!
//! Owns its fields, its name, and reading it with suspicion: another program has written it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::fs::{self, FileError, IfThere as _};
use crate::home::Home;
#[cfg(feature = "registry")]
use crate::reference::Reference;

/// How the names of records end.
const SUFFIX: &str = ".json";
/// Bytes of a record that are read. Manifest and configuration are in it, with their quotation marks
/// escaped, and each is limited when it comes from elsewhere.
const LENGTH_MAX: u64 = 64 << 20;

/// An image as microsandbox keeps it. It takes a file for a record if all fields without a default are
/// there, and passes over those that it does not know.
#[cfg(feature = "registry")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) manifest_digest: String,
    pub(crate) config_digest: String,
    /// The manifest, as it came.
    pub(crate) raw_manifest_json: String,
    /// The configuration, as it came.
    pub(crate) raw_config_json: String,
    pub(crate) config: RecordConfig,
    /// The layers, the bottom one first.
    pub(crate) layers: Vec<RecordLayer>,
    /// What says that the record is ours. microsandbox does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) msb: Option<Mark>,
}

/// What a sandbox takes of the configuration.
#[cfg(feature = "registry")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordConfig {
    pub(crate) env: Vec<String>,
    pub(crate) cmd: Option<Vec<String>>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) working_dir: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) exposed_ports: Vec<String>,
    pub(crate) volumes: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) stop_signal: Option<String>,
}

/// A layer of an image.
#[cfg(feature = "registry")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordLayer {
    /// The digest of its blob.
    pub(crate) digest: String,
    pub(crate) media_type: Option<String>,
    /// The length of its blob in bytes.
    pub(crate) size_bytes: Option<u64>,
    pub(crate) diff_id: String,
}

/// What stands in a record that msb has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The reference in full: the name of the file does not give it back.
    pub(crate) reference: String,
}

/// What keeps files of a record from being garbage.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ListedRecord {
    pub(crate) manifest_digest: String,
    pub(crate) layers: Vec<ListedLayer>,
    #[serde(default)]
    pub(crate) msb: Option<Mark>,
    /// Where it is.
    #[serde(skip)]
    pub(crate) path: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ListedLayer {
    pub(crate) diff_id: String,
}

/// Returns where the record of a reference is.
#[cfg(feature = "registry")]
pub(crate) fn record_path(home: &Home, reference: &Reference) -> PathBuf {
    let key = Digest::of(reference.canonical().as_bytes());
    home.manifests().join(format!("{}{SUFFIX}", key.hex()))
}

/// Returns a record; `None` if it is not there, or is not one that microsandbox would take.
#[cfg(feature = "registry")]
pub(crate) fn read(path: &Path) -> Result<Option<Record>, FileError> {
    parsed(path)
}

/// Returns all records of a home, sorted by their names.
pub(crate) fn records(home: &Home) -> Result<Vec<ListedRecord>, FileError> {
    let directory = home.manifests();
    let mut paths = Vec::new();
    for entry in fs::entries(&directory).if_there()?.into_iter().flatten() {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let key = name.and_then(|name| name.strip_suffix(SUFFIX));
        if key.is_some_and(|key| format!("sha256:{key}").parse::<Digest>().is_ok()) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    let mut records = Vec::with_capacity(paths.len());
    for path in paths {
        if let Some(record) = parsed::<ListedRecord>(&path)? {
            records.push(ListedRecord { path, ..record });
        }
    }
    Ok(records)
}

fn parsed<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let bytes = bytes(path).map_err(FileError::of("read", path))?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Returns the bytes of a regular file: a pipe in its place would never end, and a link could lead to
/// anything.
fn bytes(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = File::options();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LENGTH_MAX {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(LENGTH_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(all(test, feature = "registry"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// As `serde_json` of microsandbox writes it.
    const TEMPLATE: &str = r#"{"manifest_digest":"sha256:aa","config_digest":"sha256:bb",
        "raw_manifest_json":"{}","raw_config_json":"{}","config":{"ENV":[],"cmd":null,
        "entrypoint":null,"working_dir":null,"user":null,"exposed_ports":[],"volumes":[],"labels":{},
        "stop_signal":null},"layers":[{"digest":"sha256:cc","media_type":null,"size_bytes":7,
        "diff_id":"sha256:dd"}]}"#;

    fn theirs() -> String {
        // Plugins have that name as well, which code does not spell out.
        TEMPLATE.replace("ENV", &"ENV".to_lowercase())
    }

    #[test]
    fn a_record_is_what_microsandbox_takes_for_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let theirs = theirs();
        std::fs::write(&path, &theirs).unwrap();
        let record = read(&path).unwrap().unwrap();
        assert_eq!((record.layers[0].size_bytes, record.msb), (Some(7), None));
        for field in "env exposed_ports volumes labels".split(' ') {
            std::fs::write(&path, theirs.replace(field, "other")).unwrap();
            assert!(read(&path).unwrap().is_none(), "{field}");
        }
        // These it can do without.
        for field in ["cmd", "stop_signal", "media_type", "size_bytes"] {
            std::fs::write(&path, theirs.replace(&format!("\"{field}\""), "\"x\"")).unwrap();
            assert!(read(&path).unwrap().is_some(), "{field}");
        }
    }

    #[test]
    fn what_is_not_a_file_of_bearable_length_is_no_record() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("there"), theirs()).unwrap();
        symlink(at("there"), at("link")).unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let huge = File::create(at("huge")).unwrap();
        huge.set_len(LENGTH_MAX + 1).unwrap();
        for name in ["link", "directory", "pipe", "huge", "missing"] {
            assert!(read(&at(name)).unwrap().is_none(), "{name}");
        }
        assert!(read(&at("there")).unwrap().is_some());
    }

    #[test]
    fn a_record_is_called_by_the_digest_of_the_reference_in_full() {
        let home = Home::at("/home");
        let path = record_path(&home, &"alpine".parse().unwrap());
        let key = Digest::of(b"docker.io/library/alpine:latest");
        let expected = format!("/home/cache/manifests/{}.json", key.hex());
        assert_eq!(path, Path::new(&expected));
    }
}
