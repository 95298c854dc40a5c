//! What fuzzing starts from: the texts of this crate, made into inputs of the targets.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::{layer, tar, texts};

/// Bytes in front of the tar in inputs of `recipe_round_trip`.
pub const ROUND_TRIP_PREFIX: usize = 17;
/// Longer archives of others are not taken.
const LONGEST: u64 = 32 << 10;

/// Returns the layers to start from, with their names.
pub fn layers() -> Vec<(String, Vec<u8>)> {
    let mut layers: Vec<(String, Vec<u8>)> = texts::LAYERS
        .iter()
        .map(|(name, text)| (name.replace(' ', "-"), tar(text)))
        .collect();
    for (name, text) in [("wide", texts::wide()), ("sparse-1.0", texts::sparse_1_0())] {
        layers.push((name.to_owned(), tar(&text)));
    }
    layers
}

/// Returns valid images of the layers to start from.
pub fn images() -> Vec<Vec<u8>> {
    let converted = layers().into_iter().map(|(name, tar)| {
        let layer = layer::converted(tar.as_slice());
        let layer = layer.unwrap_or_else(|error| panic!("the layer {name}: {error:?}"));
        layer::bytes_of(&layer.erofs)
    });
    converted.collect()
}

/// Writes the seeds of all targets into folders of their names, and with them the small archives
/// of a folder.
///
/// # Errors
/// Those of the filesystem.
pub fn write_all(folder: &Path, others: Option<&Path>) -> io::Result<()> {
    let put = |target: &str, name: &str, bytes: &[u8]| -> io::Result<()> {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    let mut layers = layers();
    if let Some(others) = others {
        let mut folders = vec![others.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.len() <= LONGEST {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    layers.push((name, fs::read(entry.path())?));
                }
            }
        }
    }
    for (place, (name, bytes)) in layers.iter().enumerate() {
        put("tar_ingest", name, bytes)?;
        put("tar_ingest", &format!("{name}.gz"), &gzip(bytes)?)?;
        let mut prefix = [0; ROUND_TRIP_PREFIX];
        prefix[0] = u8::try_from(place % 8).unwrap_or_default();
        put(
            "recipe_round_trip",
            name,
            &[&prefix[..], bytes.as_slice()].concat(),
        )?;
    }
    for (place, pair) in layers.windows(2).enumerate() {
        let [(_, below), (_, above)] = pair else {
            continue;
        };
        for (turn, (below, above)) in [(below, above), (above, below), (below, below)]
            .into_iter()
            .enumerate()
        {
            if let Ok(cut) = u8::try_from(below.len() / 512) {
                let tars = [&[cut][..], below, above].concat();
                put("lower_layers", &format!("{place}-{turn}"), &tars)?;
            }
        }
    }
    for (place, image) in images().into_iter().enumerate() {
        let number = u8::try_from(place).unwrap_or_default();
        let edits = [0x03, 0, 0, 0, number, 0, 0, 0, 0x19, 0, 16, 0, 1, 0, 0, 0];
        put(
            "erofs_reader",
            &format!("edits-{place}"),
            &[&[number + 1][..], &edits].concat(),
        )?;
        if image.len() < 16 << 10 {
            let bytes = [&[0][..], &image].concat();
            put("erofs_reader", &format!("image-{place}"), &bytes)?;
        }
    }
    for (place, text) in texts::REFERENCES.iter().enumerate() {
        put("reference", &place.to_string(), text.as_bytes())?;
    }
    for (name, text) in texts::ARCHIVES {
        put("documents", name, text.as_bytes())?;
    }
    Ok(())
}

/// Returns bytes as gzip has them.
///
/// # Errors
/// None that memory would have.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
