//! Images that others made: loaded, mounted by the kernel, and compared with GNU tar.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::engine::{Docker, Podman};
use crate::env::TestEnv;
use crate::mount::{Mounted, Nodes, assert_same, nodes, overlay_form};
use crate::tests;
use crate::tools::{fixtures, run};

tests! {
    each_layer_of_each_image_that_an_engine_accepts_equals_what_gnu_tar_extracts
        needs Fixtures, Root, Tar, Docker, Podman;
    a_layer_with_every_kind_of_inode_equals_what_gnu_tar_extracts needs Root, Tar;
    layers_mounted_over_each_other_show_what_the_image_holds needs Root;
}

fn each_layer_of_each_image_that_an_engine_accepts_equals_what_gnu_tar_extracts() {
    let folder = fixtures().unwrap().join("images");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let podman = Podman::new();
    let (mut accepted, mut compared) = (0, 0);
    for file in files {
        let path = file.display().to_string();
        let docker = Docker::get().command(["load", "--quiet", "--input", &path]);
        let podman = podman.command(["load", "--quiet", "--input", &path]);
        if ![docker, podman]
            .iter_mut()
            .any(|command| command.output().unwrap().status.success())
        {
            continue;
        }
        accepted += 1;
        // Old engines still read what Docker wrote before 1.10, and find nothing wrong with an
        // archive that says it holds nothing; msb says what it is.
        let refused = [
            ("no_manifest.tar", "before version 1.10"),
            ("null_manifest.tar", "the document is null"),
        ];
        if let Some((_, words)) = refused.iter().find(|(name, _)| path.ends_with(name)) {
            let load = format!("load -i {path}");
            TestEnv::new().msb(&load).failure(&[words]);
            continue;
        }
        compared += compare_image(&file);
    }
    // Were none accepted, the engines would be at fault, not the images.
    assert!(
        accepted >= 8 && compared >= 30,
        "{accepted} images, {compared} layers"
    );
}

/// Loads an image for whatever platform it is, and compares each of its layers.
fn compare_image(file: &Path) -> usize {
    let env = TestEnv::new();
    let loaded = ["linux/amd64", "linux/arm64"].iter().any(|platform| {
        let mut load = env.command(["load", "--platform", platform, "-i"]);
        load.arg(file).output().unwrap().status.success()
    });
    assert!(
        loaded,
        "{} is accepted by an engine and not by msb",
        file.display()
    );
    let mut compared = 0;
    for row in env.json("images --format json").as_array().unwrap() {
        let digest = row["digest"].as_str().unwrap();
        env.msb(&format!("save -o saved.tar {digest}")).success();
        let unpacked = env.path("saved");
        std::fs::create_dir_all(&unpacked).unwrap();
        run(Command::new("tar")
            .arg("-xf")
            .arg(env.path("saved.tar"))
            .arg("-C")
            .arg(&unpacked));
        let details = env.json(&format!("image inspect {digest} --format json"));
        for layer in details["layers"].as_array().unwrap() {
            let diff_id = layer["diff_id"].as_str().unwrap();
            let tar = unpacked
                .join(diff_id.trim_start_matches("sha256:"))
                .join("layer.tar");
            let seen = run(Command::new("sha256sum").arg(&tar));
            assert!(
                diff_id.ends_with(&seen[..64]),
                "{diff_id} was saved as {seen}"
            );
            compare_layer(&tar, layer);
            compared += 1;
        }
    }
    compared
}

/// Compares the mount of a layer with GNU tar's extraction of the same bytes.
fn compare_layer(tar: &Path, layer: &Value) {
    let extracted = tempfile::tempdir().unwrap();
    run(Command::new("tar")
        .args([
            "--extract",
            "--preserve-permissions",
            "--same-owner",
            "--numeric-owner",
        ])
        .args(["--xattrs", "--xattrs-include=*", "--file"])
        .arg(tar)
        .arg("--directory")
        .arg(extracted.path()));
    let explicit = explicit_paths(tar);
    let image = PathBuf::from(layer["erofs_path"].as_str().unwrap());
    let mounted = Mounted::erofs(&image);
    let mut ours = nodes(mounted.path());
    let mut theirs = overlay_form(&nodes(extracted.path()));
    // Directories that no entry is for are whatever each tool makes of them.
    forget_implied(&mut ours, &explicit);
    forget_implied(&mut theirs, &explicit);
    assert_same(&ours, &theirs, &format!("{}", tar.display()));
}

