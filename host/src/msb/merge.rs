//! What [`Msb`] makes of an image for what runs it: its merged root filesystem, and disks.

use std::path::PathBuf;

use msb_erofs::FileCompression;

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
#[cfg(feature = "registry")]
use crate::digest::Digest;
#[cfg(feature = "registry")]
use crate::image::MergeError;
use crate::image::{self, DiskOptions, DiskReport, DiskType, MergedImage};
#[cfg(feature = "registry")]
use crate::progress::Event;

/// Merges an image: see [`Msb::merge`].
#[derive(Clone, Debug)]
pub struct Merge(String);

/// Writes a disk: see [`Msb::disk`].
#[derive(Clone, Debug)]
pub struct Disk {
    image: String,
    path: Option<PathBuf>,
    options: DiskOptions,
}

impl Msb {
    /// Returns the merged root filesystem of an image: one EROFS image that refers to those of its
    /// layers. It is made unless it is there, and goes with its image. `image` is a reference, a
    /// digest, or the first digits of one.
    pub fn merge(&self, image: impl Into<String>) -> Operation<Merge> {
        Operation::new(self, Merge(image.into()))
    }

    /// Writes an image as one disk, to the file that [`to`](Operation::to) names. A table of the device
    /// mapper needs no file. A disk
    /// that refers to files of the store needs its image to stay: see [`use_image`](Self::use_image).
    pub fn disk(&self, image: impl Into<String>, disk_type: DiskType) -> Operation<Disk> {
        let work = Disk {
            image: image.into(),
            path: None,
            options: DiskOptions {
                disk_type,
                ..DiskOptions::default()
            },
        };
        Operation::new(self, work)
    }
}

#[cfg(feature = "registry")]
impl Msb {
    /// Merges images that have just come, if the settings say so. What goes wrong with that is a notice:
    /// the images are there, and can be merged when that is wanted.
    pub(super) fn merge_if_set<'a>(
        &self,
        images: impl IntoIterator<Item = &'a Digest>,
        context: &Context,
    ) -> Result<(), Error> {
        if !self.settings()?.store.merge {
            return Ok(());
        }
        let store = self.store()?;
        let limits = self.limits()?;
        for image in images {
            match image::merged(&store, &image.to_string(), &limits, context) {
                Ok(_) => {}
                Err(MergeError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => {
                    let mut text = error.to_string();
                    let mut cause: &dyn std::error::Error = &error;
                    while let Some(source) = cause.source() {
                        text = format!("{text}: {source}");
                        cause = source;
                    }
                    context.progress.report(Event::Notice(&text));
                }
            }
        }
        Ok(())
    }
}

impl Operation<Disk> {
    /// Writes it to this file, which is complete under its name or not there.
    pub fn to(mut self, path: impl Into<PathBuf>) -> Self {
        self.work.path = Some(path.into());
        self
    }

    /// Leaves all extended attributes out, for readers that refuse files with any. The report says
    /// which.
    pub fn without_xattrs(mut self, without_xattrs: bool) -> Self {
        self.work.options.without_xattrs = without_xattrs;
        self
    }

    /// Appends a dm-verity hash tree, by which a kernel proves each block that it reads.
    pub fn verity(mut self, verity: bool) -> Self {
        self.work.options.verity = verity;
        self
    }

    /// Compresses files in a filesystem of its own, those that get smaller by it. The first kernel that
    /// mounts such a disk is a newer one: see [`Algorithm::first_kernel`](crate::Algorithm::first_kernel).
    pub fn compression(mut self, compression: Option<FileCompression>) -> Self {
        self.work.options.compression = compression;
        self
    }
}

impl Sealed for Merge {}
impl Sealed for Disk {}

impl Work for Merge {
    type Output = MergedImage;

    fn work(self, msb: &Msb, context: &Context) -> Result<MergedImage, Error> {
        let store = msb.store()?;
        Ok(image::merged(&store, &self.0, &msb.limits()?, context)?)
    }
}

impl Work for Disk {
    type Output = DiskReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<DiskReport, Error> {
        let Self {
            image,
            path,
            options,
        } = self;
        let store = msb.store()?;
        let limits = msb.limits()?;
        let path = path.as_deref();
        Ok(image::disk(
            &store, &image, path, options, &limits, context,
        )?)
    }
}
