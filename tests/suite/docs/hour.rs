//! `docs/first-hour.md`, with a registry that wants a password, a plugin and mounts.

use super::{image, run_steps, shell};
use crate::docker_registry::DockerRegistry;
use crate::env::TestEnv;
use crate::plugins::component;
use crate::tests;

tests! {
    the_first_hour_prints_what_it_says needs DockerRegistry, Htpasswd, Skopeo, Root, Busybox;
}

pub(super) const NAME: &str = "docs/first-hour.md";
pub(super) const DOCUMENT: &str = include_str!("../../../docs/first-hour.md");
/// What the registry is called there: as long as an address with a port, so that tables look the same.
const REGISTRY: &str = "reg.example.com";
const USER: &str = "ann";
const PASSWORD: &str = "secret-pass";

fn the_first_hour_prints_what_it_says() {
    let env = TestEnv::new();
    let registry = DockerRegistry::with_password(USER, PASSWORD);
    registry.push_as(USER, PASSWORD, "team/app:1", &image());
    env.write("rootfs.wasm", &std::fs::read(component("rootfs")).unwrap());
    for folder in ["rootfs/bin", "rootfs/etc", "rootfs/usr"] {
        std::fs::create_dir_all(env.path(folder)).unwrap();
    }
    std::fs::copy("/bin/busybox", env.path("rootfs/bin/busybox")).unwrap();

    let host = registry.host();
    assert_eq!(host.len(), REGISTRY.len(), "{host}");
    let file = host.replace(':', "_");
    let folder = env.path("").display().to_string();
    let mut wrong = Vec::new();
    let commands = run_steps(NAME, DOCUMENT, &mut wrong, |line| {
        let seen = shell(&env, &line.replace(REGISTRY, host));
        let seen = seen.replace(host, REGISTRY).replace(&file, REGISTRY);
        seen.replace(&folder, "/home/ann/")
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(commands >= 20, "only {commands} commands are shown");
}
