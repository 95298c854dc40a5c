//! The documents of images, from archives and from registries alike: what is an image, which one of
//! an index is taken, and what two readers might take for two images.

mod blobs;
mod differing;
mod manifests;

use serde_json::{Value, json};

use self::blobs::{Blobs, Homes, Seen};
use crate::archive::{Files, Image, architecture, archive, descriptor, gzip, other_architecture};
use crate::env::TestEnv;
use crate::tests;

tests! {
    case_95_an_artifact_is_refused_by_its_type_or_skipped_beside_an_image;
    pull_and_load_pick_the_same_entry_of_an_index;
    a_build_cache_is_called_one;
    one_bad_image_does_not_take_its_archive_with_it;
    a_platform_may_be_one_word;
}

/// Returns the tests of this module and of those below.
pub(crate) fn all() -> Vec<crate::Test> {
    [tests(), differing::tests(), manifests::tests()]
        .into_iter()
        .flatten()
        .collect()
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn load_and_pull(blobs: &Blobs, entry: &Value, options: &str) -> [Seen; 2] {
    Homes::new().load_and_pull(blobs, entry, options)
}

#[track_caller]
fn assert_both(blobs: &Blobs, entry: &Value, image: &Image) {
    assert_both_in(&Homes::new(), blobs, entry, image);
}

#[track_caller]
fn assert_both_in(homes: &Homes, blobs: &Blobs, entry: &Value, image: &Image) {
    let expected = Seen::Image(image.id());
    for seen in homes.load_and_pull(blobs, entry, "") {
        assert_eq!(seen, expected, "{entry}");
    }
}

#[track_caller]
fn assert_neither(blobs: &Blobs, entry: &Value, words: &[&str]) {
    for seen in load_and_pull(blobs, entry, "") {
        let Seen::Nothing(error) = seen else {
            panic!("{entry}: {seen:?}");
        };
        for words in words {
            assert!(error.contains(words), "no {words:?} in {error}");
        }
    }
}

fn sample(name: &str) -> Image {
    Image::new("", &[&format!("etc/name = {name}")]).compressed(gzip)
}

fn index(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
}

fn artifact(blobs: &mut Blobs) -> Value {
    let config = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    blobs.add(b"{}");
    let statement = blobs.add(b"statement");
    blobs.add_document(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/spdx+json",
        "config": config,
        "layers": [{"mediaType": "application/spdx+json", "digest": statement, "size": 9}],
    }))
}

fn case_95_an_artifact_is_refused_by_its_type_or_skipped_beside_an_image() {
    let mut blobs = Blobs::default();
    let artifact = artifact(&mut blobs);
    assert_neither(&blobs, &artifact, &["application/spdx+json", "hint: "]);
    let image = sample("beside");
    let entry = blobs.add_image(&image, &image.manifest());
    let mut with_type = artifact.clone();
    with_type["artifactType"] = json!("application/spdx+json");
    for entries in [
        [artifact.clone(), entry.clone()],
        [entry.clone(), artifact.clone()],
        [with_type, entry],
    ] {
        let index = blobs.add_document(&index(&entries));
        assert_both(&blobs, &index, &image);
    }
    let alone = blobs.add_document(&index(&[artifact]));
    assert_neither(&blobs, &alone, &["application/spdx+json", "hint: "]);
}

fn pull_and_load_pick_the_same_entry_of_an_index() {
    // Each entry: what its index says that it runs on, and what its configuration says.
    let tables: [&[(&str, &str)]; 10] = [
        &[("amd64/v3", "amd64"), ("amd64", "amd64")],
        &[("amd64", "amd64"), ("amd64/v3", "amd64")],
        &[("amd64/v2", "amd64"), ("amd64/v4", "amd64")],
        &[("amd64", "amd64"), ("amd64", "amd64")],
        &[("arm64", "amd64"), ("amd64", "arm64")],
        &[("", "arm64"), ("", "amd64"), ("", "amd64")],
        &[("artifact", ""), ("", "arm64"), ("", "amd64")],
        &[("arm/v5", "arm"), ("arm/v7", "arm"), ("arm/v6", "arm")],
        &[("index", ""), ("", "amd64"), ("arm64", "arm64")],
        &[("unknown", "amd64"), ("386", "386"), ("arm64/v8", "arm64")],
    ];
    let homes = Homes::new();
    for (number, table) in tables.into_iter().enumerate() {
        let mut blobs = Blobs::default();
        let entry = |blobs: &mut Blobs, position: usize, stated: &str, own: &str| {
            let mut image = sample(&format!("{number} {position}"));
            image.config["architecture"] = json!(own);
            let mut entry = blobs.add_image(&image, &image.manifest());
            let (name, variant) = stated.split_once('/').unwrap_or((stated, ""));
            if !name.is_empty() {
                entry["platform"] =
                    json!({"os": "linux", "architecture": name, "variant": variant});
            }
            entry
        };
        let mut entries = Vec::new();
        for (position, (stated, own)) in table.iter().enumerate() {
            entries.push(match *stated {
                "artifact" => artifact(&mut blobs),
                "index" => {
                    let inner = entry(&mut blobs, position, "amd64", "amd64");
                    blobs.add_document(&index(&[inner]))
                }
                stated => entry(&mut blobs, position, stated, own),
            });
        }
        let top = blobs.add_document(&index(&entries));
        for platform in ["", "amd64", "amd64/v2", "linux/amd64/v3", "arm64", "arm/v6"] {
            let options = match platform {
                "" => String::new(),
                platform => format!("--platform {platform}"),
            };
            let [loaded, pulled] = homes.load_and_pull(&blobs, &top, &options);
            match (&loaded, &pulled) {
                (Seen::Nothing(_), Seen::Nothing(_)) => {}
                _ => assert_eq!(loaded, pulled, "{table:?} {platform}"),
            }
            let is_plain = Seen::Image({
                let mut image = sample(&format!("{number} 1"));
                image.config["architecture"] = json!("amd64");
                image.id()
            });
            if number == 0 {
                let is_expected = loaded == is_plain;
                match platform {
                    "amd64" | "amd64/v2" => assert!(is_expected, "{platform}: {loaded:?}"),
                    "linux/amd64/v3" => assert!(!is_expected, "{platform}: {loaded:?}"),
                    _ => {}
                }
            }
        }
    }
}

