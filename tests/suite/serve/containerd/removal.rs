//! Which names go, and which stay because containerd refers to them.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::{SNAPSHOTS, cache_blob_path, files, layers, loaded, one, prune, serve, two};
use crate::mount::Mounted;
use crate::tests;

tests! {
    names_outlive_the_image_and_go_when_containerd_has_let_go;
    what_containerd_refers_to_is_not_removed;
    without_a_containerd_nothing_is_removed;
    a_mounted_layer_is_not_removed needs Root;
}

fn names_outlive_the_image_and_go_when_containerd_has_let_go() {
    let env = loaded(&[one(), two()]);
    serve(&env, "");
    let names = files(&env.path("cache"));
    env.msb("rmi one:1").success();
    env.msb("image prune -y").success();
    assert_eq!(files(&env.path("cache")), names);
    assert_eq!(serve(&env, "")["removed"], 0);
    assert_eq!(files(&env.path("cache")), names);
    let report = prune(&env);
    assert_eq!(
        (&report["removed"], &report["kept"]),
        (&json!(4), &json!([]))
    );
    assert!(files(&env.path("cache")).is_empty());
}

fn what_containerd_refers_to_is_not_removed() {
    let env = loaded(&[one()]);
    serve(&env, "");
    let layers = layers(&env, "one:1");
    let cache = env.path("cache").canonicalize().unwrap();
    let path = cache_blob_path(&cache, &layers[0].0);
    let snapshot = env.path(SNAPSHOTS).join("17");
    fs::create_dir(&snapshot).unwrap();
    symlink(&path, snapshot.join("layer.erofs")).unwrap();
    env.msb("rmi one:1").success();
    let report = prune(&env);
    assert_eq!(report["removed"], 1);
    assert_eq!(report["kept"], json!([path]));
    assert_eq!(files(&cache), [path.clone()].into());
    // Its snapshotter alone can be named as well.
    let line = "--prune --containerd-root containerd/io.containerd.snapshotter.v1.erofs";
    assert_eq!(serve(&env, line)["kept"], json!([path]));
    fs::remove_dir_all(snapshot).unwrap();
    assert_eq!(prune(&env)["removed"], 1);
    assert!(files(&cache).is_empty());
}

fn without_a_containerd_nothing_is_removed() {
    let env = loaded(&[one()]);
    serve(&env, "");
    let names = files(&env.path("cache"));
    env.msb("rmi one:1").success();
    fs::create_dir(env.path("other")).unwrap();
    for root in ["nothing", "other"] {
        env.msb(&format!(
            "store serve containerd cache --prune --containerd-root {root}"
        ))
        .failure(&[
            "is not the state of a containerd",
            "hint: name the `root` of containerd's configuration with --containerd-root",
        ]);
    }
    assert_eq!(files(&env.path("cache")), names);
    // What the hint says helps.
    assert_eq!(prune(&env)["removed"], 2);
}

fn a_mounted_layer_is_not_removed() {
    let env = loaded(&[one()]);
    serve(&env, "");
    let path = cache_blob_path(&env.path("cache"), &layers(&env, "one:1")[0].0);
    let mounted = Mounted::erofs(&path);
    env.msb("rmi one:1").success();
    assert_eq!(prune(&env)["kept"].as_array().unwrap().len(), 1);
    assert!(path.exists());
    drop(mounted);
    assert_eq!(prune(&env)["removed"], 1);
}
