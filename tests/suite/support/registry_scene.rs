//! A real registry and a home to pull to: Debian's `docker-registry`, filled by skopeo, on this machine.

use std::path::Path;

use serde_json::{Value, json};

use crate::archive::{Image, gzip};
use crate::docker_registry::{DockerRegistry, Setup};
use crate::env::{Run, TestEnv};

/// A registry, and a home to pull to.
pub(crate) struct Scene {
    pub(crate) env: TestEnv,
    pub(crate) registry: DockerRegistry,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(&Setup::default())
    }

    /// Starts a registry of that kind.
    pub(crate) fn with(setup: &Setup<'_>) -> Self {
        let scene = Self {
            env: TestEnv::new(),
            registry: DockerRegistry::start(setup),
        };
        scene.settings(&json!({}));
        scene
    }

    /// Starts a registry with the image `app:1` of [`sample`].
    pub(crate) fn filled() -> Self {
        let scene = Self::new();
        scene.registry.push("app:1", &sample());
        scene
    }

    pub(crate) fn settings(&self, registries: &Value) {
        settings(&self.env, registries);
    }

    /// Returns what an image of the registry is called.
    pub(crate) fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.registry.host())
    }

    pub(crate) fn pull(&self, arguments: &str, image: &str) -> Run {
        let line = format!("pull {arguments} {}", self.name(image));
        checked(self.env.msb(&line))
    }

    /// Pulls an image, and asserts that all of it is there.
    #[track_caller]
    pub(crate) fn pulls(&self, image: &str) -> Run {
        let run = self.pull("", image).success();
        assert!(self.env.references().contains(&self.name(image)));
        assert_whole(&self.env);
        run
    }
}

/// Changes the settings of registries, which are such that tests need not wait.
pub(crate) fn settings(env: &TestEnv, registries: &Value) {
    let mut settings = json!({"retry_delay_ms": 10});
    let of = settings.as_object_mut().unwrap();
    of.extend(registries.as_object().unwrap().clone());
    env.write_settings(json!({"registries": settings}));
}

/// Asserts that a run shows nothing secret and nothing that acts on a terminal.
#[track_caller]
pub(crate) fn checked(run: Run) -> Run {
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains("secret-"), "{run:#?}");
        let control = |character: char| character.is_control() && character != '\n';
        assert!(!text.contains(control), "{run:#?}");
    }
    run
}

/// Asserts that every image in the store is whole and nothing is in flight.
#[track_caller]
pub(crate) fn assert_whole(env: &TestEnv) {
    env.msb("image verify").success();
    env.assert_nothing_in_flight();
}

/// Returns an image of two layers, with gzip.
pub(crate) fn sample() -> Image {
    Image::new(
        "",
        &[
            "etc/\netc/hosts = 127.0.0.1\nbin/sh -> busybox",
            "srv/\nsrv/data = some data\netc/.wh.hosts = ",
        ],
    )
    .compressed(gzip)
}

/// Returns the image of a store as `msb image inspect` tells it.
pub(crate) fn inspected(env: &TestEnv, name: &str) -> Value {
    env.json(&format!("image inspect {name} --format json"))
}

/// Writes a file below a directory that may not be there yet.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