fn a_build_cache_is_called_one() {
    let mut blobs = Blobs::default();
    let layer = &sample("cached").layers[0];
    blobs.add(layer);
    let config = b"{\"layers\": [], \"records\": []}";
    blobs.add(config);
    let cache = "application/vnd.buildkit.cacheconfig.v0";
    let list = blobs.add_document(&index(&[
        descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer),
        descriptor(cache, config),
    ]));
    assert_neither(&blobs, &list, &["build cache"]);
    let manifest = blobs.add_document(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(cache, config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
    }));
    assert_neither(&blobs, &manifest, &["build cache"]);
}

fn one_bad_image_does_not_take_its_archive_with_it() {
    let good = Image::new("good:1", &["etc/name = good"]);
    let bad = |change: &dyn Fn(&mut Image)| {
        let mut image = Image::new("bad:1", &["etc/name = bad"]);
        change(&mut image);
        image
    };
    let bad = [
        bad(&|image| image.config = json!(7)),
        bad(&|image| image.config["rootfs"] = json!("x")),
        bad(&|image| image.config["rootfs"]["diff_ids"] = json!(["nonsense"])),
        bad(&|image| image.config["rootfs"]["diff_ids"] = json!([])),
        bad(&|image| image.config["RootFS"] = json!({"diff_ids": []})),
        bad(&|image| image.config["architecture"] = json!(other_architecture())),
    ];
    let both = |good: Files, bad: Files, list: &str| {
        let items = |files: &Files| -> Vec<Value> {
            let file = files.iter().find(|(path, _)| path == list).unwrap();
            let list: Value = serde_json::from_slice(&file.1).unwrap();
            list.as_array()
                .or(list["manifests"].as_array())
                .unwrap()
                .clone()
        };
        let mut all = items(&bad);
        all.extend(items(&good));
        let all = match list {
            "manifest.json" => json!(all),
            _ => json!({"schemaVersion": 2, "manifests": all}),
        };
        let mut files: Files = bad.into_iter().chain(good).collect();
        files.retain(|(path, _)| path != list);
        files.push((list.to_owned(), serde_json::to_vec(&all).unwrap()));
        archive(&files)
    };
    let (env, piped) = (TestEnv::new(), TestEnv::new());
    for image in &bad {
        let rename = |mut files: Files| {
            // Layers of both archives have the same paths.
            for (path, contents) in &mut files {
                if path == "layer0/layer.tar" {
                    "bad/layer.tar".clone_into(path);
                }
                if path == "manifest.json" {
                    let text = String::from_utf8(contents.clone()).unwrap();
                    *contents = text.replace("layer0/", "bad/").into_bytes();
                }
            }
            files
        };
        for archive in [
            both(
                good.docker_files(),
                rename(image.docker_files()),
                "manifest.json",
            ),
            both(good.oci_files(), image.oci_files(), "index.json"),
        ] {
            env.write("in.tar", &archive);
            let run = env.msb("load -i in.tar").success();
            assert!(run.stderr.contains("skipped"), "{run:#?}");
            piped.msb_with_input("load", &archive).success();
            for env in [&env, &piped] {
                assert_eq!(env.references(), ["good:1"]);
                env.msb("rmi --force good:1").success();
            }
        }
    }
}

fn a_platform_may_be_one_word() {
    let mut other = sample("other");
    other.config["architecture"] = json!(other_architecture());
    let mut blobs = Blobs::default();
    let entry = blobs.add_image(&other, &other.manifest());
    let platform = format!("--platform {}", other_architecture());
    for seen in load_and_pull(&blobs, &entry, &platform) {
        assert_eq!(seen, Seen::Image(other.id()));
    }
    let own = format!("--platform {}", architecture());
    for seen in load_and_pull(&blobs, &entry, &own) {
        assert!(matches!(seen, Seen::Nothing(_)));
    }
    let env = TestEnv::new();
    env.msb("pull --platform nonsense x")
        .failure(&["`nonsense` is not a platform", "hint: "]);
}
