//! The day of a runtime that starts sandboxes from images: pull and use in one step, mount the layers,
//! end the use.
//!
//! `sandbox REF NAME`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "that is its output"
)]

use std::env;

use msb_host::Msb;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [reference, sandbox] = arguments.as_slice() else {
        return Err("usage: sandbox REF NAME".into());
    };
    let msb = Msb::open()?;
    // From the moment in which the image is there, no `msb rmi` and no prune takes it away.
    let image = msb.pull(reference).used_by(sandbox).run()?;
    let details = msb.inspect(&image.manifest_digest).run()?;
    // overlayfs wants the top layer first.
    for layer in details.layers.iter().rev() {
        let path = layer.erofs_path.as_ref().ok_or("a layer is missing")?;
        println!("mount -t erofs -o ro,loop {}", path.display());
    }
    println!("used by {}", details.used_by.join(", "));
    // Here the sandbox runs, and ends.
    println!("released {}", msb.release(sandbox).run()?);
    Ok(())
}
