//! Layers that a plugin makes, for archives that have them in no entry.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::layer_bindings::exports::msb::plugin::layers::Guest;
use crate::{Archive, Error, Source, panics};

/// The layers that a [`Format`](crate::Format) has named as
/// [`LayerData::Generated`](crate::LayerData::Generated). See `wit/layers.wit`.
pub trait Layers {
    /// Begins a layer. The same name has to give the same bytes: an image is its digests.
    fn open(archive: Box<dyn Archive>, name: &str) -> Result<Box<dyn Stream>, Error>;
}

/// The bytes of a layer, which is a tar, plain or compressed in a way that the host knows.
pub trait Stream {
    /// Returns at most `limit` of the next bytes, none at the end.
    fn next(&mut self, limit: usize) -> Result<Vec<u8>, Error>;
}

/// Exports the layers of a format, beside [`export_format!`](crate::export_format).
#[macro_export]
macro_rules! export_layers {
    ($layers:ty) => {
        // Elsewhere, in native tests, the names of the exports are none that a linker takes.
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "the canonical ABI is made of raw pointers")]
        const _: () = {
            type Component = $crate::ExportedLayers<$layers>;
            $crate::layer_bindings::export_generated_layers!(
                Component with_types_in $crate::layer_bindings
            );
        };
    };
}

thread_local! {
    /// The layer that this instance is asked for; there is no more than one.
    static OPEN: RefCell<Option<Box<dyn Stream>>> = const { RefCell::new(None) };
}

/// [`Layers`] in the shape that the bindings ask for.
#[derive(Debug)]
pub struct ExportedLayers<L>(PhantomData<L>);

impl<L: Layers> Guest for ExportedLayers<L> {
    fn open(name: String) -> Result<(), Error> {
        panics::report();
        let stream = L::open(Box::new(Source), &name)?;
        OPEN.set(Some(stream));
        Ok(())
    }

    fn next(limit: u32) -> Result<Vec<u8>, Error> {
        panics::report();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        OPEN.with_borrow_mut(|open| match open {
            Some(stream) => stream.next(limit),
            None => Err(Error::Other("no layer is open".to_owned())),
        })
    }
}
