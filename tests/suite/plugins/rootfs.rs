//! A root filesystem that others made, as an image by the plugin of the examples: what the kernel
//! shows of it is what is in their tar.

mod written;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::component;
use crate::engine::Docker;
use crate::env::{Run, TestEnv};
use crate::mount::{Mounted, assert_same, nodes, unpacked};
use crate::tests;
use crate::tools::run;

tests! {
    what_debootstrap_makes_is_loaded_with_all_metadata needs Root, Tar, Debootstrap;
    what_docker_exports_is_loaded_with_all_metadata needs Root, Tar, Docker, Busybox;
    what_umoci_unpacks_is_loaded_with_all_metadata needs Root, Tar, Umoci, Busybox;
    without_the_plugin_it_is_told_what_a_root_filesystem_needs needs Busybox;
    a_filesystem_without_a_program_is_refused_by_the_plugin;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), written::tests()];
    tests.into_iter().flatten().collect()
}

/// Returns an environment with the plugin.
fn with_plugin() -> TestEnv {
    let env = TestEnv::new();
    let plugin = component("rootfs");
    let arguments = ["plugin", "install", plugin.to_str().unwrap()];
    Run::of(&mut env.command(arguments)).success();
    env
}

/// Packs a directory as its owner would: numbers of owners, every attribute, parts of seconds.
fn pack(directory: &Path, tar: &Path, more: &[&str]) {
    let fixed = [
        "--xattrs",
        "--xattrs-include=*",
        "--acls",
        "--numeric-owner",
    ];
    run(Command::new("tar")
        .args(["--create", "--format=posix", "--sort=name"])
        .args(fixed)
        .args(more)
        .arg("--file")
        .arg(tar)
        .arg("--directory")
        .arg(directory)
        .arg("."));
}

/// Returns the mounted filesystem of an image of one layer.
pub(super) fn mounted(env: &TestEnv, image: &str) -> Mounted {
    let inspected = env.json(&format!("image inspect {image} --format json"));
    let layers = inspected["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1, "{inspected}");
    Mounted::erofs(Path::new(layers[0]["erofs_path"].as_str().unwrap()))
}

/// Loads a tar as it is, compressed, and through a pipe. Each time the image is the same one, and
/// what the kernel shows of it equals the tar.
fn assert_loads_whole(env: &TestEnv, tar: &Path) {
    let source = unpacked(tar);
    let compressed = env.path("in.tar.gz");
    run(Command::new("sh").arg("-c").arg(format!(
        "gzip -1 --stdout '{}' > '{}'",
        tar.display(),
        compressed.display()
    )));
    let load = |arguments: &[&str]| Run::of(&mut env.command(arguments)).success();
    load(&["load", "-t", "file:1", "-i", tar.to_str().unwrap()]);
    let whole = mounted(env, "file:1");
    let (mut ours, mut theirs) = (nodes(whole.path()), nodes(source.path()));
    let listed = run(Command::new("tar").arg("--list").arg("--file").arg(tar));
    if !listed.lines().any(|line| line == "./") {
        // Nothing is said of the root, which is then that of the place it was unpacked to.
        ours.remove(Path::new(""));
        theirs.remove(Path::new(""));
    }
    assert_same(&ours, &theirs, "mounted");
    // GNU tar compares modes, owners, times, contents, links and device numbers.
    run(Command::new("tar")
        .args(["--compare", "--numeric-owner", "--file"])
        .arg(tar)
        .arg("--directory")
        .arg(whole.path()));
    env.msb("image verify").success();
    // What is written is the same once more.
    env.msb("save --format rootfs file:1 -o written.tar")
        .success();
    let written = unpacked(&env.path("written.tar"));
    assert_same(&nodes(written.path()), &nodes(whole.path()), "written");
    let id = env.json("image inspect file:1 --format json")["id"].clone();
    for piped in [false, true] {
        // Layers are made again, not found.
        let again = with_plugin();
        if piped {
            let mut cat = Command::new("cat")
                .arg(tar)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut load = again.command(["load", "-t", "again:1"]);
            Run::of(load.stdin(cat.stdout.take().unwrap())).success();
            cat.wait().unwrap();
        } else {
            let compressed = compressed.to_str().unwrap();
            Run::of(&mut again.command(["load", "-t", "again:1", "-i", compressed])).success();
        }
        let inspected = again.json("image inspect again:1 --format json");
        assert_eq!(inspected["id"], id, "piped: {piped}");
        again.msb("image verify").success();
        // Nothing of what was kept is left.
        again.assert_nothing_in_flight();
    }
}

fn what_debootstrap_makes_is_loaded_with_all_metadata() {
    let env = with_plugin();
    // dpkg waits for the disk after each of its files.
    let memory = Mounted::tmpfs(1 << 30);
    let directory = memory.path().join("debian");
    let sites = run(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE) $(CODENAME)",
        "Created-By: Packages",
    ]));
    let (site, release) = sites.lines().next().unwrap().split_once(' ').unwrap();
    run(Command::new("debootstrap")
        .args(["--variant=minbase", release])
        .arg(&directory)
        .arg(site));
    // The processor says what it may write and read: so do most of LXC's images.
    run(Command::new("setcap")
        .arg("cap_net_raw+ep")
        .arg(directory.join("usr/bin/mount")));
    let tar = env.path("debian.tar");
    pack(&directory, &tar, &[]);
    drop(memory);
    assert_loads_whole(&env, &tar);
    let inspected = env.json("image inspect file:1 --format json");
    let expected = crate::archive::architecture();
    assert_eq!(inspected["architecture"], expected, "{inspected}");
}

