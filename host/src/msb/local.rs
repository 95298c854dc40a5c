//! What [`Msb`] does with the images that are there: it needs neither plugins nor registries.

use std::time::Duration;

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::digest::Digest;
use crate::image::{
    self, DiskUsage, HistoryStep, ImageDetails, ImageFilter, ImageList, ImageSort, ListOptions,
    NamePattern, PruneOptions, PruneReport, RemoveOptions, Removed, VerifyOptions, VerifyReport,
};
use crate::store::Store;

/// Lists images: see [`Msb::images`].
#[derive(Clone, Debug)]
pub struct Images(ListOptions);

/// Shows an image: see [`Msb::inspect`].
#[derive(Clone, Debug)]
pub struct Inspect(String);

/// Shows how an image was made: see [`Msb::history`].
#[derive(Clone, Debug)]
pub struct History(String);

/// Removes an image: see [`Msb::remove`].
#[derive(Clone, Debug)]
pub struct Remove {
    image: String,
    options: RemoveOptions,
}

/// Removes unused images: see [`Msb::prune`].
#[derive(Clone, Debug)]
pub struct Prune(PruneOptions);

/// Measures the store: see [`Msb::disk_usage`].
#[derive(Clone, Debug)]
pub struct Df(());

/// Verifies images: see [`Msb::verify`].
#[derive(Clone, Debug)]
pub struct Verify {
    images: Vec<String>,
    options: VerifyOptions,
}

/// Records a use: see [`Msb::use_image`].
#[derive(Clone, Debug)]
pub struct UseImage {
    sandbox: String,
    image: String,
}

/// Ends a use: see [`Msb::release`].
#[derive(Clone, Debug)]
pub struct Release(String);

impl Msb {
    /// Lists the images.
    pub fn images(&self) -> Operation<Images> {
        Operation::new(self, Images(ListOptions::default()))
    }

    /// Returns all that the store knows of an image, with the paths of its layers, which are EROFS
    /// images to be mounted. `image` is a reference, a digest, or the first digits of one.
    pub fn inspect(&self, image: impl Into<String>) -> Operation<Inspect> {
        Operation::new(self, Inspect(image.into()))
    }

    /// Returns the steps in which an image was made, the last one first. `image` is a reference, a
    /// digest, or the first digits of one.
    pub fn history(&self, image: impl Into<String>) -> Operation<History> {
        Operation::new(self, History(image.into()))
    }

    /// Removes an image and the layers that no other image has. An image with several references
    /// loses only the one that is named.
    pub fn remove(&self, image: impl Into<String>) -> Operation<Remove> {
        let work = Remove {
            image: image.into(),
            options: RemoveOptions::default(),
        };
        Operation::new(self, work)
    }

    /// Returns what the store takes of the disk, and what of it can go.
    pub fn disk_usage(&self) -> Operation<Df> {
        Operation::new(self, Df(()))
    }

    /// Removes the images that no sandbox uses, and whatever nothing refers to.
    pub fn prune(&self) -> Operation<Prune> {
        Operation::new(self, Prune(PruneOptions::default()))
    }

    /// Checks that images are still what was loaded: those that are named, or all of them and the
    /// catalogue where none is.
    pub fn verify<I>(&self, images: I) -> Operation<Verify>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let work = Verify {
            images: images.into_iter().map(Into::into).collect(),
            options: VerifyOptions::default(),
        };
        Operation::new(self, work)
    }

    /// Records that a sandbox uses an image: nothing of it is removed until [`release`](Self::release).
    /// Returns the digest of its manifest. To pull an image for a sandbox, use
    /// [`used_by`](Operation::used_by): no removal can come between.
    pub fn use_image(
        &self,
        sandbox: impl Into<String>,
        image: impl Into<String>,
    ) -> Operation<UseImage> {
        let work = UseImage {
            sandbox: sandbox.into(),
            image: image.into(),
        };
        Operation::new(self, work)
    }

    /// Records that a sandbox uses no image any more. Returns how many it used.
    pub fn release(&self, sandbox: impl Into<String>) -> Operation<Release> {
        Operation::new(self, Release(sandbox.into()))
    }
}

impl Operation<Images> {
    /// Lists only images with a name like this. May be called again: one match is enough.
    pub fn name(mut self, name: NamePattern) -> Self {
        self.work.0.names.push(name);
        self
    }

    /// Lists only images that match. May be called again: all are to match.
    pub fn filter(mut self, filter: ImageFilter) -> Self {
        self.work.0.filters.push(filter);
        self
    }

