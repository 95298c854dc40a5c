//! `image ls`, `image cat` and `image diff`: what lies in an image, without mounting it.

use std::io::Read as _;
use std::process::Command;

use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::archive::{self, Image};
use crate::cli::terminal::Terminal;
use crate::env::{Run, TestEnv};
use crate::mount::{Mounted, nodes};
use crate::oracle::truth::compare::mounted_layers;
use crate::tests;
use crate::tools;

tests! {
    a_directory_is_listed_as_its_layers_show_it;
    without_an_image_the_images_are_listed;
    all_below_a_directory_is_listed_in_the_order_of_a_walk;
    what_is_listed_is_what_the_kernel_shows needs Root;
    every_name_is_listed_in_full_and_obeyed_by_no_terminal;
    a_file_comes_bit_for_bit;
    links_are_followed_within_the_image_alone;
    what_cannot_be_shown_is_told_with_a_cure;
    a_terminal_gets_text_and_nothing_that_it_would_obey needs Tmux;
    names_have_the_colours_of_what_they_are needs Tmux;
    two_images_differ_in_what_was_changed;
    two_builds_of_the_same_files_differ_in_times_alone;
    a_damaged_store_is_told;
    what_is_kept_of_an_image_is_taken_from_the_budget;
    a_reader_that_has_seen_enough_is_no_failure;
    files_of_an_image_can_be_read_by_programs;
}

fn loaded(image: &Image) -> TestEnv {
    let env = TestEnv::new();
    load(&env, image);
    env
}

fn load(env: &TestEnv, image: &Image) {
    env.write("in.tar", &image.docker());
    env.msb("load -q -i in.tar").success();
}

