//! A disk that takes care of itself: prunes that leave something, the budget of the store, and `msb df`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::archive::Image;
use crate::env::TestEnv;
use crate::faulty::Registry;
use crate::tests;

tests! {
    only_dangling_images_go_when_asked;
    images_go_by_age_names_and_filters;
    a_prune_that_shrinks_lets_the_least_used_go;
    a_dry_run_names_what_goes_and_counts_to_the_byte;
    a_load_keeps_to_the_budget;
    a_pull_keeps_to_the_budget;
    what_sandboxes_use_is_not_let_go_for_the_budget;
    df_counts_what_is_there;
}

/// Returns the archive of an image whose only layer takes some 300 KiB of the disk.
fn archive(name: &str) -> Vec<u8> {
    image(name).docker()
}

fn image(name: &str) -> Image {
    // Nothing that a filesystem could store in less.
    let noise: String = (0..300_000)
        .map(|number: u32| number.wrapping_mul(2_654_435_761).to_string())
        .collect::<String>()
        .chars()
        .take(300_000)
        .collect();
    Image::new(name, &[&format!("data = {name}{noise}")])
}

fn load(env: &TestEnv, name: &str) {
    env.write("in.tar", &archive(name));
    env.msb("load -q -i in.tar").success();
}

/// Has an image last be used so many hours ago.
fn age(env: &TestEnv, name: &str, hours: u64) {
    let digest = digest(env, name);
    let path = env
        .home()
        .join("cache/sidecars")
        .join(format!("{}.json", digest.replace(':', "_")));
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600))
        .unwrap();
}

fn digest(env: &TestEnv, name: &str) -> String {
    let row = &env.json(&format!("images {name} --format json"))[0];
    row["digest"].as_str().unwrap().to_owned()
}

fn prune(env: &TestEnv, line: &str) -> Value {
    env.json(&format!("image prune --yes --format json {line}"))
}

fn set_budget(env: &TestEnv, bytes: u64) {
    let settings = json!({"store": {"max_bytes": bytes}}).to_string();
    env.write_settings(settings);
}

fn df(env: &TestEnv, key: &str) -> u64 {
    env.json("df --format json")[key].as_u64().unwrap()
}

fn only_dangling_images_go_when_asked() {
    let env = TestEnv::new();
    for name in ["app:1", "app:2"] {
        load(&env, name);
    }
    // As `docker save app | msb load` after each build does.
    let run = env.msb("image tag app:2 app:1").success();
    assert!(run.stderr.contains("msb image prune --dangling"), "{run:?}");
    assert_eq!(env.references(), ["<none>", "app:1", "app:2"]);
    let report = prune(&env, "--dangling");
    assert_eq!(report["manifests_removed"], 1);
    assert_eq!(env.references(), ["app:1", "app:2"]);
    env.msb("image verify").success();
}

fn images_go_by_age_names_and_filters() {
    let env = TestEnv::new();
    for name in ["app:1", "app:2", "app:3", "other:1"] {
        load(&env, name);
    }
    for (name, hours) in [
        ("app:1", 100),
        ("app:2", 50),
        ("app:3", 10),
        ("other:1", 100),
    ] {
        age(&env, name, hours);
    }
    // To be inspected is to be used, to be listed is not.
    env.msb("images").success();
    env.msb("image inspect other:1").success();
    let report = prune(&env, "--older-than 3d");
    assert_eq!(report["removed"], json!(["app:1"]));
    let report = prune(&env, "--filter reference=other --filter label=nothing");
    assert_eq!(report["removed"], json!([]));
    let report = prune(&env, "--keep 1 --filter reference=app");
    assert_eq!(report["removed"], json!(["app:2"]));
    assert_eq!(env.references(), ["app:3", "other:1"]);
    let run = env.msb("image prune --yes --older-than 3");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("write it like 90s"), "{run:?}");
    env.msb("image verify").success();
}

fn a_prune_that_shrinks_lets_the_least_used_go() {
    let env = TestEnv::new();
    for (hours, name) in [(3, "app:1"), (2, "app:2"), (1, "app:3")] {
        load(&env, name);
        age(&env, name, hours);
    }
    let all = df(&env, "images_bytes");
    assert_eq!(
        prune(&env, &format!("--max-size {all}"))["removed"],
        json!([])
    );
    let report = prune(&env, &format!("--max-size {}", all - 1));
    assert_eq!(report["removed"], json!(["app:1"]));
    assert!(df(&env, "images_bytes") < all);
    env.msb("save -q -o out.tar app:2").success();
    let report = prune(&env, "--max-size 500KiB");
    assert_eq!(report["removed"], json!(["app:3"]));
    assert_eq!(env.references(), ["app:2"]);
}

