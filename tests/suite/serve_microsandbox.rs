//! `store serve microsandbox`: the files, byte by byte as microsandbox keeps them, and what goes and what
//! stays. The part of microsandbox is played by its rules; `incumbent` has microsandbox itself.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use msb_host::home::Home;
use msb_host::store::Store;
use serde_json::{Value, json};

use crate::archive::{Image, hex, other_architecture, sha256};
use crate::env::TestEnv;
use crate::mount::{Mounted, assert_same, nodes};
use crate::tests;

tests! {
    an_image_lies_as_microsandbox_keeps_one_and_takes_no_room;
    the_disk_of_a_served_image_shows_what_an_overlay_shows needs Root;
    what_microsandbox_removes_is_not_lost;
    serving_again_changes_nothing;
    a_name_that_moved_is_served_again;
    layers_that_depend_on_those_below_stay_out_and_the_others_go;
    what_its_reader_does_not_take_is_not_served;
    an_image_for_another_platform_or_without_a_name_is_not_served;
    files_of_microsandbox_stay_and_broken_ones_are_replaced;
    a_merged_filesystem_of_microsandbox_keeps_its_layers;
    a_name_of_microsandbox_for_another_image_stays;
    an_image_in_use_keeps_its_names_until_it_is_released;
    who_holds_a_lock_is_not_disturbed;
    who_serves_too_long_is_waited_for_as_advised;
    a_layer_that_is_missing_is_told;
    names_go_with_the_image_unless_microsandbox_has_it;
    removals_of_msb_leave_what_microsandbox_has;
    a_setting_serves_what_is_loaded;
    a_home_on_another_filesystem_is_refused needs Root;
    a_full_disk_leaves_no_record needs Root;
    a_home_of_another_user_is_not_served needs Root;
    two_who_serve_at_once_leave_whole_files;
    a_merged_filesystem_of_microsandbox_is_not_taken_for_ours;
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
            .map(|layer| named(env, "layers", &text(&layer["diff_id"]), "erofs"))
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

/// What a guest of microsandbox mounts, without any option: one disk of all extents.
fn the_disk_of_a_served_image_shows_what_an_overlay_shows() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let (layers, _, disk) = names(&env, "app:1");
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
    assert!(mounted.path().join("opt/new").exists());
    assert!(!mounted.path().join("etc/old").exists());
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

fn layers_that_depend_on_those_below_stay_out_and_the_others_go() {
    let env = loaded(&[Image::new("app:1", &["first = f", "second => first"])]);
    let run = env.msb("store serve microsandbox").success();
    let told = "not served: app:1: layers depend on those below them (1 layer)";
    assert!(run.stderr.contains(told), "{run:?}");
    let (layers, merged, disk) = names(&env, "app:1");
    assert!(layers[0].exists() && !layers[1].exists());
    assert!(!merged.exists() && !disk.exists() && !app_record(&env).exists());
    let report = serve(&env, "");
    assert_eq!(report["unserved"][0]["reason"], "dependent_layers");
    env.msb("image verify").success();
}

/// A layer with an attribute of which microsandbox does not know the namespace.
fn with_acl() -> Vec<u8> {
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
    let told = "not served: app:1: microsandbox calls another image so";
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

fn who_holds_a_lock_is_not_disturbed() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let (_, merged, disk) = names(&env, "app:1");
    fs::remove_file(app_record(&env)).unwrap();
    let lock = File::open(app_record(&env).with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let report = serve(&env, "");
    assert_eq!(report["unserved"][0]["reason"], "busy");
    assert!(!app_record(&env).exists());
    drop(lock);
    serve(&env, "");
    // Who reads a file shares its lease, and keeps it.
    let lease = File::open(lease(&merged)).unwrap();
    lease.lock_shared().unwrap();
    env.msb("rmi app:1").success();
    serve(&env, "--prune");
    assert!(merged.exists() && disk.exists());
    assert!(!app_record(&env).exists());
    drop(lease);
    serve(&env, "--prune");
    assert!(!merged.exists() && !disk.exists());
}

fn who_serves_too_long_is_waited_for_as_advised() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let lock = File::open(cache(&env).join("manifests/.msb.lock")).unwrap();
    lock.lock().unwrap();
    env.msb("store serve microsandbox").failure(&[
        "another msb has had the lock `",
        "hint: wait until it has ended, and run this again",
    ]);
    drop(lock);
    env.msb("store serve microsandbox").success();
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

fn set(env: &TestEnv, value: &Value) {
    fs::create_dir_all(env.home()).unwrap();
    let settings = json!({"store": {"serve": {"microsandbox": value}}});
    fs::write(env.home().join("config.json"), settings.to_string()).unwrap();
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
        &Image::new("bad:1", &["first = f", "second => first"]).docker(),
    );
    let run = env.msb("load -i in.tar").success();
    let told = "note: not served to microsandbox: bad:1: layers depend on those below them";
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

fn a_home_on_another_filesystem_is_refused() {
    let env = loaded(&[app()]);
    let elsewhere = Mounted::tmpfs(64 << 20);
    let home = elsewhere.path().display();
    env.msb(&format!("store serve microsandbox --home {home}"))
        .failure(&[
            "is on another filesystem than the store",
            "hint: a hard link does not leave its filesystem: use one home for both programs",
        ]);
    assert!(
        !elsewhere
            .path()
            .join("cache/manifests")
            .read_dir()
            .unwrap()
            .any(|entry| {
                entry
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|end| end == "json")
            })
    );
    // What the hint says helps.
    let there = TestEnv::new().with_home(&elsewhere.path().join("msb"));
    load(&there, &app());
    let line = format!("store serve microsandbox --home {home} --format json");
    assert_eq!(there.json(&line)["added"], json!(["app:1"]));
}

fn a_full_disk_leaves_no_record() {
    let disk = Mounted::tmpfs_with("size=8m,nr_inodes=200");
    let env = TestEnv::new().with_home(&disk.path().join("home"));
    load(&env, &app());
    serve(&env, "");
    let other = disk.path().join("other");
    let line = format!("--home {}", other.display());
    let filler = disk.path().join("filler");
    let mut bytes = 8 << 20;
    let file = File::create(&filler).unwrap();
    // Names need inodes and no bytes; the record and the descriptor need bytes.
    while bytes >= 4096 {
        let at = file.metadata().unwrap().len();
        let full = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), at, bytes);
        if full.is_err() {
            bytes /= 2;
        }
    }
    env.msb(&format!("store serve microsandbox {line}"))
        .failure(&["No space left on device"]);
    let at = |path: &Path| other.join(path.strip_prefix(env.home()).unwrap());
    let (_, _, vmdk) = names(&env, "app:1");
    assert!(!at(&app_record(&env)).exists() && !at(&vmdk).exists());
    drop(file);
    fs::remove_file(filler).unwrap();
    assert_eq!(serve(&env, &line)["added"], json!(["app:1"]));
    env.msb("image verify").success();
}

fn a_home_of_another_user_is_not_served() {
    use std::os::unix::process::CommandExt as _;
    let env = loaded(&[app()]);
    fs::set_permissions(env.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = env.command(["store", "serve", "microsandbox"]);
    crate::env::Run::of(command.uid(65_534).gid(65_534)).failure(&[
        "Permission denied",
        "hint: run it as the owner of that directory, or choose another one",
    ]);
}

fn two_who_serve_at_once_leave_whole_files() {
    let env = loaded(&[app(), Image::new("other:1", &[LAYERS[0], "x = y"])]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| env.msb("store serve microsandbox").success());
        }
    });
    let mut present = serve(&env, "")["present"].as_array().unwrap().clone();
    present.sort_by_key(Value::to_string);
    assert_eq!(present, [json!("app:1"), json!("other:1")]);
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
