//! What an input may cost.
//!
//! Owns the caps on untrusted input, their names and their defaults, and the [`Budget`] that all
//! parts of one operation share. Those who read the input enforce the caps, and name the cap in the
//! error.

mod budget;

pub use budget::{Account, Budget, Inflation, Overdrawn, Purpose};

/// Caps on untrusted input. The defaults let every real image through, also those of 60 GiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one layer's tar.
    pub layer_bytes: u64,
    /// Bytes of all files of one layer together, the holes of sparse files counted.
    pub sparse_bytes: u64,
    /// Entries of one layer.
    pub entries: u64,
    /// Bytes of a path or of a link's target.
    pub path_bytes: u64,
    /// Bytes of one extension header, which holds the extended attributes of an entry.
    pub xattr_bytes: u64,
    /// How many times larger than their compressed form the layers of one load or pull may be
    /// together, past the first GiB.
    pub inflate_ratio: u64,
    /// Bytes that a decompressor may have for looking back, which the compressed data asks for.
    pub window_bytes: u64,
    /// Bytes that one load or pull may write, all layers together.
    pub image_bytes: u64,
    /// Bytes of memory that an input may take during one load or pull, all layers together.
    pub memory_bytes: u64,
    /// Bytes of a manifest.
    pub manifest_bytes: u64,
    /// Bytes of a configuration.
    pub config_bytes: u64,
    /// Bytes of all small entries that are kept from a pipe.
    pub kept_bytes: u64,
    /// Entries of an archive around images.
    pub archive_entries: u64,
}

/// One of the caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::layer_bytes`].
    LayerBytes,
    /// [`Limits::sparse_bytes`].
    SparseBytes,
    /// [`Limits::entries`].
    Entries,
    /// [`Limits::path_bytes`].
    PathBytes,
    /// [`Limits::xattr_bytes`].
    XattrBytes,
    /// [`Limits::inflate_ratio`].
    InflateRatio,
    /// [`Limits::window_bytes`].
    WindowBytes,
    /// [`Limits::image_bytes`].
    ImageBytes,
    /// [`Limits::memory_bytes`].
    MemoryBytes,
    /// [`Limits::manifest_bytes`].
    ManifestBytes,
    /// [`Limits::config_bytes`].
    ConfigBytes,
    /// [`Limits::kept_bytes`].
    KeptBytes,
    /// [`Limits::archive_entries`].
    ArchiveEntries,
}

impl Limit {
    /// Every cap, in the order of the fields.
    pub const ALL: [Self; 13] = [
        Self::LayerBytes,
        Self::SparseBytes,
        Self::Entries,
        Self::PathBytes,
        Self::XattrBytes,
        Self::InflateRatio,
        Self::WindowBytes,
        Self::ImageBytes,
        Self::MemoryBytes,
        Self::ManifestBytes,
        Self::ConfigBytes,
        Self::KeptBytes,
        Self::ArchiveEntries,
    ];

    /// Returns the name that errors give and settings go by.
    pub fn name(self) -> &'static str {
        match self {
            Self::LayerBytes => "layer_bytes",
            Self::SparseBytes => "sparse_bytes",
            Self::Entries => "entries",
            Self::PathBytes => "path_bytes",
            Self::XattrBytes => "xattr_bytes",
            Self::InflateRatio => "inflate_ratio",
            Self::WindowBytes => "window_bytes",
            Self::ImageBytes => "image_bytes",
            Self::MemoryBytes => "memory_bytes",
            Self::ManifestBytes => "manifest_bytes",
            Self::ConfigBytes => "config_bytes",
            Self::KeptBytes => "kept_bytes",
            Self::ArchiveEntries => "archive_entries",
        }
    }

    /// Returns the cap of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.name() == name)
    }
}

impl Limits {
    /// Returns how many bytes may come of `stored` ones: below a GiB no ratio is suspicious, since
    /// an empty disk image compresses very well.
    pub fn growth(&self, stored: u64) -> u64 {
        stored.saturating_mul(self.inflate_ratio).max(1 << 30)
    }

    /// Returns the value of a cap.
    pub fn get(&self, limit: Limit) -> u64 {
        match limit {
            Limit::LayerBytes => self.layer_bytes,
            Limit::SparseBytes => self.sparse_bytes,
            Limit::Entries => self.entries,
            Limit::PathBytes => self.path_bytes,
            Limit::XattrBytes => self.xattr_bytes,
            Limit::InflateRatio => self.inflate_ratio,
            Limit::WindowBytes => self.window_bytes,
            Limit::ImageBytes => self.image_bytes,
            Limit::MemoryBytes => self.memory_bytes,
            Limit::ManifestBytes => self.manifest_bytes,
            Limit::ConfigBytes => self.config_bytes,
            Limit::KeptBytes => self.kept_bytes,
            Limit::ArchiveEntries => self.archive_entries,
        }
    }

    /// Changes the value of a cap.
    pub fn set(&mut self, limit: Limit, value: u64) {
        *match limit {
            Limit::LayerBytes => &mut self.layer_bytes,
            Limit::SparseBytes => &mut self.sparse_bytes,
            Limit::Entries => &mut self.entries,
            Limit::PathBytes => &mut self.path_bytes,
            Limit::XattrBytes => &mut self.xattr_bytes,
            Limit::InflateRatio => &mut self.inflate_ratio,
            Limit::WindowBytes => &mut self.window_bytes,
            Limit::ImageBytes => &mut self.image_bytes,
            Limit::MemoryBytes => &mut self.memory_bytes,
            Limit::ManifestBytes => &mut self.manifest_bytes,
            Limit::ConfigBytes => &mut self.config_bytes,
            Limit::KeptBytes => &mut self.kept_bytes,
            Limit::ArchiveEntries => &mut self.archive_entries,
        } = value;
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layer_bytes: 1 << 40,
            sparse_bytes: 8 << 40,
            entries: 10_000_000,
            path_bytes: 64 << 10,
            xattr_bytes: 1 << 20,
            inflate_ratio: 1000,
            window_bytes: 128 << 20,
            image_bytes: 1 << 40,
            memory_bytes: 256 << 20,
            manifest_bytes: 4 << 20,
            config_bytes: 8 << 20,
            kept_bytes: 64 << 20,
            archive_entries: 1_000_000,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_cap_is_found_by_its_name_and_can_be_changed() {
        let mut limits = Limits::default();
        for limit in Limit::ALL {
            let found = Limit::by_name(limit.name()).unwrap();
            assert_eq!(found, limit);
            let before = limits.clone();
            limits.set(found, 7);
            assert_eq!(limits.get(limit), 7);
            assert_ne!(limits, before, "{}", limit.name());
        }
        assert_eq!(Limit::by_name("bytes"), None);
    }
}
