//! The host's side of the contract in `wit/`, generated: everything that a plugin may import or
//! export, in one world, so that what is shared exists once. A component exports a part of it.

wasmtime::component::bindgen!({
    path: "wit",
    inline: "
        package msb:host;
        world plugin {
            include msb:plugin/format-with-layers@0.1.1;
            include msb:plugin/credential@0.1.1;
        }
    ",
    world: "msb:host/plugin",
    imports: {
        "msb:plugin/keychain": async | trappable,
        "msb:plugin/helper": async | trappable,
        "msb:plugin/http": async | trappable,
        "msb:plugin/exchange": async | trappable,
        "msb:plugin/files": async | trappable,
        "msb:plugin/prompt": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "msb:plugin/secret.secret": crate::plugin::capability::secret::Value,
    },
});