fn a_dry_run_names_what_goes_and_counts_to_the_byte() {
    let env = TestEnv::new();
    for name in ["app:1", "app:2", "other:1"] {
        load(&env, name);
    }
    for line in ["--filter reference=app", "--max-size 100K", ""] {
        let would = prune(&env, &format!("--dry-run {line}"));
        let before = disk(&env);
        let text = env
            .msb(&format!("image prune --dry-run {line}"))
            .success()
            .stdout;
        let report = prune(&env, line);
        assert_eq!(would, report, "{line}");
        for name in report["removed"].as_array().unwrap() {
            assert!(text.contains(name.as_str().unwrap()), "{text}");
        }
        assert_eq!(report["bytes_reclaimed"], before - disk(&env), "{line}");
    }
}

/// Returns the bytes of disk of what images need.
fn disk(env: &TestEnv) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let cache = env.home().join("cache");
    let below = ["layers", "blobs", "sidecars"].map(|name| cache.join(name));
    let files = below
        .iter()
        .flat_map(|path| std::fs::read_dir(path).unwrap());
    files
        .map(|file| file.unwrap().metadata().unwrap().blocks() * 512)
        .sum()
}

fn a_load_keeps_to_the_budget() {
    let env = TestEnv::new();
    load(&env, "app:0");
    let budget = disk(&env) * 5 / 2;
    set_budget(&env, budget);
    for number in 1..8 {
        load(&env, &format!("app:{number}"));
        assert!(disk(&env) <= budget, "{} > {budget}", disk(&env));
    }
    // The one before the last one was used, the last one is new.
    assert_eq!(env.references(), ["app:6", "app:7"]);
    env.msb("image inspect app:6").success();
    env.write("in.tar", &archive("app:8"));
    let run = env.msb("load -i in.tar").success();
    assert!(run.stderr.contains("removed app:7"), "{run:?}");
    assert_eq!(env.references(), ["app:6", "app:8"]);
    env.msb("image verify").success();
}

fn a_pull_keeps_to_the_budget() {
    let registry = Registry::start();
    let env = TestEnv::new();
    load(&env, "app:0");
    let budget = disk(&env) * 3 / 2;
    set_budget(&env, budget);
    for tag in ["1", "2"] {
        registry.put_image("app", tag, &image(&format!("app:{tag}")));
        env.msb(&format!("pull -q {}/app:{tag}", registry.host()))
            .success();
        assert!(disk(&env) <= budget);
    }
    assert_eq!(env.references(), [format!("{}/app:2", registry.host())]);
    env.msb("image verify").success();
}

fn what_sandboxes_use_is_not_let_go_for_the_budget() {
    let env = TestEnv::new();
    load(&env, "app:0");
    let budget = disk(&env) * 3 / 2;
    set_budget(&env, budget);
    let msb = msb_host::Msb::builder().home(env.home()).open().unwrap();
    msb.use_image("devbox", "app:0").run().unwrap();
    env.write("in.tar", &archive("app:1"));
    env.msb("load -i in.tar").failure(&[
        "more than the budget",
        "raise `store.max_bytes` in config.json",
    ]);
    assert_eq!(env.references(), ["app:0"]);
    env.assert_nothing_in_flight();
    set_budget(&env, budget * 2);
    env.msb("load -i in.tar").success();
    set_budget(&env, budget);
    msb.release("devbox").run().unwrap();
    age(&env, "app:0", 1);
    load(&env, "app:2");
    assert_eq!(env.references(), ["app:2"]);
}

fn df_counts_what_is_there() {
    let env = TestEnv::new();
    assert_eq!(df(&env, "images_bytes"), 0);
    for name in ["app:1", "app:2"] {
        load(&env, name);
    }
    let usage = env.json("df --format json");
    assert_eq!(usage["images"], 2);
    assert_eq!(usage["images_bytes"], disk(&env));
    assert!(usage["plugins_bytes"].as_u64().unwrap() > 0);
    let report = prune(&env, "--dry-run");
    assert_eq!(usage["reclaimable_bytes"], report["bytes_reclaimed"]);
    let part: PathBuf = env
        .home()
        .join("cache/tmp")
        .join(format!("sha256_{}.blob.part", "1".repeat(64)));
    std::fs::write(&part, vec![1; 8192]).unwrap();
    assert_eq!(df(&env, "parts_bytes"), 8192);
    let table = env.msb("df --verbose").success().stdout;
    for word in [
        "Images",
        "2 images, 0 in use",
        "Reclaimable",
        "LAST USED",
        "app:1",
    ] {
        assert!(table.contains(word), "{word}: {table}");
    }
}
