//! Layers whose image depends on the layers below: from a file, from a pipe, after another image.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::archive::{Image, layer};
use crate::env::TestEnv;
use crate::mount::{Mounted, nodes};
use crate::tests;
use crate::tools::run;

tests! {
    a_file_and_a_pipe_give_the_same_layers;
    one_processor_and_all_of_them_give_the_same_bytes;
    a_layer_in_another_place_is_converted_for_that_place;
    a_layer_that_depends_on_nothing_is_there_once_for_all_images;
    the_kernel_shows_what_depends_on_layers_below needs Root;
    what_depends_on_layers_below_is_saved_bit_for_bit;
    a_link_to_nothing_is_refused_from_a_file_and_from_a_pipe;
    layers_that_depend_on_others_go_with_their_image;
}

/// The layers of an image whose upper ones depend on those below in every way.
const LAYERS: [&str; 4] = [
    "usr/\nusr/share/\nusr/share/doc = text\netc/\netc/old = 1\n.wh.nothing = ",
    "usr/share/new = n\nhard => usr/share/doc",
    "plain/\nplain/file = x",
    ".wh..wh..opq = \nusr/only = this\nlast = 1",
];

/// Returns the image with these layers; its directories have modes that are not usual.
fn image(name: &str, layers: &[&str]) -> Image {
    let odd = |text: &&str| layer_with_mode(text, 0o2711);
    Image::of(name, layers.iter().map(odd).collect())
}

fn layer_with_mode(text: &str, mode: u32) -> Vec<u8> {
    let bytes = layer(text);
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut builder = tar::Builder::new(Vec::new());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        if header.entry_type().is_dir() {
            header.set_mode(mode);
            header.set_cksum();
        }
        builder.append(&header, &mut entry).unwrap();
    }
    builder.into_inner().unwrap()
}

fn layers_of(env: &TestEnv, name: &str) -> Vec<Value> {
    let details = env.json(&format!("image inspect {name} --format json"));
    details["layers"].as_array().unwrap().clone()
}

fn file(layer: &Value) -> PathBuf {
    PathBuf::from(layer["erofs_path"].as_str().unwrap())
}

