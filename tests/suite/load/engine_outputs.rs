//! What real engines write, in every form that they offer, and what `msb load` makes of it.
//!
//! skopeo says what is in an output: the configuration's bytes, whose digest is the image's ID, and
//! the layers that it lists. What engines do with archives of msb is in `round_trip`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::archive::{gzip, sha256, zstd};
use crate::engine::{Containerd, Docker, Podman, write_context};
use crate::env::TestEnv;
use crate::tests;
use crate::tools::run;

tests! {
    outputs_of_docker_load needs Docker, Skopeo;
    outputs_of_podman_load needs Podman, Skopeo;
    outputs_of_buildah_load needs Podman, Buildah, Skopeo;
    outputs_of_skopeo_load needs Podman, Skopeo;
    outputs_of_umoci_load needs Umoci, Skopeo;
    outputs_of_containerd_load needs Containerd, Podman, Skopeo;
}

/// The transport and the image of references of skopeo, around the path.
type Images<'a> = &'a [(&'a str, &'a str)];

/// Loads an output into a store of its own, and compares each of its images with what skopeo reads.
///
/// `images` are the transport and image of skopeo's references around the path: `oci:` and `:tag`.
fn loads(env: &TestEnv, output: &str, images: Images<'_>) {
    let home = env.path(&format!("home of {output}"));
    let store = TestEnv::new().with_home(&home);
    let input = env.path(output);
    let args = ["load", "--input", &input.display().to_string()];
    crate::env::Run::of(&mut store.command(args)).success();
    for (transport, image) in images {
        let reference = format!("{transport}{}{image}", input.display());
        same_as_skopeo(&store, &reference);
    }
}

