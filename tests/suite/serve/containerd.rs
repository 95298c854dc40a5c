//! `store serve containerd`: the layout, against the rules of containerd's `layer_content_caches`, and
//! what goes and what stays. A containerd that is new enough is in no Debian, so its part is played by
//! the rules.

mod removal;
mod verity;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::mount::Mounted;
use crate::tests;

tests! {
    layers_lie_where_containerd_looks_and_take_no_room;
    what_is_served_can_be_mounted needs Root;
    serving_again_changes_nothing_and_adds_what_is_new;
    layers_that_depend_on_those_below_stay_out;
    a_layer_that_was_made_again_takes_its_name;
    what_others_have_laid_stays;
    on_another_filesystem_symbolic_links_keep_their_images needs Root;
    a_setting_keeps_a_directory_up_to_date;
    a_directory_that_cannot_be_served_does_not_keep_an_image_out;
    a_directory_of_another_user_is_not_served needs Root;
    two_who_serve_at_once_leave_one_whole_directory;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), removal::tests(), verity::tests()];
    tests.into_iter().flatten().collect()
}

const SNAPSHOTS: &str = "containerd/io.containerd.snapshotter.v1.erofs/snapshots";

/// Where containerd looks for a layer: `CacheBlobPath` of its `internal/erofsutils`.
fn cache_blob_path(cache: &Path, diff_id: &str) -> PathBuf {
    let (algorithm, encoded) = diff_id.split_once(':').unwrap();
    cache
        .join(algorithm)
        .join(&encoded[..2])
        .join(format!("{encoded}.erofs"))
}

fn load(env: &TestEnv, image: &Image) {
    env.write("in.tar", &image.docker());
    env.msb("load -q -i in.tar").success();
}

fn loaded(images: &[Image]) -> TestEnv {
    let env = TestEnv::new();
    for image in images {
        load(&env, image);
    }
    fs::create_dir_all(env.path(SNAPSHOTS)).unwrap();
    env
}

fn one() -> Image {
    Image::new("one:1", &["base = b", "etc/one = 1"])
}

fn two() -> Image {
    Image::new("two:1", &["base = b", "etc/two = 2", "base/.wh.x = "])
}

/// The layers of an image: their `diff_id`s and their files in the store.
fn layers(env: &TestEnv, image: &str) -> Vec<(String, PathBuf)> {
    let details = env.json(&format!("image inspect {image} --format json"));
    let layers = details["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| {
            let text = |key: &str| layer[key].as_str().unwrap().to_owned();
            (text("diff_id"), text("erofs_path").into())
        })
        .collect()
}

fn serve(env: &TestEnv, arguments: &str) -> Value {
    env.json(&format!(
        "store serve containerd cache --format json {arguments}"
    ))
}

fn prune(env: &TestEnv) -> Value {
    serve(env, "--prune --containerd-root containerd")
}

/// All files below a directory, but for the lock.
fn files(directory: &Path) -> BTreeSet<PathBuf> {
    walkdir::WalkDir::new(directory)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_type().is_dir() && entry.file_name() != ".msb.lock")
        .map(walkdir::DirEntry::into_path)
        .collect()
}

fn inode(path: &Path) -> (u64, u64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.dev(), metadata.ino())
}

fn layers_lie_where_containerd_looks_and_take_no_room() {
    let env = loaded(&[one(), two()]);
    let report = serve(&env, "");
    assert_eq!(
        (&report["added"], &report["present"]),
        (&json!(4), &json!(0))
    );
    let cache = env.path("cache");
    let mut expected = BTreeSet::new();
    for image in ["one:1", "two:1"] {
        for (diff_id, erofs) in layers(&env, image) {
            let path = cache_blob_path(&cache, &diff_id);
            assert_eq!(inode(&path), inode(&erofs), "{diff_id}");
            // What the snapshotter asks of a blob: whole blocks, and the magic number of EROFS.
            let bytes = fs::read(&path).unwrap();
            assert_eq!(bytes.len() % 4096, 0);
            assert_eq!(bytes[1024..1028], 0xe0f5_e1e2_u32.to_le_bytes());
            // containerd is root, and may run where others own the store.
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o444, 0o444);
            expected.insert(path);
        }
    }
    assert_eq!(files(&cache), expected);
    let named = loaded(&[one(), two()]);
    assert_eq!(serve(&named, "two:1")["added"], 3);
    named
        .msb("store serve containerd cache nothing:1")
        .failure(&["image not found: nothing:1"]);
}

fn what_is_served_can_be_mounted() {
    let env = loaded(&[one()]);
    serve(&env, "");
    for (diff_id, _) in layers(&env, "one:1") {
        let path = cache_blob_path(&env.path("cache"), &diff_id);
        // As containerd does it: through a symbolic link in the snapshot.
        let link = env.path("layer.erofs");
        symlink(&path, &link).unwrap();
        let mounted = Mounted::erofs(&link);
        assert!(fs::read_dir(mounted.path()).unwrap().next().is_some());
        fs::remove_file(link).unwrap();
    }
}

fn serving_again_changes_nothing_and_adds_what_is_new() {
    let env = loaded(&[one()]);
    let run = env.msb("store serve containerd cache").success();
    assert!(
        run.stderr.contains("Served       cache (2 layers, 2 new)"),
        "{run:?}"
    );
    let before: Vec<_> = files(&env.path("cache"))
        .iter()
        .map(|it| inode(it))
        .collect();
    let report = serve(&env, "");
    assert_eq!(
        (&report["added"], &report["present"]),
        (&json!(0), &json!(2))
    );
    let after: Vec<_> = files(&env.path("cache"))
        .iter()
        .map(|it| inode(it))
        .collect();
    assert_eq!(before, after);
    load(&env, &two());
    let report = serve(&env, "");
    assert_eq!(
        (&report["added"], &report["present"]),
        (&json!(2), &json!(2))
    );
}

