//! Image archives made from text: a layer is a few lines, an image a few layers.
//!
//! A line of a layer is a path and what is there:
//!
//! ```text
//! etc/                     a directory
//! etc/hosts = 127.0.0.1    a file and its contents
//! bin/sh -> busybox        a symbolic link
//! bin/ash => bin/busybox   a hard link
//! dev/null : 1,3           a character device
//! ```

use std::io::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

/// Returns the tar of a layer.
pub(crate) fn layer(text: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        let mut header = Header::new_gnu();
        header.set_mtime(1_700_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(0o644);
        header.set_size(0);
        if let Some((path, target)) = line.split_once(" -> ") {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            builder.append_link(&mut header, path, target).unwrap();
        } else if let Some((path, target)) = line.split_once(" => ") {
            header.set_entry_type(EntryType::Link);
            builder.append_link(&mut header, path, target).unwrap();
        } else if let Some((path, contents)) = line.split_once(" = ") {
            header.set_size(contents.len() as u64);
            builder
                .append_data(&mut header, path, contents.as_bytes())
                .unwrap();
        } else if let Some((path, numbers)) = line.split_once(" : ") {
            let (major, minor) = numbers.split_once(',').unwrap();
            header.set_entry_type(EntryType::Char);
            header.set_device_major(major.parse().unwrap()).unwrap();
            header.set_device_minor(minor.parse().unwrap()).unwrap();
            builder.append_data(&mut header, path, &[][..]).unwrap();
        } else {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            builder.append_data(&mut header, line, &[][..]).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    sha256_of(Sha256::new_with_prefix(bytes))
}

pub(crate) fn sha256_of(hasher: Sha256) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// An image that is going to be an archive. Tests spoil its parts at will.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) name: Option<String>,
    pub(crate) config: Value,
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) media_type: &'static str,
}

/// Files of an archive in their order.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

impl Image {
    /// Returns an image for this machine of some plain layers.
    pub(crate) fn new(name: &str, layers: &[&str]) -> Self {
        Self::of(name, layers.iter().map(|text| layer(text)).collect())
    }

    pub(crate) fn of(name: &str, layers: Vec<Vec<u8>>) -> Self {
        let diff_ids: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
        Self {
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            config: json!({
                "architecture": architecture(),
                "os": "linux",
                "config": {"Cmd": ["/bin/sh"], "Env": ["A=1"]},
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }),
            layers,
            media_type: "application/vnd.oci.image.layer.v1.tar",
        }
    }

    /// Compresses the layers.
    pub(crate) fn compressed(mut self, compress: fn(&[u8]) -> Vec<u8>) -> Self {
        self.layers = self.layers.iter().map(|layer| compress(layer)).collect();
        self.media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        self
    }

    pub(crate) fn id(&self) -> String {
        sha256(&self.config_bytes())
    }

    pub(crate) fn config_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.config).unwrap()
    }

    /// Returns the files of a Docker archive of this image.
    pub(crate) fn docker_files(&self) -> Files {
        let config = self.config_bytes();
        let config_name = format!("{}.json", hex(&sha256(&config)));
        let mut files = Files::new();
        let mut names = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let name = format!("layer{number}/layer.tar");
            files.push((name.clone(), layer.clone()));
            names.push(name);
        }
        let manifest = json!([{
            "Config": config_name,
            "RepoTags": self.name.as_ref().map(|name| vec![name]),
            "Layers": names,
        }]);
        files.push((config_name, config));
        files.push((
            "manifest.json".to_owned(),
            serde_json::to_vec(&manifest).unwrap(),
        ));
        files
    }

    /// Returns a Docker archive of this image.
    pub(crate) fn docker(&self) -> Vec<u8> {
        archive(&self.docker_files())
    }

    pub(crate) fn manifest(&self) -> Value {
        let config = self.config_bytes();
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| descriptor(self.media_type, layer))
            .collect();
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers,
            "annotations": {"org.example.kept": "yes"},
        })
    }

    /// Returns the files of an OCI layout of this image.
    pub(crate) fn oci_files(&self) -> Files {
        let manifest = serde_json::to_vec(&self.manifest()).unwrap();
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        if let Some(name) = &self.name {
            entry["annotations"] = json!({"io.containerd.image.name": name});
        }
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        let mut files = vec![
            (
                "oci-layout".to_owned(),
                br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            ),
            ("index.json".to_owned(), serde_json::to_vec(&index).unwrap()),
        ];
        for blob in [manifest, self.config_bytes()].iter().chain(&self.layers) {
            files.push((format!("blobs/sha256/{}", hex(&sha256(blob))), blob.clone()));
        }
        files
    }

    /// Returns an OCI layout of this image as a tar.
    pub(crate) fn oci(&self) -> Vec<u8> {
        archive(&self.oci_files())
    }
}

/// Returns a tar of some files.
pub(crate) fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, contents) in files {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        builder
            .append_data(&mut header, path, contents.as_slice())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": sha256(bytes), "size": bytes.len()})
}

pub(crate) fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

/// Returns the name that images have for this machine's processor.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Returns the name of another processor.
pub(crate) fn other_architecture() -> &'static str {
    if architecture() == "arm64" {
        "amd64"
    } else {
        "arm64"
    }
}
