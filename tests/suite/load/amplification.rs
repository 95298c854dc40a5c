//! Small archives that would like to cost much: they load in little memory, or are refused by the
//! name of the limit that they meet.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tar::{Builder, EntryType, Header};

use crate::archive::{Image, gzip, layer};
use crate::env::{Run, TestEnv};
use crate::load::resources::watch;
use crate::tests;

tests! {
    small_archives_take_little_memory_or_are_refused_by_name;
    layers_share_what_they_may_write;
    hard_links_across_layers_may_stand_in_any_order;
    an_index_that_lists_one_image_again_and_again_is_one_image;
    more_layers_than_files_may_be_open_are_loaded_and_saved;
    layers_of_a_load_that_failed_leave_no_lock_files;
    a_flood_of_notices_and_a_long_path_are_cut;
}

/// What a load may take at most: the budget, and what msb itself takes when it is built without
/// optimisation.
const MEMORY: u64 = (256 + 64) << 20;

/// A layer of entries with extension headers.
pub(crate) struct Layer(Builder<Vec<u8>>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// Adds a PAX header: a global one, or one for the next entry.
    fn records(mut self, kind: EntryType, records: &[(&str, &[u8])]) -> Self {
        let mut bytes = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let digits = (1..20)
                .find(|digits| (rest + digits).to_string().len() == *digits)
                .unwrap();
            bytes.extend(format!("{} {key}=", rest + digits).bytes());
            bytes.extend(*value);
            bytes.push(b'\n');
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        self.0.append_data(&mut header, "pax", &*bytes).unwrap();
        self
    }

    pub(crate) fn global(self, key: &str, value: &[u8]) -> Self {
        self.records(EntryType::XGlobalHeader, &[(key, value)])
    }

    pub(crate) fn own(self, key: &str, value: &[u8]) -> Self {
        self.records(EntryType::XHeader, &[(key, value)])
    }

    pub(crate) fn entry(mut self, path: &str, kind: EntryType) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(0);
        if matches!(kind, EntryType::Link | EntryType::Symlink) {
            header.set_link_name("x").unwrap();
        }
        self.0.append_data(&mut header, path, &[][..]).unwrap();
        self
    }

    pub(crate) fn files(self, count: usize) -> Self {
        (0..count).fold(self, |layer, number| {
            layer.entry(&format!("f{number}"), EntryType::Regular)
        })
    }

    pub(crate) fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    /// Returns an archive with an image of this layer.
    pub(crate) fn image(self) -> Vec<u8> {
        Image::of("x:1", vec![self.tar()]).compressed(gzip).docker()
    }
}

