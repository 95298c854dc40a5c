//! `images`: what there is.

use std::cmp::Reverse;

use serde::Serialize;

use super::filter::{Filters, ImageFilter, NamePattern};
use crate::digest::Digest;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::{ImageRecord, Store, StoreError};

/// What stands in a list in place of a reference.
pub const NO_REFERENCE: &str = "<none>";

/// An image in a list.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// The references that lead to it, sorted. None if another image took the last one.
    pub references: Vec<Reference>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digest of its configuration, which people call the image's ID.
    pub config_digest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// The number of its layers.
    pub layer_count: usize,
    /// Bytes of its layers as its manifest has them, which is compressed or not.
    pub size_bytes: u64,
    /// When the store first had it, RFC 3339 in UTC.
    pub created_at: String,
}

/// A line of a list: an image under one of its references.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageRow {
    /// The processor architecture.
    pub architecture: String,
    /// When the store first had the image, RFC 3339 in UTC.
    pub created_at: String,
    /// The digest of its manifest.
    pub digest: String,
    /// The digest of its configuration.
    pub id: String,
    /// The number of its layers.
    pub layer_count: usize,
    /// The operating system.
    pub os: String,
    /// The reference as people write it, or `<none>`.
    pub reference: String,
    /// Bytes of its layers as its manifest has them.
    pub size_bytes: u64,
}

/// What to list, and in which order.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// List only images with a name like one of these, under these names. All where there is none.
    pub names: Vec<NamePattern>,
    /// List only images that match all of these.
    pub filters: Vec<ImageFilter>,
    /// The order.
    pub sort: ImageSort,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageSort {
    /// The newest first.
    #[default]
    Created,
    /// By name, images without one last.
    Reference,
    /// The largest first.
    Size,
    /// By ID.
    Id,
}

/// The images of a store.
#[derive(Debug)]
pub struct ImageList {
    /// The images, each with the names that were asked for.
    pub images: Vec<ImageSummary>,
    /// The order that they are in.
    pub sort: ImageSort,
    /// Why there may be others as well: the catalogue is damaged, or has lost images.
    pub incomplete: Option<StoreError>,
}

/// Returns images of the store. What is damaged does not keep the others.
pub fn list(store: &Store, options: &ListOptions) -> Result<ImageList, StoreError> {
    let filters = Filters::new(store, &options.filters)?.named(&options.names);
    let (images, mut damaged) = store.sized_listing()?;
    let incomplete = match damaged.pop() {
        Some(row) => Some(row.into()),
        None => store
            .check_complete_with(images.iter().map(|(image, _)| image))
            .err(),
    };
    let mut listed = Vec::with_capacity(images.len());
    for (image, layers) in images {
        if let Some(references) = filters.matching(store, &image) {
            listed.push(ImageSummary {
                references,
                digest: image.digest,
                config_digest: image.config_digest,
                platform: image.platform,
                layer_count: layers.len(),
                size_bytes: total(layers.into_iter()),
                created_at: image.created_at,
            });
        }
    }
    match options.sort {
        // The catalogue has them in this order.
        ImageSort::Created => {}
        ImageSort::Reference => listed.sort_by_cached_key(|image| {
            let first = image.references.iter().map(Reference::familiar).min();
            (first.is_none(), first)
        }),
        ImageSort::Size => listed.sort_by_key(|image| Reverse(image.size_bytes)),
        ImageSort::Id => listed.sort_by_cached_key(|image| image.config_digest.to_string()),
    }
    Ok(ImageList {
        images: listed,
        sort: options.sort,
        incomplete,
    })
}

impl ImageList {
    /// Returns the lines of the list, in its order.
    pub fn rows(&self) -> Vec<ImageRow> {
        let mut rows: Vec<ImageRow> = self.images.iter().flat_map(ImageSummary::rows).collect();
        if self.sort == ImageSort::Reference {
            rows.sort_by_cached_key(|row| (row.reference == NO_REFERENCE, row.reference.clone()));
        }
        rows
    }
}

impl ImageSummary {
    /// Returns the lines of a list for this image: one for each reference, or one without any.
    pub fn rows(&self) -> Vec<ImageRow> {
        let row = |reference: String| ImageRow {
            architecture: self.platform.architecture.clone(),
            created_at: self.created_at.clone(),
            digest: self.digest.to_string(),
            id: self.config_digest.to_string(),
            layer_count: self.layer_count,
            os: self.platform.os.clone(),
            reference,
            size_bytes: self.size_bytes,
        };
        if self.references.is_empty() {
            vec![row(NO_REFERENCE.to_owned())]
        } else {
            self.references
                .iter()
                .map(|reference| row(reference.familiar()))
                .collect()
        }
    }
}

/// Returns the bytes of an image's layers as its manifest has them.
pub(super) fn size(image: &ImageRecord) -> u64 {
    total(image.layers.iter().map(|layer| layer.compressed_size))
}

