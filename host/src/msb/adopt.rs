//! `Msb::adopt`.

use std::path::PathBuf;

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::image::{self, AdoptReport};

/// Adopts images: see [`Msb::adopt`].
#[derive(Clone, Debug)]
pub struct Adopt {
    home: Option<PathBuf>,
    images: Vec<String>,
}

impl Msb {
    /// Takes images that microsandbox has pulled into the store, without copying: those of some names or
    /// digests of manifests, or all of them. Their layers are checked against the rules of EROFS, but nothing
    /// proves that they have the contents of their `diff_id`s: they can be mounted and looked into, not saved.
    /// A pull or a load of the same image makes it whole.
    pub fn adopt<I>(&self, images: I) -> Operation<Adopt>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let work = Adopt {
            home: None,
            images: images.into_iter().map(Into::into).collect(),
        };
        Operation::new(self, work)
    }
}

impl Operation<Adopt> {
    /// Takes them out of the home of microsandbox at this directory, instead of that of the store.
    pub fn from_home(mut self, directory: impl Into<PathBuf>) -> Self {
        self.work.home = Some(directory.into());
        self
    }
}

impl Sealed for Adopt {}

impl Work for Adopt {
    type Output = AdoptReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<AdoptReport, Error> {
        let home = msb.microsandbox_home(self.home.as_deref());
        let store = msb.store()?;
        Ok(image::adopt(&store, &home, &self.images, context)?)
    }
}