fn explicit_paths(tar: &Path) -> BTreeSet<PathBuf> {
    let listed = run(Command::new("tar")
        .args(["--quoting-style=literal", "-tf"])
        .arg(tar));
    listed
        .lines()
        .map(|line| Path::new(line.trim_start_matches("./").trim_matches('/')).to_owned())
        .collect()
}

fn forget_implied(nodes: &mut Nodes, explicit: &BTreeSet<PathBuf>) {
    for (path, node) in nodes.iter_mut() {
        if node.kind == "directory" && !explicit.contains(path) {
            node.mode = 0;
            node.owner = (0, 0);
            node.mtime = (0, 0);
        }
    }
}

fn a_layer_with_every_kind_of_inode_equals_what_gnu_tar_extracts() {
    let env = TestEnv::new();
    let source = env.path("source");
    let script = r"
        mkdir -p dir/deep sticky; chmod 1777 sticky; chmod 0711 dir
        printf hello > dir/file; chmod 4755 dir/file; chown 7:70000 dir/file
        truncate -s 70000 dir/deep/zeros; head -c 300000 /dev/urandom > big
        ln dir/file hard; ln -s ../dir/file dir/soft; ln -s /nowhere dangling
        mknod null c 1 3; mknod disk b 259 70000; mkfifo pipe
        setfattr -n user.note -v text dir/file
        setfattr -n trusted.secret -v 0x000102 dir
        setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 big
        touch -d '1960-01-01 00:00:00.25' dir/deep/zeros; touch -d '2024-02-29 12:34:56.123456789' big
        : > empty; printf x > 'a name with spaces and ünïcode'
    ";
    std::fs::create_dir(&source).unwrap();
    run(Command::new("sh")
        .args(["-ec", script])
        .current_dir(&source));
    run(Command::new("tar")
        .args([
            "--create",
            "--format=posix",
            "--xattrs",
            "--xattrs-include=*",
            "--file",
        ])
        .arg(env.path("layer.tar"))
        .arg("--directory")
        .arg(&source)
        .arg("."));
    let layer = std::fs::read(env.path("layer.tar")).unwrap();
    let image = crate::archive::Image::of("kinds:1", vec![layer]);
    env.write("in.tar", &image.docker());
    env.msb("load -i in.tar").success();
    let details = env.json("image inspect kinds:1 --format json");
    compare_layer(&env.path("layer.tar"), &details["layers"][0]);
}

fn layers_mounted_over_each_other_show_what_the_image_holds() {
    let env = TestEnv::new();
    let layers = [
        "etc/\netc/hosts = one\netc/motd = hello\nvar/old/a = 1\nvar/old/b = 2\nkeep/me = k",
        "etc/.wh.motd = \nvar/old/.wh..wh..opq = \nvar/old/c = 3\nkeep/.wh.nothing = ",
        "etc/hosts = three\n.wh.keep = \nkeep/new = n",
    ];
    env.write(
        "in.tar",
        &crate::archive::Image::new("over:1", &layers).docker(),
    );
    env.msb("load -i in.tar").success();
    let details = env.json("image inspect over:1 --format json");
    let mounted: Vec<Mounted> = details["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| Mounted::erofs(Path::new(layer["erofs_path"].as_str().unwrap())))
        .collect();
    let overlay = Mounted::overlay(&mounted);
    let seen = nodes(overlay.path());
    let paths: Vec<String> = seen.keys().map(|path| path.display().to_string()).collect();
    let expected = [
        "",
        "etc",
        "etc/hosts",
        "keep",
        "keep/new",
        "var",
        "var/old",
        "var/old/c",
    ];
    assert_eq!(paths, expected);
    let hosts = std::fs::read(overlay.path().join("etc/hosts")).unwrap();
    assert_eq!(hosts, b"three");
}
