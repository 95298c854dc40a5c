//! `image adopt`: images that microsandbox has, as images of the store. The part of microsandbox is played by
//! files as it writes them; `incumbent` has microsandbox itself.

mod theirs;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use msb_host::home::Home;
use msb_host::store::Store;
use serde_json::{Value, json};

use self::theirs::Theirs;
use crate::archive::{Image, hex, sha256};
use crate::env::TestEnv;
use crate::mount::Mounted;
use crate::tests;

tests! {
    what_microsandbox_has_is_listed_and_looked_into;
    an_adopted_image_is_not_saved_until_it_is_whole;
    an_adopted_layer_serves_no_other_image;
    an_adopted_layer_that_changes_is_damage;
    layers_that_the_store_has_are_proven;
    a_record_is_believed_only_for_what_its_digests_prove;
    a_layer_is_believed_only_if_it_can_be_read_to_its_end;
    a_name_of_the_store_stays;
    an_image_without_a_known_name_is_adopted_by_its_digest;
    an_image_that_is_not_there_is_told_as_advised;
    a_home_without_images_of_microsandbox_is_told;
    a_home_on_another_filesystem_is_not_adopted needs Root;
    files_of_an_adopted_image_stay_while_it_is_used;
    what_is_being_removed_is_waited_for_as_advised;
}

const LAYERS: [&str; 2] = [
    "etc/\netc/old = 1\nbin/\nbin/sh = shell",
    "etc/\netc/.wh.old = \nopt/\nopt/new = 2",
];

const DAMAGED: &str =
    "hint: what microsandbox has of this image cannot be used: pull it with `msb pull`";

type ChangeRecord = fn(&mut Value, &str);
type ChangeLayer = fn(&Path, Vec<u8>);

fn app() -> Image {
    Image::new("app:1", &LAYERS)
}

fn load(env: &TestEnv, image: &Image) {
    env.write("in.tar", &image.docker());
    env.msb("load -q -i in.tar").success();
}

fn details(env: &TestEnv, image: &str) -> Value {
    env.json(&format!("image inspect {image} --format json"))
}

fn what_microsandbox_has_is_listed_and_looked_into() {
    let theirs = Theirs::new();
    let report = theirs.adopt();
    let image = &report["adopted"][0];
    assert_eq!(image["references"], json!(["app:1"]), "{report}");
    assert_eq!(image["id"], app().id());
    assert_eq!(image["unproven"], app().config["rootfs"]["diff_ids"]);
    let env = &theirs.env;
    assert_eq!(env.references(), ["app:1"]);
    for (layer, path) in details(env, "app:1")["layers"]
        .as_array()
        .unwrap()
        .iter()
        .zip(theirs.layers())
    {
        let ours = fs::metadata(layer["erofs_path"].as_str().unwrap()).unwrap();
        assert_eq!(ours.ino(), fs::metadata(path).unwrap().ino());
    }
    assert_eq!(env.msb("image cat app:1 /opt/new").success().stdout, "2");
    env.msb("image ls app:1 /etc/old").failure(&["etc/old"]);
    env.msb("image disk app:1 -q --type raw -o disk.img")
        .success();
    let run = env.msb("image verify").success();
    let told = "2 layers adopted from microsandbox: as they were then, their diff_ids unproven";
    assert!(run.stdout.contains(told), "{run:?}");
    let verified = env.json("image verify --format json");
    assert_eq!(
        verified["images"][0]["unproven"],
        app().config["rootfs"]["diff_ids"]
    );
    assert_eq!(theirs.adopt()["present"][0]["digest"], image["digest"]);
    // What microsandbox removes of its names is not lost.
    fs::remove_dir_all(&theirs.home).unwrap();
    env.msb("image verify").success();
    env.msb("rmi app:1").success();
    env.assert_clean();
}

fn an_adopted_image_is_not_saved_until_it_is_whole() {
    let theirs = Theirs::new();
    let env = &theirs.env;
    let run = env.msb(&theirs.line("app:1")).success();
    assert!(
        run.stderr
            .contains("Adopted      app:1 (2 layers unproven)"),
        "{run:?}"
    );
    env.msb("save -o out.tar app:1").failure(&[
        "was adopted from microsandbox, and there is no tar of it",
        "hint: `msb pull app:1` or `msb load` makes it whole; `msb image export app:1` writes",
    ]);
    assert!(!env.path("out.tar").exists());
    env.msb("image export -q app:1 -o root.tar").success();
    // A merged filesystem of the layers of before takes the place of none, and is not damage.
    env.msb("image disk -q app:1 -o disk.vmdk").success();
    load(env, &app());
    env.msb("image verify").success();
    env.msb("save -q -o out.tar app:1").success();
    let verified = env.json("image verify --format json");
    assert_eq!(verified["images"][0]["unproven"], json!([]));
    env.msb("image prune --dangling -y").success();
    for entry in env.home().join("cache/layers").read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains(".adopted"), "{name}");
    }
    assert_eq!(theirs.adopt()["present"][0]["unproven"], json!([]));
}

