//! Compiled code of plugins, shared by the homes of tests: each component is compiled once, not once in
//! each test.
//!
//! The code is sealed under a key of the home that it was compiled in, so all homes get the same key.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::json;
use tempfile::TempDir;

use crate::archive::{Image, sha256};
use crate::env::TestEnv;

const FOLDER: &str = "cache/plugins";
/// What the code is sealed under.
const KEY: &str = "key";
/// The components that ship with msb.
const COMPONENTS: usize = 6;
/// Larger components than this are not hashed to look for their code.
const LARGEST: u64 = 32 << 20;

static SHARED: Mutex<Option<Shared>> = Mutex::new(None);

/// What is shared.
struct Shared {
    /// The key and the code of what ships with msb.
    shipped: TempDir,
    key: Vec<u8>,
    /// The code of others, by the name of its file.
    others: TempDir,
    /// The digests of components that were looked at, by path, length and time of the file.
    digests: HashMap<(PathBuf, u64, SystemTime), String>,
}

/// Removes the code when the tests are over.
pub(crate) fn remove() {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Makes a home that has the code of what ships with msb and nothing else.
pub(crate) fn put_into(home: &Path) {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let shared = shared.get_or_insert_with(Shared::make);
    let folder = home.join(FOLDER);
    DirBuilder::new()
        .recursive(true)
        .create(home.join("cache"))
        .unwrap();
    DirBuilder::new().mode(0o700).create(&folder).unwrap();
    copy_all(shared.shipped.path(), &folder);
}

/// Gives a home the code of a component, where another test has had it compiled.
pub(crate) fn put_code_of(component: &Path, home: &Path) {
    let Ok(metadata) = component.metadata() else {
        return;
    };
    if !metadata.is_file() || metadata.len() > LARGEST {
        return;
    }
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(shared) = shared.as_mut().filter(|shared| shared.has_key_of(home)) else {
        return;
    };
    let file = (
        component.to_owned(),
        metadata.len(),
        metadata.modified().unwrap(),
    );
    let digest = shared.digests.entry(file).or_insert_with(|| {
        let digest = sha256(&fs::read(component).unwrap());
        digest["sha256:".len()..].to_owned()
    });
    for code in fs::read_dir(shared.others.path()).unwrap() {
        let code = code.unwrap();
        if code.file_name().to_string_lossy().starts_with(&**digest) {
            let to = home.join(FOLDER).join(code.file_name());
            if !to.exists() {
                fs::copy(code.path(), to).unwrap();
            }
        }
    }
}

/// Keeps what was compiled in a home for others.
pub(crate) fn collect(home: &Path) {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(shared) = shared.as_mut().filter(|shared| shared.has_key_of(home)) else {
        return;
    };
    let Ok(files) = fs::read_dir(home.join(FOLDER)) else {
        return;
    };
    for file in files.flatten() {
        let is_code = file.path().extension().is_some_and(|it| it == "compiled");
        let has = |folder: &TempDir| folder.path().join(file.file_name()).exists();
        if is_code && !has(&shared.shipped) && !has(&shared.others) {
            // A test may leave anything there.
            let _ = fs::copy(file.path(), shared.others.path().join(file.file_name()));
        }
    }
}

impl Shared {
    /// Lets msb ask each of its plugins something.
    fn make() -> Self {
        let env = TestEnv::untouched();
        let image = Image::new("compiled:1", &[""]);
        env.msb_with_input("load", &image.docker()).success();
        env.msb_with_input("load", &image.oci()).success();
        let auth = json!({
            "a.example": {"username": "a", "password_env": "NOT_SET"},
            "b.example": {"username": "b", "secret_name": "none"},
        });
        env.write_settings(json!({"registries": {"auth": auth}}));
        env.msb("plugin explain-auth a.example");
        env.msb("plugin explain-auth b.example");
        let shipped = tempfile::tempdir().unwrap();
        copy_all(&env.home().join(FOLDER), shipped.path());
        let files = fs::read_dir(shipped.path()).unwrap().count();
        assert_eq!(files, COMPONENTS + 1, "the code of each, and the key");
        Self {
            key: fs::read(shipped.path().join(KEY)).unwrap(),
            shipped,
            others: tempfile::tempdir().unwrap(),
            digests: HashMap::new(),
        }
    }

    fn has_key_of(&self, home: &Path) -> bool {
        fs::read(home.join(FOLDER).join(KEY)).is_ok_and(|key| key == self.key)
    }
}

fn copy_all(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
