//! The plugins that ship with msb, as bytes inside of it.
//!
//! They are ordinary components: what stands here is the note that an installation would make.

/// A format plugin that ships with msb.
pub(super) struct BuiltinFormat {
    pub(super) plugin: &'static str,
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) component: &'static [u8],
}

/// In the order in which they are asked.
pub(super) const FORMATS: &[BuiltinFormat] = &[
    BuiltinFormat {
        plugin: "docker-archive",
        name: "docker",
        title: "Docker image archive",
        component: include_bytes!(concat!(env!("MSB_COMPONENTS_DIR"), "/docker-archive.wasm")),
    },
    BuiltinFormat {
        plugin: "oci-layout",
        name: "oci",
        title: "OCI image layout",
        component: include_bytes!(concat!(env!("MSB_COMPONENTS_DIR"), "/oci-layout.wasm")),
    },
];
