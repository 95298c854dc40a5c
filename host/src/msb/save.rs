//! `Msb::save`.

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::image::{self, SaveOptions, SaveReport, SaveTarget};

/// Saves images: see [`Msb::save`].
#[derive(Debug)]
pub struct Save {
    images: Vec<String>,
    target: SaveTarget,
    options: SaveOptions,
}

impl Msb {
    /// Saves images to an archive: references, digests, or the first digits of one.
    ///
    /// Layers, configuration and image ID are those that the image was loaded with, bit for bit.
    pub fn save<I>(&self, images: I, target: SaveTarget) -> Operation<Save>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let work = Save {
            images: images.into_iter().map(Into::into).collect(),
            target,
            options: SaveOptions::default(),
        };
        Operation::new(self, work)
    }
}

impl Operation<Save> {
    /// Writes this format: `docker`, which is the default, `oci`, or one that a plugin writes.
    pub fn format(mut self, format: impl Into<String>) -> Self {
        self.work.options.format = format.into();
        self
    }
}

impl Sealed for Save {}

impl Work for Save {
    type Output = SaveReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<SaveReport, Error> {
        let formats = msb.plugins()?.formats();
        // An unknown format is refused before anything is created.
        formats.check_writes(&self.options.format)?;
        let store = msb.store()?;
        let Self {
            images,
            target,
            options,
        } = self;
        Ok(image::save(
            &store, &formats, &images, &options, target, context,
        )?)
    }
}
