//! Time grows with the input: each kind of input at one, two and four times a size, in one run.
//!
//! What counts is the processor time of msb itself, less that of a load of next to nothing. With a
//! step for each pair of things, four times the size would take sixteen times as long.

use std::path::Path;

use tar::EntryType;

use crate::archive::{Image, archive, layer};
use crate::env::{Run, TestEnv};
use crate::load::amplification::Layer;
use crate::tests;

tests! {
    the_time_of_a_load_grows_with_what_is_in_it;
    the_time_of_save_and_rmi_grows_with_the_images;
}

/// How many times as long four times the size may take, and seconds that do not count.
const MOST: f64 = 8.0;
const SLACK: f64 = 0.5;

type Build = fn(usize) -> Vec<u8>;

/// Kinds of input and the size that each begins with.
const KINDS: [(&str, usize, Build); 16] = [
    ("hard links across layers", 3000, |size| {
        let links: String = (0..size)
            .map(|number| format!("h{number} => h{}\n", number + 1))
            .collect::<Vec<_>>()
            .concat();
        let lower = layer(&format!("h{size} = 1\n"));
        Image::of("x:1", vec![lower, layer(&links)]).docker()
    }),
    ("global headers", 3000, |size| {
        let headers = (0..size).fold(Layer::new(), |layer, number| {
            layer
                .global(&format!("k{number}"), b"v")
                .entry(&number.to_string(), EntryType::Regular)
        });
        headers.image()
    }),
    ("entries under a global path", 1000, |size| {
        let path = format!("{}f", "a/".repeat(30_000));
        let layer = Layer::new().global("path", path.as_bytes());
        layer.files(size).image()
    }),
    ("links under a global target", 1000, |size| {
        let path = format!("{}f", "a/".repeat(30_000));
        let file = Layer::new()
            .own("path", path.as_bytes())
            .entry("x", EntryType::Regular)
            .global("linkpath", path.as_bytes());
        let links = (0..size).fold(file, |layer, number| {
            layer.entry(&format!("h{number}"), EntryType::Link)
        });
        links.image()
    }),
    ("layers", 60, |size| {
        let layers = (0..size).map(|number| layer(&format!("d/{number} = {number}\n")));
        Image::of("x:1", layers.collect()).docker()
    }),
    ("whiteouts", 5000, |size| {
        let names = (0..size).map(|number| format!("d{}/.wh.{number} = \n", number % 50));
        let upper = layer(&names.collect::<String>());
        Image::of("x:1", vec![layer("d1/1 = 1\n"), upper]).docker()
    }),
    ("whiteouts in directories in each other", 150, |size| {
        let names = (1..=size).map(|depth| format!("{}.wh.x = \n", "d/".repeat(depth)));
        let upper = long_layer(names);
        Image::of("x:1", vec![layer("d/x = 1\n"), upper]).docker()
    }),
    ("opaque directories", 4000, |size| {
        let names = (0..size).map(|number| format!("{number}/.wh..wh..opq = \n"));
        let upper = layer(&names.collect::<String>());
        Image::of("x:1", vec![layer("1/x = 1\n"), upper]).docker()
    }),
    ("entries of one name", 5000, |size| {
        Image::of("x:1", vec![layer(&"a = 1\n".repeat(size))]).docker()
    }),
    ("directories in each other", 4000, |size| {
        let path = format!("{}f", "d/".repeat(size));
        Layer::new()
            .own("path", path.as_bytes())
            .entry("x", EntryType::Regular)
            .image()
    }),
    ("attributes beside a global one", 2000, |size| {
        let global = Layer::new().global("SCHILY.xattr.user.all", &vec![b'v'; 60_000]);
        let entries = (0..size).fold(global, |layer, number| {
            let own = number.to_string();
            layer
                .own("SCHILY.xattr.user.own", own.as_bytes())
                .entry(&own, EntryType::Regular)
        });
        entries.image()
    }),
    ("links that replace the way to others", 200, |size| {
        // Each entry leads through a long link, and takes away what is known of its way.
        let target = "d/".repeat(2000);
        let start = Layer::new()
            .own("path", format!("{target}x").as_bytes())
            .entry("x", EntryType::Regular)
            .own("linkpath", target.as_bytes())
            .entry("s", EntryType::Symlink);
        let entries = (0..size).fold(start, |layer, number| {
            layer
                .entry("t", EntryType::Symlink)
                .entry(&format!("s/{number}"), EntryType::Regular)
        });
        entries.image()
    }),
    ("manifests of one image in an index", 1000, |size| {
        let mut files = Image::new("app:1", &["a = 1"]).oci_files();
        let index = files.iter_mut().find(|(path, _)| path == "index.json");
        let (_, index) = index.unwrap();
        let mut document: serde_json::Value = serde_json::from_slice(index).unwrap();
        let one = document["manifests"][0].clone();
        document["manifests"] = vec![one; size].into();
        *index = document.to_string().into_bytes();
        archive(&files)
    }),
    ("names of one image", 1000, |size| {
        names_of_one_image(size, |number| format!("name-{number}:1"))
    }),
    ("notices", 5000, |size| {
        names_of_one_image(size, |number| format!("Not A Name {number}"))
    }),
    ("images", 25, images),
];

