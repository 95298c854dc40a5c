//! `store serve microsandbox`: the files, byte by byte as microsandbox keeps them, and what goes and what
//! stays. The part of microsandbox is played by its rules; `incumbent` has microsandbox itself.

mod dependent;
mod failures;
mod left_out;
mod removals;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::archive::{Image, hex, sha256};
use crate::env::TestEnv;
use crate::mount::{Mounted, Nodes, assert_same, nodes};
use crate::tests;

pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        tests(),
        dependent::tests(),
        failures::tests(),
        left_out::tests(),
        removals::tests(),
    ];
    tests.into_iter().flatten().collect()
}

tests! {
    an_image_lies_as_microsandbox_keeps_one_and_takes_no_room;
    the_disk_of_a_served_image_shows_what_an_overlay_shows needs Root;
    serving_again_changes_nothing;
    a_name_that_moved_is_served_again;
    a_setting_serves_what_is_loaded;
}

const LAYERS: [&str; 2] = [
    "etc/\netc/old = 1\netc/kept = kept\nbin/\nbin/sh = shell",
    "etc/\netc/.wh.old = \nopt/\nopt/new = 2",
];

fn app() -> Image {
    let mut image = Image::new("app:1", &LAYERS);
    image.config["config"] = json!({
        "Env": ["A=1", "B=2"], "Cmd": ["-c"], "Entrypoint": ["/bin/sh"], "WorkingDir": "/opt",
        "User": "7:8", "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}},
        "Labels": {"b": "2", "a": "\"1\""}, "StopSignal": "SIGINT",
    });
    image
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
    env
}

fn serve(env: &TestEnv, arguments: &str) -> Value {
    env.json(&format!(
        "store serve microsandbox --format json {arguments}"
    ))
}

fn cache(env: &TestEnv) -> PathBuf {
    env.home().join("cache")
}

/// Where microsandbox has the record of a reference in full: `image_cache_key` of its cache.
fn record(env: &TestEnv, reference: &str) -> PathBuf {
    let key = sha256(reference.as_bytes());
    cache(env).join(format!("manifests/{}.json", hex(&key)))
}

fn app_record(env: &TestEnv) -> PathBuf {
    record(env, "docker.io/library/app:1")
}

fn named(env: &TestEnv, directory: &str, digest: &str, suffix: &str) -> PathBuf {
    let name = format!("{}.{suffix}", digest.replacen(':', "_", 1));
    cache(env).join(directory).join(name)
}

fn details(env: &TestEnv, image: &str) -> Value {
    env.json(&format!("image inspect {image} --format json"))
}

/// Where microsandbox has the files of an image: its layers, merged filesystem and disk.
fn names(env: &TestEnv, image: &str) -> (Vec<PathBuf>, PathBuf, PathBuf) {
    let details = details(env, image);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let layers = details["layers"].as_array().unwrap().iter();
    let digest = text(&details["digest"]);
    (
        layers
            .map(|layer| {
                let digest = layer["chain_id"].as_str().map(str::to_owned);
                let digest = digest.unwrap_or_else(|| text(&layer["diff_id"]));
                named(env, "layers", &digest, "erofs")
            })
            .collect(),
        named(env, "fsmeta", &digest, "erofs"),
        named(env, "vmdk", &digest, "vmdk"),
    )
}

/// All files of an image that microsandbox would remove with it.
fn all_names(env: &TestEnv, image: &str, record: PathBuf) -> Vec<PathBuf> {
    let (mut all, merged, disk) = names(env, image);
    all.extend([merged, disk, record]);
    all
}

fn inode(path: &Path) -> (u64, u64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.dev(), metadata.ino())
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The lease of a file: `StorageLease::open_lock_file`.
fn lease(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    let key = sha256(name.as_bytes());
    path.with_file_name(".msb-leases")
        .join(format!("{}.lock", hex(&key)))
}

