//! The one place where bytes become code that runs natively.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::seal::Proven;

/// Makes a component of code that was compiled before.
#[allow(
    unsafe_code,
    reason = "the engine takes compiled code at its word; that it may do so is proven before"
)]
pub(super) fn component(engine: &Engine, proven: &Proven) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are those that the engine of an msb of this user has serialized.
    // A digest over all of them, under a key that only this user can read, was checked when
    // `proven` was made, and they are in memory that nothing else can write to.
    unsafe { Component::deserialize(engine, proven.code()) }
}
