//! What an input may cost.

/// Caps on untrusted input. Each has a name, which the error that it causes carries.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one layer's tar.
    pub layer_bytes: u64,
    /// Entries of one layer.
    pub entries: u64,
    /// Bytes of a path or of a link's target.
    pub path_bytes: u64,
    /// Bytes of the extension headers of one entry, extended attributes among them.
    pub xattr_bytes: u64,
    /// How many times larger than its compressed form a layer may be, past the first 64 MiB.
    pub inflate_ratio: u64,
    /// Bytes of a manifest.
    pub manifest_bytes: u64,
    /// Bytes of a configuration.
    pub config_bytes: u64,
    /// Bytes of all small entries that are kept from a pipe.
    pub kept_bytes: u64,
    /// Entries of an archive around images.
    pub archive_entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layer_bytes: 1 << 40,
            entries: 10_000_000,
            path_bytes: 64 << 10,
            xattr_bytes: 1 << 20,
            inflate_ratio: 1000,
            manifest_bytes: 4 << 20,
            config_bytes: 8 << 20,
            kept_bytes: 64 << 20,
            archive_entries: 1_000_000,
        }
    }
}
