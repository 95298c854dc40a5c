//! Secrets as guests hold them: handles, whose bytes stay here and are wiped.

use std::fmt;
use std::sync::Arc;

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
pub struct Value {
    bytes: Bytes,
    origin: Origin,
}

/// The bytes of a secret, shared by all that need them.
pub(super) type Bytes = Arc<Zeroizing<Vec<u8>>>;

/// Where a secret comes from, which decides what may be learnt of it.
enum Origin {
    /// The guest has wrapped it, and knows it.
    Guest,
    /// A capability has brought it in.
    Host,
    /// It was made of others, or taken out of an answer. Those that are written in it.
    Made(Vec<Bytes>),
}

impl Value {
    /// Returns a secret that a capability brings in.
    pub(in crate::plugin) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes: Arc::new(Zeroizing::new(bytes)),
            origin: Origin::Host,
        }
    }

    /// Returns a secret of bytes that the guest has.
    fn of_guest(bytes: Vec<u8>) -> Self {
        Self {
            origin: Origin::Guest,
            ..Self::new(bytes)
        }
    }

    /// Returns a secret in which others are written.
    pub(super) fn made(bytes: Zeroizing<Vec<u8>>, of: Vec<Bytes>) -> Self {
        Self {
            bytes: Arc::new(bytes),
            origin: Origin::Made(of),
        }
    }

    /// Returns a secret that was taken out of something, or computed: no other is written in it.
    pub(super) fn taken(bytes: Vec<u8>) -> Self {
        let bytes = Arc::new(Zeroizing::new(bytes));
        Self {
            origin: Origin::Made(vec![Arc::clone(&bytes)]),
            bytes,
        }
    }

    pub(in crate::plugin) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn shared(&self) -> Bytes {
        Arc::clone(&self.bytes)
    }

    /// Returns whether the guest may learn nothing of it, not even its length.
    pub(super) fn is_made(&self) -> bool {
        matches!(self.origin, Origin::Made(_))
    }

    /// Returns the secrets that are written in it and that the guest does not know.
    pub(super) fn roots(&self) -> &[Bytes] {
        match &self.origin {
            Origin::Guest => &[],
            Origin::Host => std::slice::from_ref(&self.bytes),
            Origin::Made(of) => of,
        }
    }

    /// Returns what is to be looked for in an answer to it: itself, and what is written in it.
    pub(super) fn traces(&self) -> impl Iterator<Item = &Bytes> {
        let roots = self.roots();
        let whole = (!roots.is_empty()).then_some(&self.bytes);
        whole.into_iter().chain(roots)
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
        self.host(|guest| guest.keep(Value::of_guest(bytes)))?
    }

    fn trimmed(&mut self, secret: Resource<Value>) -> wasmtime::Result<Resource<Value>> {
        self.host(|guest| {
            let value = guest.table.get(&secret)?;
            let bytes = value.bytes();
            if value.is_made() {
                let same = Value::made(Zeroizing::new(bytes.to_vec()), value.roots().to_vec());
                return guest.keep(same);
            }
            let is_of_the_secret = |byte: &u8| !matches!(byte, b'\r' | b'\n');
            let end = bytes.iter().rposition(is_of_the_secret);
            let trimmed = bytes[..end.map_or(0, |last| last + 1)].to_vec();
            let trimmed = match value.origin {
                Origin::Guest => Value::of_guest(trimmed),
                _ => Value::new(trimmed),
            };
            guest.keep(trimmed)
        })?
    }

    fn length(&mut self, secret: Resource<Value>) -> wasmtime::Result<u32> {
        self.host(|guest| {
            let value = guest.table.get(&secret)?;
            let length = match value.bytes().len() {
                length if value.is_made() => length.min(1),
                length => length,
            };
            Ok(u32::try_from(length).unwrap_or(u32::MAX))
        })?
    }

    fn drop(&mut self, secret: Resource<Value>) -> wasmtime::Result<()> {
        self.take(secret).map(drop)
    }
}
