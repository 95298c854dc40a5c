//! Lists the images of a store with the EROFS images of their layers. Needs no feature of the crate.

#![allow(clippy::print_stdout, reason = "that is its output")]

use msb_host::Msb;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let msb = Msb::open()?;
    for image in msb.images().run()?.images {
        let names: Vec<_> = image.references.iter().map(ToString::to_string).collect();
        println!("{} {}", image.digest, names.join(" "));
        for layer in msb.inspect(&image.digest).run()?.layers {
            println!("  {}", layer.erofs_path.unwrap_or_default().display());
        }
    }
    Ok(())
}