/// Makes a small root filesystem with a program that runs.
pub(super) fn small(directory: &Path) {
    let make = |path: &str| fs::create_dir_all(directory.join(path)).unwrap();
    for path in ["bin", "dev", "etc", "tmp", "usr/bin", "var/log"] {
        make(path);
    }
    let busybox = run(Command::new("sh").arg("-c").arg("command -v busybox"));
    fs::copy(busybox.trim(), directory.join("bin/busybox")).unwrap();
    symlink("busybox", directory.join("bin/sh")).unwrap();
    fs::write(directory.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    fs::write(directory.join("etc/shadow"), "root:*:::::::\n").unwrap();
    run(Command::new("sh").current_dir(directory).arg("-c").arg(
        "chmod 1777 tmp && chmod 640 etc/shadow && chown 0:42 etc/shadow && chmod 4755 bin/busybox",
    ));
}

fn what_docker_exports_is_loaded_with_all_metadata() {
    let env = with_plugin();
    let docker = Docker::get();
    let directory = env.path("small");
    small(&directory);
    let tar = env.path("small.tar");
    pack(&directory, &tar, &[]);
    let import = ["import", tar.to_str().unwrap(), "rootfs:export"];
    run(&mut docker.command(import));
    let container = docker.run("create --network=none rootfs:export /bin/sh");
    let exported = env.path("exported.tar");
    let arguments = ["export", "--output", exported.to_str().unwrap()];
    run(docker.command(arguments).arg(container.trim()));
    docker.run(&format!("rm {}", container.trim()));
    docker.run("rmi rootfs:export");
    assert_loads_whole(&env, &exported);
}

/// Puts into a filesystem what is seldom in one.
fn decorate(directory: &Path) {
    let script = "
        mknod dev/null c 1 3 && chmod 666 dev/null && mknod dev/sda b 8 300 && mkfifo -m 620 run.fifo
        ln etc/passwd etc/passwd.link && chown 3000000000:70000 etc/passwd
        setcap cap_net_raw+ep usr/bin/ping
        setfattr -n user.note -v 0x00ff3d0a usr/bin/ping && setfattr -n user.b -v c usr/bin/ping
        touch -h -d '2001-02-03 04:05:06.123456789' bin/sh && touch -d '1969-12-31 23:59:58.5 UTC' tmp
        mkdir -p \"$(printf 'd/%0150d/%0150d' 1 2)\"
        chmod 2711 var/log";
    fs::write(directory.join("usr/bin/ping"), "ping").unwrap();
    let unnamed = std::ffi::OsStr::from_bytes(b"etc/caf\xe9");
    fs::write(directory.join(unnamed), "not UTF-8").unwrap();
    symlink(
        std::ffi::OsStr::from_bytes(b"caf\xe9"),
        directory.join("etc/link"),
    )
    .unwrap();
    fs::hard_link(directory.join(unnamed), directory.join("etc/again")).unwrap();
    let sparse = fs::File::create(directory.join("var/log/lastlog")).unwrap();
    sparse.set_len(300 << 20).unwrap();
    sparse.write_all_at(b"login", 200 << 20).unwrap();
    // Larger than what is kept of a pipe, and shaped like layers.
    fs::write(directory.join("var/large"), vec![7; 9 << 20]).unwrap();
    fs::write(directory.join("var/zeros"), vec![0; 4096]).unwrap();
    fs::write(
        directory.join("var/inner.tar"),
        crate::archive::layer("a = b"),
    )
    .unwrap();
    run(Command::new("sh")
        .current_dir(directory)
        .args(["-e", "-c", script]));
}

fn what_umoci_unpacks_is_loaded_with_all_metadata() {
    let env = with_plugin();
    let directory = env.path("small");
    small(&directory);
    let bundle: PathBuf = env.path("bundle");
    for line in [
        "init --layout layout",
        "new --image layout:1",
        "insert --image layout:1 small /",
        "unpack --image layout:1 bundle",
    ] {
        run(Command::new("umoci")
            .current_dir(env.path("."))
            .args(line.split(' ')));
    }
    decorate(&bundle.join("rootfs"));
    let tar = env.path("bundle.tar");
    pack(&bundle.join("rootfs"), &tar, &["--sparse"]);
    assert_loads_whole(&env, &tar);
    // The whole bundle, where the filesystem is one folder among others, and the same as a
    // directory.
    let id = env.json("image inspect file:1 --format json")["id"].clone();
    let expected = nodes(mounted(&env, "file:1").path());
    pack(&bundle, &env.path("whole.tar"), &["--sparse"]);
    for input in ["whole.tar", "bundle"] {
        let again = with_plugin();
        let input = env.path(input);
        let arguments = ["load", "-t", "whole:1", "-i", input.to_str().unwrap()];
        Run::of(&mut again.command(arguments)).success();
        let found = nodes(mounted(&again, "whole:1").path());
        if input.is_dir() {
            // Names that are not UTF-8 have no place in the index of a directory.
            assert_eq!(found[Path::new("bin/busybox")].mode, 0o4755);
            assert_eq!(
                found[Path::new("etc/passwd.link")].link_to.as_deref(),
                Some(Path::new("etc/passwd"))
            );
            assert_eq!(
                found[Path::new("usr/bin/ping")],
                expected[Path::new("usr/bin/ping")]
            );
            assert_eq!(found[Path::new("dev/sda")], expected[Path::new("dev/sda")]);
        } else {
            assert_same(&found, &expected, "the bundle");
            let inspected = again.json("image inspect whole:1 --format json");
            assert_eq!(inspected["id"], id);
        }
    }
}

fn without_the_plugin_it_is_told_what_a_root_filesystem_needs() {
    let env = TestEnv::new();
    let directory = env.path("small");
    small(&directory);
    pack(&directory, &env.path("small.tar"), &[]);
    env.msb("load -i small.tar")
        .failure(&["no installed format plugin", "root filesystem"]);
}

fn a_filesystem_without_a_program_is_refused_by_the_plugin() {
    let env = with_plugin();
    let layer = crate::archive::layer("bin/sh = #!/no\netc/hosts = x\nusr/share/doc = y");
    env.write("in.tar", &layer);
    env.msb("load -i in.tar")
        .failure(&["plugin `rootfs`", "for which processor"]);
    env.assert_clean();
}