fn sample() -> Image {
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

fn a_file_comes_bit_for_bit() {
    let contents: Vec<String> = (0..300_000)
        .map(|number| format!("{number}\u{0}\n"))
        .collect();
    let contents = contents.concat();
    let env = loaded(&Image::new(
        "app:1",
        &[&format!("data = {}", contents.replace('\n', "\r"))],
    ));
    let expected = contents.replace('\n', "\r");
    let output = env
        .command(["image", "cat", "app:1", "data"])
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(output.stdout == expected.as_bytes());
    let empty = loaded(&Image::new("app:1", &["empty = "]));
    assert_eq!(empty.msb("image cat app:1 empty").success().stdout, "");
}

fn links_are_followed_within_the_image_alone() {
    let secret = tempfile::tempdir().unwrap();
    std::fs::write(secret.path().join("secret"), "of the host").unwrap();
    let outside = secret.path().display();
    let many: Vec<String> = (1..=42)
        .map(|number| format!("l{number} -> l{}\n", number - 1))
        .collect();
    let many = many.concat();
    let layer = format!(
        "etc/\netc/release = in the image\nabsolute -> /etc/release\nup -> ../../../etc/release\n\
         by-directory -> etc\ndangling -> {outside}/secret\nself -> self\na -> b\nb -> a\n\
         root -> /\nl0 = reached\n{many}"
    );
    let env = loaded(&Image::new("app:1", &[&layer]));
    for path in [
        "absolute",
        "/up",
        "by-directory/release",
        "root/root/up",
        "../../etc/release",
        "etc//./release",
    ] {
        let run = env.msb(&format!("image cat app:1 {path}")).success();
        assert_eq!(run.stdout, "in the image", "{path}");
    }
    assert_eq!(env.msb("image cat app:1 l40").success().stdout, "reached");
    for path in ["l41", "self", "a", "self/x"] {
        env.msb(&format!("image cat app:1 {path}"))
            .failure(&["more than 40 symbolic links lead to `/"]);
    }
    let run = env
        .msb("image cat app:1 dangling")
        .failure(&["is not in `app:1`"]);
    assert!(!run.stdout.contains("of the host"), "{run:?}");
    // A link that leads nowhere can still be listed.
    for path in ["dangling", "self"] {
        env.msb(&format!("image ls app:1 {path}")).success();
    }
}

fn what_cannot_be_shown_is_told_with_a_cure() {
    let env = loaded(&sample());
    env.msb("image cat app:1 /etc/paswd").failure(&[
        "`/etc/paswd` is not in `app:1`",
        "hint: did you mean `/etc/passwd`?",
    ]);
    env.msb("image ls app:1 /nothing/at/all").failure(&[
        "`/nothing` is not in `app:1`",
        "hint: `msb image ls app:1 DIRECTORY` lists what there is",
    ]);
    env.msb("image cat app:1 etc").failure(&[
        "`/etc` in `app:1` is a directory",
        "hint: list it with `msb image ls app:1 /etc`",
    ]);
    // What the hints say helps.
    env.msb("image cat app:1 /etc/passwd").success();
    env.msb("image ls app:1 /").success();
    env.msb("image ls app:1 /etc").success();
    env.msb("image cat app:1 dev/null")
        .failure(&["`/dev/null` in `app:1` is a character device, which has no contents"]);
    for path in ["etc/hosts/", "etc/hosts/x", "etc/hosts/."] {
        for command in ["cat", "ls"] {
            env.msb(&format!("image {command} app:1 {path}"))
                .failure(&["`/etc/hosts` in `app:1` is not a directory"]);
        }
    }
    for line in [
        "ls nothing:1 /",
        "cat nothing:1 x",
        "diff app:1 nothing:1",
        "diff nothing:1 app:1",
    ] {
        env.msb(&format!("image {line}"))
            .failure(&["image not found: nothing:1", "`msb images` lists"]);
    }
}

fn a_terminal_gets_text_and_nothing_that_it_would_obey() {
    let layer = "text = one\ttwo\u{1b}[31mred\nbinary = a\u{0}b";
    let env = loaded(&Image::new("app:1", &[layer]));
    let terminal = Terminal::new(&env);
    terminal.enter("msb image cat app:1 text; echo; echo exit $?");
    let screen = terminal.wait_for("exit 0");
    assert!(screen.contains("\\u{1b}[31mred"), "{screen}");
    terminal.enter("msb image cat app:1 binary; echo exit $?");
    let screen = terminal.wait_for("exit 1");
    assert!(screen.contains("`binary` is not text"), "{screen}");
    assert!(
        screen.contains("hint: redirect it: `msb image cat"),
        "{screen}"
    );
    // What the hint says helps.
    terminal.enter("msb image cat app:1 binary > out; echo written $?");
    terminal.wait_for("written 0");
    assert_eq!(std::fs::read(env.path("out")).unwrap(), b"a\0b");
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

fn two_images_differ_in_what_was_changed() {
    let env = loaded(&Image::new(
        "app:1",
        &[
            "same = s\nmode = x\ncontents = one\nsize = 1\ngone/\ngone/in = x\nkind = x\nlink -> a\n\
           node : 1,3\nfirst = l\nsecond => first",
        ],
    ));
    let mut second = archive::layer(
        "same = s\ncontents = two\nsize = 12\nkind/\nlink -> b\nnode : 1,5\nnew/\nnew/in = x\n\
         first = l\nsecond = l",
    );
    let mut header = Header::new_gnu();
    header.set_mode(0o4755);
    header.set_uid(7);
    header.set_gid(8);
    header.set_mtime(1_700_000_001);
    header.set_size(1);
    // The archive ends with two blocks of zeros.
    second.truncate(second.len() - 1024);
    let mut builder = tar::Builder::new(second);
    builder.append_data(&mut header, "mode", &b"x"[..]).unwrap();
    load(
        &env,
        &Image::of("app:2", vec![builder.into_inner().unwrap()]),
    );
    let run = env.msb("image diff app:1 app:2").success();
    assert_eq!(
        run.stdout,
        "C /contents (contents)\n\
         D /gone\n\
         D /gone/in\n\
         C /kind (type file -> directory, mode 0644 -> 0755)\n\
         C /link (target a -> b)\n\
         C /mode (mode 0644 -> 4755, owner 0:0 -> 7:8, time)\n\
         A /new\n\
         A /new/in\n\
         C /node (device 1:3 -> 1:5)\n\
         C /second (hard-link)\n\
         C /size (size 1 B -> 2 B)\n"
    );
    let changes = env.json("image diff --format json app:1 app:2");
    let of = |path: &str| {
        let changes = changes.as_array().unwrap();
        changes
            .iter()
            .find(|it| it["path"] == path)
            .unwrap()
            .clone()
    };
    assert_eq!(changes.as_array().unwrap().len(), 11);
    assert_eq!(of("/mode")["change"], "changed");
    assert_eq!(of("/mode")["differences"], json!(["mode", "owner", "time"]));
    assert_eq!(of("/mode")["before"]["mode"], "0644");
    assert_eq!(of("/mode")["after"]["uid"], 7);
    assert_eq!(
        (&of("/new")["change"], &of("/new")["before"]),
        (&json!("added"), &Value::Null)
    );
    assert_eq!(
        (&of("/gone")["change"], &of("/gone")["after"]),
        (&json!("removed"), &Value::Null)
    );
    // An image does not differ from itself, nor from the same files in other layers.
    assert_eq!(env.msb("image diff app:1 app:1").success().stdout, "");
    assert_eq!(env.json("image diff --format json app:1 app:1"), json!([]));
    let whole = loaded(&Image::new("app:1", &["a = 1\nb = 2"]));
    load(&whole, &Image::new("app:2", &["b = 2", "a = 1"]));
    assert_eq!(whole.msb("image diff app:1 app:2").success().stdout, "");
}

fn two_builds_of_the_same_files_differ_in_times_alone() {
    let built = |mtime: u64, name: &str| {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(mtime);
        header.set_size(4);
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_data(&mut header, "file", &b"same"[..])
            .unwrap();
        Image::of(name, vec![builder.into_inner().unwrap()])
    };
    let env = loaded(&built(1, "app:1"));
    load(&env, &built(2, "app:2"));
    let run = env.msb("image diff app:1 app:2").success();
    assert_eq!(run.stdout, "C /file (time)\n");
    let run = env.msb("image diff --ignore-times app:1 app:2").success();
    assert_eq!(run.stdout, "");
}

fn a_damaged_store_is_told() {
    let env = loaded(&sample());
    let details = env.json("image inspect app:1 --format json");
    let layer = details["layers"][1]["erofs_path"].as_str().unwrap();
    std::fs::write(
        layer,
        vec![0; usize::try_from(std::fs::metadata(layer).unwrap().len()).unwrap()],
    )
    .unwrap();
    for line in [
        "ls app:1 /",
        "cat app:1 etc/hosts",
        "diff app:1 app:1",
        "export app:1 -o out.tar",
    ] {
        env.msb(&format!("image {line}")).failure(&[
            "hint: the copy in the store is damaged: `msb image verify --repair` drops it",
        ]);
    }
    std::fs::remove_file(layer).unwrap();
    for line in [
        "ls app:1 /",
        "cat app:1 etc/hosts",
        "diff app:1 app:1",
        "export app:1 -o out.tar",
    ] {
        env.msb(&format!("image {line}"))
            .failure(&["of `app:1` is missing or damaged in the store"]);
    }
    assert!(!env.path("out.tar").exists());
}

fn what_is_kept_of_an_image_is_taken_from_the_budget() {
    let many: Vec<String> = (0..5000)
        .map(|number| format!("file{number} = \n"))
        .collect();
    let many = many.concat();
    let env = loaded(&Image::new("app:1", &[&many]));
    let settings = json!({"limits": {"memory_bytes": 100_000}});
    env.write_settings(settings);
    for line in [
        "ls app:1 /",
        "ls -R app:1",
        "cat app:1 file1",
        "diff app:1 app:1",
    ] {
        env.msb(&format!("image {line}")).failure(&[
            "takes more than 100000 bytes of memory",
            "hint: if this is intended, raise the limit in config.json: {\"limits\": \
             {\"memory_bytes\": NUMBER}}",
        ]);
    }
}

fn a_reader_that_has_seen_enough_is_no_failure() {
    let many: Vec<String> = (0..50_000)
        .map(|number| format!("file{number} = x\n"))
        .collect();
    let many = many.concat();
    let env = loaded(&Image::new(
        "app:1",
        &[&format!("big = {}\n{many}", "x".repeat(8 << 20))],
    ));
    for line in [
        "image ls -R app:1",
        "image ls -R --format json app:1",
        "image ls -q app:1",
        "image cat app:1 big",
    ] {
        let run = Command::new("bash")
            .args(["-c", &format!("set -o pipefail; \"$0\" {line} | head -c 5")])
            .arg(tools::msb())
            .current_dir(env.path(""))
            .env("MSB_HOME", env.home())
            .output()
            .unwrap();
        let run = Run::from(run).success();
        assert_eq!((run.stdout.len(), run.stderr.as_str()), (5, ""), "{line}");
    }
}

fn files_of_an_image_can_be_read_by_programs() {
    let env = loaded(&sample());
    let msb = msb_host::Msb::builder().home(env.home()).open().unwrap();
    let names: Vec<Vec<u8>> = msb
        .list_files("app:1", "/etc")
        .run()
        .unwrap()
        .iter()
        .map(|entry| entry.name().to_owned())
        .collect();
    assert_eq!(names, [&b"hosts"[..], b"motd", b"passwd"]);
    let mut file = msb.open_file("app:1", "bin/tool").run().unwrap();
    assert_eq!(file.entry().path, b"usr/bin/tool");
    // The layers stay while the file is open.
    env.msb("rmi app:1").success();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "#!/bin/sh");
}
