//! Layers that are other ones over these layers than over any others: microsandbox has them by their chain
//! IDs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{
    all_names, app_record, assert_shows_an_overlay, details, inode, load, loaded, named, names,
    read_json, record, serve,
};
use crate::archive::Image;
use crate::env::TestEnv;
use crate::tests;

tests! {
    one_layer_over_two_others_is_served_as_two needs Root;
    a_layer_of_microsandbox_is_not_taken_for_one_over_others;
    files_of_dependent_layers_go_with_their_image;
    a_served_image_with_dependent_layers_is_adopted_only_while_msb_has_it;
}

const UPPER: &str = "second => first\ndir/new = n";

fn app() -> Image {
    Image::new("app:1", &["first = of the app\ndir/", UPPER])
}

fn other() -> Image {
    Image::new("other:1", &["first = of the other\ndir/", UPPER])
}

fn one_layer_over_two_others_is_served_as_two() {
    let env = loaded(&[app(), other()]);
    let report = serve(&env, "");
    assert_eq!(report["unserved"], json!([]), "{report}");
    assert_eq!(report["added"].as_array().unwrap().len(), 2, "{report}");
    let (ours, others) = (names(&env, "app:1").0, names(&env, "other:1").0);
    assert_ne!(ours[1], others[1]);
    let details = details(&env, "app:1");
    let layer = &details["layers"][1];
    let path = Path::new(layer["erofs_path"].as_str().unwrap());
    assert_eq!(inode(path), inode(&ours[1]));
    // By its own digest alone, nothing is there.
    let diff_id = layer["diff_id"].as_str().unwrap();
    assert!(!named(&env, "layers", diff_id, "erofs").exists());
    let recorded = read_json(&app_record(&env));
    assert_eq!(recorded["layers"][1]["diff_id"], layer["chain_id"]);
    assert_eq!(
        recorded["layers"][0]["diff_id"],
        details["layers"][0]["diff_id"]
    );
    for (image, contents) in [("app:1", "of the app"), ("other:1", "of the other")] {
        let shown = assert_shows_an_overlay(&env, image);
        assert!(shown.contains_key(Path::new("dir/new")));
        let read = env.msb(&format!("image cat {image} /second")).success();
        assert_eq!(read.stdout, contents);
    }
    let again = serve(&env, "");
    assert_eq!(
        (&again["added"], &again["layers_added"]),
        (&json!([]), &json!(0))
    );
    env.msb("image verify").success();
}

/// microsandbox has pulled the image itself: its merged filesystem lies over its own layer.
fn a_layer_of_microsandbox_is_not_taken_for_one_over_others() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let (layers, merged, disk) = names(&env, "app:1");
    let diff_id = details(&env, "app:1")["layers"][1]["diff_id"].clone();
    let theirs = named(&env, "layers", diff_id.as_str().unwrap(), "erofs");
    fs::copy(&layers[1], &theirs).unwrap();
    fs::remove_file(&layers[1]).unwrap();
    let mut bytes = fs::read(&merged).unwrap();
    // Its own has no names of devices.
    bytes[1152..1152 + 2 * 128].fill(0);
    fs::remove_file(&merged).unwrap();
    fs::write(&merged, &bytes).unwrap();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(&disk).unwrap();
    let text = text.replace(&name(&layers[1]), &name(&theirs));
    fs::write(&disk, &text).unwrap();
    fs::remove_file(app_record(&env)).unwrap();
    let report = serve(&env, "");
    assert_eq!(
        report["unserved"][0]["reason"], "foreign_layers",
        "{report}"
    );
    assert!(!app_record(&env).exists());
    assert_eq!(fs::read_to_string(&disk).unwrap(), text);
    assert_eq!(fs::read(&merged).unwrap(), bytes);
}

fn files_of_dependent_layers_go_with_their_image() {
    let env = loaded(&[app(), other()]);
    serve(&env, "");
    let ours = all_names(&env, "app:1", app_record(&env));
    let others = all_names(&env, "other:1", record(&env, "docker.io/library/other:1"));
    env.msb("rmi app:1").success();
    assert!(ours.iter().all(|path| path.exists()));
    serve(&env, "--prune");
    for path in &ours {
        assert!(!path.exists(), "{}", path.display());
    }
    assert!(others.iter().all(|path| path.exists()));
    env.msb("image verify").success();
    // What microsandbox removes is laid again.
    for path in &others {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(serve(&env, "")["added"], json!(["other:1"]));
    assert!(others.iter().all(|path| path.exists()));
}

fn adopted(env: &TestEnv) -> Value {
    env.json("image adopt --format json")
}

fn a_served_image_with_dependent_layers_is_adopted_only_while_msb_has_it() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let report = adopted(&env);
    assert_eq!(
        report["present"][0]["references"],
        json!(["app:1"]),
        "{report}"
    );
    assert_eq!(report["present"][0]["unproven"], json!([]));
    env.msb("image verify").success();
    env.msb("rmi app:1").success();
    let words = "it depends on the layers below, and only msb makes such layers";
    env.msb("image adopt app:1").failure(&[
        words,
        "hint: what microsandbox has of this image cannot be used: pull it with `msb pull`",
    ]);
    assert_eq!(env.references(), [""; 0]);
    load(&env, &app());
    env.msb("image verify").success();
}
