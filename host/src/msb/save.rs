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
    format: Option<String>,
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
            format: None,
        };
        Operation::new(self, work)
    }
}

impl Operation<Save> {
    /// Writes this format: `docker`, `oci`, or one that a plugin writes. The default is what the settings
    /// say, else `docker`.
    pub fn format(mut self, format: impl Into<String>) -> Self {
        self.work.format = Some(format.into());
        self
    }
}

impl Sealed for Save {}

impl Work for Save {
    type Output = SaveReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<SaveReport, Error> {
        let formats = msb.plugins()?.formats();
        let Self {
            images,
            target,
            format,
        } = self;
        let default = msb.settings()?.plugins.format.clone();
        let mut options = SaveOptions::default();
        if let Some(format) = format.or(default) {
            options.format = format;
        }
        // An unknown format is refused before anything is created.
        formats.check_writes(&options.format)?;
        let store = msb.store()?;
        Ok(image::save(
            &store, &formats, &images, &options, target, context,
        )?)
    }
}
