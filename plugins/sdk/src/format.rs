//! The trait of an archive format, and its export as a component.

use std::marker::PhantomData;
use std::sync::Once;

use crate::bindings::exports::msb::plugin::archive::Guest;
use crate::bindings::msb::plugin::log;
use crate::{Archive, Attributes, Description, Error, Output, Plan, Sink, Source, StoredImage};

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
        };
    };
}

/// A [`Format`] in the shape that the bindings ask for.
#[derive(Debug)]
pub struct Exported<F>(PhantomData<F>);

impl<F: Format> Guest for Exported<F> {
    fn describe() -> Description {
        report_panics();
        F::describe()
    }

    fn read(options: Attributes) -> Result<Plan, Error> {
        report_panics();
        F::read(&Source, &options)
    }

    fn write(images: Vec<StoredImage>, options: Attributes) -> Result<(), Error> {
        report_panics();
        F::write(&images, &options, &mut Sink)
    }
}

/// A component without WASI has no standard error: without this hook the host would learn of a
/// panic only that `unreachable` was executed.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::last_words(&panic.to_string())));
    });
}
