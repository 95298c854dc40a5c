//! `Msb::mount` and `Msb::unmount`.

use std::path::PathBuf;

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::image::{self, MountOptions, MountedImage};

/// Mounts an image: see [`Msb::mount`].
#[derive(Clone, Debug)]
pub struct Mount {
    image: String,
    directory: PathBuf,
    options: MountOptions,
}

/// Unmounts an image: see [`Msb::unmount`].
#[derive(Clone, Debug)]
pub struct Unmount(PathBuf);

impl Msb {
    /// Mounts the root filesystem of an image at an empty directory, read-only, which only root may do.
    /// Devices and set-user-ID programs in it have no effect. The image is in use, by a sandbox called
    /// `mount:` and the directory, until it is unmounted.
    pub fn mount(
        &self,
        image: impl Into<String>,
        directory: impl Into<PathBuf>,
    ) -> Operation<Mount> {
        let work = Mount {
            image: image.into(),
            directory: directory.into(),
            options: MountOptions::default(),
        };
        Operation::new(self, work)
    }

    /// Unmounts an image, and ends its use. Returns the directory without symbolic links.
    pub fn unmount(&self, directory: impl Into<PathBuf>) -> Operation<Unmount> {
        Operation::new(self, Unmount(directory.into()))
    }
}

impl Operation<Mount> {
    /// Has the kernel prove each block that it reads by a hash tree (dm-verity): a bit that changes after
    /// this is an I/O error. All of the image is read once before it is mounted, and the report has the
    /// root hash, which is that of a raw disk of the image.
    pub fn verity(mut self, verity: bool) -> Self {
        self.work.options.verity = verity;
        self
    }

    /// Mounts the image only if it has this root hash, in hexadecimal digits, and as
    /// [`verity`](Self::verity) does.
    pub fn root_hash(mut self, root_hash: Option<String>) -> Self {
        self.work.options.root_hash = root_hash;
        self
    }
}

macro_rules! sealed {
    ($($work:ty),+) => { $(impl Sealed for $work {})+ };
}

sealed!(Mount, Unmount);

impl Work for Mount {
    type Output = MountedImage;

    fn work(self, msb: &Msb, context: &Context) -> Result<MountedImage, Error> {
        let store = msb.store()?;
        let limits = &msb.settings()?.limits;
        Ok(image::mount(
            &store,
            &self.image,
            &self.directory,
            &self.options,
            limits,
            context,
        )?)
    }
}

impl Work for Unmount {
    type Output = PathBuf;

    fn work(self, msb: &Msb, _context: &Context) -> Result<PathBuf, Error> {
        Ok(image::unmount(&*msb.store()?, &self.0)?)
    }
}
