//! The time: permission `clock`.

use std::time::UNIX_EPOCH;

use crate::plugin::bindings::msb::plugin::{clock, types::Refusal};
use crate::plugin::grant::Capability;
use crate::plugin::guest::Guest;

impl clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<Result<u64, Refusal>> {
        self.host(|guest| {
            if !guest.access.grants.allow(Capability::Clock) {
                return Err(guest.denied(Capability::Clock, None));
            }
            let now = guest.access.environment.now();
            now.duration_since(UNIX_EPOCH)
                .map(|since| since.as_secs())
                .map_err(|_| {
                    Refusal::Failed("the clock of the system stands before 1970".to_owned())
                })
        })
    }
}