fn layers_that_depend_on_those_below_stay_out() {
    let env = loaded(&[Image::new("app:1", &["first = f", "second => first"])]);
    let run = env.msb("store serve containerd cache").success();
    assert!(
        run.stderr
            .contains("not served, since they depend on the layers below: 1 layer;"),
        "{run:?}"
    );
    let report = serve(&env, "");
    let layers = layers(&env, "app:1");
    assert_eq!(report["dependent"], json!([layers[1].0]));
    let expected = [cache_blob_path(&env.path("cache"), &layers[0].0)];
    assert_eq!(files(&env.path("cache")), expected.into());
}

fn a_layer_that_was_made_again_takes_its_name() {
    let env = loaded(&[one()]);
    serve(&env, "");
    env.msb("rmi one:1").success();
    load(&env, &one());
    let report = serve(&env, "");
    assert_eq!(report["added"], 2);
    for (diff_id, erofs) in layers(&env, "one:1") {
        assert_eq!(
            inode(&cache_blob_path(&env.path("cache"), &diff_id)),
            inode(&erofs)
        );
    }
}

fn what_others_have_laid_stays() {
    let env = loaded(&[one()]);
    let (diff_id, _) = layers(&env, "one:1").remove(0);
    let path = cache_blob_path(&env.path("cache"), &diff_id);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "of another program").unwrap();
    let other = cache_blob_path(&env.path("cache"), &format!("sha256:{}", "ab".repeat(32)));
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "of another program").unwrap();
    let run = env.msb("store serve containerd cache").success();
    assert!(
        run.stderr.contains("was laid by another program"),
        "{run:?}"
    );
    env.msb("rmi one:1").success();
    assert_eq!(prune(&env)["removed"], 1);
    for path in [path, other] {
        assert_eq!(fs::read(path).unwrap(), b"of another program");
    }
}

fn on_another_filesystem_symbolic_links_keep_their_images() {
    let env = loaded(&[one()]);
    let elsewhere = Mounted::tmpfs(1 << 20);
    let cache = elsewhere.path().display();
    let serve = |more: &str| {
        env.json(&format!(
            "store serve containerd {cache} --format json {more}"
        ))
    };
    assert_eq!(serve("")["symlinks"], 2);
    assert_eq!(serve("")["present"], 2);
    let layers = layers(&env, "one:1");
    for (diff_id, erofs) in &layers {
        let path = cache_blob_path(elsewhere.path(), diff_id);
        assert_eq!(fs::read_link(path).unwrap(), *erofs);
    }
    // Nothing may take away what the links lead to.
    env.msb("rmi one:1")
        .failure(&["in use by sandbox containerd:"]);
    env.msb("image prune -y").success();
    env.msb("rmi --force one:1").success();
    env.msb("image prune -y").success();
    assert!(layers.iter().all(|(_, erofs)| erofs.exists()));
    let snapshot = env.path(SNAPSHOTS).join("17");
    fs::create_dir(&snapshot).unwrap();
    let referred = cache_blob_path(elsewhere.path(), &layers[0].0);
    symlink(&referred, snapshot.join("layer.erofs")).unwrap();
    let line = "--prune --containerd-root containerd";
    assert_eq!(serve(line)["removed"], 1);
    env.msb("image prune -y").success();
    assert!(referred.exists());
    fs::remove_dir_all(snapshot).unwrap();
    assert_eq!(serve(line)["removed"], 1);
    env.msb("image prune -y").success();
    assert!(layers.iter().all(|(_, erofs)| !erofs.exists()));
}

fn set(env: &TestEnv, directory: &Path) {
    let settings = json!({"store": {"serve": {"containerd": directory}}});
    env.write_settings(settings);
}

fn a_setting_keeps_a_directory_up_to_date() {
    let env = TestEnv::new();
    set(&env, &env.path("cache"));
    load(&env, &one());
    assert_eq!(files(&env.path("cache")).len(), 2);
    load(&env, &two());
    assert_eq!(files(&env.path("cache")).len(), 4);
    set(&env, Path::new("relative"));
    env.msb("load -i in.tar")
        .failure(&["`store.serve.containerd`: it is not an absolute path"]);
}

fn a_directory_that_cannot_be_served_does_not_keep_an_image_out() {
    let env = TestEnv::new();
    set(&env, &env.write("file", b"").join("below"));
    env.write("in.tar", &one().docker());
    let run = env.msb("load -i in.tar").success();
    assert!(
        run.stderr
            .contains("note: the layers are not served to containerd in `"),
        "{run:?}"
    );
    assert!(run.stderr.contains(": could not create `"), "{run:?}");
    env.msb("image inspect one:1").success();
}

fn two_who_serve_at_once_leave_one_whole_directory() {
    let env = loaded(&[one(), two()]);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| env.msb("store serve containerd cache").success());
        }
    });
    assert_eq!(files(&env.path("cache")).len(), 4);
    assert_eq!(serve(&env, "")["present"], 4);
}

fn a_directory_of_another_user_is_not_served() {
    const STRANGER: u32 = 65_534;
    let env = loaded(&[one()]);
    fs::set_permissions(env.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = env.command(["store", "serve", "containerd", "cache"]);
    Run::of(command.uid(STRANGER).gid(STRANGER)).failure(&[
        "Permission denied",
        "hint: run it as the owner of that directory, or choose another one",
    ]);
}
