//! For authors of msb plugins: the project that one begins with, and the tests of the contract.
//!
//! [`scaffold`] makes a new project in Rust, Python or JavaScript. [`conformance`] runs a component as
//! msb would, in a home that is thrown away, and checks what the contract demands of it. Both are behind
//! `msb plugin new` and `msb plugin test`. A client of `msb-host` like any other.

pub mod conformance;
pub mod scaffold;
