//! Which of the images that no sandbox uses a prune removes.

use std::collections::HashSet;
use std::fmt;

use super::StoreError;
use super::stock::Stock;
use crate::digest::Digest;
use crate::reference::Reference;

/// What picks images. It is called while the catalogue is held, and asks the store for nothing.
type Pick<'a> = dyn Fn(Stock) -> Result<Picked, StoreError> + 'a;

/// Which images a prune removes, of those that no sandbox uses.
pub enum Choice<'a> {
    /// All of them.
    Unused,
    /// Those that a function picks.
    Picked(&'a Pick<'a>),
}

/// Images and names to remove. What a sandbox uses stays, whatever was picked.
#[derive(Clone, Debug, Default)]
pub struct Picked {
    /// Images, with all of their names.
    pub images: HashSet<Digest>,
    /// Names of images that stay.
    pub names: Vec<Reference>,
    /// The images that have these names.
    pub renamed: HashSet<Digest>,
    /// How many images would have gone if no sandbox used them.
    pub in_use: usize,
}

impl Picked {
    /// Returns whether an image is to go, by what stands in the catalogue as its digest.
    pub(super) fn has(&self, digest: &str) -> bool {
        let digest = digest.parse::<Digest>();
        digest.is_ok_and(|digest| self.images.contains(&digest))
    }
}

impl fmt::Debug for Choice<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unused => "Unused",
            Self::Picked(_) => "Picked",
        })
    }
}