fn an_image_lies_as_microsandbox_keeps_one_and_takes_no_room() {
    let env = loaded(&[app()]);
    let database = fs::metadata(env.home().join("db")).unwrap().mode();
    let report = serve(&env, "");
    assert_eq!(report["added"], json!(["app:1"]));
    assert_eq!(
        (&report["layers_added"], &report["unserved"]),
        (&json!(0), &json!([]))
    );
    let details = details(&env, "app:1");
    let (layers, merged, disk) = names(&env, "app:1");
    for (layer, name) in details["layers"].as_array().unwrap().iter().zip(&layers) {
        let ours = Path::new(layer["erofs_path"].as_str().unwrap());
        assert_ne!(ours, name);
        assert_eq!(inode(ours), inode(name));
        assert_eq!(fs::metadata(name).unwrap().len() % 4096, 0);
    }
    let ours = Path::new(details["merged"]["path"].as_str().unwrap());
    assert_ne!(ours, merged);
    assert_eq!(inode(ours), inode(&merged));

    let manifest = String::from_utf8(fs::read(blob(&env, &details["digest"])).unwrap()).unwrap();
    let config = String::from_utf8(fs::read(blob(&env, &details["id"])).unwrap()).unwrap();
    let parsed: Value = serde_json::from_str(&manifest).unwrap();
    let diff_ids = &app().config["rootfs"]["diff_ids"];
    let described: Vec<Value> = (0..2)
        .map(|place| {
            let blob = &parsed["layers"][place];
            json!({"digest": blob["digest"], "media_type": blob["mediaType"],
                "size_bytes": blob["size"], "diff_id": diff_ids[place]})
        })
        .collect();
    let expected = json!({
        "manifest_digest": details["digest"], "config_digest": details["id"],
        "raw_manifest_json": manifest, "raw_config_json": config,
        "config": {"env": ["A=1", "B=2"], "cmd": ["-c"], "entrypoint": ["/bin/sh"],
            "working_dir": "/opt", "user": "7:8", "exposed_ports": ["80/tcp"],
            "volumes": ["/data"], "labels": {"a": "\"1\"", "b": "2"}, "stop_signal": "SIGINT"},
        "layers": described,
        "msb": {"reference": "docker.io/library/app:1"},
    });
    assert_eq!(read_json(&app_record(&env)), expected);

    let mut text = fs::read_to_string(&disk)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    assert_eq!(text[..2], ["# Disk DescriptorFile", "version=1"]);
    assert!(text.contains(&"createType=\"twoGbMaxExtentFlat\"".to_owned()));
    text.retain(|line| line.starts_with("RW "));
    let extents: Vec<String> = std::iter::once(&merged)
        .chain(&layers)
        .map(|path| {
            let sectors = fs::metadata(path).unwrap().len() / 512;
            let below = path.strip_prefix(cache(&env)).unwrap().display();
            format!("RW {sectors} FLAT \"../{below}\" 0")
        })
        .collect();
    assert_eq!(text, extents);

    assert_eq!(
        fs::metadata(env.home().join("db")).unwrap().mode(),
        database
    );
    let locks = [
        lease(&merged),
        lease(&disk),
        lease(&layers[0]),
        lease(&app_record(&env)),
        lease(&app_record(&env).with_extension("publication")),
        app_record(&env).with_extension("lock"),
        merged.with_extension("erofs.lock"),
    ];
    for lock in locks {
        let found = fs::metadata(&lock).unwrap();
        assert_eq!(
            (found.len(), found.mode() & 0o777),
            (0, 0o600),
            "{}",
            lock.display()
        );
    }
    env.msb("image verify").success();
}

fn blob(env: &TestEnv, digest: &Value) -> PathBuf {
    let name = digest.as_str().unwrap().replacen(':', "_", 1);
    cache(env).join("blobs").join(name)
}

fn the_disk_of_a_served_image_shows_what_an_overlay_shows() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let shown = assert_shows_an_overlay(&env, "app:1");
    assert!(shown.contains_key(Path::new("opt/new")));
    assert!(!shown.contains_key(Path::new("etc/old")));
}

/// Asserts that what a guest of microsandbox mounts, without any option, shows what the layers show over each
/// other, and returns that: one disk of all extents.
fn assert_shows_an_overlay(env: &TestEnv, image: &str) -> Nodes {
    let (layers, _, disk) = names(env, image);
    let mut bytes = Vec::new();
    for line in fs::read_to_string(&disk).unwrap().lines() {
        if let Some(line) = line.strip_prefix("RW ") {
            let name = line.split('"').nth(1).unwrap();
            bytes.extend(fs::read(disk.with_file_name(name)).unwrap());
        }
    }
    let raw = env.write("disk.img", &bytes);
    let mounted = Mounted::erofs_unchecked(&raw);
    let layers: Vec<Mounted> = layers.iter().map(|path| Mounted::erofs(path)).collect();
    let overlay = Mounted::overlay(&layers);
    let (shown, expected) = (nodes(mounted.path()), nodes(overlay.path()));
    assert_same(&shown, &expected, "the disk of microsandbox");
    shown
}

