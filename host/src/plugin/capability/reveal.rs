//! Reading the bytes of a secret: permission `reveal`.

use wasmtime::component::Resource;

use super::secret::Value;
use crate::plugin::bindings::msb::plugin::{reveal, types::Refusal};
use crate::plugin::grant::Capability;
use crate::plugin::guest::Guest;

impl reveal::Host for Guest {
    fn bytes(&mut self, secret: Resource<Value>) -> wasmtime::Result<Result<Vec<u8>, Refusal>> {
        self.host(|guest| {
            if !guest.access.grants.allow(Capability::Reveal) {
                return Ok(Err(guest.denied(Capability::Reveal, None)));
            }
            Ok(Ok(guest.table.get(&secret)?.bytes().to_vec()))
        })?
    }
}
