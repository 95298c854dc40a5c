//! Docker archives of made-up layers, written as one goes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::command::Result;
use crate::digest::{Hasher, sha256};

/// Bytes of a header, and what contents are filled up to.
const BLOCK: u64 = 512;

/// An archive that is being written.
pub(super) struct Archive {
    builder: tar::Builder<BufWriter<File>>,
    manifest: Vec<Value>,
    layers: usize,
}

/// A layer that was written.
pub(super) struct Layer {
    name: String,
    diff_id: String,
}

impl Archive {
    /// Begins an archive.
    pub(super) fn create(path: &Path) -> Result<Self> {
        Ok(Self {
            builder: tar::Builder::new(BufWriter::with_capacity(1 << 20, File::create(path)?)),
            manifest: Vec::new(),
            layers: 0,
        })
    }

    /// Writes a layer of so many files, each of them with a path of at most 100 bytes. All contents are
    /// as long as the first.
    pub(super) fn layer(
        &mut self,
        files: u64,
        mut file: impl FnMut(u64) -> (String, Vec<u8>),
    ) -> Result<Layer> {
        let name = format!("layer{}.tar", self.layers);
        self.layers += 1;
        let mut first = Some(file(0));
        let contents = first.as_ref().map_or(0, |(_, contents)| contents.len());
        let of_file = BLOCK + (contents as u64).next_multiple_of(BLOCK);
        let mut outer = header(files * of_file + 2 * BLOCK);
        outer.set_path(&name)?;
        outer.set_cksum();
        let output = self.builder.get_mut();
        output.write_all(outer.as_bytes())?;
        let mut layer = tar::Builder::new(Hashed {
            output,
            hasher: Hasher::default(),
        });
        for number in 0..files {
            let (path, contents) = first.take().unwrap_or_else(|| file(number));
            layer.append_data(&mut header(contents.len() as u64), path, &*contents)?;
        }
        let hasher = layer.into_inner()?.hasher;
        Ok(Layer {
            name,
            diff_id: format!("sha256:{}", hasher.finish()),
        })
    }

    /// Writes the configuration of an image, whose layers are there.
    pub(super) fn image(&mut self, reference: &str, layers: &[&Layer]) -> Result<()> {
        let diff_ids: Vec<&str> = layers.iter().map(|layer| &*layer.diff_id).collect();
        let config = serde_json::to_vec(&json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"reference": reference}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }))?;
        let name = format!("{}.json", sha256(&config));
        let size = config.len() as u64;
        self.builder
            .append_data(&mut header(size), &name, &*config)?;
        let names: Vec<&str> = layers.iter().map(|layer| &*layer.name).collect();
        self.manifest
            .push(json!({"Config": name, "RepoTags": [reference], "Layers": names}));
        Ok(())
    }

    /// Writes the manifest and ends the archive.
    pub(super) fn finish(mut self) -> Result<()> {
        let manifest = serde_json::to_vec(&self.manifest)?;
        let mut header = header(manifest.len() as u64);
        self.builder
            .append_data(&mut header, "manifest.json", &*manifest)?;
        self.builder.into_inner()?.flush()?;
        Ok(())
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(size);
    header
}

/// Writes and hashes.
struct Hashed<'a> {
    output: &'a mut BufWriter<File>,
    hasher: Hasher,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.hasher.write_all(&bytes[..written])?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
