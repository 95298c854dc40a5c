//! Images to load and to pull: two layers each, the lower one shared.

use std::io::Write as _;

use msb_host::digest::Digest;
use serde_json::{Value, json};

use crate::Result;

/// Bytes of the file that each image has for itself.
const OWN: usize = 200_000;

/// An image by its parts.
pub(crate) struct Image {
    name: String,
    /// The tar of each layer.
    layers: Vec<Vec<u8>>,
    config: Vec<u8>,
}

/// What a registry has of an image.
pub(crate) struct Pushed {
    pub(crate) manifest: Vec<u8>,
    pub(crate) blobs: Vec<Vec<u8>>,
}

impl Image {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let own = noise(name, OWN);
        let layers = vec![
            layer(&[
                ("etc/hosts", b"127.0.0.1 localhost\n"),
                ("etc/motd", &[b'x'; 9000]),
            ])?,
            layer(&[("srv/name", name.as_bytes()), ("srv/data", &own)])?,
        ];
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        Ok(Self {
            name: name.to_owned(),
            layers,
            config: config.to_string().into_bytes(),
        })
    }

    /// Returns it as `docker save` writes it.
    pub(crate) fn archive(&self) -> Result<Vec<u8>> {
        let config = format!("{}.json", Digest::of(&self.config).hex());
        let paths: Vec<String> = self
            .layers
            .iter()
            .map(|layer| format!("{}/layer.tar", Digest::of(layer).hex()))
            .collect();
        let manifest = json!([{"Config": config, "RepoTags": [self.name], "Layers": paths}]);
        let manifest = manifest.to_string();
        let mut files: Vec<(&str, &[u8])> = vec![
            ("manifest.json", manifest.as_bytes()),
            (&config, &self.config),
        ];
        let layers = paths.iter().zip(&self.layers);
        files.extend(layers.map(|(path, layer)| (path.as_str(), layer.as_slice())));
        layer(&files)
    }

    /// Returns it as a registry has it.
    pub(crate) fn pushed(&self) -> Result<Pushed> {
        let described = |media_type: &str, bytes: &[u8]| -> Value {
            json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
        };
        let mut blobs = Vec::new();
        for layer in &self.layers {
            blobs.push(gzip(layer)?);
        }
        let layers: Vec<Value> = blobs
            .iter()
            .map(|blob| described("application/vnd.oci.image.layer.v1.tar+gzip", blob))
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described("application/vnd.oci.image.config.v1+json", &self.config),
            "layers": layers,
        });
        blobs.push(self.config.clone());
        Ok(Pushed {
            manifest: manifest.to_string().into_bytes(),
            blobs,
        })
    }
}

/// The media type of a manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

fn layer(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, contents) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        tar.append_data(&mut header, path, *contents)?;
    }
    Ok(tar.into_inner()?)
}

/// Returns bytes that do not compress, other ones for each name.
fn noise(name: &str, length: usize) -> Vec<u8> {
    let seed = name.bytes().fold(7, |seed: u64, byte| {
        seed.wrapping_mul(31).wrapping_add(byte.into())
    });
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..))
        .take(length)
        .collect()
}
