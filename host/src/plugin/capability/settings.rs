//! What the user has set: for the plugin itself and for the registry of the request.

use crate::plugin::bindings::msb::plugin::settings;
use crate::plugin::guest::Guest;

impl settings::Host for Guest {
    fn plugin(&mut self) -> wasmtime::Result<Option<String>> {
        self.host(|guest| guest.access.settings.as_deref().map(str::to_owned))
    }

    fn registry(&mut self) -> wasmtime::Result<Option<String>> {
        self.host(|guest| guest.access.registry.as_ref().map(ToString::to_string))
    }
}