#[expect(clippy::too_many_lines, reason = "a list of inputs")]
fn small_archives_take_little_memory_or_are_refused_by_name() {
    let deep = "a/".repeat(32_000);
    let paths = (0..100).fold(Layer::new(), |layer, number| {
        let path = format!("{number}/{deep}f");
        layer
            .own("path", path.as_bytes())
            .entry("x", EntryType::Regular)
    });
    let globals = (0..3).fold(Layer::new(), |layer, number| {
        layer.global(&format!("k{number}"), &vec![b'v'; 1_000_000])
    });
    let links = (0..20_000).fold(
        Layer::new().global("linkpath", "l/".repeat(30_000).as_bytes()),
        |layer, number| layer.entry(&format!("h{number}"), EntryType::Link),
    );
    let outer = Layer::new()
        .global("path", "p/".repeat(29_000).as_bytes())
        .files(20_000);
    let attribute = || Layer::new().global("SCHILY.xattr.user.x", &vec![b'v'; 60_000]);
    let other_links = (0..5000).fold(Layer::new(), |layer, number| {
        let target = format!("{number}/{}", format!("{}/", "l".repeat(200)).repeat(300));
        layer
            .own("linkpath", target.as_bytes())
            .entry(&format!("h{number}"), EntryType::Link)
    });
    let beside = (0..20_000).fold(attribute(), |layer, number| {
        let own = number.to_string();
        layer
            .own("SCHILY.xattr.user.own", own.as_bytes())
            .entry(&own, EntryType::Regular)
    });
    let again = (0..400).fold(Layer::new(), |layer, _| {
        layer.global("k", &vec![b'v'; 1_000_000])
    });
    let to_one = Layer::new()
        .own("path", format!("{deep}f").as_bytes())
        .entry("x", EntryType::Regular)
        .global("linkpath", format!("{deep}f").as_bytes());
    let to_one = (0..20_000).fold(to_one, |layer, number| {
        layer.entry(&format!("h{number}"), EntryType::Link)
    });
    let away = (0..20_000).fold(
        Layer::new().global("path", format!("{deep}f").as_bytes()),
        |layer, _| layer.entry("x", EntryType::Symlink),
    );
    // What the refusal says; nothing for one that loads.
    let cases: [(&str, Vec<u8>, &[&str]); 11] = [
        (
            "one attribute of all files",
            attribute().files(20_000).image(),
            &[],
        ),
        (
            "directories that only paths name",
            paths.image(),
            &["files and directories (limit `memory_bytes`)", "268435456"],
        ),
        (
            "a path of all entries around images",
            outer.tar(),
            &["error: "],
        ),
        (
            "many global headers",
            globals.files(1).image(),
            &["(limit `xattr_bytes`)", "global extension headers"],
        ),
        (
            "a target of all links",
            links.image(),
            &[
                "is a hard link to `l/l/",
                "which neither the layer has nor those below",
            ],
        ),
        (
            "a target of each link",
            other_links.image(),
            &["links (limit `memory_bytes`)"],
        ),
        (
            "an attribute of each file beside one of all",
            beside.image(),
            &[],
        ),
        (
            "a header that comes again and again",
            again.files(1).image(),
            &[],
        ),
        ("many names of one deep file", to_one.image(), &[]),
        (
            "links that all have one path",
            away.image(),
            &["names to look up", "(limit `entries`)"],
        ),
        (
            "a path of all files",
            Layer::new()
                .global("path", format!("{deep}f").as_bytes())
                .files(20_000)
                .image(),
            &[],
        ),
    ];
    for (name, archive, words) in cases {
        let env = TestEnv::new();
        for input in [archive.clone(), gzip(&archive)] {
            env.write("in.tar", &input);
            let started = Instant::now();
            let mut command = env.command(["load", "-q", "-i", "in.tar"]);
            let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
            let watched = watch(&mut child, env.home());
            let run = Run::from(child.wait_with_output().unwrap());
            assert!(watched.memory < MEMORY, "{name}: {watched:?}");
            assert!(started.elapsed() < Duration::from_mins(1), "{name}");
            if words.is_empty() {
                run.success();
            } else {
                run.failure(words);
                env.assert_clean();
            }
        }
        if words.is_empty() {
            env.msb("image verify").success();
        }
    }
}

fn layers_share_what_they_may_write() {
    let env = TestEnv::new();
    let settings = json!({"limits": {"image_bytes": 1 << 20}});
    env.write_settings(settings);
    let big = "x".repeat(700 << 10);
    let one = Image::new("one:1", &[&format!("a = {big}")]);
    env.write("in.tar", &one.docker());
    env.msb("load -q -i in.tar").success();
    let two = Image::new("two:1", &[&format!("b = {big}"), &format!("c = {big}")]);
    env.write("in.tar", &two.docker());
    env.msb("load -i in.tar").failure(&[
        "the layers take more than 1048576 bytes on disk together (limit `image_bytes`)",
        r#"hint: if this is intended, raise the limit in config.json: {"limits": {"image_bytes": NUMBER}}"#,
    ]);
    assert_eq!(env.references(), ["one:1"]);
}

