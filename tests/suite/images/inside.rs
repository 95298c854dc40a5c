//! `image ls`: what lies in an image, without mounting it.

use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::archive::Image;
use crate::cli::terminal::Terminal;
use crate::env::TestEnv;
use crate::mount::{Mounted, nodes};
use crate::oracle::truth::compare::mounted_layers;
use crate::tests;

tests! {
    a_directory_is_listed_as_its_layers_show_it;
    without_an_image_the_images_are_listed;
    all_below_a_directory_is_listed_in_the_order_of_a_walk;
    what_is_listed_is_what_the_kernel_shows needs Root;
    every_name_is_listed_in_full_and_obeyed_by_no_terminal;
    names_have_the_colours_of_what_they_are needs Tmux;
}

pub(super) fn loaded(image: &Image) -> TestEnv {
    let env = TestEnv::new();
    load(&env, image);
    env
}

pub(super) fn load(env: &TestEnv, image: &Image) {
    env.write("in.tar", &image.docker());
    env.msb("load -q -i in.tar").success();
}

pub(super) fn sample() -> Image {
    Image::new(
        "app:1",
        &[
            "etc/\netc/hosts = 127.0.0.1 here\netc/passwd = root\netc/gone = x\nusr/bin/\n\
             usr/bin/tool = #!/bin/sh\nbin -> usr/bin\ndev/null : 1,3\nopt/old/\nopt/old/file = old",
            "etc/.wh.gone = \netc/motd = hello\nusr/bin/same => usr/bin/tool\nopt/old/.wh..wh..opq = \n\
             opt/old/new = new",
        ],
    )
}

fn a_directory_is_listed_as_its_layers_show_it() {
    let env = loaded(&sample());
    let run = env.msb("image ls app:1 /etc").success();
    assert_eq!(
        run.stdout,
        "MODE          OWNER    SIZE    MODIFIED               NAME\n\
         -rw-r--r--    0:0      14 B    2023-11-14 22:13:20    hosts\n\
         -rw-r--r--    0:0      5 B     2023-11-14 22:13:20    motd\n\
         -rw-r--r--    0:0      4 B     2023-11-14 22:13:20    passwd\n"
    );
    for root in ["", "/", ".", "etc/..", "bin/../../.."] {
        let run = env.msb(&format!("image ls -q app:1 {root}")).success();
        assert_eq!(run.stdout, "bin\ndev\netc\nopt\nusr\n", "{root}");
    }
    let run = env.msb("image ls -q app:1 opt/old").success();
    assert_eq!(run.stdout, "new\n");
    // A link to a directory is followed; anything that is not a directory is listed itself.
    for path in ["bin", "bin/", "/bin/.", "usr/bin"] {
        let run = env.msb(&format!("image ls -q app:1 {path}")).success();
        assert_eq!(run.stdout, "same\ntool\n", "{path}");
    }
    let run = env.msb("image ls app:1 dev/null").success();
    assert!(run.stdout.contains("crw-r--r--") && run.stdout.contains("1, 3"));
    let listed = env.json("image ls --format json app:1 /");
    let bin = json!({
        "path": "/bin",
        "type": "symlink",
        "mode": "0777",
        "uid": 0,
        "gid": 0,
        "size_bytes": 7,
        "mtime": "2023-11-14T22:13:20Z",
        "link_target": "usr/bin",
        "layer": 0,
    });
    assert_eq!(listed[0], bin);
    assert_eq!(
        env.json("image ls -q --format json app:1 etc")[0],
        "/etc/hosts"
    );
    assert_eq!(
        env.json("image ls --format json app:1 etc/motd")[0]["layer"],
        1
    );
}

fn without_an_image_the_images_are_listed() {
    let env = loaded(&sample());
    let images = env.msb("images").success().stdout;
    assert!(images.contains("app:1"), "{images}");
    assert_eq!(env.msb("image ls").success().stdout, images);
    assert_eq!(env.msb("image list").success().stdout, images);
    let run = env.msb("image ls -q --format json").success();
    assert!(run.stdout.contains("app:1"), "{run:?}");
}

