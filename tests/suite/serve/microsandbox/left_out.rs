//! What is not served, and why: layers, images and names that stay as they are.

use std::fs;
use std::path::Path;

use msb_host::home::Home;
use msb_host::store::Store;
use serde_json::json;

use super::{app, app_record, details, inode, load, loaded, names, read_json, serve};
use crate::archive::{Image, other_architecture, sha256};
use crate::env::TestEnv;
use crate::tests;

tests! {
    what_its_reader_does_not_take_is_not_served;
    an_image_for_another_platform_or_without_a_name_is_not_served;
    files_of_microsandbox_stay_and_broken_ones_are_replaced;
    a_merged_filesystem_of_microsandbox_keeps_its_layers;
    a_name_of_microsandbox_for_another_image_stays;
    an_image_in_use_keeps_its_names_until_it_is_released;
    a_layer_that_is_missing_is_told;
}

/// A layer with an attribute of which microsandbox does not know the namespace.
pub(super) fn with_acl() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let acl: [u8; 28] = [
        2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 4, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0,
        255, 255, 255, 255,
    ];
    let name = "SCHILY.xattr.system.posix_acl_access";
    builder.append_pax_extensions([(name, &acl[..])]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    header.set_mode(0o644);
    header.set_mtime(0);
    builder.append_data(&mut header, "file", &[][..]).unwrap();
    builder.into_inner().unwrap()
}

fn what_its_reader_does_not_take_is_not_served() {
    let env = loaded(&[Image::of(
        "app:1",
        vec![crate::archive::layer("a = b"), with_acl()],
    )]);
    let report = serve(&env, "");
    assert_eq!(
        report["unserved"][0]["reason"], "unreadable_layers",
        "{report}"
    );
    let (layers, _, _) = names(&env, "app:1");
    assert!(layers[0].exists() && !layers[1].exists() && !app_record(&env).exists());
    env.msb("image verify").success();
}

fn an_image_for_another_platform_or_without_a_name_is_not_served() {
    let mut foreign = Image::new("foreign:1", &["a = 1"]);
    foreign.config["architecture"] = other_architecture().into();
    let env = TestEnv::new();
    env.write("in.tar", &foreign.docker());
    let platform = format!("linux/{}", other_architecture());
    env.msb(&format!("load -q -i in.tar --platform {platform}"))
        .success();
    load(&env, &Image::new("", &["b = 2"]));
    let report = serve(&env, "");
    let mut reasons: Vec<&str> = report["unserved"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["reason"].as_str().unwrap())
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["other_platform", "unnamed"]);
    assert_eq!(report["layers_added"], 0);
}

fn files_of_microsandbox_stay_and_broken_ones_are_replaced() {
    let env = loaded(&[app()]);
    // An image of its own for the bottom layer: whole, and not the same bytes.
    let other = loaded(&[Image::new("other:1", &["x = y"])]);
    let theirs = fs::read(
        details(&other, "other:1")["layers"][0]["erofs_path"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    let elsewhere = TestEnv::new();
    let line = format!("--home {}", elsewhere.home().display());
    let (layers, merged, _) = names(&env, "app:1");
    let at = |path: &Path| {
        elsewhere
            .home()
            .join(path.strip_prefix(env.home()).unwrap())
    };
    fs::create_dir_all(at(&layers[0]).parent().unwrap()).unwrap();
    fs::write(at(&layers[0]), &theirs).unwrap();
    fs::write(at(&layers[1]), b"broken").unwrap();
    let report = serve(&env, &line);
    let unserved = &report["unserved"][0];
    assert_eq!(unserved["reason"], "foreign_layers");
    assert_eq!(unserved["layers"].as_array().unwrap().len(), 1);
    assert_eq!(fs::read(at(&layers[0])).unwrap(), theirs);
    let ours = details(&env, "app:1")["layers"][1]["erofs_path"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(inode(&at(&layers[1])), inode(Path::new(&ours)));
    assert!(!at(&merged).exists() && !at(&app_record(&env)).exists());
    fs::remove_file(at(&layers[0])).unwrap();
    assert_eq!(serve(&env, &line)["added"], json!(["app:1"]));
    // In the home of another, ours keep their names.
    assert!(!ours.contains(".msb.erofs"));
}

/// A merged filesystem of its own addresses blocks in a layer of its own: another file must not get the
/// name, even if there is none.
fn a_merged_filesystem_of_microsandbox_keeps_its_layers() {
    let env = loaded(&[app()]);
    let elsewhere = TestEnv::new();
    let line = format!("--home {}", elsewhere.home().display());
    serve(&env, &line);
    let (layers, merged, _) = names(&env, "app:1");
    let at = |path: &Path| {
        elsewhere
            .home()
            .join(path.strip_prefix(env.home()).unwrap())
    };
    // Its own has no names of devices.
    let mut bytes = fs::read(at(&merged)).unwrap();
    bytes[1152..1152 + 64].fill(0);
    fs::remove_file(at(&merged)).unwrap();
    fs::write(at(&merged), &bytes).unwrap();
    fs::remove_file(at(&layers[0])).unwrap();
    let report = serve(&env, &line);
    assert_eq!(report["unserved"][0]["reason"], "foreign_layers");
    assert!(!at(&layers[0]).exists());
    assert_eq!(fs::read(at(&merged)).unwrap(), bytes);
}

fn a_name_of_microsandbox_for_another_image_stays() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let mut theirs = read_json(&app_record(&env));
    theirs["manifest_digest"] = json!(sha256(b"another"));
    theirs.as_object_mut().unwrap().remove("msb");
    let bytes = theirs.to_string().into_bytes();
    fs::write(app_record(&env), &bytes).unwrap();
    let run = env.msb("store serve microsandbox").success();
    let told = "not served: app:1: microsandbox uses the name for another image";
    assert!(run.stderr.contains(told), "{run:?}");
    assert_eq!(fs::read(app_record(&env)).unwrap(), bytes);
    // What it would not read it would not use.
    fs::write(app_record(&env), "{").unwrap();
    assert_eq!(serve(&env, "")["added"], json!(["app:1"]));
}

fn an_image_in_use_keeps_its_names_until_it_is_released() {
    let env = loaded(&[app()]);
    let store = Store::open(&Home::at(env.home())).unwrap();
    store.use_image("my-sandbox", "app:1").unwrap();
    let path = details(&env, "app:1")["layers"][0]["erofs_path"].clone();
    let run = env.msb("store serve microsandbox").success();
    assert!(run.stderr.contains("in use by my-sandbox"), "{run:?}");
    assert_eq!(details(&env, "app:1")["layers"][0]["erofs_path"], path);
    store.release("my-sandbox").unwrap();
    assert_eq!(serve(&env, "")["added"], json!(["app:1"]));
    // From then on its names need not change.
    store.use_image("my-sandbox", "app:1").unwrap();
    assert_eq!(serve(&env, "")["present"], json!(["app:1"]));
}

fn a_layer_that_is_missing_is_told() {
    let env = loaded(&[app()]);
    let path = details(&env, "app:1")["layers"][1]["erofs_path"].clone();
    fs::remove_file(path.as_str().unwrap()).unwrap();
    let report = serve(&env, "");
    assert_eq!(report["unserved"][0]["reason"], "missing_layers");
    assert!(!app_record(&env).exists());
    load(&env, &app());
    assert_eq!(serve(&env, "")["added"], json!(["app:1"]));
}
