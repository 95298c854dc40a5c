//! `image diff`: what one image has and another has not.

use serde_json::{Value, json};
use tar::Header;

use super::inside::{load, loaded};
use crate::archive::{self, Image};
use crate::tests;

tests! {
    two_images_differ_in_what_was_changed;
    two_builds_of_the_same_files_differ_in_times_alone;
}

fn two_images_differ_in_what_was_changed() {
    let env = loaded(&Image::new(
        "app:1",
        &[
            "same = s\nmode = x\ncontents = one\nsize = 1\ngone/\ngone/in = x\nkind = x\nlink -> a\n\
           node : 1,3\nfirst = l\nsecond => first",
        ],
    ));
    let mut second = archive::layer(
        "same = s\ncontents = two\nsize = 12\nkind/\nlink -> b\nnode : 1,5\nnew/\nnew/in = x\n\
         first = l\nsecond = l",
    );
    let mut header = Header::new_gnu();
    header.set_mode(0o4755);
    header.set_uid(7);
    header.set_gid(8);
    header.set_mtime(1_700_000_001);
    header.set_size(1);
    // The archive ends with two blocks of zeros.
    second.truncate(second.len() - 1024);
    let mut builder = tar::Builder::new(second);
    builder.append_data(&mut header, "mode", &b"x"[..]).unwrap();
    load(
        &env,
        &Image::of("app:2", vec![builder.into_inner().unwrap()]),
    );
    let run = env.msb("image diff app:1 app:2").success();
    assert_eq!(
        run.stdout,
        "C /contents (contents)\n\
         D /gone\n\
         D /gone/in\n\
         C /kind (type file -> directory, mode 0644 -> 0755)\n\
         C /link (target a -> b)\n\
         C /mode (mode 0644 -> 4755, owner 0:0 -> 7:8, time)\n\
         A /new\n\
         A /new/in\n\
         C /node (device 1:3 -> 1:5)\n\
         C /second (hard-link)\n\
         C /size (size 1 B -> 2 B)\n"
    );
    let changes = env.json("image diff --format json app:1 app:2");
    let of = |path: &str| {
        let changes = changes.as_array().unwrap();
        changes
            .iter()
            .find(|it| it["path"] == path)
            .unwrap()
            .clone()
    };
    assert_eq!(changes.as_array().unwrap().len(), 11);
    assert_eq!(of("/mode")["change"], "changed");
    assert_eq!(of("/mode")["differences"], json!(["mode", "owner", "time"]));
    assert_eq!(of("/mode")["before"]["mode"], "0644");
    assert_eq!(of("/mode")["after"]["uid"], 7);
    assert_eq!(
        (&of("/new")["change"], &of("/new")["before"]),
        (&json!("added"), &Value::Null)
    );
    assert_eq!(
        (&of("/gone")["change"], &of("/gone")["after"]),
        (&json!("removed"), &Value::Null)
    );
    // An image does not differ from itself, nor from the same files in other layers.
    assert_eq!(env.msb("image diff app:1 app:1").success().stdout, "");
    assert_eq!(env.json("image diff --format json app:1 app:1"), json!([]));
    let whole = loaded(&Image::new("app:1", &["a = 1\nb = 2"]));
    load(&whole, &Image::new("app:2", &["b = 2", "a = 1"]));
    assert_eq!(whole.msb("image diff app:1 app:2").success().stdout, "");
}

fn two_builds_of_the_same_files_differ_in_times_alone() {
    let built = |mtime: u64, name: &str| {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(mtime);
        header.set_size(4);
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_data(&mut header, "file", &b"same"[..])
            .unwrap();
        Image::of(name, vec![builder.into_inner().unwrap()])
    };
    let env = loaded(&built(1, "app:1"));
    load(&env, &built(2, "app:2"));
    let run = env.msb("image diff app:1 app:2").success();
    assert_eq!(run.stdout, "C /file (time)\n");
    let run = env.msb("image diff --ignore-times app:1 app:2").success();
    assert_eq!(run.stdout, "");
}