fn total(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::tests::TestStore;

    #[test]
    fn a_list_has_a_line_for_each_reference_and_one_for_an_image_without() {
        let store = TestStore::new();
        store.add("old", &["a"], &["app"]);
        store.add("new", &["a", "b"], &["app", "ghcr.io/org/app:v1"]);
        let rows: Vec<ImageRow> = list(&store.store, &ListOptions::default())
            .unwrap()
            .images
            .iter()
            .flat_map(ImageSummary::rows)
            .collect();
        let references: Vec<&str> = rows.iter().map(|row| row.reference.as_str()).collect();
        assert_eq!(references, ["app:latest", "ghcr.io/org/app:v1", "<none>"]);
        assert_eq!(rows[0].size_bytes, 200);
        assert_eq!(rows[0].layer_count, 2);
        let json = serde_json::to_value(&rows[0]).unwrap();
        let mut keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(
            keys,
            [
                "architecture",
                "created_at",
                "digest",
                "id",
                "layer_count",
                "os",
                "reference",
                "size_bytes"
            ]
        );
        assert!(rows[0].created_at.parse::<jiff::Timestamp>().is_ok());
    }

    fn references(
        store: &TestStore,
        names: &[&str],
        filters: &[&str],
        sort: ImageSort,
    ) -> Vec<String> {
        let options = ListOptions {
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            filters: filters
                .iter()
                .map(|filter| filter.parse().unwrap())
                .collect(),
            sort,
        };
        let rows = list(&store.store, &options).unwrap().rows();
        rows.into_iter().map(|row| row.reference).collect()
    }

    #[test]
    fn names_and_filters_pick_images_and_the_names_that_are_shown() {
        let store = TestStore::new();
        store.add("first", &["a"], &["app:1", "zoo"]);
        store.add("second", &["a", "b"], &["app:2", "ghcr.io/org/app:2"]);
        store.add("third", &["c"], &[]);
        let listed = |names: &[&str], filters: &[&str]| {
            references(&store, names, filters, ImageSort::Created)
        };
        assert_eq!(listed(&["app"], &[]), ["app:2", "app:1"]);
        assert_eq!(
            listed(&["app:1", "ghcr.io/org/*"], &[]),
            ["ghcr.io/org/app:2", "app:1"]
        );
        assert_eq!(listed(&["nothing"], &[]), [""; 0]);
        assert_eq!(listed(&[], &["dangling=true"]), ["<none>"]);
        assert_eq!(listed(&["app"], &["dangling=true"]), [""; 0]);
        assert_eq!(listed(&[], &["dangling=true", "dangling=false"]), [""; 0]);
        assert_eq!(listed(&[], &["label=name=first"]), ["app:1", "zoo:latest"]);
        assert_eq!(listed(&[], &["label=name"]).len(), 5);
        assert_eq!(listed(&[], &["label=other"]), [""; 0]);
        assert_eq!(listed(&[], &["before=app:2"]), ["app:1", "zoo:latest"]);
        assert_eq!(listed(&[], &["since=app:1", "dangling=false"]).len(), 2);
        assert_eq!(listed(&[], &["since=app:1", "before=app:2"]), [""; 0]);
    }

    #[test]
    fn a_layer_whose_digest_is_damaged_is_told_and_keeps_no_other_image() {
        for column in ["diff_id", "chain", "blob_digest"] {
            let store = TestStore::new();
            let one = store.add("one", &["a"], &["one"]);
            store.add("two", &["b"], &["two"]);
            let catalogue = rusqlite::Connection::open(store.path("db/images.db")).unwrap();
            // What a disk does to bytes keeps to no rule of the schema.
            catalogue
                .pragma_update(None, "foreign_keys", false)
                .unwrap();
            catalogue
                .execute(
                    &format!("UPDATE msb_image_layer SET {column} = 'nonsense' WHERE image = ?1"),
                    [one.manifest_digest.to_string()],
                )
                .unwrap();
            let listed = list(&store.store, &ListOptions::default()).unwrap();
            assert_eq!(listed.images.len(), 1, "{column}");
            assert_eq!(listed.rows()[0].reference, "two:latest", "{column}");
            let incomplete = listed.incomplete.unwrap().to_string();
            assert!(incomplete.contains("one"), "{column}: {incomplete}");
        }
    }

    #[test]
    fn lists_have_the_order_that_was_asked_for() {
        let store = TestStore::new();
        store.add("first", &["a"], &["m", "z"]);
        store.add("second", &["a", "b"], &["n"]);
        store.add("third", &[], &[]);
        let listed = |sort| references(&store, &[], &[], sort);
        assert_eq!(
            listed(ImageSort::Created),
            ["<none>", "n:latest", "m:latest", "z:latest"]
        );
        assert_eq!(
            listed(ImageSort::Reference),
            ["m:latest", "n:latest", "z:latest", "<none>"]
        );
        assert_eq!(
            listed(ImageSort::Size),
            ["n:latest", "m:latest", "z:latest", "<none>"]
        );
    }

    #[test]
    fn a_store_without_images_gives_an_empty_list() {
        let list = list(&TestStore::new().store, &ListOptions::default());
        assert!(list.unwrap().images.is_empty());
    }
}
