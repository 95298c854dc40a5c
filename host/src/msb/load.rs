//! `Msb::load`.

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::archive::Input;
use crate::context::Context;
use crate::image::{self, LoadOptions, LoadReport};
use crate::platform::Platform;
use crate::reference::Reference;

/// Loads an archive: see [`Msb::load`].
#[derive(Debug)]
pub struct Load {
    input: Input,
    options: LoadOptions,
}

impl Msb {
    /// Loads the images of an archive: one of `docker save`, an OCI image layout, or any other that a
    /// format plugin reads.
    ///
    /// An image that cannot be loaded does not keep the others from loading: the report has both.
    pub fn load(&self, input: Input) -> Operation<Load> {
        let work = Load {
            input,
            options: LoadOptions::default(),
        };
        Operation::new(self, work)
    }
}

impl Operation<Load> {
    /// Gives the first image of the archive this name as well. May be called again.
    pub fn tag(mut self, tag: Reference) -> Self {
        self.work.options.tags.push(tag);
        self
    }

    /// Loads the images for this platform instead of those for this machine.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.work.options.platform = Some(platform);
        self
    }
}

impl Sealed for Load {}

impl Work for Load {
    type Output = LoadReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<LoadReport, Error> {
        let settings = msb.settings()?;
        msb.tell(&settings, context);
        let options = LoadOptions {
            limits: settings.limits.clone(),
            max_bytes: settings.store.max_bytes,
            ..self.options
        };
        let store = msb.store()?;
        msb.keep_apart(&store)?;
        let formats = msb.plugins()?.formats();
        let report = image::load(&store, &formats, self.input, &options, context)?;
        let images = report.images.iter();
        let images: Vec<String> = images
            .map(|image| image.manifest_digest.to_string())
            .collect();
        msb.serve_new(&images, context)?;
        let loaded = report.images.iter().map(|image| &image.manifest_digest);
        msb.merge_if_set(loaded, context)?;
        Ok(report)
    }
}
