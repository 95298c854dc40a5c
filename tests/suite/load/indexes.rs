//! Indexes of archives: kept byte for byte with the images that they lead to, so that
//! `NAME@DIGEST-OF-THE-INDEX` is found, and never believed.

mod proof;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::{
    Files, Image, architecture, archive, descriptor, gzip, hex, other_architecture, sha256,
};
use crate::engine::Podman;
use crate::env::TestEnv;
use crate::tests;
use crate::tools::run;

tests! {
    an_image_is_found_by_the_indexes_that_lead_to_it;
    the_index_of_a_layout_is_one_of_them;
    a_directory_of_skopeo_may_be_an_index;
    what_docker_saves_of_an_index_is_found_by_it;
    indexes_of_buildah_and_skopeo_are_kept needs Podman, Buildah, Skopeo;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), proof::tests()];
    tests.into_iter().flatten().collect()
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

const NAME: &str = "io.containerd.image.name";

/// Images for this machine and another one, and the index that lists both.
struct Both {
    mine: Image,
    blobs: Vec<Vec<u8>>,
    index: Vec<u8>,
}

impl Both {
    fn new(contents: &str) -> Self {
        let mine = Image::new("", &[&format!("etc/app = {contents}")]).compressed(gzip);
        let mut theirs = Image::new("", &[&format!("etc/app = other {contents}")]);
        theirs.config["architecture"] = json!(other_architecture());
        let mut blobs = Vec::new();
        let mut entries = Vec::new();
        for (image, architecture) in [(&theirs, other_architecture()), (&mine, architecture())] {
            let manifest = serde_json::to_vec(&image.manifest()).unwrap();
            let mut entry = descriptor(MANIFEST, &manifest);
            entry["platform"] = json!({"os": "linux", "architecture": architecture});
            entries.push(entry);
            blobs.extend([manifest, image.config_bytes()]);
            blobs.extend(image.layers.iter().cloned());
        }
        Self {
            mine,
            blobs,
            index: index(&entries, "of two platforms"),
        }
    }

    fn digest(&self) -> String {
        sha256(&self.index)
    }

    /// Returns the files of a layout whose `index.json` lists these, and the index among its blobs.
    fn files(&self, entries: &[Value]) -> Files {
        layout(
            &index(entries, "of the layout"),
            &self.blobs,
            &[&self.index],
        )
    }
}

/// Returns an index in an order and with spaces that no program would write again.
fn index(entries: &[Value], what: &str) -> Vec<u8> {
    let entries = serde_json::to_string_pretty(entries).unwrap();
    format!(
        "{{ \"annotations\": {{\"what\": \"{what}\"}},\n\"manifests\":{entries},  \
         \"mediaType\": \"{INDEX}\", \"schemaVersion\": 2}}\n"
    )
    .into_bytes()
}

fn layout(top: &[u8], blobs: &[Vec<u8>], indexes: &[&[u8]]) -> Files {
    let mut files: Files = vec![
        (
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        ),
        ("index.json".to_owned(), top.to_vec()),
    ];
    let indexes = indexes.iter().map(|index| index.to_vec());
    for blob in blobs.iter().cloned().chain(indexes) {
        files.push((format!("blobs/sha256/{}", hex(&sha256(&blob))), blob));
    }
    files
}

fn named(bytes: &[u8], media_type: &str, name: &str) -> Value {
    let mut entry = descriptor(media_type, bytes);
    entry["annotations"] = json!({ NAME: name });
    entry
}

