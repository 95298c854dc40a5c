//! Hints about what is in the store, and about the settings.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::{image, loaded, settings, with_archive};
use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::hints::advises;
use crate::mount::Mounted;
use crate::tests;
use crate::tools;

tests! {
    broken_settings_are_mended_or_replaced_as_advised;
    a_damaged_copy_in_the_store_is_repaired_as_advised;
    a_tag_is_given_as_advised;
    an_image_is_pushed_again_as_advised;
    an_output_is_named_as_advised;
    an_image_is_named_as_advised;
    a_place_is_chosen_as_advised needs Root;
    a_store_that_cannot_be_written_to_is_mounted_as_advised needs Root;
    the_store_of_another_user_is_told_as_advised needs Root;
    a_store_of_another_format_is_left_alone_as_advised;
    a_format_that_is_there_is_chosen_as_advised;
}

fn broken_settings_are_mended_or_replaced_as_advised() {
    let env = with_archive();
    settings(&env, "{");
    let hint = "fix the file, or point MSB_CONFIG_PATH to another one";
    advises(env.msb("load -i app.tar"), hint);
    for nothing in ["", " \n"] {
        settings(&env, nothing);
        let run = env
            .msb("load -i app.tar")
            .failure(&["config.json` is empty"]);
        advises(run, "write `{}` into it, or delete it");
    }
    let other = env.write("other.json", b"{}");
    let mut command = env.command(["load", "-i", "app.tar"]);
    Run::of(command.env("MSB_CONFIG_PATH", other)).success();
    settings(&env, "{}");
    env.msb("load -i app.tar").success();
}

fn a_damaged_copy_in_the_store_is_repaired_as_advised() {
    let env = loaded();
    let details = env.json("image inspect app:1 --format json");
    let path = details["layers"][0]["erofs_path"].as_str().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[4096] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let hint = "the copy in the store is damaged: `msb image verify --repair` drops it, then load it \
                again";
    advises(env.msb("save -o out.tar app:1"), hint);
    let hint = "the damaged files were removed; load the images again to restore them";
    advises(env.msb("image verify --repair"), hint);
    env.msb("load -i app.tar").success();
    env.msb("image verify").success();
    env.msb("save -o out.tar app:1").success();
}

fn a_tag_is_given_as_advised() {
    let env = with_archive();
    let digest = format!("sha256:{}", "1".repeat(64));
    let run = env.msb(&format!("load -i app.tar --tag mine:2@{digest}"));
    advises(run, "give a tag: `--tag mine:2`");
    env.msb("load -i app.tar --tag mine:2").success();
    env.msb("image inspect mine:2").success();
}

fn an_image_is_pushed_again_as_advised() {
    let registry = Registry::start();
    let env = TestEnv::new();
    let pull = || env.msb(&format!("pull {}/app:1", registry.host()));
    let damaged = Image::of("app:1", vec![b"no tar at all".repeat(100)]);
    registry.put_image("app", "1", &damaged);
    advises(
        pull(),
        "the image is damaged, or was pushed in a form that msb does not know; push it again",
    );
    // The layers are those of another configuration.
    let mut manifest = image().manifest();
    let other = Image::new("app:1", &["other = layer", "and = one"]);
    registry.put_image("other", "1", &other);
    registry.put_image("app", "2", &image());
    manifest["config"] = other.manifest()["config"].clone();
    registry.put_blob(&other.config_bytes());
    registry.put_manifest("app", "1", &manifest);
    advises(
        pull(),
        "the image was put together wrongly; tell who has pushed it",
    );
    registry.put_image("app", "1", &image());
    pull().success();
}

fn an_output_is_named_as_advised() {
    let env = loaded();
    std::fs::create_dir(env.path("folder")).unwrap();
    advises(
        env.msb("save app:1 -o folder"),
        "name a file: `--output folder/image.tar`",
    );
    env.msb("save app:1 --output folder/image.tar").success();
    advises(
        env.msb("save app:1 -o new/place/app.tar"),
        "create the directory first: `mkdir -p new/place`",
    );
    std::fs::create_dir_all(env.path("new/place")).unwrap();
    env.msb("save app:1 -o new/place/app.tar").success();
}

