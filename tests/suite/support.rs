//! What tests are made with: homes and runs of msb, archives from text, registries and proxies of a
//! test's own, real engines, and what the kernel shows of a mount.
//!
//! `main.rs` names each of these modules once, so tests say `crate::env`.

pub(crate) mod archive;
pub(crate) mod authority;
pub(crate) mod compiled;
pub(crate) mod docker_registry;
pub(crate) mod engine;
pub(crate) mod env;
pub(crate) mod faulty;
pub(crate) mod http_proxy;
pub(crate) mod mount;
pub(crate) mod registry_scene;
pub(crate) mod relay;
pub(crate) mod socks_proxy;
pub(crate) mod token_service;
pub(crate) mod tools;