/// Loads files as a tar, through a pipe and as a directory, each into a store of its own.
fn loaded(files: &Files) -> [TestEnv; 3] {
    let bytes = archive(files);
    let environments = [TestEnv::new(), TestEnv::new(), TestEnv::new()];
    let [file, pipe, folder] = &environments;
    file.write("in.tar", &bytes);
    file.msb("load -i in.tar").success();
    pipe.msb_with_input("load", &bytes).success();
    for (path, contents) in files {
        let path = folder.path("in").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
    folder.msb("load -i in").success();
    environments
}

/// Asserts that `name@digest` finds an image by an index, for each command that takes a name, and
/// that the index is kept as it was.
#[track_caller]
fn assert_found(env: &TestEnv, name: &str, index: &[u8], image: &Image) {
    let digest = sha256(index);
    let pinned = format!("{name}@{digest}");
    let shown = env.json(&format!("image inspect {pinned} --format json"));
    assert_eq!(shown["id"], image.id());
    let indexes = shown["index_digests"].as_array().unwrap();
    assert!(indexes.contains(&json!(digest)), "{indexes:?}");
    let kept = env
        .home()
        .join("cache/blobs")
        .join(digest.replace(':', "_"));
    assert!(std::fs::read(kept).unwrap() == index);
    env.msb(&format!("save -q -o out.tar {pinned}")).success();
    let again = TestEnv::new();
    std::fs::copy(env.path("out.tar"), again.path("in.tar")).unwrap();
    again.msb("load -q -i in.tar").success();
    assert_eq!(again.json("images --format json")[0]["id"], image.id());
    env.msb("image verify").success();
}

#[track_caller]
fn assert_removed(env: &TestEnv, pinned: &str) {
    env.msb(&format!("rmi --force {pinned}")).success();
    env.msb("image prune --yes").success();
    env.assert_clean();
    let blobs = std::fs::read_dir(env.home().join("cache/blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
}

fn an_image_is_found_by_the_indexes_that_lead_to_it() {
    let both = Both::new("app");
    let outer = index(&[descriptor(INDEX, &both.index)], "outer");
    let top = index(
        &[named(&outer, INDEX, "registry.test/app:1")],
        "of the layout",
    );
    let files = layout(&top, &both.blobs, &[&outer, &both.index]);
    for env in loaded(&files) {
        for index in [&both.index, &outer, &top] {
            assert_found(&env, "registry.test/app", index, &both.mine);
        }
        env.msb(&format!(
            "image inspect registry.test/other@{}",
            both.digest()
        ))
        .failure(&["image not found"]);
        assert_removed(&env, &format!("registry.test/app@{}", both.digest()));
    }
}

fn the_index_of_a_layout_is_one_of_them() {
    let both = Both::new("app");
    let mut top: Value = serde_json::from_slice(&both.index).unwrap();
    for entry in top["manifests"].as_array_mut().unwrap() {
        entry["annotations"] = json!({NAME: "registry.test/app:1"});
    }
    let top = serde_json::to_vec_pretty(&top).unwrap();
    for env in loaded(&layout(&top, &both.blobs, &[])) {
        assert_found(&env, "registry.test/app", &top, &both.mine);
        assert_removed(&env, &format!("registry.test/app@{}", sha256(&top)));
    }
}

fn a_directory_of_skopeo_may_be_an_index() {
    let both = Both::new("app");
    let mut files: Files = vec![
        (
            "version".to_owned(),
            b"Directory Transport Version: 1.1\n".to_vec(),
        ),
        ("manifest.json".to_owned(), both.index.clone()),
    ];
    for blob in &both.blobs {
        let name = hex(&sha256(blob)).to_owned();
        let is_manifest = blob.windows(8).any(|part| part == b"\"layers\"") && blob[0] == b'{';
        let ending = if is_manifest { ".manifest.json" } else { "" };
        files.push((name + ending, blob.clone()));
    }
    let env = TestEnv::new();
    env.write("in.tar", &archive(&files));
    env.msb("load -i in.tar --tag registry.test/app:1")
        .success();
    assert_found(&env, "registry.test/app", &both.index, &both.mine);
    assert_removed(&env, &format!("registry.test/app@{}", both.digest()));
}

/// What `docker save` writes with the store of containerd: a layout whose `index.json` lists the
/// index under its name, and a `manifest.json` for the one platform that is there.
fn what_docker_saves_of_an_index_is_found_by_it() {
    let both = Both::new("app");
    let mut entry = descriptor(INDEX, &both.index);
    entry["annotations"] = json!({
        NAME: "registry.test/app:1",
        "org.opencontainers.image.ref.name": "1",
    });
    let mut files = both.files(&[entry]);
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", hex(&sha256(bytes)));
    let list = json!([{
        "Config": blob(&both.mine.config_bytes()),
        "RepoTags": ["registry.test/app:1"],
        "Layers": [blob(&both.mine.layers[0])],
    }]);
    files.push(("manifest.json".to_owned(), list.to_string().into_bytes()));
    // The other platform was never pulled: its manifest is listed and not there.
    let theirs = blob(&both.blobs[0]);
    files.retain(|(path, _)| *path != theirs);
    for env in loaded(&files) {
        assert_found(&env, "registry.test/app", &both.index, &both.mine);
        assert_removed(&env, &format!("registry.test/app@{}", both.digest()));
    }
}

/// Returns the nested index that the `index.json` of a layout lists.
fn nested(layout: &Path) -> Vec<u8> {
    let top: Value =
        serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest = top["manifests"][0]["digest"].as_str().unwrap();
    std::fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap()
}

fn indexes_of_buildah_and_skopeo_are_kept() {
    let env = TestEnv::new();
    let both = Both::new("app");
    let source = env.path("source");
    for (path, contents) in both.files(&[named(&both.index, INDEX, "app:1")]) {
        let path = source.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
    let copy = |from: &str, to: &str| {
        run(Command::new("skopeo")
            .args(["copy", "--quiet", "--insecure-policy", "--all", from, to])
            .current_dir(env.path(""))
            .env("TMPDIR", env.path("")));
    };
    copy("oci:source", "dir:folder");
    copy("dir:folder", "oci:layout:registry.test/app:1");
    copy("dir:folder", "oci-archive:layout.tar:registry.test/app:1");
    let podman = Podman::new();
    let buildah = |words: &[&str]| {
        run(Command::new("buildah")
            .arg(format!("--root={}", podman.path("root").display()))
            .arg(format!("--runroot={}", podman.path("run").display()))
            .arg("--storage-driver=vfs")
            .args(words)
            .current_dir(env.path(""))
            .env("TMPDIR", env.path("")));
    };
    buildah(&["manifest", "create", "list"]);
    buildah(&["manifest", "add", "--all", "list", "oci:source"]);
    buildah(&[
        "manifest",
        "push",
        "--all",
        "list",
        "oci:pushed:registry.test/app:1",
    ]);
    for output in ["folder", "layout", "layout.tar", "pushed"] {
        let store = TestEnv::new();
        let input = env.path(output).display().to_string();
        store
            .msb(&format!("load --input {input} --tag registry.test/app:1"))
            .success();
        let index = match output {
            "folder" => std::fs::read(env.path("folder/manifest.json")).unwrap(),
            "pushed" => nested(&env.path("pushed")),
            _ => nested(&env.path("layout")),
        };
        assert_found(&store, "registry.test/app", &index, &both.mine);
    }
}
