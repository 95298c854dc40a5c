//! What images there are, when each was used, and what each takes of the disk.
//!
//! Owns the bytes of images: files that images share count once, and go with the last image that has
//! them. Knows nothing of why one image is to go rather than another.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::Connection;

use super::catalogue::{Store, WriteError};
use super::foreign::Foreign;
use super::layer_file::BESIDE;
use super::query::ImageRecord;
use super::{StoreError, fs, listing, usage};
use crate::digest::Digest;
use crate::home::Home;
use crate::reference::Reference;

/// The images of a store with what they take.
#[derive(Debug, Default)]
pub struct Stock {
    /// The images that can be listed, the newest first.
    pub images: Vec<StockedImage>,
    /// Bytes of disk of each file, and how many images need it.
    files: HashMap<PathBuf, (u64, usize)>,
}

/// An image with what it takes.
#[derive(Debug)]
pub struct StockedImage {
    /// The image.
    pub image: ImageRecord,
    /// When each of its names came to lead to it, RFC 3339 in UTC.
    pub named_at: BTreeMap<Reference, String>,
    /// When it was last pulled, loaded, saved, inspected, or begun or ended to be used by a sandbox.
    pub last_use: Timestamp,
    /// The sandboxes that use it.
    pub users: Vec<String>,
    files: Vec<PathBuf>,
}

/// Bytes of disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// All that an image needs.
    pub all: u64,
    /// What other images need as well.
    pub shared: u64,
}

impl Store {
    /// Returns the images with what they take.
    pub fn stock(&self) -> Result<Stock, StoreError> {
        let foreign = Foreign::open(self.home())?;
        self.read(|catalogue| Stock::read(self, catalogue, &foreign))
    }

    /// Takes note that an image is used now. Where that cannot be written, nothing is lost but the time.
    ///
    /// The time is that of the image's sidecar, which costs neither a transaction nor room.
    pub fn touch(&self, image: &Digest) {
        let _ = crate::fs::touch(&self.home().sidecar(image));
    }

    /// Returns the files of layers, for [`Stock::hold`].
    pub(crate) fn files_of_layers<'a>(
        &self,
        layers: impl IntoIterator<Item = &'a super::LayerKey>,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let mut files = Vec::new();
        for key in layers {
            if let Some(layer) = self.recorded_layer(key)? {
                files.extend([layer.erofs_path, layer.recipe_path]);
            }
        }
        Ok(files)
    }
}

impl Stock {
    /// Reads the stock. Needs no other turn at the catalogue than that of `catalogue`.
    pub(super) fn read(
        store: &Store,
        catalogue: &Connection,
        foreign: &Foreign,
    ) -> Result<Self, WriteError> {
        let home = store.home();
        let mut of_images = files_of_images(home, catalogue)?;
        let mut stock = Self::default();
        for path in of_images.values().flatten() {
            let (bytes, needed) = stock.files.entry(path.clone()).or_default();
            if *needed == 0 {
                *bytes = fs::disk_size(path)?;
            }
            *needed += 1;
        }
        let mut named_at = named_at(catalogue)?;
        // Those whose rows make no sense take room, and are left alone.
        let (images, _) = listing::images(catalogue)?;
        for mut image in images {
            store.prove(&mut image);
            let digest = image.digest.to_string();
            stock.images.push(StockedImage {
                named_at: named_at.remove(&digest).unwrap_or_default(),
                last_use: last_use(home, &image),
                users: usage::users(catalogue, foreign, &digest)?,
                files: of_images.remove(&digest).unwrap_or_default(),
                image,
            });
        }
        Ok(stock)
    }

    /// Returns the bytes of disk that all images take together.
    pub fn bytes(&self) -> u64 {
        let needed = self.files.values().filter(|(_, needed)| *needed > 0);
        needed.map(|(bytes, _)| bytes).sum()
    }

    /// Returns the bytes of disk of files that more than one image needs.
    pub fn shared_bytes(&self) -> u64 {
        let shared = self.files.values().filter(|(_, needed)| *needed > 1);
        shared.map(|(bytes, _)| bytes).sum()
    }

