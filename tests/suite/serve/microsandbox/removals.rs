//! What goes when an image is removed by one of the two programs, and what the other one keeps.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{
    LAYERS, all_names, app, app_record, cache, details, load, loaded, names, read_json, serve,
};
use crate::archive::Image;
use crate::env::TestEnv;
use crate::tests;

tests! {
    what_microsandbox_removes_is_not_lost;
    names_go_with_the_image_unless_microsandbox_has_it;
    removals_of_msb_leave_what_microsandbox_has;
    a_merged_filesystem_of_microsandbox_is_not_taken_for_ours;
}

fn what_microsandbox_removes_is_not_lost() {
    let env = loaded(&[app()]);
    serve(&env, "");
    for name in all_names(&env, "app:1", app_record(&env)) {
        fs::remove_file(name).unwrap();
    }
    let report = env.json("image verify --format json");
    assert_eq!(report["images"][0]["sound"], true, "{report}");
    env.msb("save -q -o out.tar app:1").success();
    let other = TestEnv::new();
    other.write("out.tar", &fs::read(env.path("out.tar")).unwrap());
    other.msb("load -q -i out.tar").success();
    assert_eq!(details(&other, "app:1")["id"], app().id());
    let report = serve(&env, "");
    assert_eq!(
        (&report["added"], &report["layers_added"]),
        (&json!(["app:1"]), &json!(2))
    );
    env.msb("image verify").success();
}

fn names_go_with_the_image_unless_microsandbox_has_it() {
    let other = Image::new("other:1", &[LAYERS[0]]);
    let env = loaded(&[app(), other]);
    serve(&env, "");
    let all = all_names(&env, "app:1", app_record(&env));
    env.msb("rmi app:1").success();
    assert!(all.iter().all(|path| path.exists()), "rmi leaves them");
    env.msb("image prune -y").success();
    assert!(all.iter().all(|path| path.exists()), "prune leaves them");
    // microsandbox has taken it into its database.
    let database = env.home().join("db/msb.db");
    let manifest = read_json(&app_record(&env))["manifest_digest"].clone();
    let sql = format!(
        "DROP VIEW IF EXISTS msb_meta; CREATE TABLE manifest (id INTEGER, digest TEXT);
        INSERT INTO manifest VALUES (1, '{}')",
        manifest.as_str().unwrap()
    );
    let theirs = rusqlite::Connection::open(&database).unwrap();
    theirs.execute_batch(&sql).unwrap();
    let report = serve(&env, "--prune");
    assert!(
        report["kept"]
            .as_array()
            .unwrap()
            .contains(&json!("docker.io/library/app:1"))
    );
    assert!(all.iter().all(|path| path.exists()));
    theirs.execute_batch("DELETE FROM manifest").unwrap();
    drop(theirs);
    serve(&env, "--prune");
    // The image `other:1` has gone with the prune as well, and so have all layers.
    for path in all {
        assert!(!path.exists(), "{}", path.display());
    }
    for entry in cache(&env).join("layers").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let end = path.extension().and_then(|end| end.to_str());
        assert!(!["erofs", "recipe"].contains(&end.unwrap_or_default()));
    }
}

fn removals_of_msb_leave_what_microsandbox_has() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let (layers, _, disk) = names(&env, "app:1");
    env.msb("rmi app:1").success();
    let raw: Vec<u8> = fs::read_to_string(&disk)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("RW "))
        .flat_map(|line| fs::read(disk.with_file_name(line.split('"').nth(1).unwrap())).unwrap())
        .collect();
    assert!(!raw.is_empty());
    // Made again, the layers take their own names, and the others still lead to good files.
    load(&env, &app());
    let again = details(&env, "app:1");
    for (layer, name) in again["layers"].as_array().unwrap().iter().zip(&layers) {
        let ours = Path::new(layer["erofs_path"].as_str().unwrap());
        assert_ne!(ours, name);
        assert_eq!(fs::read(ours).unwrap(), fs::read(name).unwrap());
    }
    env.msb("image verify").success();
}

fn a_merged_filesystem_of_microsandbox_is_not_taken_for_ours() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let (_, merged, _) = names(&env, "app:1");
    fs::remove_file(&merged).unwrap();
    fs::write(&merged, b"of microsandbox").unwrap();
    env.msb("image verify --repair").success();
    assert_eq!(fs::read(&merged).unwrap(), b"of microsandbox");
    // The pair of a merged filesystem of another program and a disk is not taken away.
    env.msb("rmi app:1").success();
    serve(&env, "--prune");
    assert_eq!(fs::read(&merged).unwrap(), b"of microsandbox");
}