fn names_of_one_image(size: usize, name: fn(usize) -> String) -> Vec<u8> {
    let mut files = Image::new("app:1", &["a = 1"]).docker_files();
    let list = files.iter_mut().find(|(path, _)| path == "manifest.json");
    let (_, list) = list.unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(list).unwrap();
    document[0]["RepoTags"] = (0..size).map(name).collect::<Vec<_>>().into();
    *list = document.to_string().into_bytes();
    archive(&files)
}

/// Returns an archive of images that have their bottom layer in common.
fn images(size: usize) -> Vec<u8> {
    let mut files = Vec::new();
    let mut list = Vec::new();
    for number in 0..size {
        let own = format!("{number} = 1\n");
        let image = Image::new(&format!("app-{number}:1"), &["base = 1\n", &own]);
        for (path, contents) in image.docker_files() {
            if path == "manifest.json" {
                let text = String::from_utf8(contents).unwrap();
                let text = text.replace("\"layer", &format!("\"{number}-layer"));
                let document: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
                list.extend(document);
            } else if path.starts_with("layer") {
                files.push((format!("{number}-{path}"), contents));
            } else {
                files.push((path, contents));
            }
        }
    }
    let list = serde_json::to_vec(&list).unwrap();
    files.push(("manifest.json".to_owned(), list));
    archive(&files)
}

/// Returns a layer of files whose paths are too long for a header.
fn long_layer(lines: impl Iterator<Item = String>) -> Vec<u8> {
    lines
        .fold(Layer::new(), |layer, line| {
            let path = line.trim_end_matches(" = \n");
            layer
                .own("path", path.as_bytes())
                .entry("x", EntryType::Regular)
        })
        .tar()
}

/// Runs msb, and returns the seconds of processor time that it took.
fn seconds(env: &TestEnv, arguments: &[&str]) -> f64 {
    let script = r#""$0" "$@" >/dev/null && times"#;
    let run = Run::of(&mut env.shell(script, arguments)).success();
    // The second line is about children: minutes and seconds in user mode, then in the kernel.
    let line = run.stdout.lines().nth(1).unwrap();
    let (minutes, seconds) = line.split_once('m').unwrap();
    let (seconds, _) = seconds.split_once('s').unwrap();
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}

fn load(bytes: &[u8]) -> f64 {
    let env = TestEnv::new();
    env.write("in.tar", bytes);
    seconds(&env, &["load", "-q", "-i", "in.tar"])
}

/// Checks how times grow that were taken at one, two and four times a size.
fn check(name: &str, nothing: f64, times: [f64; 3]) {
    let [once, _, four_times] = times.map(|time| (time - nothing).max(0.0));
    if std::env::var_os("MSB_TEST_FIGURES").is_some() {
        eprintln!("{name}: {times:.2?} s, of which {nothing:.2} s for nothing");
    }
    assert!(four_times <= MOST * once + SLACK, "{name}: {times:.2?}");
}

fn the_time_of_a_load_grows_with_what_is_in_it() {
    // The first load compiles plugins.
    let tiny = Image::new("x:1", &["a = 1"]).docker();
    let nothing = load(&tiny).min(load(&tiny));
    for (name, size, build) in KINDS {
        let times = [1, 2, 4].map(|factor| load(&build(factor * size)));
        check(name, nothing, times);
    }
}

fn the_time_of_save_and_rmi_grows_with_the_images() {
    let mut saved = [0.0; 3];
    let mut removed = [0.0; 3];
    for (place, size) in [40, 80, 160].into_iter().enumerate() {
        let env = TestEnv::new();
        env.write("in.tar", &images(size));
        env.msb("load -q -i in.tar").success();
        let names: Vec<String> = (0..size).map(|number| format!("app-{number}:1")).collect();
        let with_names = |first: &[&'static str]| -> Vec<String> {
            let first = first.iter().map(|word| (*word).to_owned());
            first.chain(names.iter().cloned()).collect()
        };
        let run = |arguments: &[String]| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            seconds(&env, &arguments)
        };
        saved[place] = run(&with_names(&["save", "-q", "-o", "out.tar"]));
        removed[place] = run(&with_names(&["rmi"]));
        assert!(is_empty(&env.home().join("cache/layers")));
        assert!(is_empty(&env.home().join("cache/blobs")));
    }
    check("save", 0.0, saved);
    check("rmi", 0.0, removed);
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}
