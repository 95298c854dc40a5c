//! Images that sandboxes use: refused by `rmi`, skipped by `prune`, removed by force, and the
//! files of a sandbox stay until it is released.

use msb_host::home::Home;
use msb_host::store::Store;

use crate::archive::Image;
use crate::env::TestEnv;
use crate::tests;

tests! {
    an_image_in_use_is_refused_by_rmi_and_skipped_by_prune;
    force_removes_an_image_in_use_and_its_sandbox_keeps_the_files;
    sandboxes_of_an_existing_microsandbox_database_count;
    a_new_home_looks_unused_to_microsandbox;
    the_database_of_microsandbox_stays_as_it_is_to_the_bit;
}

fn loaded() -> TestEnv {
    let env = TestEnv::new();
    env.write("in.tar", &Image::new("used:1", &["a = b"]).docker());
    env.msb("load -q -i in.tar").success();
    env
}

fn store(env: &TestEnv) -> Store {
    Store::open(&Home::at(env.home())).unwrap()
}

/// Runs SQL on the database of microsandbox.
fn theirs(env: &TestEnv, sql: &str) {
    let database = rusqlite::Connection::open(env.home().join("db/msb.db")).unwrap();
    database.execute_batch(sql).unwrap();
}

fn an_image_in_use_is_refused_by_rmi_and_skipped_by_prune() {
    let env = loaded();
    store(&env).use_image("my-sandbox", "used:1").unwrap();
    env.msb("rmi used:1").failure(&[
        "image `used:1` is in use by sandbox my-sandbox",
        "hint: remove the sandbox first, or remove the image all the same with --force",
    ]);
    let report = env.json("image prune -y --format json");
    assert_eq!(report["skipped_in_use"], 1);
    assert_eq!(report["manifests_removed"], 0);
    let details = env.json("image inspect used:1 --format json");
    assert_eq!(details["used_by"], serde_json::json!(["my-sandbox"]));
    store(&env).release("my-sandbox").unwrap();
    env.msb("rmi used:1").success();
    env.assert_clean();
}

fn force_removes_an_image_in_use_and_its_sandbox_keeps_the_files() {
    let env = loaded();
    let details = env.json("image inspect used:1 --format json");
    let layer = details["layers"][0]["erofs_path"].as_str().unwrap();
    store(&env).use_image("running", "used:1").unwrap();
    env.msb("rmi --force used:1").success();
    assert_eq!(env.references(), [] as [String; 0]);
    env.msb("image prune -y").success();
    assert!(std::path::Path::new(layer).exists());
    store(&env).release("running").unwrap();
    env.msb("image prune -y").success();
    env.assert_clean();
}

fn sandboxes_of_an_existing_microsandbox_database_count() {
    let env = loaded();
    let digest = env.json("images --format json")[0]["digest"].clone();
    theirs(
        &env,
        &format!(
            "CREATE TABLE manifest (id INTEGER PRIMARY KEY, digest TEXT UNIQUE);
             CREATE TABLE sandbox (id INTEGER PRIMARY KEY, name TEXT);
             CREATE TABLE sandbox_rootfs (sandbox_id INTEGER UNIQUE, manifest_id INTEGER);
             INSERT INTO manifest VALUES (3, {digest});
             INSERT INTO sandbox VALUES (7, 'theirs');
             INSERT INTO sandbox_rootfs VALUES (7, 3);",
            digest = digest.to_string().replace('"', "'")
        ),
    );
    env.msb("rmi used:1").failure(&["in use by sandbox theirs"]);
    assert_eq!(
        env.json("image prune -y --format json")["skipped_in_use"],
        1
    );
    theirs(&env, "DELETE FROM sandbox_rootfs");
    env.msb("rmi used:1").success();
    env.assert_clean();
    theirs(&env, "INSERT INTO sandbox_rootfs VALUES (7, 3)");
}

/// Runs each kind of command that reads or writes the store.
fn use_all_commands(env: &TestEnv) {
    env.write("in.tar", &Image::new("used:1", &["a = b"]).docker());
    env.write("other.tar", &Image::new("other:1", &["c = d"]).oci());
    for line in [
        "load -q -i in.tar",
        "load -q -i other.tar",
        "images",
        "image inspect used:1",
        "save -q -o out.tar used:1",
        "image verify",
        "rmi other:1",
        "image prune --yes",
        "image prune --dry-run",
    ] {
        env.msb(line).success();
    }
}

/// microsandbox makes its tables in a database that has none, and refuses one that has tables and no
/// history of migrations. This is its own question.
fn a_new_home_looks_unused_to_microsandbox() {
    let env = TestEnv::new();
    use_all_commands(&env);
    let database = rusqlite::Connection::open(env.home().join("db/msb.db")).unwrap();
    let tables: u64 = database
        .query_row(
            "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(tables, 0);
}

fn the_database_of_microsandbox_stays_as_it_is_to_the_bit() {
    for journal in ["DELETE", "WAL"] {
        let env = TestEnv::new();
        std::fs::create_dir_all(env.home().join("db")).unwrap();
        theirs(
            &env,
            &format!(
                "PRAGMA journal_mode = {journal};
                 CREATE TABLE seaql_migrations (version TEXT PRIMARY KEY, applied_at BIGINT);
                 CREATE TABLE manifest (id INTEGER PRIMARY KEY, digest TEXT UNIQUE);
                 CREATE TABLE sandbox (id INTEGER PRIMARY KEY, name TEXT);
                 CREATE TABLE sandbox_rootfs (sandbox_id INTEGER UNIQUE, manifest_id INTEGER);
                 INSERT INTO seaql_migrations VALUES ('m20260101_000001', 1);
                 INSERT INTO sandbox VALUES (7, 'theirs');"
            ),
        );
        let path = env.home().join("db/msb.db");
        let read_only = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        std::fs::set_permissions(&path, read_only).unwrap();
        let before = std::fs::read(&path).unwrap();
        use_all_commands(&env);
        assert!(std::fs::read(&path).unwrap() == before, "{journal}");
        assert_eq!(env.references(), [] as [String; 0]);
    }
}
