//! The trait of an archive format, and its export as a component.

use std::marker::PhantomData;

use crate::bindings::exports::msb::plugin::archive::Guest;
use crate::{
    Archive, Attributes, Description, Error, Output, Plan, Sink, Source, StoredImage, panics,
};

/// An archive format. The functions mean what their namesakes in `wit/archive.wit` mean.
pub trait Format {
    /// Describes the plugin. Must return the same each time.
    fn describe() -> Description;

    /// Reads `archive` and says what is in it.
    fn read(archive: &dyn Archive, options: &Attributes) -> Result<Plan, Error>;

    /// Writes the images to `output`.
    fn write(
        images: &[StoredImage],
        options: &Attributes,
        output: &mut dyn Output,
    ) -> Result<(), Error>;
}

/// Makes a [`Format`] the one that this component exports. Used once, at the crate's root.
#[macro_export]
macro_rules! export_format {
    ($format:ty) => {
        // Elsewhere, in native tests, the names of the exports are none that a linker takes.
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "the canonical ABI is made of raw pointers")]
        const _: () = {
            type Component = $crate::Exported<$format>;
    $crate::bindings::export_archive!(Component with_types_in $crate::bindings);
            $crate::identify!();
        };
    };
}

/// A [`Format`] in the shape that the bindings ask for.
#[derive(Debug)]
pub struct Exported<F>(PhantomData<F>);

impl<F: Format> Guest for Exported<F> {
    fn describe() -> Description {
        panics::report();
        F::describe()
    }

    fn read(options: Attributes) -> Result<Plan, Error> {
        panics::report();
        F::read(&Source, &options)
    }

    fn write(images: Vec<StoredImage>, options: Attributes) -> Result<(), Error> {
        panics::report();
        F::write(&images, &options, &mut Sink)
    }
}