    /// Returns what an image takes.
    pub fn footprint(&self, image: &StockedImage) -> Footprint {
        let mut footprint = Footprint::default();
        for (bytes, needed) in image.files.iter().filter_map(|path| self.files.get(path)) {
            footprint.all += bytes;
            if *needed > 1 {
                footprint.shared += bytes;
            }
        }
        footprint
    }

    /// Counts files as needed by something else than an image.
    pub fn hold(&mut self, files: &[PathBuf]) {
        for path in files {
            if let Some((_, needed)) = self.files.get_mut(path) {
                *needed += 1;
            }
        }
    }

    /// Takes images out, in this order, until no more than so many bytes are left. Returns those that it
    /// has taken out, and the bytes that are left.
    pub fn shrink<'a>(
        &self,
        most: u64,
        images: impl IntoIterator<Item = &'a StockedImage>,
    ) -> (HashSet<Digest>, u64) {
        let mut left = self.bytes();
        let mut needed: HashMap<&PathBuf, usize> = HashMap::new();
        let mut gone = HashSet::new();
        for image in images {
            if left <= most {
                break;
            }
            for path in &image.files {
                let Some((bytes, all)) = self.files.get(path) else {
                    continue;
                };
                let needed = needed.entry(path).or_insert(*all);
                *needed = needed.saturating_sub(1);
                if *needed == 0 {
                    left = left.saturating_sub(*bytes);
                }
            }
            gone.insert(image.image.digest.clone());
        }
        (gone, left)
    }
}

/// Returns the files of each image, by what stands in the catalogue as its digest.
fn files_of_images(
    home: &Home,
    catalogue: &Connection,
) -> rusqlite::Result<HashMap<String, Vec<PathBuf>>> {
    let pairs = |select: &str| {
        catalogue
            .prepare(select)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(String, String)>>>()
    };
    let blob = |digest: &str| home.blobs().join(digest.replacen(':', "_", 1));
    let mut files: HashMap<String, Vec<PathBuf>> = HashMap::new();
    for (image, config) in pairs("SELECT digest, config_digest FROM msb_image")? {
        let of_image = files.entry(image.clone()).or_default();
        of_image.extend([blob(&image), blob(&config)]);
        if let Ok(digest) = image.parse::<Digest>() {
            of_image.push(home.sidecar(&digest));
            let stem = digest.file_stem();
            let beside = home.fsmeta().join(format!("{stem}{BESIDE}.erofs"));
            of_image.push(if beside.exists() {
                beside
            } else {
                home.fsmeta().join(format!("{stem}.erofs"))
            });
            of_image.push(home.vmdk().join(format!("{stem}.vmdk")));
        }
    }
    for (image, index) in pairs("SELECT image, digest FROM msb_image_index")? {
        files.entry(image).or_default().push(blob(&index));
    }
    let layers =
        "SELECT DISTINCT image, file FROM msb_image_layer JOIN msb_layer USING (diff_id, chain)";
    for (image, file) in pairs(layers)? {
        let of_image = files.entry(image).or_default();
        of_image.extend([home.erofs(&file), home.recipe(&file)]);
    }
    Ok(files)
}

/// Returns when each name came to lead to its image, by what stands in the catalogue as its digest.
fn named_at(
    catalogue: &Connection,
) -> rusqlite::Result<HashMap<String, BTreeMap<Reference, String>>> {
    let rows = catalogue
        .prepare("SELECT image, name, updated_at FROM msb_reference")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(String, String, String)>>>()?;
    let mut named_at: HashMap<String, BTreeMap<Reference, String>> = HashMap::new();
    for (image, name, time) in rows {
        if let Ok(name) = name.parse() {
            named_at.entry(image).or_default().insert(name, time);
        }
    }
    Ok(named_at)
}

/// Returns when an image was last used; when the store first had it, if that is not known.
fn last_use(home: &Home, image: &ImageRecord) -> Timestamp {
    let touched = crate::fs::metadata(&home.sidecar(&image.digest)).ok();
    let touched = touched.and_then(|metadata| Timestamp::try_from(metadata.modified().ok()?).ok());
    let created = || image.created_at.parse().ok();
    touched.or_else(created).unwrap_or(Timestamp::UNIX_EPOCH)
}