fn all_below_a_directory_is_listed_in_the_order_of_a_walk() {
    let env = loaded(&sample());
    let run = env.msb("image ls -R -q app:1").success();
    assert_eq!(
        run.stdout,
        "/bin\n/dev\n/dev/null\n/etc\n/etc/hosts\n/etc/motd\n/etc/passwd\n/opt\n/opt/old\n\
         /opt/old/new\n/usr\n/usr/bin\n/usr/bin/same\n/usr/bin/tool\n"
    );
    let run = env.msb("image ls --recursive app:1 bin").success();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{run:?}");
    assert!(lines[0].ends_with("  /usr/bin/same"), "{run:?}");
    assert!(
        lines[1].ends_with("  /usr/bin/tool link to /usr/bin/same"),
        "{run:?}"
    );
    let listed = env.json("image ls -R --format json app:1 usr");
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    assert_eq!(
        env.json("image ls -R --format json app:1 opt/old/new")
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let empty = loaded(&Image::new("empty:1", &["dir/"]));
    assert_eq!(
        empty.json("image ls -R --format json empty:1 dir"),
        json!([])
    );
    assert!(
        empty
            .msb("image ls empty:1 dir")
            .success()
            .stderr
            .contains("is empty")
    );
}

/// Every inode by its path, in words that both the kernel and msb have.
fn told(listed: &Value) -> Vec<String> {
    let mut lines: Vec<String> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let size = if it["type"] == "file" {
                it["size_bytes"].as_u64().unwrap()
            } else {
                0
            };
            format!(
                "{} {} {}:{} {size} {}",
                it["path"].as_str().unwrap(),
                it["mode"],
                it["uid"],
                it["gid"],
                it["link_target"].as_str().unwrap_or_default()
            )
        })
        .collect();
    lines.sort();
    lines
}

fn what_is_listed_is_what_the_kernel_shows() {
    let env = loaded(&sample());
    let layers = mounted_layers(&env, "app:1");
    let overlay = Mounted::overlay(&layers);
    let mut expected: Vec<String> = nodes(overlay.path())
        .into_iter()
        .filter(|(path, _)| path.as_os_str() != "")
        .map(|(path, node)| {
            let (mode, target) = match node.kind {
                "symlink" => (0o777, node.contents.as_str()),
                _ => (node.mode, ""),
            };
            let mode = Value::from(format!("{mode:04o}"));
            format!(
                "/{} {mode} {}:{} {} {target}",
                path.display(),
                node.owner.0,
                node.owner.1,
                node.size
            )
        })
        .collect();
    expected.sort();
    assert_eq!(told(&env.json("image ls -R --format json app:1")), expected);
}

/// Returns a layer of one file with this path.
fn named(path: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(0);
    header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, &[][..]).unwrap();
    builder.into_inner().unwrap()
}

fn every_name_is_listed_in_full_and_obeyed_by_no_terminal() {
    let names: [&[u8]; 3] = [b"a\x1b[2Jb", b"caf\xe9", "\u{202e}x\n".as_bytes()];
    let env = loaded(&Image::of("odd:1", names.map(named).into()));
    let run = env.msb("image ls -q odd:1").success();
    assert_eq!(run.stdout, "a\\u{1b}[2Jb\ncaf\\xe9\n\\u{202e}x\\n\n");
    let run = env.msb("image ls -R odd:1").success();
    assert!(!run.stdout.contains('\u{1b}'), "{run:?}");
    let listed = env.json("image ls --format json odd:1");
    assert_eq!(listed[0]["path"], "/a\u{1b}[2Jb");
    assert_eq!(listed[0].get("path_base64"), None);
    assert_eq!(listed[1]["path"], "/caf\u{fffd}");
    assert_eq!(listed[1]["path_base64"], "L2NhZuk=");
}

fn names_have_the_colours_of_what_they_are() {
    let env = loaded(&sample());
    let terminal = Terminal::new(&env);
    terminal.enter("msb image ls app:1; echo exit $?");
    terminal.wait_for("exit 0");
    let screen = terminal.coloured();
    assert!(screen.contains("\u{1b}[1m\u{1b}[34metc"), "{screen:?}");
    assert!(
        screen.contains("\u{1b}[36mbin\u{1b}[39m -> usr/bin"),
        "{screen:?}"
    );
}
