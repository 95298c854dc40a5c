//! `wasm-tools component new MODULE -o COMPONENT`: makes a component of a module.

use std::error::Error;
use std::fs;

use wit_component::ComponentEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["component", "new", module, "-o", component] = arguments[..] else {
        return Err("usage: wasm-tools component new MODULE -o COMPONENT".into());
    };
    let module = fs::read(module)?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module)?;
    fs::write(component, encoder.encode()?)?;
    Ok(())
}
