//! `rmi`: a reference, and with the last one the image and the layers that no other image has.

use crate::digest::Digest;
use crate::reference::Reference;
use crate::store::{Store, StoreError};

/// How to remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Remove an image although sandboxes use it, or although it was named by its ID and has
    /// several references.
    pub force: bool,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// References that lead nowhere now.
    pub untagged: Vec<Reference>,
    /// The manifest digest of the image, if it was removed and not just one of its references.
    pub image: Option<Digest>,
    /// Layers that were removed.
    pub layers: usize,
    /// Bytes of disk that were freed; `None` when another msb was using the store, and the files
    /// wait for the next prune.
    pub bytes: Option<u64>,
    /// The sandboxes that used the image when it was removed by force. Its files stay until these
    /// have released it and a prune finds them.
    pub users: Vec<String>,
}

/// Removes what `selector` names.
///
/// # Errors
/// [`StoreError::InUse`] for the last reference to an image that sandboxes use, and
/// [`StoreError::SeveralReferences`] for an image that was named by its ID; neither with
/// [`RemoveOptions::force`].
pub fn remove(
    store: &Store,
    selector: &str,
    options: RemoveOptions,
) -> Result<Removed, StoreError> {
    let forgotten = store.forget(selector, options.force)?;
    let (layers, bytes) = match &forgotten.image {
        Some(image) if forgotten.users.is_empty() => match store.collect(image)? {
            Some(collected) => (collected.layers, Some(collected.bytes + forgotten.bytes)),
            None => (0, None),
        },
        _ => (0, Some(0)),
    };
    Ok(Removed {
        untagged: forgotten.untagged,
        image: forgotten.digest,
        layers,
        bytes,
        users: forgotten.users,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::cancel::Cancel;
    use crate::context::Context;
    use crate::progress::Silent;
    use crate::store::tests::{TestStore, key, layer_file, parsed};

    const FORCE: RemoveOptions = RemoveOptions { force: true };

    fn remove(store: &TestStore, selector: &str) -> Result<Removed, StoreError> {
        super::remove(&store.store, selector, RemoveOptions::default())
    }

    #[test]
    fn of_several_references_only_the_one_that_is_named_goes() {
        let store = TestStore::new();
        store.add("app", &["a"], &["app", "app:1"]);
        // Even if the image is in use: it stays.
        store.store.use_image("devbox", "app").unwrap();
        let removed = remove(&store, "app").unwrap();
        assert_eq!(removed.untagged, parsed(&["app"]));
        assert_eq!(removed.image, None);
        assert_eq!(removed.bytes, Some(0));
        assert!(store.store.find("app:1").is_ok());
        assert!(store.store.find("app").is_err());
    }

    #[test]
    fn with_the_last_reference_go_the_image_and_the_layers_that_no_other_has() {
        let store = TestStore::new();
        let image = store.add("one", &["a", "shared"], &["one"]);
        store.add("two", &["shared"], &["two"]);
        let before = store.disk_size("cache");
        let removed = remove(&store, "one").unwrap();
        assert_eq!(removed.untagged, parsed(&["one"]));
        assert_eq!(removed.image, Some(image.manifest_digest.clone()));
        assert_eq!(removed.layers, 1);
        assert_eq!(removed.bytes, Some(before - store.disk_size("cache")));
        assert_eq!(
            store.names("cache/layers"),
            [
                layer_file("shared", "erofs"),
                layer_file("shared", "recipe")
            ]
        );
        assert_eq!(store.names("cache/blobs").len(), 2);
        assert!(
            !store
                .names("cache/blobs")
                .contains(&image.manifest_digest.file_stem())
        );
    }

    #[test]
    fn a_configuration_that_another_image_has_stays() {
        let store = TestStore::new();
        let image = store.add("one", &[], &["one"]);
        let mut other = image.clone();
        other.manifest = b"other".to_vec();
        other.manifest_digest = Digest::of(b"other");
        store.store.record(&other, &parsed(&["two"])).unwrap();
        remove(&store, "one").unwrap();
        assert!(super::super::inspect(&store.store, "two").is_ok());
    }

    #[test]
    fn an_image_with_several_references_is_not_removed_by_its_id_unless_forced() {
        let store = TestStore::new();
        let image = store.add("app", &["a"], &["app", "app:1"]);
        let id = image.config_digest.short();
        let error = remove(&store, id).unwrap_err();
        assert!(
            matches!(&error, StoreError::SeveralReferences { references, .. }
                if references == &["app:1", "app:latest"]),
            "{error}"
        );
        assert_eq!(store.store.images().unwrap().len(), 1);
        let removed = super::remove(&store.store, id, FORCE).unwrap();
        assert_eq!(removed.untagged.len(), 2);
        assert!(store.names("cache/layers").is_empty());
    }

    #[test]
    fn an_image_without_references_is_removed_by_its_id() {
        let store = TestStore::new();
        let image = store.add("app", &["a"], &[]);
        let removed = remove(&store, &image.manifest_digest.to_string()).unwrap();
        assert_eq!(removed.image, Some(image.manifest_digest));
        assert!(store.names("cache/layers").is_empty());
    }

    #[test]
    fn an_image_in_use_is_removed_only_by_force_and_keeps_its_files_until_released() {
        let store = TestStore::new();
        let image = store.add("app", &["a"], &["app"]);
        store.store.use_image("devbox", "app").unwrap();
        let error = remove(&store, "app").unwrap_err();
        assert!(
            matches!(&error, StoreError::InUse { sandboxes, .. } if sandboxes == &["devbox"]),
            "{error}"
        );
        let removed = super::remove(&store.store, "app", FORCE).unwrap();
        assert_eq!(removed.image, Some(image.manifest_digest.clone()));
        assert_eq!(removed.users, ["devbox"]);
        assert!(store.store.images().unwrap().is_empty());
        assert!(
            store
                .store
                .find(&image.manifest_digest.to_string())
                .is_err()
        );
        assert_eq!(store.names("cache/layers").len(), 2);
        assert!(store.store.layer(&key("a")).unwrap().is_some());
        let prune = || {
            let options = super::super::PruneOptions::default();
            super::super::prune(&store.store, &options, &Context::default()).unwrap()
        };
        prune();
        assert_eq!(store.names("cache/layers").len(), 2);
        assert_eq!(store.store.release("devbox").unwrap(), 1);
        prune();
        assert!(store.names("cache/layers").is_empty());
    }

    #[test]
    fn an_image_that_was_removed_by_force_comes_back_when_it_is_loaded_again() {
        let store = TestStore::new();
        store.add("app", &["a"], &["app"]);
        store.store.use_image("devbox", "app").unwrap();
        super::remove(&store.store, "app", FORCE).unwrap();
        let image = store.add("app", &["a"], &["app:2"]);
        assert_eq!(
            store.store.find("app:2").unwrap().image.digest,
            image.manifest_digest
        );
        assert_eq!(
            store.store.users(&image.manifest_digest).unwrap(),
            ["devbox"]
        );
    }

    #[test]
    fn files_wait_for_the_next_prune_while_somebody_uses_the_store() {
        let store = TestStore::new();
        store.add("app", &["a"], &["app"]);
        let other = store.again();
        let lease = other.lease(&Silent, &Cancel::default()).unwrap();
        let removed = remove(&store, "app").unwrap();
        assert!(removed.image.is_some());
        assert_eq!(removed.bytes, None);
        assert_eq!(store.names("cache/layers").len(), 2);
        drop(lease);
        let options = super::super::PruneOptions::default();
        let report = super::super::prune(&store.store, &options, &Context::default()).unwrap();
        assert_eq!(report.layers_removed, 1);
        assert!(store.names("cache/layers").is_empty());
    }

    #[test]
    fn removing_one_image_leaves_the_garbage_of_others_alone() {
        let store = TestStore::new();
        store.add("app", &["a"], &["app"]);
        let staging = store.store.staging(&Cancel::default()).unwrap();
        let staged = crate::store::tests::stage(&staging, "unrecorded");
        store.store.publish(&[staged], false).unwrap();
        drop(staging);
        let removed = remove(&store, "app").unwrap();
        assert_eq!(removed.layers, 1);
        assert_eq!(store.names("cache/layers").len(), 2);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let error = remove(&TestStore::new(), "app").unwrap_err();
        assert!(matches!(error, StoreError::NotFound(_)), "{error}");
    }
}
