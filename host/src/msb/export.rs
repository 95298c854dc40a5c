//! `Msb::export`.

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::image::{self, ExportReport, SaveTarget};

/// Exports an image: see [`Msb::export`].
#[derive(Debug)]
pub struct Export {
    image: String,
    target: SaveTarget,
}

impl Msb {
    /// Writes the root filesystem of an image as a tar: what its layers show together, with owners,
    /// modes, times, devices, hard links and extended attributes. Nothing is mounted, and no rights are
    /// needed.
    pub fn export(&self, image: impl Into<String>, target: SaveTarget) -> Operation<Export> {
        let work = Export {
            image: image.into(),
            target,
        };
        Operation::new(self, work)
    }
}

impl Sealed for Export {}

impl Work for Export {
    type Output = ExportReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<ExportReport, Error> {
        let store = msb.store()?;
        Ok(image::export(&store, &self.image, self.target, context)?)
    }
}
