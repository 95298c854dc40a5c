//! What [`Msb`] does with the names of images that are there.

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::image;
use crate::reference::Reference;
use crate::store::{StoreError, Tagged, Untagged};

/// Names an image: see [`Msb::tag`].
#[derive(Clone, Debug)]
pub struct Tag {
    image: String,
    names: Vec<Reference>,
}

/// Takes a name: see [`Msb::untag`].
#[derive(Clone, Debug)]
pub struct Untag(String);

/// Looks for names like one: see [`Msb::similar`].
#[derive(Clone, Debug)]
pub struct Similar(String);

/// Looks whether an image is there: see [`Msb::exists`].
#[derive(Clone, Debug)]
pub struct Exists(String);

impl Msb {
    /// Gives an image names, in addition to those that it has. `image` is a reference, a digest, or the
    /// first digits of one. A name that another image has is taken from that, which is kept.
    pub fn tag(
        &self,
        image: impl Into<String>,
        names: impl IntoIterator<Item = Reference>,
    ) -> Operation<Tag> {
        let work = Tag {
            image: image.into(),
            names: names.into_iter().collect(),
        };
        Operation::new(self, work)
    }

    /// Takes a name from an image, which is kept even without any: [`remove`](Self::remove) removes it
    /// with its last name. An ID or a digest takes all names of the image.
    pub fn untag(&self, name: impl Into<String>) -> Operation<Untag> {
        Operation::new(self, Untag(name.into()))
    }

    /// Returns names of images that are like one that is not there, the most similar first.
    pub fn similar(&self, name: impl Into<String>) -> Operation<Similar> {
        Operation::new(self, Similar(name.into()))
    }

    /// Returns whether the store has an image. `image` is a reference, a digest, or the first digits of
    /// one.
    pub fn exists(&self, image: impl Into<String>) -> Operation<Exists> {
        Operation::new(self, Exists(image.into()))
    }
}

impl Sealed for Tag {}
impl Sealed for Untag {}
impl Sealed for Exists {}
impl Sealed for Similar {}

impl Work for Tag {
    type Output = Tagged;

    fn work(self, msb: &Msb, _context: &Context) -> Result<Tagged, Error> {
        Ok(msb.store()?.tag(&self.image, &self.names)?)
    }
}

impl Work for Untag {
    type Output = Untagged;

    fn work(self, msb: &Msb, _context: &Context) -> Result<Untagged, Error> {
        Ok(msb.store()?.untag(&self.0)?)
    }
}

impl Work for Similar {
    type Output = Vec<Reference>;

    fn work(self, msb: &Msb, _context: &Context) -> Result<Vec<Reference>, Error> {
        Ok(image::similar(&*msb.store()?, &self.0)?)
    }
}

impl Work for Exists {
    type Output = bool;

    fn work(self, msb: &Msb, _context: &Context) -> Result<bool, Error> {
        match msb.store()?.find(&self.0) {
            // Several that are meant are there as well.
            Ok(_) | Err(StoreError::Ambiguous { .. }) => Ok(true),
            Err(StoreError::NotFound(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