/// Another program may have put other contents under the name of a layer: no other image gets them.
fn an_adopted_layer_serves_no_other_image() {
    let theirs = Theirs::new();
    theirs.adopt();
    let env = &theirs.env;
    load(env, &Image::new("other:1", &[LAYERS[0], "x = y"]));
    let path = details(env, "other:1")["layers"][0]["erofs_path"].clone();
    assert!(!path.as_str().unwrap().contains(".adopted"), "{path}");
    env.msb("save -q -o out.tar other:1").success();
    // And the adopted image has what was proven.
    assert_eq!(details(env, "app:1")["layers"][0]["erofs_path"], path);
    env.msb("image verify").success();
}

fn an_adopted_layer_that_changes_is_damage() {
    let theirs = Theirs::new();
    theirs.adopt();
    let env = &theirs.env;
    let path = details(env, "app:1")["layers"][0]["erofs_path"].clone();
    let mut bytes = fs::read(path.as_str().unwrap()).unwrap();
    // The contents of a file, of which the format has no checksum.
    let place = bytes.windows(5).position(|it| it == b"shell").unwrap();
    bytes[place] ^= 1;
    fs::write(path.as_str().unwrap(), bytes).unwrap();
    let run = env.msb("image verify").failure(&["damage in 1 image"]);
    assert!(
        run.stdout
            .contains("it is another one than was adopted: sha256:"),
        "{run:?}"
    );
    env.msb("image verify --repair")
        .failure(&["damage in 1 image"]);
    assert!(!Path::new(path.as_str().unwrap()).exists());
    load(env, &app());
    env.msb("image verify").success();
}

fn layers_that_the_store_has_are_proven() {
    let theirs = Theirs::new();
    load(&theirs.env, &Image::new("other:1", &[LAYERS[0]]));
    let report = theirs.adopt();
    let diff_ids = &app().config["rootfs"]["diff_ids"];
    assert_eq!(report["adopted"][0]["unproven"], json!([diff_ids[1]]));
    theirs.env.msb("image verify").success();
}

fn a_record_is_believed_only_for_what_its_digests_prove() {
    let other = sha256(b"another");
    let changes: [(ChangeRecord, &str); 5] = [
        (|it, _| it["raw_manifest_json"] = json!("{}"), "manifest"),
        (|it, other| it["manifest_digest"] = json!(other), "manifest"),
        (
            |it, _| it["manifest_digest"] = json!("../../x"),
            "the record has `../../x` for the digest of the manifest",
        ),
        (|it, _| it["raw_config_json"] = json!("{}"), "configuration"),
        (
            |it, _| {
                it["raw_manifest_json"] = json!("[]");
                it["manifest_digest"] = json!(sha256(b"[]"));
            },
            "manifest",
        ),
    ];
    for (change, words) in changes {
        let theirs = Theirs::new();
        theirs.change(|record| change(record, &other));
        theirs.refused(&[words, DAMAGED]);
    }
    // Layers that the record has and the configuration has not are of no account.
    let theirs = Theirs::new();
    theirs.change(|record| record["layers"][0]["diff_id"] = json!("sha256:../../../etc/passwd"));
    assert_eq!(theirs.adopt()["adopted"][0]["references"], json!(["app:1"]));
    // What microsandbox would not take for a record is none.
    let theirs = Theirs::new();
    fs::write(theirs.record(), "{").unwrap();
    assert_eq!(theirs.adopt()["adopted"], json!([]));
}

fn a_layer_is_believed_only_if_it_can_be_read_to_its_end() {
    let changes: [(ChangeLayer, &str); 5] = [
        (
            |path, _| fs::write(path, b"").unwrap(),
            "it has 0 bytes, which are not whole blocks",
        ),
        (
            |path, bytes| fs::write(path, &bytes[..5000]).unwrap(),
            "it has 5000 bytes",
        ),
        (
            |path, bytes| fs::write(path, &bytes[..4096]).unwrap(),
            "cannot be used: ",
        ),
        (
            |path, bytes| fs::write(path, vec![7; bytes.len()]).unwrap(),
            "it has no EROFS superblock",
        ),
        (
            |path, mut bytes| {
                // Names without a directory: all metadata is gone.
                let end = bytes.len();
                bytes[end - 4096..].fill(0xff);
                fs::write(path, bytes).unwrap();
            },
            "cannot be used: ",
        ),
    ];
    for (change, words) in changes {
        let theirs = Theirs::new();
        let path = theirs.layers().remove(1);
        change(&path, fs::read(&path).unwrap());
        theirs.refused(&[words, DAMAGED]);
    }
    let theirs = Theirs::new();
    let path = theirs.layers().remove(0);
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    theirs
        .env
        .msb(&theirs.line("app:1"))
        .failure(&["could not open `"]);
    fs::remove_file(&path).unwrap();
    theirs
        .env
        .msb(&theirs.line("app:1"))
        .failure(&["could not open `", "No such file"]);
}

