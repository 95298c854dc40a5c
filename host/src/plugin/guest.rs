//! The state of one instance of a component.
//!
//! Owns what an instance holds on to while it runs. What a guest can reach through it is in
//! `capability`; every import keeps the books (`limits`).

use std::sync::Arc;

use wasmtime::component::ResourceTable;

use super::access::Access;
use super::bindings::msb::plugin::types;
use super::capability::prompt::Conversation;
use super::capability::scrub::Sent;
use super::grant::Capability;
use super::kept_answers::Input;
use super::limits::Meter;
use super::wasi::Wasi;
use crate::archive::{ArchiveError, ArchiveOutput, ArchiveSource, DefinedLayers};
use crate::progress::Progress;

/// The state of one instance of a component.
pub(super) struct Guest {
    pub(super) meter: Meter,
    pub(super) plugin: Arc<str>,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) source: Option<Arc<dyn ArchiveSource>>,
    /// The layers that the guest has put together from entries of the source.
    pub(super) defined: DefinedLayers,
    pub(super) output: Option<Box<dyn ArchiveOutput>>,
    pub(super) failure: Option<ArchiveError>,
    /// The last entry that the guest wanted to read after it had passed in a pipe.
    pub(super) passed: Option<ArchiveError>,
    pub(super) last_words: Option<String>,
    pub(super) lines: u32,
    pub(super) access: Access,
    /// With the user, while the guest logs them in.
    pub(super) conversation: Option<Conversation>,
    /// What the guest holds handles to: secrets, and what WASI has.
    pub(super) table: ResourceTable,
    /// Bytes of the secrets among them.
    pub(super) secret_bytes: usize,
    /// Secrets that servers were sent, which their answers must not bring back.
    pub(super) sent: Sent,
    /// What it has read of variables and files; `None` once that is too much to be looked at again.
    pub(super) inputs: Option<Vec<Input>>,
    /// Only for components that import WASI.
    pub(super) wasi: Option<Wasi>,
}

impl Guest {
    pub(super) fn new(meter: Meter, plugin: Arc<str>, progress: Arc<dyn Progress>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self {
            meter,
            plugin,
            progress,
            source: None,
            defined: DefinedLayers::default(),
            output: None,
            failure: None,
            passed: None,
            last_words: None,
            lines: 0,
            access: Access::default(),
            conversation: None,
            table,
            secret_bytes: 0,
            sent: Sent::default(),
            inputs: Some(Vec::new()),
            wasi: None,
        }
    }

    /// Runs one import with the books kept.
    pub(super) fn host<T>(&mut self, call: impl FnOnce(&mut Self) -> T) -> wasmtime::Result<T> {
        let entered = self.meter.enter_host()?;
        let answer = call(self);
        self.meter.leave_host(entered);
        Ok(answer)
    }

    /// Runs one import that waits, with the books kept.
    pub(super) async fn host_waits<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Self) -> T,
    ) -> wasmtime::Result<T> {
        let entered = self.meter.enter_host()?;
        let answer = call(self).await;
        self.meter.leave_host(entered);
        Ok(answer)
    }
}

impl Guest {
    /// Returns the refusal of what was not granted.
    pub(super) fn denied(&self, capability: Capability, scope: Option<&str>) -> types::Refusal {
        self.access.denied(&self.plugin, capability, scope)
    }

    /// Takes note of what was read of variables and files.
    pub(super) fn note_input(&mut self, input: Input) {
        if let Some(inputs) = &mut self.inputs {
            inputs.push(input);
            if inputs.len() > MAX_INPUTS {
                self.inputs = None;
            }
        }
    }

    /// Returns how to grant what a request of `wasi:http` was denied for, if one was.
    pub(super) fn denied_request(&self) -> Option<String> {
        self.wasi.as_ref()?.denied()
    }
}

/// Variables and files that are looked at again before an answer that was made of them is used again.
const MAX_INPUTS: usize = 64;

/// Handles that a guest may hold at a time.
const MAX_HANDLES: usize = 10_000;

impl types::Host for Guest {}

/// Returns at most the first `limit` bytes of a text, cut between characters.
pub fn first_bytes(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