    /// Changes the order, in which the newest image is first.
    pub fn sort(mut self, sort: ImageSort) -> Self {
        self.work.0.sort = sort;
        self
    }
}

impl Operation<Remove> {
    /// Removes it even if sandboxes use it. Its layers stay until these end.
    pub fn force(mut self, force: bool) -> Self {
        self.work.options.force = force;
        self
    }
}

impl Operation<Prune> {
    /// Removes nothing, and returns what would be removed.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.work.0.dry_run = dry_run;
        self
    }
}

impl Operation<Prune> {
    /// Removes only images that match. May be called again: all are to match. Of an image with several
    /// names, those that match go.
    pub fn filter(mut self, filter: ImageFilter) -> Self {
        self.work.0.filters.push(filter);
        self
    }

    /// Removes only images that were not used for so long.
    pub fn unused_for(mut self, time: Duration) -> Self {
        self.work.0.unused_for = Some(time);
        self
    }

    /// Keeps so many names of each repository: those that were given last.
    pub fn keep(mut self, names: usize) -> Self {
        self.work.0.keep = Some(names);
        self
    }

    /// Removes the least used images, until all together take no more bytes of disk than this.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.work.0.max_bytes = Some(bytes);
        self
    }
}

impl Operation<Verify> {
    /// Removes what is damaged, and rebuilds a catalogue that is damaged or lost.
    pub fn repair(mut self, repair: bool) -> Self {
        self.work.options.repair = repair;
        self
    }

    /// With `repair`: removes damaged layers even if sandboxes use them.
    pub fn force(mut self, force: bool) -> Self {
        self.work.options.force = force;
        self
    }
}

/// Ends the uses of mounts that are gone. If it is not known what is mounted, they stay.
fn forget_unmounted(store: &Store) {
    #[cfg(feature = "registry")]
    let _ = image::release_unmounted(store);
    #[cfg(not(feature = "registry"))]
    let _ = store;
}

macro_rules! sealed {
    ($($work:ty),+) => { $(impl Sealed for $work {})+ };
}

sealed!(
    Df, Images, Inspect, History, Remove, Prune, Verify, UseImage, Release
);

impl Work for Images {
    type Output = ImageList;

    fn work(self, msb: &Msb, _context: &Context) -> Result<ImageList, Error> {
        Ok(image::list(&*msb.store()?, &self.0)?)
    }
}

impl Work for Inspect {
    type Output = ImageDetails;

    fn work(self, msb: &Msb, _context: &Context) -> Result<ImageDetails, Error> {
        Ok(image::inspect(&*msb.store()?, &self.0)?)
    }
}

impl Work for History {
    type Output = Vec<HistoryStep>;

    fn work(self, msb: &Msb, _context: &Context) -> Result<Vec<HistoryStep>, Error> {
        Ok(image::history(&*msb.store()?, &self.0)?)
    }
}

impl Work for Remove {
    type Output = Removed;

    fn work(self, msb: &Msb, _context: &Context) -> Result<Removed, Error> {
        let store = msb.store()?;
        forget_unmounted(&store);
        Ok(image::remove(&store, &self.image, self.options)?)
    }
}

impl Work for Prune {
    type Output = PruneReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<PruneReport, Error> {
        let store = msb.store()?;
        if !self.0.dry_run {
            forget_unmounted(&store);
        }
        Ok(image::prune(&store, &self.0, context)?)
    }
}

impl Work for Df {
    type Output = DiskUsage;

    fn work(self, msb: &Msb, context: &Context) -> Result<DiskUsage, Error> {
        Ok(image::disk_usage(&*msb.store()?, context)?)
    }
}

impl Work for Verify {
    type Output = VerifyReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<VerifyReport, Error> {
        let limits = msb.limits()?;
        let report = image::verify(msb.home(), &self.images, self.options, &limits, context);
        if self.options.repair {
            // The catalogue may be another one now.
            msb.shared.store.close();
        }
        Ok(report?)
    }
}

impl Work for UseImage {
    type Output = Digest;

    fn work(self, msb: &Msb, _context: &Context) -> Result<Digest, Error> {
        Ok(msb.store()?.use_image(&self.sandbox, &self.image)?)
    }
}

impl Work for Release {
    type Output = usize;

    fn work(self, msb: &Msb, _context: &Context) -> Result<usize, Error> {
        Ok(msb.store()?.release(&self.0)?)
    }
}
