//! Archives that hold a filesystem: what they say of its files, and layers made of them.

use crate::bindings::msb::plugin::{source_layers, source_metadata};
use crate::{Archive, Error, LayerDefinition, Measured, Metadata, Run, Source};

/// How many entries are fetched at a time.
const PAGE: u32 = 4096;

/// The files of an archive as those of a filesystem. See `wit/source-metadata.wit` and
/// `wit/source-layers.wit`. A component that uses it imports both.
pub trait Filesystem {
    /// Returns what the archive says of its entries, in their order.
    fn metadata(&self) -> Box<dyn Iterator<Item = Metadata> + '_>;

    /// Defines a layer of entries and returns its number, for a plan and for
    /// [`measure`](Self::measure).
    fn define(&self, layer: &LayerDefinition) -> Result<u32, Error>;

    /// Returns digest and length of a file, or of a layer that was defined.
    fn measure(&self, index: u32) -> Result<Measured, Error>;
}

impl Filesystem for Source {
    fn metadata(&self) -> Box<dyn Iterator<Item = Metadata> + '_> {
        let mut first = 0;
        let pages = std::iter::from_fn(move || {
            let page = source_metadata::metadata_of(first, PAGE);
            first += u32::try_from(page.len()).unwrap_or(u32::MAX);
            (!page.is_empty()).then_some(page)
        });
        Box::new(pages.flatten())
    }

    fn define(&self, layer: &LayerDefinition) -> Result<u32, Error> {
        source_layers::define(layer)
    }

    fn measure(&self, index: u32) -> Result<Measured, Error> {
        source_layers::measure(index)
    }
}

impl dyn Archive + '_ {
    /// Returns all entries, as a layer has them.
    pub fn all_entries(&self) -> Vec<Run> {
        let count = u32::try_from(self.entries().count()).unwrap_or(u32::MAX);
        vec![Run { first: 0, count }]
    }
}