fn contents(env: &TestEnv, name: &str) -> Vec<Vec<u8>> {
    layers_of(env, name)
        .iter()
        .flat_map(|layer| {
            let image = file(layer);
            [image.with_extension("recipe"), image]
        })
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn depends(layer: &Value) -> bool {
    layer["chain_id"].is_string()
}

fn a_file_and_a_pipe_give_the_same_layers() {
    let archive = image("app:1", &LAYERS);
    let (from_file, from_pipe) = (TestEnv::new(), TestEnv::new());
    from_file.write("in.tar", &archive.docker());
    from_file.msb("load -i in.tar").success();
    let run = from_pipe.msb_with_input("load", &archive.oci());
    run.success();
    let layers = layers_of(&from_file, "app:1");
    assert_eq!(
        layers.iter().map(depends).collect::<Vec<_>>(),
        [true, true, false, true]
    );
    assert!(contents(&from_file, "app:1") == contents(&from_pipe, "app:1"));
    for env in [from_file, from_pipe] {
        let kept = std::fs::read_dir(env.home().join("cache/layers")).unwrap();
        assert_eq!(kept.count(), 2 * LAYERS.len(), "files of layers");
        env.assert_nothing_in_flight();
    }
}

fn one_processor_and_all_of_them_give_the_same_bytes() {
    let many: Vec<String> = (0..12)
        .map(|number| format!("dir{number}/\ndir{number}/f = {number}\nshared/f{number} = x"))
        .collect();
    let mut texts: Vec<&str> = LAYERS.to_vec();
    texts.extend(many.iter().map(String::as_str));
    let archive = image("app:1", &texts).docker();
    let mut all = Vec::new();
    for processors in [None, None, Some("0"), Some("0")] {
        let env = TestEnv::new();
        env.write("in.tar", &archive);
        match processors {
            None => drop(env.msb("load -i in.tar").success()),
            Some(processors) => {
                let script = format!("exec taskset -c {processors} \"$0\" load -i in.tar");
                run(&mut env.shell(&script, [""; 0]));
            }
        }
        all.push(contents(&env, "app:1"));
    }
    assert!(all.iter().all(|contents| *contents == all[0]));
}

fn a_layer_in_another_place_is_converted_for_that_place() {
    let top = "d/file = x";
    let env = TestEnv::new();
    for (name, mode) in [("a:1", 0o700), ("b:1", 0o711)] {
        let layers = vec![layer_with_mode("d/", mode), layer(top)];
        env.write("in.tar", &Image::of(name, layers).docker());
        env.msb("load -i in.tar").success();
    }
    let (a, b) = (layers_of(&env, "a:1"), layers_of(&env, "b:1"));
    assert_eq!(a[1]["diff_id"], b[1]["diff_id"]);
    assert_ne!(a[1]["chain_id"], b[1]["chain_id"]);
    assert_ne!(file(&a[1]), file(&b[1]));
    // Without a layer in between that has the directory, it is the usual one.
    env.write(
        "in.tar",
        &Image::of("c:1", vec![layer("e/"), layer(top)]).docker(),
    );
    env.msb("load -i in.tar").success();
    let c = layers_of(&env, "c:1");
    assert_eq!(c[1]["chain_id"], Value::Null);
    assert_ne!(file(&c[1]), file(&a[1]));
}

fn a_layer_that_depends_on_nothing_is_there_once_for_all_images() {
    let env = TestEnv::new();
    for (name, bottom) in [("a:1", "x = 1"), ("b:1", "x = 2")] {
        env.write(
            "in.tar",
            &Image::new(name, &[bottom, "d/\nd/f = 1\n.wh.x = "]).docker(),
        );
        env.msb("load -i in.tar").success();
    }
    let (a, b) = (layers_of(&env, "a:1"), layers_of(&env, "b:1"));
    assert_eq!(file(&a[1]), file(&b[1]));
    assert_eq!(a[1]["chain_id"], Value::Null);
}

fn the_kernel_shows_what_depends_on_layers_below() {
    use std::os::unix::fs::MetadataExt as _;
    for form in ["file", "pipe"] {
        let env = TestEnv::new();
        let archive = image("app:1", &LAYERS).docker();
        match form {
            "file" => {
                env.write("in.tar", &archive);
                env.msb("load -i in.tar").success();
            }
            _ => drop(env.msb_with_input("load", &archive).success()),
        }
        let layers = layers_of(&env, "app:1");
        let mounted: Vec<Mounted> = layers
            .iter()
            .map(|layer| Mounted::erofs(&file(layer)))
            .collect();
        let upto = |count: usize| Mounted::overlay(&mounted[..count]);
        let two = upto(2);
        let share = std::fs::metadata(two.path().join("usr/share")).unwrap();
        assert_eq!(
            (share.mode() & 0o7777, share.mtime()),
            (0o2711, 1_700_000_000)
        );
        let names = ["hard", "usr/share/doc"].map(|name| two.path().join(name));
        let [hard, doc] = names.map(|path| std::fs::metadata(path).unwrap());
        assert_eq!((hard.ino(), hard.nlink()), (doc.ino(), 2));
        assert_eq!(hard.size(), 4);
        drop(two);
        let all = upto(4);
        let paths: Vec<String> = nodes(all.path())
            .keys()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(paths, ["", "last", "usr", "usr/only"]);
        let bottom = nodes(mounted[0].path());
        assert!(!bottom.contains_key(Path::new("nothing")));
    }
}

fn what_depends_on_layers_below_is_saved_bit_for_bit() {
    let image = image("app:1", &LAYERS);
    let env = TestEnv::new();
    env.write("in.tar", &image.docker());
    env.msb("load -i in.tar").success();
    env.msb("save -o out.tar app:1").success();
    let mut saved = tar::Archive::new(std::fs::File::open(env.path("out.tar")).unwrap());
    let mut found: Vec<Vec<u8>> = Vec::new();
    for entry in saved.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("layer.tar") && entry.header().entry_type().is_file() {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            found.push(bytes);
        }
    }
    for layer in &image.layers {
        assert!(found.contains(layer));
    }
}

fn a_link_to_nothing_is_refused_from_a_file_and_from_a_pipe() {
    let archive = Image::new("app:1", &["a = 1", ".wh.a = ", "l => a"]).docker();
    let words = &["entry `l` is a hard link to `a`, which neither the layer has nor those below"];
    let env = TestEnv::new();
    env.write("in.tar", &archive);
    env.msb("load -i in.tar").failure(words);
    env.assert_clean();
    env.msb_with_input("load", &archive).failure(words);
    env.assert_clean();
}

fn layers_that_depend_on_others_go_with_their_image() {
    let env = TestEnv::new();
    env.write("in.tar", &image("app:1", &LAYERS).docker());
    env.msb("load -i in.tar").success();
    env.msb("rmi app:1").success();
    env.assert_clean();
    env.msb("load -i in.tar").success();
    env.msb("image prune --yes").success();
    env.assert_clean();
}
