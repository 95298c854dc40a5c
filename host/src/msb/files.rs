//! What [`Msb`] does with the files in images: it reads them from the layers, and mounts nothing.

use std::fmt;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::image::{self, Change, DiffOptions, FileEntry, ImageFile};

/// Lists a directory of an image: see [`Msb::list_files`].
#[derive(Clone, Debug)]
pub struct ListFiles(Place);

/// Shows all files below a directory of an image: see [`Msb::walk_files`].
pub struct WalkFiles {
    place: Place,
    visit: Visit<FileEntry>,
}

/// Opens a file of an image: see [`Msb::open_file`].
#[derive(Clone, Debug)]
pub struct OpenFile(Place);

/// Compares two images: see [`Msb::diff`].
pub struct Diff {
    images: [String; 2],
    options: DiffOptions,
    visit: Visit<Change>,
}

/// A path in an image.
#[derive(Clone, Debug)]
struct Place {
    image: String,
    path: PathBuf,
}

type Visit<T> = Box<dyn FnMut(T) -> ControlFlow<()> + Send>;

impl Msb {
    /// Lists a directory of an image, names in the order of their bytes, or what else is at the path. A
    /// symbolic link to a directory is followed.
    pub fn list_files(
        &self,
        image: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> Operation<ListFiles> {
        Operation::new(self, ListFiles(Place::new(image, path)))
    }

    /// Shows everything below a directory of an image to `visit`, one after the other, until that
    /// breaks: directories before what is in them, names in the order of their bytes.
    pub fn walk_files(
        &self,
        image: impl Into<String>,
        path: impl Into<PathBuf>,
        visit: impl FnMut(FileEntry) -> ControlFlow<()> + Send + 'static,
    ) -> Operation<WalkFiles> {
        let work = WalkFiles {
            place: Place::new(image, path),
            visit: Box::new(visit),
        };
        Operation::new(self, work)
    }

    /// Opens a file of an image for reading. Symbolic links are followed as for a process whose root is
    /// the image: none leads out of it. No layer of the image is removed while the file is open.
    pub fn open_file(
        &self,
        image: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> Operation<OpenFile> {
        Operation::new(self, OpenFile(Place::new(image, path)))
    }

    /// Shows each path in which the second image differs from the first to `visit`, until that breaks.
    pub fn diff(
        &self,
        first: impl Into<String>,
        second: impl Into<String>,
        visit: impl FnMut(Change) -> ControlFlow<()> + Send + 'static,
    ) -> Operation<Diff> {
        let work = Diff {
            images: [first.into(), second.into()],
            options: DiffOptions::default(),
            visit: Box::new(visit),
        };
        Operation::new(self, work)
    }
}

impl Operation<Diff> {
    /// Leaves out what differs in its time alone, as files of two builds do.
    pub fn ignore_times(mut self, ignore: bool) -> Self {
        self.work.options.ignore_times = ignore;
        self
    }
}

impl Place {
    fn new(image: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            image: image.into(),
            path: path.into(),
        }
    }

    fn bytes(&self) -> &[u8] {
        self.path.as_os_str().as_bytes()
    }
}

macro_rules! sealed {
    ($($work:ty),+) => { $(impl Sealed for $work {})+ };
}

sealed!(ListFiles, WalkFiles, OpenFile, Diff);

impl Work for ListFiles {
    type Output = Vec<FileEntry>;

    fn work(self, msb: &Msb, context: &Context) -> Result<Vec<FileEntry>, Error> {
        let Self(place) = &self;
        let limits = &msb.settings()?.limits;
        let store = msb.store()?;
        Ok(image::list_files(
            &store,
            &place.image,
            place.bytes(),
            limits,
            context,
        )?)
    }
}

impl Work for WalkFiles {
    type Output = ();

    fn work(self, msb: &Msb, context: &Context) -> Result<(), Error> {
        let Self { place, mut visit } = self;
        let limits = &msb.settings()?.limits;
        let store = msb.store()?;
        Ok(image::walk_files(
            &store,
            &place.image,
            place.bytes(),
            limits,
            context,
            &mut visit,
        )?)
    }
}

impl Work for OpenFile {
    type Output = ImageFile;

    fn work(self, msb: &Msb, context: &Context) -> Result<ImageFile, Error> {
        let Self(place) = &self;
        let limits = &msb.settings()?.limits;
        let store = msb.store()?;
        Ok(image::open_file(
            &store,
            &place.image,
            place.bytes(),
            limits,
            context,
        )?)
    }
}

impl Work for Diff {
    type Output = ();

    fn work(self, msb: &Msb, context: &Context) -> Result<(), Error> {
        let Self {
            images: [first, second],
            options,
            mut visit,
        } = self;
        let limits = &msb.settings()?.limits;
        let store = msb.store()?;
        Ok(image::diff(
            &store,
            [&first, &second],
            options,
            limits,
            context,
            &mut visit,
        )?)
    }
}

impl fmt::Debug for WalkFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WalkFiles")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Diff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Diff")
            .field("images", &self.images)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