fn hard_links_across_layers_may_stand_in_any_order() {
    // With a step for each pair of links this would take minutes.
    let links = 30_000;
    let upper: String = (0..links)
        .map(|number| match number + 1 {
            last if last == links => format!("h{number} => target\n"),
            next => format!("h{number} => h{next}\n"),
        })
        .collect();
    let image = Image::of("links:1", vec![layer("target = x\n"), layer(&upper)]);
    let env = TestEnv::new();
    env.write("in.tar", &image.docker());
    let started = Instant::now();
    env.msb("load -q -i in.tar").success();
    assert!(started.elapsed() < Duration::from_secs(30));
    env.msb("image verify").success();
}

fn an_index_that_lists_one_image_again_and_again_is_one_image() {
    let env = TestEnv::new();
    let image = Image::new("app:1", &["a = 1"]);
    let mut files = image.oci_files();
    let index = files.iter_mut().find(|(path, _)| path == "index.json");
    let (_, index) = index.unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(index).unwrap();
    let one = document["manifests"][0].clone();
    document["manifests"] = vec![one; 9_000].into();
    *index = document.to_string().into_bytes();
    env.write("in.tar", &crate::archive::archive(&files));
    let started = Instant::now();
    env.msb("load -q -i in.tar").success();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(env.references(), ["app:1"]);
}

/// Runs msb where it may have few files open.
fn with_few_files(env: &TestEnv, line: &str) -> Run {
    let script = "ulimit -n 64 && exec \"$0\" \"$@\"";
    Run::of(&mut env.shell(script, line.split(' ')))
}

fn more_layers_than_files_may_be_open_are_loaded_and_saved() {
    let layers = (0..200).map(|number| layer(&format!("d/{number} = {number}\n")));
    let image = Image::of("many:1", layers.collect());
    let env = TestEnv::new();
    env.write("in.tar", &image.docker());
    with_few_files(&env, "load -q -i in.tar").success();
    with_few_files(&env, "save -q -o out.tar many:1").success();
    with_few_files(&env, "image verify").success();
    let again = TestEnv::new();
    again.write("in.tar", &std::fs::read(env.path("out.tar")).unwrap());
    again.msb("load -q -i in.tar").success();
}

fn layers_of_a_load_that_failed_leave_no_lock_files() {
    let mut image = Image::of(
        "many:1",
        (0..50)
            .map(|number| layer(&format!("{number} = {number}\n")))
            .collect(),
    );
    image.layers[49] = layer("other = 1\n");
    let env = TestEnv::new();
    env.write("in.tar", &image.docker());
    env.msb("load -q -i in.tar").failure(&["diff_id"]);
    let locks = std::fs::read_dir(env.home().join("cache/locks")).unwrap();
    assert_eq!(locks.count(), 1);
}

fn a_flood_of_notices_and_a_long_path_are_cut() {
    let env = TestEnv::new();
    let image = Image::new("app:1", &["a = 1"]);
    let mut files = image.docker_files();
    let (_, manifest) = files
        .iter_mut()
        .find(|(path, _)| path == "manifest.json")
        .unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let tags = (0..20_000).map(|number| format!("Not A Name {number}"));
    document[0]["RepoTags"] = tags.collect::<Vec<_>>().into();
    *manifest = document.to_string().into_bytes();
    env.write("in.tar", &crate::archive::archive(&files));
    let run = env.msb("load -i in.tar").success();
    assert!(run.stderr.lines().count() < 120, "{}", run.stderr.len());
    assert!(run.stderr.contains("and 19900 more notices"), "{run:?}");

    let path = format!("{}{}", "x/".repeat(30_000), "n".repeat(300));
    let long = Layer::new()
        .own("path", path.as_bytes())
        .entry("x", EntryType::Regular);
    env.write("in.tar", &long.image());
    let run = env
        .msb("load -i in.tar")
        .failure(&["a name in it is longer than 255 bytes"]);
    let longest = run.stderr.lines().map(str::len).max().unwrap();
    assert!(longest < 2_000, "{longest}");
}
