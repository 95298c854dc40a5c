//! Making secrets of secrets. Nothing comes out of it but handles, and of what a handle that was
//! made here holds, the guest learns nothing.

use ring::{digest, hmac};
use serde_json::Value as Json;
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use super::secret::{MAX_SECRET, Value};
use super::written;
use crate::crypto::sign;
use crate::plugin::bindings::msb::plugin::derive::{self, Encoding, Part};
use crate::plugin::bindings::msb::plugin::types::Refusal;
use crate::plugin::guest::Guest;

/// Parts of one secret.
const MAX_PARTS: usize = 1000;

/// A handle, or why there is none.
type Made = wasmtime::Result<Result<Resource<Value>, Refusal>>;

impl derive::Host for Guest {
    fn join(&mut self, parts: Vec<Part>) -> Made {
        self.host_computes(|guest| {
            if parts.len() > MAX_PARTS {
                return Ok(Err(Refusal::TooLarge(format!(
                    "a secret has at most {MAX_PARTS} parts"
                ))));
            }
            // What is going to be written is measured first: a buffer that grows leaves copies.
            let mut length = 0_usize;
            for part in &parts {
                length = length.saturating_add(match part {
                    Part::Text(text) => text.len(),
                    Part::Secret((secret, encoding)) => {
                        written::length(guest.table.get(secret)?.bytes().len(), *encoding)
                    }
                });
            }
            if length > 6 * MAX_SECRET {
                return Ok(Err(too_large()));
            }
            let mut bytes = Zeroizing::new(Vec::with_capacity(length));
            let mut roots = Vec::new();
            for part in &parts {
                match part {
                    Part::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                    Part::Secret((secret, encoding)) => {
                        let value = guest.table.get(secret)?;
                        if *encoding == Encoding::Json
                            && std::str::from_utf8(value.bytes()).is_err()
                        {
                            return Ok(Err(Refusal::Invalid(
                                "a secret that is to be written as JSON is not UTF-8".to_owned(),
                            )));
                        }
                        written::write(&mut bytes, value.bytes(), *encoding);
                        roots.extend(value.roots().iter().cloned());
                    }
                }
            }
            if bytes.len() > MAX_SECRET {
                return Ok(Err(too_large()));
            }
            Ok(Ok(guest.keep(Value::made(bytes, roots))?))
        })?
    }

    fn member(
        &mut self,
        document: Resource<Value>,
        pointer: String,
    ) -> wasmtime::Result<Result<Option<Resource<Value>>, Refusal>> {
        self.host_computes(|guest| {
            let value = guest.table.get(&document)?;
            if value.is_made() {
                return Ok(Err(Refusal::Invalid(
                    "members are read of what a capability has brought in, and this secret was \
                     made"
                        .to_owned(),
                )));
            }
            let Ok(json) = serde_json::from_slice::<Json>(value.bytes()) else {
                return Ok(Err(Refusal::Invalid("the secret is not JSON".to_owned())));
            };
            match text_at(&json, &pointer) {
                Some(text) => Ok(Ok(Some(guest.keep(Value::taken(text))?))),
                None => Ok(Ok(None)),
            }
        })?
    }

    fn sha256(&mut self, message: Resource<Value>) -> Made {
        self.host_computes(|guest| {
            let message = guest.table.get(&message)?.bytes();
            let digest = digest::digest(&digest::SHA256, message).as_ref().to_vec();
            Ok(Ok(guest.keep(Value::taken(digest))?))
        })?
    }

    fn hmac_sha256(&mut self, key: Resource<Value>, message: Resource<Value>) -> Made {
        self.host_computes(|guest| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, guest.table.get(&key)?.bytes());
            let tag = hmac::sign(&key, guest.table.get(&message)?.bytes());
            Ok(Ok(guest.keep(Value::taken(tag.as_ref().to_vec()))?))
        })?
    }

    fn rs256(&mut self, key: Resource<Value>, message: Resource<Value>) -> Made {
        self.signed(sign::rs256, &key, &message)
    }

    fn es256(&mut self, key: Resource<Value>, message: Resource<Value>) -> Made {
        self.signed(sign::es256, &key, &message)
    }
}

/// Makes a signature of a key and a message.
type Sign = fn(&[u8], &[u8]) -> Result<Vec<u8>, &'static str>;

impl Guest {
    fn signed(&mut self, sign: Sign, key: &Resource<Value>, message: &Resource<Value>) -> Made {
        self.host_computes(|guest| {
            let (key, message) = (guest.table.get(key)?, guest.table.get(message)?);
            match sign(key.bytes(), message.bytes()) {
                Ok(signature) => Ok(Ok(guest.keep(Value::taken(signature))?)),
                Err(problem) => Ok(Err(Refusal::Invalid(problem.to_owned()))),
            }
        })?
    }

    /// Runs an import that computes for the guest: its time is the guest's.
    fn host_computes<T>(&mut self, call: impl FnOnce(&mut Self) -> T) -> wasmtime::Result<T> {
        self.meter.enter_host()?;
        Ok(call(self))
    }
}

/// Returns the text of a member of a document.
pub(super) fn text_at(json: &Json, pointer: &str) -> Option<Vec<u8>> {
    match json.pointer(pointer)? {
        Json::String(text) => Some(text.clone().into_bytes()),
        Json::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

fn too_large() -> Refusal {
    Refusal::TooLarge(format!("a secret has at most {} KiB", MAX_SECRET >> 10))
}
