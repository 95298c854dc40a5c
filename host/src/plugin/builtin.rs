//! The plugins that ship with msb, as bytes inside of it.
//!
//! They are ordinary components: what stands here is the note that an installation would make, and
//! what a user would have granted.

use super::format::Description;
use super::grant::Grant;
use super::grants::Grants;
use super::limits::PluginBudget;
use super::package::{ComponentBytes, CredentialDescription, Need, Package, PluginKind};
use crate::auth::Operations;
use crate::credential::{AuthSourceKind, Tier};

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

/// What keeps and forgets.
const KEEPS: Operations = Operations {
    store: true,
    erase: true,
    list: false,
    report: false,
    login: false,
};
/// What can say what it has.
const LISTS: Operations = Operations {
    store: false,
    erase: false,
    list: true,
    report: false,
    login: false,
};
/// What answers, and no more.
const ANSWERS: Operations = Operations {
    store: false,
    erase: false,
    list: false,
    report: false,
    login: false,
};

/// Returns the plugins that ship with msb, each kind in the order in which it is asked.
pub fn packages() -> Vec<Package> {
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
        credential(
            "keychain",
            "the credential store of the system",
            (Tier::Ambient, Some(AuthSourceKind::Keyring)),
            KEEPS,
            &["keychain=dev.microsandbox.registry"],
            embedded!("keychain"),
        ),
        credential(
            "env",
            "variables of the environment that are configured",
            (Tier::Configured, Some(AuthSourceKind::PasswordEnv)),
            ANSWERS,
            &["env=@configured"],
            embedded!("env"),
        ),
        credential(
            "secret-file",
            "files in the secrets folder of msb",
            (Tier::Configured, Some(AuthSourceKind::SecretName)),
            ANSWERS,
            &["files=msb:secrets/registries/*"],
            embedded!("secret-file"),
        ),
        credential(
            "docker-config",
            "the files of Docker and Podman",
            (Tier::Ambient, None),
            LISTS,
            &[
                "env=DOCKER_AUTH_CONFIG",
                "env=DOCKER_CONFIG",
                "env=REGISTRY_AUTH_FILE",
                "env=XDG_RUNTIME_DIR",
                "env=XDG_CONFIG_HOME",
                "helper=*",
                "reveal",
                "files=$DOCKER_CONFIG/config.json",
                "files=~/.docker/config.json",
                "files=$REGISTRY_AUTH_FILE",
                "files=$XDG_RUNTIME_DIR/containers/auth.json",
                "files=/run/containers/0/auth.json",
                "files=$XDG_CONFIG_HOME/containers/auth.json",
                "files=~/.config/containers/auth.json",
            ],
            embedded!("docker-config"),
        ),
    ]
}

fn format(plugin: &str, name: &str, title: &str, component: ComponentBytes) -> Package {
    let description = Description {
        name: name.to_owned(),
        title: title.to_owned(),
        reads: true,
        writes: true,
        keeps_input: false,
        takes_any: false,
    };
    Package {
        name: plugin.into(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        kind: PluginKind::Format(description),
        component,
        grants: Grants::default(),
        limits: PluginBudget::FORMAT,
        settings: None,
        builtin: true,
    }
}

/// A provider that is asked about every registry. What it needs it has; the reasons are for those
/// who must be asked.
fn credential(
    name: &str,
    title: &str,
    (tier, reads): (Tier, Option<AuthSourceKind>),
    operations: Operations,
    grants: &[&str],
    component: ComponentBytes,
) -> Package {
    let grants: Vec<Grant> = grants
        .iter()
        .filter_map(|grant| grant.parse().ok())
        .collect();
    let needs = grants.iter().cloned().map(|grant| Need {
        grant,
        reason: String::new(),
    });
    Package {
        name: name.into(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        kind: PluginKind::Credential(CredentialDescription {
            name: name.to_owned(),
            title: title.to_owned(),
            operations,
            registries: vec!["*".to_owned()],
            needs: needs.collect(),
            tier: Some(tier),
            reads,
        }),
        component,
        grants: grants.into_iter().collect(),
        limits: PluginBudget::CREDENTIAL,
        settings: None,
        builtin: true,
    }
}