fn serving_again_changes_nothing() {
    let env = loaded(&[app()]);
    let run = env.msb("store serve microsandbox").success();
    assert!(
        run.stderr
            .contains("Served       microsandbox (1 name, 1 new)"),
        "{run:?}"
    );
    let all = all_names(&env, "app:1", app_record(&env));
    let before: Vec<_> = all.iter().map(|path| inode(path)).collect();
    // As microsandbox writes one, with absolute paths.
    let (layers, merged, disk) = names(&env, "app:1");
    let mut text = fs::read_to_string(&disk).unwrap();
    for path in layers.iter().chain([&merged]) {
        let below = path
            .strip_prefix(cache(&env))
            .unwrap()
            .display()
            .to_string();
        text = text.replace(&format!("../{below}"), path.to_str().unwrap());
    }
    fs::write(&disk, &text).unwrap();
    let report = serve(&env, "app:1");
    assert_eq!(
        (&report["added"], &report["present"]),
        (&json!([]), &json!(["app:1"]))
    );
    assert_eq!(report["layers_added"], 0);
    let after: Vec<_> = all.iter().map(|path| inode(path)).collect();
    assert_eq!(before, after);
    assert_eq!(fs::read_to_string(&disk).unwrap(), text);
    // One of other files is written again.
    fs::write(&disk, text.replacen("FLAT", "FLAT \"x\" 0\nRW 8 FLAT", 1)).unwrap();
    serve(&env, "");
    assert!(!fs::read_to_string(&disk).unwrap().contains("\"x\""));
    env.msb("store serve microsandbox nothing:1")
        .failure(&["image not found: nothing:1"]);
}

fn a_name_that_moved_is_served_again() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let before = read_json(&app_record(&env))["manifest_digest"].clone();
    load(&env, &Image::new("app:1", &[LAYERS[0]]));
    assert_eq!(serve(&env, "app:1")["added"], json!(["app:1"]));
    let after = read_json(&app_record(&env))["manifest_digest"].clone();
    assert_ne!(before, after);
    assert_eq!(after, details(&env, "app:1")["digest"]);
}

fn set(env: &TestEnv, value: &Value) {
    let settings = json!({"store": {"serve": {"microsandbox": value}}});
    env.write_settings(settings);
}

fn a_setting_serves_what_is_loaded() {
    let env = TestEnv::new();
    set(&env, &json!(true));
    load(&env, &app());
    assert!(app_record(&env).exists());
    assert_eq!(serve(&env, "")["present"], json!(["app:1"]));
    let layers = &details(&env, "app:1")["layers"];
    assert!(
        layers[0]["erofs_path"]
            .as_str()
            .unwrap()
            .ends_with(".msb.erofs")
    );
    env.write(
        "in.tar",
        &Image::of("bad:1", vec![left_out::with_acl()]).docker(),
    );
    let run = env.msb("load -i in.tar").success();
    let told =
        "note: not served to microsandbox: bad:1: microsandbox cannot read what layers contain";
    assert!(run.stderr.contains(told), "{run:?}");
    let other = TestEnv::new();
    set(&other, &json!(env.home().join("other")));
    load(&other, &app());
    assert!(env.home().join("other/cache/manifests").is_dir());
    set(&other, &json!(false));
    other.msb("images").success();
    set(&other, &json!("relative"));
    other
        .msb("load -i in.tar")
        .failure(&["`store.serve.microsandbox`: it is not an absolute path"]);
    set(&other, &json!(7));
    other
        .msb("load -i in.tar")
        .failure(&["true, false, a string or a list of strings"]);
    set(&other, &json!(other.write("file", b"")));
    let run = other.msb("load -i in.tar").success();
    assert!(
        run.stderr
            .contains("note: the images are not served to microsandbox: could not create"),
        "{run:?}"
    );
}