fn an_image_is_named_as_advised() {
    let env = loaded();
    advises(env.msb("rmi nothing:1"), "`msb images` lists what there is");
    let listed = env.msb("images").success();
    assert!(listed.stdout.contains("app:1"), "{listed:#?}");
    env.msb("load -i app.tar --tag second:1").success();
    let id = env.json("image inspect app:1 --format json")["id"].clone();
    let id = id
        .as_str()
        .unwrap()
        .trim_start_matches("sha256:")
        .to_owned();
    let short = &id[..12];
    let hint = "name one of them, or remove all with --force";
    advises(env.msb(&format!("rmi {short}")), hint);
    env.msb("rmi second:1").success();
    env.msb("load -i app.tar --tag second:1").success();
    env.msb(&format!("rmi --force {short}")).success();
    assert_eq!(env.references(), [] as [String; 0]);
}

fn a_place_is_chosen_as_advised() {
    let env = with_archive();
    // Nothing can be made there, whoever one is.
    let mut command = env.command(["load", "-i", "app.tar"]);
    let run = Run::of(command.env("MSB_HOME", "/sys/msb"));
    advises(run, "point MSB_HOME to a directory elsewhere");
    let mut command = env.command(["images"]);
    let run = Run::of(command.env_remove("MSB_HOME").env_remove("HOME"));
    advises(run, "point MSB_HOME to a directory for the store");
    env.msb("load -i app.tar").success();
    let run = env.msb("save -o /sys/msb.tar app:1");
    advises(run, "choose another place with --output");
    env.msb("save -o out.tar app:1").success();
}

fn a_store_that_cannot_be_written_to_is_mounted_as_advised() {
    let disk = Mounted::tmpfs(16 << 20);
    let env = with_archive().with_home(&disk.path().join("home"));
    env.msb("load -q -i app.tar").success();
    let remount = |mode: &str| {
        let options = format!("remount,{mode}");
        tools::run(
            Command::new("mount")
                .args(["-o", &options])
                .arg(disk.path()),
        );
    };
    remount("ro");
    let hint = "mount the filesystem of the store so that it can be written to; images can be listed, \
                saved and exported as it is";
    for line in [
        "rmi app:1",
        "image tag app:1 app:2",
        "image disk -o x.vmdk app:1",
    ] {
        let run = env.msb(line);
        assert!(run.stderr.contains("Read-only file system"), "{run:?}");
        advises(run, hint);
    }
    env.msb("images").success();
    env.msb("save -q -o out.tar app:1").success();
    env.msb("image export -q -o root.tar app:1").success();
    remount("rw");
    env.msb("rmi app:1").success();
}

fn the_store_of_another_user_is_told_as_advised() {
    const STRANGER: u32 = 65_534;
    let env = loaded();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(env.path(""), open).unwrap();
    for line in ["rmi app:1", "image tag app:1 app:2"] {
        let mut command = env.command(line.split(' '));
        let run = Run::of(command.uid(STRANGER).gid(STRANGER));
        advises(run, "run msb as the user that owns the store");
    }
    env.msb("rmi app:1").success();
}

fn a_store_of_another_format_is_left_alone_as_advised() {
    let env = loaded();
    for (format, hint) in [
        (
            "99",
            "use the newer msb, or point MSB_HOME to another store",
        ),
        (
            "1",
            "point MSB_HOME to another directory and load the images there",
        ),
    ] {
        let catalogue = rusqlite::Connection::open(env.home().join("db/images.db")).unwrap();
        let sql = format!(
            "UPDATE msb_store SET value = '{format}' WHERE key = 'format';
             PRAGMA user_version = {format};"
        );
        catalogue.execute_batch(&sql).unwrap();
        drop(catalogue);
        advises(env.msb("images"), hint);
        let files = || {
            let files = walkdir::WalkDir::new(env.home()).sort_by_file_name();
            let files = files.into_iter().map(|it| it.unwrap().into_path());
            let files = files.filter(|path| path.is_file());
            files
                .map(|path| (std::fs::read(&path).unwrap(), path))
                .collect::<Vec<_>>()
        };
        let before = files();
        let other = env.path(&format!("other-{format}"));
        for line in ["load -i app.tar", "save -o out.tar app:1"] {
            let mut command = env.command(line.split(' '));
            Run::of(command.env("MSB_HOME", &other)).success();
        }
        assert!(files() == before, "the old store has changed");
    }
}

fn a_format_that_is_there_is_chosen_as_advised() {
    let env = loaded();
    let hint = "formats that can be written: docker, oci";
    advises(env.msb("save --format zip -o out.tar app:1"), hint);
    for format in ["docker", "oci"] {
        env.msb(&format!("save --format {format} -o out.tar app:1"))
            .success();
    }
}
