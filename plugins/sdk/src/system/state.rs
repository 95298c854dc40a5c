//! What outlives a run. See `wit/state.wit`. Needs `state`.

use super::host::System;
use super::{Refusal, Secret};
use crate::credential_bindings::msb::plugin::state as bindings;

/// A value that was kept.
#[derive(Debug)]
pub struct Kept {
    /// The value.
    pub value: Secret,
    /// When it ends, in seconds since 1970 began.
    pub until: u64,
}

/// Keeping tokens from one run to the next.
pub trait State {
    /// Returns what was put under a key for the same secrets, and does not end within a minute.
    fn kept(&self, key: &str, made_of: &[&Secret]) -> Result<Option<Kept>, Refusal>;

    /// Keeps a value that was got with some secrets, until a time.
    fn keep(
        &self,
        key: &str,
        made_of: &[&Secret],
        value: &Secret,
        until: u64,
    ) -> Result<(), Refusal>;

    /// Removes a key, and returns whether there was one.
    fn forget(&self, key: &str) -> Result<bool, Refusal>;
}

impl State for System {
    fn kept(&self, key: &str, made_of: &[&Secret]) -> Result<Option<Kept>, Refusal> {
        let handles: Vec<_> = made_of.iter().map(|secret| secret.handle()).collect();
        let handles: Vec<_> = handles.iter().map(super::secret::Handle::get).collect();
        Ok(bindings::get(key, &handles)?.map(|kept| Kept {
            value: Secret::from_handle(kept.value),
            until: kept.until,
        }))
    }

    fn keep(
        &self,
        key: &str,
        made_of: &[&Secret],
        value: &Secret,
        until: u64,
    ) -> Result<(), Refusal> {
        let handles: Vec<_> = made_of.iter().map(|secret| secret.handle()).collect();
        let handles: Vec<_> = handles.iter().map(super::secret::Handle::get).collect();
        bindings::put(key, &handles, value.handle().get(), until)
    }

    fn forget(&self, key: &str) -> Result<bool, Refusal> {
        bindings::remove(key)
    }
}
