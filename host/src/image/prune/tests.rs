use super::*;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::store::tests::{TestStore, stage};

fn run(store: &TestStore, dry_run: bool) -> PruneReport {
    let options = PruneOptions {
        dry_run,
        ..PruneOptions::default()
    };
    with(store, &options)
}

fn with(store: &TestStore, options: &PruneOptions) -> PruneReport {
    prune(&store.store, options, &Context::default()).unwrap()
}

/// Files of every kind that nothing needs, next to images that are used and not used.
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
    let unknown = Digest::of(b"unknown").file_stem();
    for (directory, name) in [
        ("cache/layers", format!("{unknown}.erofs")),
        ("cache/blobs", unknown.clone()),
        ("cache/fsmeta", format!("{unknown}.erofs")),
        ("cache/vmdk", format!("{unknown}.vmdk")),
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
            removed: Vec::new(),
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
            removed: Vec::new(),
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

/// Three images with names in two repositories, and one without; the first is in use.
fn stocked() -> TestStore {
    let store = TestStore::new();
    store.add("one", &["a", "shared"], &["app:1", "other:1"]);
    store.add("two", &["b", "shared"], &["app:2"]);
    store.add("three", &["c"], &["app:3", "ghcr.io/org/app:3"]);
    store.add("none", &["d"], &[]);
    store
}

/// The images that were not used since then, by their numbers of hours.
fn age(store: &TestStore, image: &str, hours: u64) {
    let digest = store.store.find(image).unwrap().image.digest;
    let path = store
        .path("cache/sidecars")
        .join(format!("{}.json", digest.file_stem()));
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let then = std::time::SystemTime::now() - Duration::from_hours(hours);
    file.set_modified(then).unwrap();
}

fn names(store: &TestStore) -> Vec<String> {
    let images = store.store.images().unwrap();
    let names = images
        .iter()
        .flat_map(|image| match image.references.as_slice() {
            [] => vec!["<none>".to_owned()],
            names => names.iter().map(Reference::familiar).collect(),
        });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Prunes, after a dry run that says the same to the byte.
#[track_caller]
fn exactly(store: &TestStore, options: &PruneOptions) -> PruneReport {
    let would = with(
        store,
        &PruneOptions {
            dry_run: true,
            ..options.clone()
        },
    );
    let before = store.disk_size("cache");
    let report = with(store, options);
    assert_eq!(report, would);
    assert_eq!(report.bytes_reclaimed, before - store.disk_size("cache"));
    report
}

fn filtered(filter: &str) -> PruneOptions {
    PruneOptions {
        filters: vec![filter.parse().unwrap()],
        ..PruneOptions::default()
    }
}

#[test]
fn of_dangling_images_alone_the_others_keep_their_layers() {
    let store = stocked();
    let report = exactly(&store, &filtered("dangling=true"));
    assert_eq!((report.manifests_removed, report.layers_removed), (1, 1));
    assert!(report.removed[0].starts_with("sha256:"), "{report:?}");
    assert_eq!(
        names(&store),
        ["app:1", "app:2", "app:3", "ghcr.io/org/app:3", "other:1"]
    );
    assert_eq!(
        exactly(&store, &filtered("dangling=true")),
        PruneReport::default()
    );
}

#[test]
fn a_name_that_matches_goes_and_with_the_last_one_the_image() {
    let store = stocked();
    let report = exactly(&store, &filtered("reference=app"));
    assert_eq!(report.removed, ["app:2", "app:3", "app:1"]);
    assert_eq!(
        (report.image_refs_removed, report.manifests_removed),
        (3, 1)
    );
    assert_eq!(names(&store), ["<none>", "ghcr.io/org/app:3", "other:1"]);
    let report = exactly(&store, &filtered("label=name=one"));
    assert_eq!(report.removed, ["other:1"]);
}

#[test]
fn what_was_used_lately_stays() {
    let store = stocked();
    age(&store, "app:1", 50);
    age(&store, "app:2", 20);
    let day = PruneOptions {
        unused_for: Some(Duration::from_hours(24)),
        ..PruneOptions::default()
    };
    // To be inspected is to be used.
    age(&store, "app:3", 100);
    super::super::inspect(&store.store, "app:3").unwrap();
    let report = exactly(&store, &day);
    assert_eq!(report.removed, ["app:1", "other:1"]);
    age(&store, "app:2", 30);
    store.store.use_image("devbox", "app:2").unwrap();
    age(&store, "app:2", 30);
    let report = exactly(&store, &day);
    assert_eq!((report.manifests_removed, report.skipped_in_use), (0, 1));
}

#[test]
fn so_many_names_of_a_repository_stay() {
    let store = stocked();
    let keep = |keep| PruneOptions {
        keep: Some(keep),
        ..PruneOptions::default()
    };
    let report = exactly(&store, &keep(2));
    // app:1 goes; its image is kept by the only name of another repository.
    assert_eq!(report.removed.last().unwrap(), "app:1");
    assert_eq!(report.image_refs_removed, 1);
    assert_eq!(
        names(&store),
        ["app:2", "app:3", "ghcr.io/org/app:3", "other:1"]
    );
    exactly(&store, &keep(1));
    assert_eq!(names(&store), ["app:3", "ghcr.io/org/app:3", "other:1"]);
    exactly(&store, &keep(0));
    assert_eq!(names(&store), [""; 0]);
}

#[test]
fn the_least_used_go_until_the_rest_fits() {
    let store = stocked();
    for (image, hours) in [("app:2", 5), ("app:1", 4), ("app:3", 3)] {
        age(&store, image, hours);
    }
    let all = store.store.stock().unwrap().bytes();
    let most = |bytes| PruneOptions {
        max_bytes: Some(bytes),
        ..PruneOptions::default()
    };
    assert_eq!(exactly(&store, &most(all)), PruneReport::default());
    let report = exactly(&store, &most(all - 1));
    assert_eq!(report.removed, ["app:2"]);
    // What it shared with another image has not gone.
    assert_eq!(report.layers_removed, 1);
    store.store.use_image("devbox", "app:1").unwrap();
    exactly(&store, &most(0));
    assert_eq!(names(&store), ["app:1", "other:1"]);
    assert!(store.store.stock().unwrap().bytes() > 0);
}
