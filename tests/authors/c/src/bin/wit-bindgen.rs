//! `wit-bindgen c FOLDER --world WORLD`: writes bindings in C into the current folder.

use std::error::Error;
use std::fs;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["c", folder, "--world", world] = arguments[..] else {
        return Err("usage: wit-bindgen c FOLDER --world WORLD".into());
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(folder)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    let options = wit_bindgen_c::Opts::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    for (name, contents) in files.iter() {
        fs::write(name, contents)?;
    }
    Ok(())
}
