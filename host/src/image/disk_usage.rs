//! `df`: what the home takes of the disk, and what of it can go.

use std::cmp::Reverse;
use std::path::Path;

use serde::Serialize;
use walkdir::WalkDir;

use super::list::NO_REFERENCE;
use super::prune::{PruneOptions, prune};
use crate::context::Context;
use crate::reference::Reference;
use crate::store::{Stock, StockedImage, Store, StoreError};

/// What the home takes of the disk, in bytes. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskUsage {
    /// All that images need: layers, documents, merged filesystems. What they share counts once.
    pub images_bytes: u64,
    /// The number of images.
    pub images: usize,
    /// What of that more than one image needs.
    pub shared_bytes: u64,
    /// What of that images need which sandboxes use.
    pub in_use_bytes: u64,
    /// The number of images that sandboxes use.
    pub images_in_use: usize,
    /// Merged root filesystems and descriptors of virtual disks, which are a part of what images need.
    pub merged_bytes: u64,
    /// What was received of layers that are not whole, from which a pull continues.
    pub parts_bytes: u64,
    /// What operations are making now, or have left when they were killed.
    pub in_flight_bytes: u64,
    /// Installed plugins, and all plugins as they were compiled.
    pub plugins_bytes: u64,
    /// The catalogue, with the room that is kept for removing images from a full disk.
    pub catalogue_bytes: u64,
    /// Everything in the home that has a place above, and what images do not need any more.
    pub total_bytes: u64,
    /// What `msb image prune` would free: all images that no sandbox uses, parts, and what is left over.
    pub reclaimable_bytes: u64,
    /// What `msb image prune --dangling` would free.
    pub dangling_bytes: u64,
    /// Each image, the largest first.
    pub by_image: Vec<ImageUsage>,
}

/// What an image takes of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageUsage {
    /// The digest of its manifest.
    pub digest: String,
    /// The digest of its configuration.
    pub id: String,
    /// When it was last pulled, loaded, saved, inspected, or begun or ended to be used by a sandbox;
    /// RFC 3339 in UTC.
    pub last_used_at: String,
    /// Its names as people write them; `<none>` alone if it has none.
    pub references: Vec<String>,
    /// Bytes that other images need as well.
    pub shared_bytes: u64,
    /// Bytes of all that it needs.
    pub size_bytes: u64,
    /// Bytes that go with it.
    pub unique_bytes: u64,
    /// The sandboxes that use it.
    pub used_by: Vec<String>,
}

/// Returns what the home takes of the disk.
pub fn disk_usage(store: &Store, context: &Context) -> Result<DiskUsage, StoreError> {
    let home = store.home();
    let stock = store.stock()?;
    let would = |filters: Vec<super::ImageFilter>| {
        let options = PruneOptions {
            dry_run: true,
            filters,
            ..PruneOptions::default()
        };
        Ok::<_, StoreError>(prune(store, &options, context)?.bytes_reclaimed)
    };
    let reclaimable = would(Vec::new())?;
    let dangling = would(vec![super::ImageFilter::Dangling(true)])?;
    let unused = stock.images.iter().filter(|image| image.users.is_empty());
    let (_, in_use) = stock.shrink(0, unused);
    let tmp = home.root().join("cache/tmp");
    let parts = size(&tmp, &|path| {
        path.extension().is_some_and(|it| it == "part")
    });
    let in_flight = size(&tmp, &|path| path.extension().is_none_or(|it| it != "part"));
    let of = |below: &str| size(&home.root().join(below), &|_| true);
    let plugins = of("plugins") + of("cache/plugins");
    let merged = of("cache/fsmeta") + of("cache/vmdk");
    let catalogue = of("db");
    let images = of("cache/layers") + of("cache/blobs") + of("cache/sidecars");
    let mut by_image: Vec<ImageUsage> = stock.images.iter().map(|it| usage(&stock, it)).collect();
    by_image.sort_by_key(|image| Reverse(image.size_bytes));
    Ok(DiskUsage {
        images_bytes: stock.bytes(),
        images: stock.images.len(),
        shared_bytes: stock.shared_bytes(),
        in_use_bytes: in_use,
        images_in_use: stock
            .images
            .iter()
            .filter(|it| !it.users.is_empty())
            .count(),
        merged_bytes: merged,
        parts_bytes: parts,
        in_flight_bytes: in_flight,
        plugins_bytes: plugins,
        catalogue_bytes: catalogue,
        total_bytes: images + merged + parts + in_flight + plugins + catalogue,
        reclaimable_bytes: reclaimable,
        dangling_bytes: dangling,
        by_image,
    })
}

fn usage(stock: &Stock, image: &StockedImage) -> ImageUsage {
    let footprint = stock.footprint(image);
    let names = &image.image.references;
    ImageUsage {
        digest: image.image.digest.to_string(),
        id: image.image.config_digest.to_string(),
        last_used_at: image.last_use.to_string(),
        references: if names.is_empty() {
            vec![NO_REFERENCE.to_owned()]
        } else {
            names.iter().map(Reference::familiar).collect()
        },
        shared_bytes: footprint.shared,
        size_bytes: footprint.all,
        unique_bytes: footprint.all.saturating_sub(footprint.shared),
        used_by: image.users.clone(),
    }
}

/// Returns the bytes of disk of the files below a directory whose path is meant. What cannot be looked at
/// counts as nothing.
fn size(directory: &Path, is_meant: &dyn Fn(&Path) -> bool) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = WalkDir::new(directory).min_depth(1).into_iter().flatten();
    let meant = entries.filter(|entry| is_meant(entry.path()));
    meant
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.blocks().saturating_mul(512))
        .sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::tests::TestStore;

    #[test]
    fn what_images_share_counts_once() {
        let store = TestStore::new();
        store.add("one", &["a", "shared"], &["one"]);
        store.add("two", &["b", "shared"], &["two"]);
        store.add("none", &["c"], &[]);
        let usage = disk_usage(&store.store, &Context::default()).unwrap();
        assert_eq!(usage.images, 3);
        let files = ["cache/layers", "cache/blobs", "cache/sidecars"];
        let on_disk: u64 = files
            .iter()
            .map(|it| size(&store.path(it), &|_| true))
            .sum();
        assert_eq!(usage.images_bytes, on_disk);
        let unique: u64 = usage.by_image.iter().map(|it| it.unique_bytes).sum();
        assert_eq!(unique + usage.shared_bytes, usage.images_bytes);
        assert!(usage.shared_bytes > 0);
        assert_eq!(usage.reclaimable_bytes, usage.images_bytes);
        assert!(usage.dangling_bytes > 0 && usage.dangling_bytes < usage.images_bytes);
        assert!(usage.total_bytes > usage.images_bytes);
    }

    #[test]
    fn what_a_sandbox_uses_cannot_go() {
        let store = TestStore::new();
        store.add("one", &["a", "shared"], &["one"]);
        store.add("two", &["b", "shared"], &["two"]);
        store.store.use_image("devbox", "one").unwrap();
        let usage = disk_usage(&store.store, &Context::default()).unwrap();
        assert_eq!(usage.images_in_use, 1);
        assert_eq!(
            usage.in_use_bytes + usage.reclaimable_bytes,
            usage.images_bytes
        );
    }
}
