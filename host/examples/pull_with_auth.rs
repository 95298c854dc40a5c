//! Pulls an image with credentials of its own, instead of those that msb would find.
//!
//! `REGISTRY_PASSWORD=… pull_with_auth registry.example.com/app:1 USER`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "that is its output"
)]

use std::env;

use msb_host::{Msb, RegistryAuth};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [reference, user] = arguments.as_slice() else {
        return Err("usage: pull_with_auth REF USER".into());
    };
    let password = env::var("REGISTRY_PASSWORD")?;
    let msb = Msb::open()?;
    let image = msb
        .pull(reference)
        .auth(RegistryAuth::basic(user, &password))
        .run()?;
    println!("{} {}", image.reference, image.registry_digest);
    Ok(())
}