fn same_as_skopeo(store: &TestEnv, reference: &str) {
    let config = run(Command::new("skopeo").args(["inspect", "--config", "--raw", reference]));
    let details: Value = store.json(&format!(
        "image inspect {} --format json",
        sha256(config.as_bytes())
    ));
    let config: Value = serde_json::from_str(&config).unwrap();
    let diff_ids: Vec<&Value> = details["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| &layer["diff_id"])
        .collect();
    let expected: Vec<&Value> = config["rootfs"]["diff_ids"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert_eq!(diff_ids, expected, "{reference}");
    assert!(!expected.is_empty(), "{reference}");
}

fn outputs_of_docker_load() {
    let (env, docker) = (TestEnv::new(), Docker::get());
    docker.build("outputs/one:1");
    docker.run("tag outputs/one:1 outputs/two:2");
    let id = docker.id("outputs/one:1");
    let save = |name: &str, images: &str| {
        let path = env.path(name).display().to_string();
        docker.run(&format!("save --output {path} {images}"));
    };
    save("tag.tar", "outputs/one:1");
    save("two-tags.tar", "outputs/one:1 outputs/two:2");
    save("repository.tar", "outputs/one");
    save("id.tar", &id);
    let saved = std::fs::read(env.path("tag.tar")).unwrap();
    env.write("tag.tar.gz", &gzip(&saved));
    env.write("tag.tar.zst", &zstd(&saved));
    for output in ["tag.tar", "two-tags.tar", "repository.tar"] {
        loads(&env, output, &[("docker-archive:", ":outputs/one:1")]);
    }
    loads(&env, "id.tar", &[("docker-archive:", ":@0")]);
    // skopeo does not undo what is around an archive: what is in it is known from the plain one.
    let plain = env.path("tag.tar").display().to_string();
    for output in ["tag.tar.gz", "tag.tar.zst"] {
        let store = TestEnv::new();
        let input = env.path(output).display().to_string();
        store.msb(&format!("load --input {input}")).success();
        same_as_skopeo(&store, &format!("docker-archive:{plain}:outputs/one:1"));
    }
}

/// Builds an image with podman.
fn built(env: &TestEnv) -> Podman {
    let podman = Podman::new();
    let context = env.path("context");
    std::fs::create_dir(&context).unwrap();
    write_context(&context);
    let context = context.display();
    podman.run(&format!(
        "build --quiet --isolation=chroot --tag localhost/pod:1 {context}"
    ));
    podman
}

fn outputs_of_podman_load() {
    let env = TestEnv::new();
    let podman = built(&env);
    podman.run("tag localhost/pod:1 localhost/pod:2");
    let id = podman.run("image inspect --format {{.Id}} localhost/pod:1");
    let save = |name: &str, line: &str| {
        let path = env.path(name).display().to_string();
        podman.run(&format!("save --quiet --output {path} {line}"));
    };
    let outputs: [(&str, &str, Images<'_>); 9] = [
        (
            "docker.tar",
            "--format docker-archive localhost/pod:1",
            &[("docker-archive:", ":localhost/pod:1")],
        ),
        (
            "tags.tar",
            "--format docker-archive localhost/pod:1 localhost/pod:2",
            &[("docker-archive:", ":@0")],
        ),
        (
            "several.tar",
            "--multi-image-archive localhost/pod:1 localhost/pod:2",
            &[("docker-archive:", ":localhost/pod:2")],
        ),
        (
            "oci.tar",
            "--format oci-archive localhost/pod:1",
            &[("oci-archive:", "")],
        ),
        (
            "plain.tar",
            "--uncompressed --format oci-archive localhost/pod:1",
            &[("oci-archive:", "")],
        ),
        (
            "layout",
            "--format oci-dir localhost/pod:1",
            &[("oci:", "")],
        ),
        (
            "dir",
            "--format docker-dir localhost/pod:1",
            &[("dir:", "")],
        ),
        (
            "compressed-dir",
            "--compress --format docker-dir localhost/pod:1",
            &[("dir:", "")],
        ),
        (
            "id.tar",
            &format!("--format oci-archive {}", id.trim()),
            &[("oci-archive:", "")],
        ),
    ];
    for (output, line, images) in outputs {
        save(output, line);
        loads(&env, output, images);
    }
}

fn outputs_of_buildah_load() {
    let env = TestEnv::new();
    let podman = built(&env);
    let push = |words: &[&str], transport: &str, name: &str, image: &str| {
        let target = format!("{transport}{}{image}", env.path(name).display());
        run(Command::new("buildah")
            .arg(format!("--root={}", podman.path("root").display()))
            .arg(format!("--runroot={}", podman.path("run").display()))
            .args(["--storage-driver=vfs", "push", "--quiet"])
            .args(words)
            .args(["localhost/pod:1", &target])
            .env("TMPDIR", env.path("")));
    };
    for (words, transport, name, image) in [
        (&[][..], "docker-archive:", "docker.tar", ":app:1"),
        (&[], "oci-archive:", "oci.tar", ":app:1"),
        (&[], "oci:", "layout", ":app:1"),
        (&[], "dir:", "dir", ""),
        (&["--format", "oci"], "dir:", "oci-dir", ""),
        (&["--format", "v2s2"], "dir:", "docker-dir", ""),
    ] {
        push(words, transport, name, image);
        loads(&env, name, &[(transport, image)]);
    }
}

/// Copies with skopeo, from the archive `in.tar` unless told otherwise.
fn skopeo_copies(env: &TestEnv, words: &[&str], target: &str) {
    run(Command::new("skopeo")
        .args(["copy", "--quiet", "--insecure-policy"])
        .args(words)
        .args(["docker-archive:in.tar", target])
        .current_dir(env.path(""))
        .env("TMPDIR", env.path("")));
}

fn outputs_of_skopeo_load() {
    let env = TestEnv::new();
    let podman = built(&env);
    let input = env.path("in.tar").display().to_string();
    podman.run(&format!("save --quiet --output {input} localhost/pod:1"));
    let zstd = ["--dest-compress", "--dest-compress-format", "zstd"];
    for (words, transport, name, image) in [
        (&[][..], "docker-archive:", "docker.tar", ":app:1"),
        (&[], "oci-archive:", "oci.tar", ":app:1"),
        (&[], "oci:", "layout", ":app:1"),
        (&zstd, "oci:", "zstd-layout", ":app:1"),
        (
            &["--dest-oci-accept-uncompressed-layers"],
            "oci:",
            "plain-layout",
            ":app:1",
        ),
        (&[], "dir:", "dir", ""),
        (&["--dest-compress"], "dir:", "compressed-dir", ""),
        (&["--format", "v2s2"], "dir:", "docker-dir", ""),
        (&["--format", "oci"], "dir:", "oci-dir", ""),
    ] {
        skopeo_copies(&env, words, &format!("{transport}{name}{image}"));
        loads(&env, name, &[(transport, image)]);
    }
    skopeo_copies(&env, &[], "oci:layout:other:2");
    let both = [("oci:", ":app:1"), ("oci:", ":other:2")];
    loads(&env, "layout", &both);
}

fn outputs_of_umoci_load() {
    let env = TestEnv::new();
    let umoci = |line: &str| {
        run(Command::new("umoci")
            .args(line.split(' '))
            .current_dir(env.path("")));
    };
    umoci("init --layout layout");
    umoci("new --image layout:empty");
    umoci("unpack --image layout:empty bundle");
    std::fs::create_dir_all(env.path("bundle/rootfs/etc")).unwrap();
    std::fs::write(env.path("bundle/rootfs/etc/motd"), "welcome").unwrap();
    umoci("repack --image layout:packed bundle");
    umoci("config --image layout:packed --config.cmd /bin/sh --tag configured");
    env.write("notes", b"notes");
    umoci("insert --image layout:configured --tag inserted notes /srv/notes");
    let images = [
        ("oci:", ":packed"),
        ("oci:", ":configured"),
        ("oci:", ":inserted"),
    ];
    umoci("rm --image layout:empty");
    loads(&env, "layout", &images);
    run(Command::new("tar")
        .args([
            "--create",
            "--file",
            "layout.tar",
            "--directory",
            "layout",
            ".",
        ])
        .current_dir(env.path("")));
    let archived = images.map(|(_, image)| ("oci-archive:", image));
    loads(&env, "layout.tar", &archived);
}

fn outputs_of_containerd_load() {
    let env = TestEnv::new();
    let podman = built(&env);
    let containerd = Containerd::start(&env);
    let path = |name: &str| env.path(name).display().to_string();
    for format in ["docker", "oci"] {
        let input = path(&format!("in.{format}"));
        let image = format!("localhost/{format}:1");
        podman.run(&format!("tag localhost/pod:1 {image}"));
        podman.run(&format!(
            "save --quiet --format {format}-archive --output {input} {image}"
        ));
        run(&mut containerd.ctr(&format!("image import --no-unpack {input}")));
    }
    for (output, words) in [
        ("from-docker.tar", "localhost/docker:1"),
        ("from-oci.tar", "localhost/oci:1"),
        ("both.tar", "localhost/docker:1 localhost/oci:1"),
    ] {
        let target = path(output);
        run(&mut containerd.ctr(&format!("image export {target} {words}")));
        export_loads(&env, output);
    }
    for (output, switch) in [
        ("without-docker-files.tar", "--skip-manifest-json"),
        ("all-platforms.tar", "--all-platforms"),
        ("one-platform.tar", "--platform linux/amd64"),
    ] {
        let target = path(output);
        run(&mut containerd.ctr(&format!("image export {switch} {target} localhost/oci:1")));
        export_loads(&env, output);
    }
}

/// Unpacks an export first: skopeo takes the names in it for something else than paths.
fn export_loads(env: &TestEnv, output: &str) {
    let folder = format!("{output}.unpacked");
    let unpacked = env.path(&folder);
    std::fs::create_dir(&unpacked).unwrap();
    run(Command::new("tar")
        .args(["--extract", "--file", output, "--directory", &folder])
        .current_dir(env.path("")));
    let index: Value = read_json(&unpacked.join("index.json"));
    let store = TestEnv::new();
    let input = env.path(output).display().to_string();
    store.msb(&format!("load --input {input}")).success();
    let mut compared = 0;
    for descriptor in index["manifests"].as_array().unwrap() {
        // Two manifests of one configuration are two images: only their digests tell them apart.
        let digest = descriptor["digest"].as_str().unwrap();
        let manifest = read_json(&blob(&unpacked, digest));
        let config = manifest["config"]["digest"].as_str().unwrap();
        let config = std::fs::read(blob(&unpacked, config)).unwrap();
        let details = store.json(&format!("image inspect {digest} --format json"));
        assert_eq!(details["id"], sha256(&config), "{output}");
        let layers = details["layers"].as_array().unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        let expected = config["rootfs"]["diff_ids"].as_array().unwrap();
        assert!(
            layers.iter().map(|layer| &layer["diff_id"]).eq(expected),
            "{output}"
        );
        compared += 1;
    }
    assert!(compared > 0, "{output}");
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn blob(layout: &Path, digest: &str) -> std::path::PathBuf {
    let (algorithm, hex) = digest.split_once(':').unwrap();
    layout.join("blobs").join(algorithm).join(hex)
}