fn a_name_of_the_store_stays() {
    let theirs = Theirs::new();
    load(&theirs.env, &Image::new("app:1", &["mine = 1"]));
    let before = details(&theirs.env, "app:1")["digest"].clone();
    let run = theirs.env.msb(&theirs.line("")).success();
    assert!(
        run.stderr.contains("note: app:1 names another image here"),
        "{run:?}"
    );
    assert_eq!(details(&theirs.env, "app:1")["digest"], before);
    let digest = theirs.adopt()["present"][0]["digest"].clone();
    assert_eq!(
        details(&theirs.env, digest.as_str().unwrap())["id"],
        app().id()
    );
}

fn an_image_without_a_known_name_is_adopted_by_its_digest() {
    let theirs = Theirs::new();
    // The record has no name, and a name in the database proves itself by the name of the file.
    theirs.sql("UPDATE image_ref SET reference = 'wrong:1'");
    let report = theirs.adopt();
    assert_eq!(report["adopted"][0]["references"], json!([]));
    assert_eq!(theirs.env.references(), ["<none>"]);
    // The user may know it.
    let again = Theirs::new();
    again.sql("DROP TABLE image_ref");
    let digest = report["adopted"][0]["digest"].as_str().unwrap().to_owned();
    let run = again
        .env
        .json(&again.line(&format!("--format json {digest}")));
    assert_eq!(run["adopted"][0]["digest"], digest);
}

fn an_image_that_is_not_there_is_told_as_advised() {
    let theirs = Theirs::new();
    theirs.env.msb(&theirs.line("nothing:1")).failure(&[
        "microsandbox has no image nothing:1 in `",
        "hint: `msb image adopt` takes all that microsandbox has; --home names its home",
    ]);
    theirs
        .env
        .msb("image adopt app:1")
        .failure(&["microsandbox has no image app:1"]);
    assert_eq!(theirs.adopt()["adopted"][0]["references"], json!(["app:1"]));
}

fn a_home_without_images_of_microsandbox_is_told() {
    let env = TestEnv::new();
    let run = env.msb("image adopt --home nowhere").success();
    assert!(
        run.stderr
            .contains("No images of microsandbox in `nowhere`."),
        "{run:?}"
    );
    let run = env.msb("image adopt").success();
    assert!(
        run.stderr.contains("No images of microsandbox in `/"),
        "{run:?}"
    );
}

fn a_home_on_another_filesystem_is_not_adopted() {
    let theirs = Theirs::new();
    let elsewhere = Mounted::tmpfs(64 << 20);
    let env = TestEnv::new().with_home(&elsewhere.path().join("home"));
    env.msb(&theirs.line("")).failure(&[
        "is on another filesystem than the store",
        "hint: a hard link does not leave its filesystem",
    ]);
    assert_eq!(env.references(), [] as [String; 0]);
}

fn files_of_an_adopted_image_stay_while_it_is_used() {
    let theirs = Theirs::new();
    theirs.adopt();
    let env = &theirs.env;
    let path = details(env, "app:1")["layers"][0]["erofs_path"].clone();
    let store = Store::open(&Home::at(env.home())).unwrap();
    store.use_image("my-sandbox", "app:1").unwrap();
    load(env, &app());
    env.msb("image prune -y").success();
    assert!(Path::new(path.as_str().unwrap()).exists());
    store.release("my-sandbox").unwrap();
    env.msb("image prune -y").success();
    assert!(!Path::new(path.as_str().unwrap()).exists());
}

fn what_is_being_removed_is_waited_for_as_advised() {
    let theirs = Theirs::new();
    let path = theirs.layers().remove(0);
    let key = sha256(path.file_name().unwrap().to_str().unwrap().as_bytes());
    let lease = path
        .with_file_name(".msb-leases")
        .join(format!("{}.lock", hex(&key)));
    let lease = fs::File::open(lease).unwrap();
    lease.lock().unwrap();
    theirs.env.msb(&theirs.line("app:1")).failure(&[
        "another program has had `",
        "hint: wait until it has ended, and run this again",
    ]);
    drop(lease);
    theirs.env.msb(&theirs.line("app:1")).success();
}
