//! Pulls from a registry that fails in one way at a time: each ends with the whole image, or with
//! words that say what is wrong and a store that a later pull is happy with.

mod auth;
mod blob;
mod disk;
mod encoding;
mod kinds;
mod log;
mod manifest;
mod nonsense;
mod page;
mod realm;
mod redirect;
mod retry;
mod silence;
mod words;

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::archive::{Image, gzip, sha256};
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::faulty::route::On;
use crate::registry_scene::{self, assert_whole, checked};

/// Returns the tests of every fault.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        blob::all(),
        retry::tests(),
        redirect::tests(),
        auth::tests(),
        realm::tests(),
        manifest::tests(),
        kinds::tests(),
        words::tests(),
        nonsense::tests(),
        disk::tests(),
        silence::tests(),
        encoding::tests(),
        page::tests(),
        log::tests(),
    ];
    tests.into_iter().flatten().collect()
}

/// Where the faults of the big layer are: in its middle.
pub(crate) const MIDDLE: usize = 2_000_000;

/// Returns text that does not compress to much less than three quarters of itself.
pub(crate) fn noise(seed: u64, length: usize) -> String {
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + u8::try_from(state % 64).unwrap())
    };
    (0..length).map(|_| next()).collect()
}

/// Returns an image of a small layer and one of about 4 MB.
pub(crate) fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let big = format!("srv/\nsrv/data = {}", noise(1, 5_500_000));
        let image = Image::new("app:1", &["etc/\netc/hosts = here", &big]).compressed(gzip);
        assert!(image.layers[1].len() > 2 * MIDDLE);
        image
    })
}

/// A registry with the image `app:1`, and a home to pull it to.
pub(crate) struct Scene {
    pub(crate) env: TestEnv,
    pub(crate) registry: Registry,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let scene = Self {
            env: TestEnv::new(),
            registry: Registry::start(),
        };
        scene.registry.put_image("app", "1", image());
        scene.settings(&json!({}));
        scene
    }

    /// Changes settings of registries, which are such that tests need not wait.
    pub(crate) fn settings(&self, changes: &Value) {
        registry_scene::settings(&self.env, changes);
    }

    /// Keeps a password for the registry as Docker does.
    pub(crate) fn password(&self, encoded: &str) {
        let auths = json!({self.registry.host(): {"auth": encoded}});
        self.env.write_docker_config(json!({"auths": auths}));
    }

    pub(crate) fn reference(&self) -> String {
        format!("{}/app:1", self.registry.host())
    }

    pub(crate) fn pull(&self) -> Run {
        checked(self.env.msb(&format!("pull {}", self.reference())))
    }

    /// Asserts that the pull succeeds and that all of the image is there.
    #[track_caller]
    pub(crate) fn pulls(&self) -> Run {
        let run = self.pull().success();
        assert_eq!(self.env.references(), [self.reference()]);
        assert_whole(&self.env);
        run
    }

    /// Asserts that the pull fails with these words and shows no image, and that nothing is in the
    /// way of a pull when the registry has healed.
    #[track_caller]
    pub(crate) fn fails(&self, words: &[&str]) -> Run {
        let run = self.pull().failure(words);
        self.assert_nothing_shown();
        let left = self.left();
        assert!(left.iter().all(|name| is_part(name)), "{left:?}");
        self.registry.heal();
        run
    }

    /// Returns what pulls have left for later ones to go on with, and what was left by accident.
    pub(crate) fn left(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.env.home().join("cache/tmp")) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Returns how many bytes pulls have kept for later ones to go on with.
    pub(crate) fn kept(&self) -> u64 {
        let tmp = self.env.home().join("cache/tmp");
        let parts = self.left().into_iter().filter(|name| is_part(name));
        parts
            .map(|name| std::fs::metadata(tmp.join(name)).map_or(0, |it| it.len()))
            .sum()
    }

    /// Asserts that no image is there.
    pub(crate) fn assert_nothing_shown(&self) {
        assert_eq!(self.env.references(), [] as [String; 0]);
        self.env.msb("image verify").success();
    }

    /// Returns the digest of the big layer.
    pub(crate) fn big() -> String {
        sha256(&image().layers[1])
    }

    pub(crate) fn on_big() -> On {
        On::Blob(Self::big())
    }

    /// Returns where each request for the big layer began.
    pub(crate) fn offsets(&self) -> Vec<usize> {
        let requests = self.registry.asked(&Self::on_big());
        requests
            .iter()
            .map(|request| request.offset().unwrap_or(0))
            .collect()
    }

    /// Returns how many bytes of the big layer were sent in all.
    pub(crate) fn sent(&self) -> usize {
        let requests = self.registry.asked(&Self::on_big());
        requests.iter().map(|request| request.sent).sum()
    }
}

/// Tells whether a file is what a pull keeps of a blob.
fn is_part(name: &str) -> bool {
    std::path::Path::new(name)
        .extension()
        .is_some_and(|it| it == "part")
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("requests:\n{}", self.registry.log());
        }
    }
}
