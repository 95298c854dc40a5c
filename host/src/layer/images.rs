//! The EROFS images of layers that lie over each other.
//!
//! Owns how many of them are open at once, however many layers there are. Knows nothing of what is in
//! them.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use msb_erofs::Image;

use super::LayerError;

/// Images that are open at once, however many layers there are.
const OPEN: usize = 8;

type Open = Box<dyn Fn() -> io::Result<File> + Send + Sync>;

/// The images of layers, the bottom one first. Each is opened when it is read.
#[derive(Default)]
pub struct LayerImages(Mutex<Images>);

#[derive(Default)]
struct Images {
    sources: Vec<Open>,
    /// Those that were read last, the latest at the end.
    open: Vec<(usize, Arc<Image<File>>)>,
}

impl LayerImages {
    /// Returns the images at these paths, the bottom one first.
    pub fn at(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let images = Self::default();
        for path in paths {
            images.push(move || File::open(&path));
        }
        images
    }

    /// Puts one more image on top of the others.
    pub fn push(&self, open: impl Fn() -> io::Result<File> + Send + Sync + 'static) {
        self.lock().sources.push(Box::new(open));
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.lock().sources.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the image of a layer, opened if it is not.
    pub(super) fn image(&self, layer: usize) -> Result<Arc<Image<File>>, LayerError> {
        let mut images = self.lock();
        if let Some(place) = images.open.iter().position(|(number, _)| *number == layer) {
            let found = images.open.remove(place);
            let image = Arc::clone(&found.1);
            images.open.push(found);
            return Ok(image);
        }
        let source = images.sources.get(layer);
        let opened = source.map_or_else(|| Err(io::ErrorKind::NotFound.into()), |open| open());
        let file = opened.map_err(|source| LayerError::Image { offset: 0, source })?;
        let image = Arc::new(Image::open(file)?);
        if images.open.len() >= OPEN {
            images.open.remove(0);
        }
        images.open.push((layer, Arc::clone(&image)));
        Ok(image)
    }

    fn lock(&self) -> MutexGuard<'_, Images> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LayerImages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LayerImages")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
