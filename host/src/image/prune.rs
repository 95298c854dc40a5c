//! `image prune`: every image that no sandbox uses, then what is left over on disk.

use serde::Serialize;

use crate::context::Context;
use crate::store::{Store, StoreError};

/// How to prune.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Only say what would be removed.
    pub dry_run: bool,
}

/// What was removed, or would be. Its JSON form is part of the command line's contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// References to the images.
    pub image_refs_removed: usize,
    /// Images.
    pub manifests_removed: usize,
    /// Layers, among them those of crashed operations.
    pub layers_removed: usize,
    /// Merged root filesystems.
    pub fsmeta_removed: usize,
    /// Descriptors of virtual disks.
    pub vmdk_removed: usize,
    /// Bytes of disk, those of documents and of crashed operations included.
    pub bytes_reclaimed: u64,
    /// Images that are in use and stay.
    pub skipped_in_use: usize,
}

/// Removes every image that no sandbox uses, and then what no image needs: layers, documents and
/// merged filesystems, and what killed processes left behind. Loads and pulls may go on; what they need
/// stays. Waits its turn to remove files, and says so through `progress`.
pub fn prune(
    store: &Store,
    options: PruneOptions,
    context: &Context,
) -> Result<PruneReport, StoreError> {
    let collected = store.prune(options.dry_run, context.progress.as_ref(), &context.cancel)?;
    Ok(PruneReport {
        image_refs_removed: collected.references,
        manifests_removed: collected.images,
        layers_removed: collected.layers,
        fsmeta_removed: collected.fsmeta,
        vmdk_removed: collected.vmdk,
        bytes_reclaimed: collected.bytes,
        skipped_in_use: collected.in_use,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::cancel::Cancel;
    use crate::digest::Digest;
    use crate::store::tests::{TestStore, stage};

    fn run(store: &TestStore, dry_run: bool) -> PruneReport {
        let options = PruneOptions { dry_run };
        prune(&store.store, options, &Context::default()).unwrap()
    }

    /// Files of every kind that nothing needs, beside images used and not used.
    fn littered() -> TestStore {
        let store = TestStore::new();
        store.add("used", &["a", "shared"], &["used"]);
        store.store.use_image("devbox", "used").unwrap();
        store.add("unused", &["b", "shared"], &["unused", "unused:1"]);
        store.add("dangling", &["c"], &[]);
        let staging = store.store.staging(&Cancel::default()).unwrap();
        store
            .store
            .publish(&[stage(&staging, "published, not recorded")], false)
            .unwrap();
        let nobody = Digest::of(b"nobody").file_stem();
        for (directory, name) in [
            ("cache/layers", format!("{nobody}.erofs")),
            ("cache/blobs", nobody.clone()),
            ("cache/fsmeta", format!("{nobody}.erofs")),
            ("cache/vmdk", format!("{nobody}.vmdk")),
            ("cache/tmp/4194304-killed/layer-x", "erofs".to_owned()),
        ] {
            std::fs::create_dir_all(store.path(directory)).unwrap();
            std::fs::write(store.path(directory).join(name), "x").unwrap();
        }
        store
    }

    #[test]
    fn what_no_sandbox_uses_goes_and_what_one_uses_stays() {
        let store = littered();
        let report = run(&store, false);
        assert_eq!(
            PruneReport {
                bytes_reclaimed: 0,
                ..report
            },
            PruneReport {
                image_refs_removed: 2,
                manifests_removed: 2,
                layers_removed: 4,
                fsmeta_removed: 1,
                vmdk_removed: 1,
                bytes_reclaimed: 0,
                skipped_in_use: 1,
            }
        );
        assert_eq!(store.store.images().unwrap().len(), 1);
        assert!(super::super::inspect(&store.store, "used").is_ok());
        assert_eq!(store.names("cache/layers").len(), 4);
        assert_eq!(store.names("cache/blobs").len(), 2);
        for directory in ["cache/fsmeta", "cache/vmdk", "cache/tmp"] {
            assert!(store.names(directory).is_empty(), "{directory}");
        }
    }

    #[test]
    fn a_dry_run_says_the_same_and_removes_nothing() {
        let store = littered();
        let files = || {
            walkdir::WalkDir::new(store.path("cache"))
                .into_iter()
                .map(|entry| entry.unwrap().into_path())
                .collect::<std::collections::BTreeSet<_>>()
        };
        let before = files();
        let rehearsal = run(&store, true);
        assert_eq!(files(), before);
        assert_eq!(store.store.images().unwrap().len(), 3);
        assert_eq!(run(&store, false), rehearsal);
    }

    #[test]
    fn bytes_are_those_that_the_disk_gets_back() {
        let store = littered();
        let before = store.disk_size("cache");
        let report = run(&store, false);
        assert_eq!(report.bytes_reclaimed, before - store.disk_size("cache"));
    }

    #[test]
    fn a_second_prune_finds_nothing() {
        let store = littered();
        run(&store, false);
        let report = run(&store, false);
        let nothing = PruneReport {
            skipped_in_use: 1,
            ..PruneReport::default()
        };
        assert_eq!(report, nothing);
    }

    #[test]
    fn of_compiled_plugins_only_what_no_msb_will_use_goes() {
        let store = TestStore::new();
        std::fs::create_dir_all(store.path("cache/plugins/modules/wasmtime-1")).unwrap();
        for name in [
            "key",
            "aa-bb.compiled",
            ".compiling-Xa2b",
            ".msb-new-Xa2b",
            "modules/wasmtime-1/mod",
            "notes",
        ] {
            std::fs::write(store.path("cache/plugins").join(name), "x").unwrap();
        }
        let before = store.disk_size("cache");
        let report = run(&store, false);
        let left = store.names("cache/plugins");
        assert_eq!(left, ["aa-bb.compiled", "key", "notes"]);
        assert_eq!(report.bytes_reclaimed, before - store.disk_size("cache"));
    }

    #[test]
    fn what_the_store_did_not_name_is_not_its_garbage() {
        let store = TestStore::new();
        store.add("app", &["a"], &["app"]);
        for path in [
            "cache/layers/notes.erofs",
            "cache/layers/README",
            "cache/blobs/notes",
            "cache/fsmeta.erofs",
            "cache/tmp/file",
            "cache/plugins-list",
        ] {
            std::fs::write(store.path(path), "x").unwrap();
        }
        std::fs::create_dir(store.path("cache/tmp/digest.work")).unwrap();
        run(&store, false);
        assert_eq!(store.names("cache/layers"), ["README", "notes.erofs"]);
        assert_eq!(store.names("cache/blobs"), ["notes"]);
        assert_eq!(store.names("cache/tmp"), ["digest.work", "file"]);
    }
}
