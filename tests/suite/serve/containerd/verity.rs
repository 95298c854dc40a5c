//! `store serve containerd --dm-verity`: copies of the layers with their hash trees.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{cache_blob_path, layers, loaded, one, prune, serve};
use crate::tests;

tests! {
    layers_with_hash_trees_are_copies_that_veritysetup_accepts needs Veritysetup;
}

fn layers_with_hash_trees_are_copies_that_veritysetup_accepts() {
    let env = loaded(&[one()]);
    let report = serve(&env, "--dm-verity");
    let layers = layers(&env, "one:1");
    assert_eq!(report["with_verity"], layers.len());
    let cache = env.path("cache");
    let verify = |path: &Path, sidecar: &Value| {
        Command::new("veritysetup")
            .arg("verify")
            .arg(format!("--hash-offset={}", sidecar["hashoffset"]))
            .args([path, path])
            .arg(sidecar["roothash"].as_str().unwrap())
            .output()
            .unwrap()
    };
    let mut written = 0;
    for (diff_id, erofs) in &layers {
        let path = cache_blob_path(&cache, diff_id);
        let beside = PathBuf::from(format!("{}.dmverity", path.display()));
        let text = fs::read(&beside).unwrap();
        let sidecar: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(sidecar.as_object().unwrap().len(), 2);
        let (own, laid) = (fs::read(erofs).unwrap(), fs::read(&path).unwrap());
        // The file of the store is as it was, and the copy begins with it.
        assert_eq!(fs::metadata(erofs).unwrap().nlink(), 1);
        assert_eq!(sidecar["hashoffset"], own.len());
        assert!(laid.starts_with(&own));
        assert!(laid[own.len()..].starts_with(b"verity\0\0"));
        let output = verify(&path, &sidecar);
        assert!(output.status.success(), "{output:?}");
        let mut flipped = laid.clone();
        flipped[own.len() / 2] ^= 1;
        env.write("flipped", &flipped);
        assert!(!verify(&env.path("flipped"), &sidecar).status.success());
        written += laid.len() + text.len();
    }
    assert_eq!(report["copied_bytes"], written);
    // The directory keeps to it, and what is there is not written again.
    for arguments in ["--dm-verity", ""] {
        let again = serve(&env, arguments);
        assert_eq!(again["present"], layers.len(), "{again}");
        assert_eq!(again["copied_bytes"], 0);
    }
    // What is not whole is written again.
    let path = cache_blob_path(&cache, &layers[0].0);
    let beside = PathBuf::from(format!("{}.dmverity", path.display()));
    fs::remove_file(&beside).unwrap();
    assert_eq!(serve(&env, "")["added"], 1);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(fs::metadata(&layers[0].1).unwrap().len())
        .unwrap();
    assert_eq!(serve(&env, "")["added"], 1);
    assert!(beside.exists());
    let said = env.msb("store serve containerd cache").success().stderr;
    assert!(
        said.contains("copies with hash trees: 2 layers, 0 B written"),
        "{said}"
    );
    env.msb("image verify").success();
    env.msb("rmi --quiet one:1").success();
    assert_eq!(prune(&env)["removed"], layers.len());
    assert!(!path.exists() && !beside.exists());
    // A directory with hard links becomes one with trees.
    let env = loaded(&[one()]);
    serve(&env, "");
    assert_eq!(serve(&env, "--dm-verity")["with_verity"], layers.len());
    let layers_again = self::layers(&env, "one:1");
    let (diff_id, erofs) = &layers_again[0];
    assert_eq!(fs::metadata(erofs).unwrap().nlink(), 1);
    assert!(
        fs::metadata(cache_blob_path(&env.path("cache"), diff_id))
            .unwrap()
            .len()
            > fs::metadata(erofs).unwrap().len()
    );
}
