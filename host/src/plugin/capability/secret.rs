//! Secrets as guests hold them: handles, whose bytes stay here and are wiped.

use std::fmt;

use wasmtime::component::Resource;
use zeroize::Zeroizing;

use crate::plugin::bindings::msb::plugin::secret;
use crate::plugin::guest::Guest;
use crate::plugin::limits::Stopped;

/// Bytes of one secret.
pub(super) const MAX_SECRET: usize = 1 << 20;
/// Bytes of all secrets that a guest holds at a time.
const MAX_HELD: usize = 16 << 20;

/// A value that is never printed and that is wiped when it goes.
#[expect(
    unreachable_pub,
    reason = "the generated bindings export it under their own name"
)]
pub struct Value(Zeroizing<Vec<u8>>);

impl Value {
    pub(in crate::plugin) fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(in crate::plugin) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Value(…)")
    }
}

impl Guest {
    /// Keeps a secret for the guest, which gets a handle.
    pub(in crate::plugin) fn keep(&mut self, value: Value) -> wasmtime::Result<Resource<Value>> {
        self.secret_bytes = self.secret_bytes.saturating_add(value.bytes().len());
        if value.bytes().len() > MAX_SECRET || self.secret_bytes > MAX_HELD {
            return Err(self.meter.stop(Stopped::Secrets(MAX_HELD)).into());
        }
        Ok(self.table.push(value)?)
    }

    /// Takes a secret back from the guest.
    pub(in crate::plugin) fn take(&mut self, secret: Resource<Value>) -> wasmtime::Result<Value> {
        let value = self.table.delete(secret)?;
        self.secret_bytes = self.secret_bytes.saturating_sub(value.bytes().len());
        Ok(value)
    }
}

impl secret::Host for Guest {}

impl secret::HostSecret for Guest {
    fn new(&mut self, bytes: Vec<u8>) -> wasmtime::Result<Resource<Value>> {
        self.host(|guest| guest.keep(Value::new(bytes)))?
    }

    fn trimmed(&mut self, secret: Resource<Value>) -> wasmtime::Result<Resource<Value>> {
        self.host(|guest| {
            let bytes = guest.table.get(&secret)?.bytes();
            let is_of_the_secret = |byte: &u8| !matches!(byte, b'\r' | b'\n');
            let end = bytes.iter().rposition(is_of_the_secret);
            let trimmed = bytes[..end.map_or(0, |last| last + 1)].to_vec();
            guest.keep(Value::new(trimmed))
        })?
    }

    fn length(&mut self, secret: Resource<Value>) -> wasmtime::Result<u32> {
        self.host(|guest| {
            let length = guest.table.get(&secret)?.bytes().len();
            Ok(u32::try_from(length).unwrap_or(u32::MAX))
        })?
    }

    fn drop(&mut self, secret: Resource<Value>) -> wasmtime::Result<()> {
        self.take(secret).map(drop)
    }
}
