//! What plugins keep from one run to the next: permission `state`.

use std::time::{Duration, UNIX_EPOCH};

use wasmtime::component::Resource;

use super::secret::Value;
use crate::plugin::bindings::msb::plugin::state::{self, Kept};
use crate::plugin::bindings::msb::plugin::types::Refusal;
use crate::plugin::grant::Capability;
use crate::plugin::guest::Guest;
use crate::plugin::plugin_state::{Entry, PluginState};

/// Bytes of a key.
const MAX_KEY: usize = 512;
/// A value is not returned in the last moments of its life.
const MARGIN: u64 = 60;

impl state::Host for Guest {
    fn get(
        &mut self,
        key: String,
        made_of: Vec<Resource<Value>>,
    ) -> wasmtime::Result<Result<Option<Kept>, Refusal>> {
        self.host(|guest| {
            let state = match guest.state(&key) {
                Ok(state) => state,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let made_of = guest.proof(&state, &made_of)?;
            let now = guest.seconds();
            let found = state.read().remove(&key).filter(|entry| {
                entry.made_of == made_of && now.saturating_add(MARGIN) < entry.until
            });
            match found {
                None => Ok(Ok(None)),
                Some(entry) => Ok(Ok(Some(Kept {
                    until: entry.until,
                    value: guest.keep(Value::taken(entry.value.to_vec()))?,
                }))),
            }
        })?
    }

    fn put(
        &mut self,
        key: String,
        made_of: Vec<Resource<Value>>,
        value: Resource<Value>,
        until: u64,
    ) -> wasmtime::Result<Result<(), Refusal>> {
        self.host(|guest| {
            let state = match guest.state(&key) {
                Ok(state) => state,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let entry = Entry {
                made_of: guest.proof(&state, &made_of)?,
                value: guest.table.get(&value)?.bytes().to_vec().into(),
                until,
            };
            let now = guest.seconds();
            let mut entries = state.read();
            entries.retain(|_, entry| now < entry.until);
            entries.insert(key, entry);
            Ok(state.write(&entries))
        })?
    }

    fn remove(&mut self, key: String) -> wasmtime::Result<Result<bool, Refusal>> {
        self.host(|guest| {
            let state = match guest.state(&key) {
                Ok(state) => state,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let mut entries = state.read();
            if entries.remove(&key).is_none() {
                return Ok(Ok(false));
            }
            Ok(state.write(&entries).map(|()| true))
        })?
    }
}

impl Guest {
    /// Returns the state of the plugin.
    fn state(&self, key: &str) -> Result<PluginState, Refusal> {
        if !self.access.grants.allow(Capability::State) {
            return Err(self.denied(Capability::State, None));
        }
        if key.len() > MAX_KEY {
            return Err(Refusal::Invalid(format!(
                "a key has at most {MAX_KEY} bytes"
            )));
        }
        let unavailable = || Refusal::Unavailable("nothing can be kept on this machine".to_owned());
        let runtime = self.access.runtime.as_ref().ok_or_else(unavailable)?;
        runtime
            .plugin_state(&self.plugin, self.progress.as_ref())
            .ok_or_else(unavailable)
    }

    /// Returns what tells secrets from others, without having them.
    fn proof(&self, state: &PluginState, secrets: &[Resource<Value>]) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        for secret in secrets {
            let secret = self.table.get(secret)?.bytes();
            bytes.extend((secret.len() as u64).to_be_bytes());
            bytes.extend(secret);
        }
        Ok(state.proof(&bytes))
    }

    fn seconds(&self) -> u64 {
        let now = self.access.environment.now();
        now.duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs()
    }
}
