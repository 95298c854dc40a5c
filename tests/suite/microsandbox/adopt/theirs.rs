//! A home of microsandbox with an image, as microsandbox writes it.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{app, load};
use crate::archive::{hex, sha256};
use crate::env::TestEnv;

/// A home of microsandbox with an image, next to a store without any. Its layers are not as msb writes
/// them: no promise of ours is in their superblocks.
pub(super) struct Theirs {
    pub(super) env: TestEnv,
    pub(super) home: PathBuf,
}

impl Theirs {
    pub(super) fn new() -> Self {
        let env = TestEnv::new();
        let home = env.path("microsandbox");
        let maker = TestEnv::new().with_home(&env.path("maker"));
        load(&maker, &app());
        let line = format!("store serve microsandbox --home {}", home.display());
        maker.msb(&line).success();
        let theirs = Self { env, home };
        for path in theirs.layers() {
            let mut bytes = fs::read(&path).unwrap();
            bytes[1032..1036].fill(0);
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        theirs.change(|record| {
            record.as_object_mut().unwrap().remove("msb");
        });
        fs::create_dir(theirs.home.join("db")).unwrap();
        theirs
            .sql("CREATE TABLE image_ref (reference TEXT); INSERT INTO image_ref VALUES ('app:1')");
        theirs
    }

    pub(super) fn sql(&self, sql: &str) {
        let database = rusqlite::Connection::open(self.home.join("db/msb.db")).unwrap();
        database.execute_batch(sql).unwrap();
    }

    pub(super) fn record(&self) -> PathBuf {
        let key = sha256(b"docker.io/library/app:1");
        self.home
            .join(format!("cache/manifests/{}.json", hex(&key)))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut record = serde_json::from_slice(&fs::read(self.record()).unwrap()).unwrap();
        change(&mut record);
        fs::write(self.record(), record.to_string()).unwrap();
    }

    pub(super) fn layers(&self) -> Vec<PathBuf> {
        let diff_ids = app().config["rootfs"]["diff_ids"].clone();
        let diff_ids = diff_ids.as_array().unwrap().iter();
        diff_ids
            .map(|diff_id| {
                let name = diff_id.as_str().unwrap().replacen(':', "_", 1);
                self.home.join(format!("cache/layers/{name}.erofs"))
            })
            .collect()
    }

    pub(super) fn line(&self, arguments: &str) -> String {
        format!("image adopt --home {} {arguments}", self.home.display())
    }

    pub(super) fn adopt(&self) -> Value {
        self.env.json(&self.line("--format json"))
    }

    pub(super) fn refused(&self, words: &[&str]) {
        self.env.msb(&self.line("app:1")).failure(words);
        assert_eq!(self.env.references(), [] as [String; 0]);
        // One of several is told of, and the others are adopted.
        let run = self
            .env
            .msb(&self.line(""))
            .failure(&["1 of 1 images could not be adopted"]);
        assert!(run.stderr.contains("note: not adopted: "), "{run:?}");
    }
}
