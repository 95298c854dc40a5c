//! What a load costs: memory, room on disk, and what happens when there is none.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::archive::Image;
use crate::engine::Docker;
use crate::env::TestEnv;
use crate::mount::Mounted;
use crate::tests;
use crate::tools::run;

tests! {
    a_large_image_from_docker_needs_no_temporary_copy_and_little_memory needs Docker;
    many_small_files_need_little_memory;
    a_full_disk_is_named_and_nothing_is_left needs Root;
    a_full_disk_behind_save_is_named needs Root;
}

const MEMORY: u64 = 200 << 20;

/// What was seen while a process ran.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) memory: u64,
    largest_file: u64,
}

/// Looks at a process and at the store until the process ends.
pub(crate) fn watch(child: &mut Child, home: &Path) -> Watched {
    let mut watched = Watched::default();
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let peak = status.ok().and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        watched.memory = watched.memory.max(peak.unwrap_or(0) * 1024);
        for file in walkdir::WalkDir::new(home).into_iter().flatten() {
            if file.file_type().is_file() {
                let size = file.metadata().map_or(0, |metadata| metadata.len());
                watched.largest_file = watched.largest_file.max(size);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    watched
}

fn a_large_image_from_docker_needs_no_temporary_copy_and_little_memory() {
    let (env, docker) = (TestEnv::new(), Docker::get());
    // Three layers of 100 MB that no compression would make small.
    let context = env.path("context");
    std::fs::create_dir(&context).unwrap();
    run(Command::new("sh").current_dir(&context).args([
        "-ec",
        "for n in 1 2 3; do mkdir $n; for f in 1 2 3 4; do head -c 25000000 /dev/urandom > $n/$f; done; done
         printf 'FROM scratch\\nCOPY 1 /1\\nCOPY 2 /2\\nCOPY 3 /3\\n' > Dockerfile",
    ]));
    let path = context.display().to_string();
    run(&mut docker.command(["build", "--quiet", "--tag", "large:1", &path]));
    let mut save = docker
        .command(["save", "large:1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut load = env
        .command(["load", "-q"])
        .stdin(save.stdout.take().unwrap())
        .spawn()
        .unwrap();
    let watched = watch(&mut load, env.home());
    assert!(load.wait().unwrap().success() && save.wait().unwrap().success());
    let details = env.json("image inspect large:1 --format json");
    let layers = details["layers"].as_array().unwrap();
    let sizes = layers
        .iter()
        .map(|layer| layer["erofs_size_bytes"].as_u64().unwrap());
    let largest_layer = sizes.max().unwrap();
    assert_eq!(layers.len(), 3);
    assert!(
        watched.largest_file <= largest_layer,
        "{watched:?}, {largest_layer}"
    );
    assert!(watched.memory > 0 && watched.memory < MEMORY, "{watched:?}");
    docker.run("image rm --force large:1");
}

fn many_small_files_need_little_memory() {
    let env = TestEnv::new();
    let mut builder = tar::Builder::new(Vec::new());
    for number in 0..100_000 {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(100);
        let path = format!("directory-{}/file-{number}", number % 100);
        builder
            .append_data(&mut header, path, &[7; 100][..])
            .unwrap();
    }
    let image = Image::of("small:1", vec![builder.into_inner().unwrap()]);
    env.write("in.tar", &image.docker());
    let mut load = env.command(["load", "-q", "-i", "in.tar"]).spawn().unwrap();
    let watched = watch(&mut load, env.home());
    assert!(load.wait().unwrap().success());
    assert!(watched.memory > 0 && watched.memory < MEMORY, "{watched:?}");
}

fn a_full_disk_is_named_and_nothing_is_left() {
    let disk = Mounted::tmpfs(3 << 20);
    let env = TestEnv::untouched().with_home(&disk.path().join("home"));
    let big = "x".repeat(2 << 20);
    let image = Image::new(
        "big:1",
        &[&format!("one = {big}"), &format!("two = y{big}")],
    );
    env.write("in.tar", &image.docker());
    let words = [
        "No space left on device",
        "caused by: ",
        "hint: free some space",
    ];
    env.msb("load -i in.tar").failure(&words);
    env.assert_clean();
    env.msb_with_input("load", &image.docker()).failure(&words);
    env.assert_clean();
}

fn a_full_disk_behind_save_is_named() {
    let disk = Mounted::tmpfs(1 << 20);
    let env = TestEnv::new();
    let big = "x".repeat(2 << 20);
    env.write(
        "in.tar",
        &Image::new("big:1", &[&format!("one = {big}")]).docker(),
    );
    env.msb("load -q -i in.tar").success();
    let out = disk.path().join("out.tar").display().to_string();
    env.msb(&format!("save -o {out} big:1")).failure(&[
        "could not write",
        "No space left on device",
        "hint: free some space, for instance with `msb image prune`, or choose another place with \
         --output",
    ]);
    let left = std::fs::read_dir(disk.path()).unwrap().count();
    assert_eq!(left, 0);
}
