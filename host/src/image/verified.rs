//! What `image verify` has found. The JSON form is part of the command line's contract.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::digest::Digest;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyReport {
    /// The images that were looked at.
    pub images: Vec<VerifiedImage>,
    /// What is wrong with the store as a whole.
    pub store: Vec<Damage>,
    /// How many layers were looked at; images share them.
    pub layers: usize,
    /// How many bytes of tar they gave back.
    pub bytes: u64,
}

/// An image that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedImage {
    /// The reference by which it was found, or else its first one, or `<none>`.
    pub reference: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digest of its configuration.
    pub id: Digest,
    /// Nothing is wrong with it.
    pub sound: bool,
    /// Layers that were adopted from microsandbox: they are as they were then, and nothing proves that they
    /// have the contents of their `diff_id`s.
    pub unproven: Vec<Digest>,
    /// What is.
    pub damage: Vec<Damage>,
}

/// A part of the store that is damaged, or cannot be read.
#[derive(Clone, Debug, Serialize)]
pub struct Damage {
    /// The path of the file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The layer that it belongs to, if it belongs to one.
    pub diff_id: Option<Digest>,
    /// What is wrong with it.
    pub what: String,
    /// It could not be read this time, which proves nothing.
    pub unreadable: bool,
    /// It was dropped.
    pub dropped: bool,
    /// It was made right.
    pub repaired: bool,
    /// It was to be dropped and is still there, since these sandboxes use it.
    pub in_use_by: Vec<String>,
}

impl VerifyReport {
    /// Returns whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.store.is_empty() && self.images.iter().all(|image| image.sound)
    }

    /// Returns all that is wrong.
    pub fn damage(&self) -> impl Iterator<Item = &Damage> {
        let images = self.images.iter().flat_map(|image| &image.damage);
        images.chain(&self.store)
    }
}

impl VerifiedImage {
    /// Returns whether the only thing wrong with it is that something could not be read.
    pub fn is_unreadable(&self) -> bool {
        !self.sound && self.damage.iter().all(|damage| damage.unreadable)
    }
}

impl Damage {
    /// Returns that something is wrong with a file.
    pub(super) fn of(file: &Path, what: String) -> Self {
        Self {
            file: file.to_owned(),
            diff_id: None,
            what,
            unreadable: false,
            dropped: false,
            repaired: false,
            in_use_by: Vec::new(),
        }
    }
}

/// JSON has no other text than UTF-8; a path may. What is not UTF-8 is replaced.
pub(super) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
