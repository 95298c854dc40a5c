//! Loads an archive, lists what is there, and saves it all as an OCI image layout.
//!
//! `load_and_save image.tar copy.tar`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "that is its output"
)]

use std::env;

use msb_host::{Input, Msb, SaveTarget};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("usage: load_and_save ARCHIVE COPY".into());
    };
    let msb = Msb::open()?;
    let report = msb.load(Input::Path(from.into())).run()?;
    for failed in report.failed {
        eprintln!("{}: {}", failed.config_digest, failed.error);
    }
    let mut images = Vec::new();
    for image in msb.images().run()?.images {
        println!("{} {} bytes", image.digest, image.size_bytes);
        images.push(image.digest);
    }
    let saved = msb.save(images, SaveTarget::File(to.into()));
    println!("{} bytes saved", saved.format("oci").run()?.bytes);
    Ok(())
}
