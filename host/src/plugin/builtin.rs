//! The plugins that ship with msb, as bytes inside of it.
//!
//! They are ordinary components: what stands here is the note that an installation would make.

use super::format::Description;
use super::grant::Grants;
use super::limits::Budget;
use super::package::{ComponentBytes, Kind, Package};

macro_rules! embedded {
    ($name:literal) => {
        ComponentBytes::Static(include_bytes!(concat!(
            env!("MSB_COMPONENTS_DIR"),
            "/",
            $name,
            ".wasm"
        )))
    };
}

/// Returns the plugins that ship with msb, each kind in the order in which it is asked.
pub(super) fn packages() -> Vec<Package> {
    vec![
        format(
            "docker-archive",
            "docker",
            "Docker image archive",
            embedded!("docker-archive"),
        ),
        format(
            "oci-layout",
            "oci",
            "OCI image layout",
            embedded!("oci-layout"),
        ),
    ]
}

fn format(plugin: &str, name: &str, title: &str, component: ComponentBytes) -> Package {
    let description = Description {
        name: name.to_owned(),
        title: title.to_owned(),
        reads: true,
        writes: true,
    };
    Package {
        name: plugin.into(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        kind: Kind::Format(description),
        component,
        grants: Grants::default(),
        limits: Budget::FORMAT,
        settings: None,
        builtin: true,
    }
}
