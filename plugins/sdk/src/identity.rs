//! What a plugin says of itself in its file, for lists and messages.

/// Puts what the Cargo.toml of a plugin says of it into sections of its own, where tools for
/// components look for it. Part of the macros that export something.
#[doc(hidden)]
#[macro_export]
macro_rules! identify {
    () => {
        #[used]
        #[unsafe(link_section = "version")]
        static VERSION: [u8; env!("CARGO_PKG_VERSION").len()] =
            $crate::array(env!("CARGO_PKG_VERSION"));
        #[used]
        #[unsafe(link_section = "description")]
        static DESCRIPTION: [u8; env!("CARGO_PKG_DESCRIPTION").len()] =
            $crate::array(env!("CARGO_PKG_DESCRIPTION"));
        #[used]
        #[unsafe(link_section = "licenses")]
        static LICENSES: [u8; env!("CARGO_PKG_LICENSE").len()] =
            $crate::array(env!("CARGO_PKG_LICENSE"));
    };
}

/// Returns the bytes of a text of this length. A section holds bytes, and no pointer to them.
#[doc(hidden)]
pub const fn array<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes.copy_from_slice(text.as_bytes());
    bytes
}
