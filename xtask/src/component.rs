//! From a core module to a component: encoding, metadata, and the check of what it imports.

use std::path::Path;

use wasm_metadata::{AddMetadata, AddMetadataField};
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::command::Result;

/// What the component says of itself in its metadata.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The name of the crate.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// What it does, in a sentence.
    pub(crate) description: String,
    /// Its licence as an SPDX expression.
    pub(crate) license: String,
    /// The interfaces of the contract that it imports, if its Cargo.toml lists them.
    pub(crate) imports: Option<Vec<String>>,
}

/// Turns a core module into a component. The same module gives the same bytes.
///
/// The component may import what begins with `allowed` (`msb:plugin/`) and nothing else: what a
/// guest of this repository can reach must show in the contract.
pub(crate) fn encode(module: &Path, identity: &Identity, allowed: &str) -> Result<Vec<u8>> {
    let context = |error: &dyn std::fmt::Display| format!("{}: {error:#}", module.display());
    let bytes = std::fs::read(module).map_err(|error| context(&error))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| context(&error))?;
    refuse_other_imports(&component, allowed)
        .map_err(|error| format!("{}: {error}", identity.name))?;
    if let Some(listed) = &identity.imports {
        compare_imports(&component, allowed, listed)
            .map_err(|error| format!("{}: {error}", identity.name))?;
    }
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(identity.name.clone());
    let mut component = metadata
        .to_wasm(&component)
        .map_err(|error| context(&error))?;
    append_text_section(&mut component, "description", &identity.description)?;
    append_text_section(&mut component, "licenses", &identity.license)?;
    append_text_section(&mut component, "version", &identity.version)?;
    Ok(component)
}

/// A guest of this repository that came to import more, WASI above all, is built with the wrong
/// target or a dependency too many.
fn refuse_other_imports(component: &[u8], allowed: &str) -> Result<()> {
    match imports(component)?
        .iter()
        .find(|import| !import.starts_with(allowed))
    {
        Some(import) => Err(format!("imports {import}, and only {allowed}* is allowed").into()),
        None => Ok(()),
    }
}

/// What a component imports is what it asks the user for: a guest that came to import another
/// interface, or no longer needs one, says so in its Cargo.toml, where a reviewer sees it.
fn compare_imports(component: &[u8], package: &str, listed: &[String]) -> Result<()> {
    let imports = imports(component)?;
    let mut imports: Vec<&str> = imports
        .iter()
        .map(|import| import.strip_prefix(package).unwrap_or(import))
        .map(|import| import.split_once('@').map_or(import, |(name, _)| name))
        .collect();
    imports.sort_unstable();
    if imports == listed {
        return Ok(());
    }
    Err(format!(
        "imports {imports:?}, and Cargo.toml lists {listed:?} (package.metadata.msb.imports, sorted)"
    )
    .into())
}

/// Returns the names of the interfaces that a component imports, as in `msb:plugin/log@0.1.0`.
fn imports(component: &[u8]) -> Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) =
        wit_component::decode(component).map_err(|error| format!("{error:#}"))?
    else {
        return Err("a WIT package stands where a component was expected".into());
    };
    let world = resolve
        .worlds
        .get(world)
        .ok_or("the component has no world")?;
    Ok(world
        .imports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect())
}

/// Appends a custom section whose content is plain text, the form that the component registry
/// tools read name, version and licence from.
fn append_text_section(component: &mut Vec<u8>, name: &str, text: &str) -> Result<()> {
    let mut section = Vec::new();
    append_length(&mut section, name.len())?;
    section.extend_from_slice(name.as_bytes());
    section.extend_from_slice(text.as_bytes());
    component.push(0);
    append_length(component, section.len())?;
    component.append(&mut section);
    Ok(())
}

/// Unsigned LEB128, as WebAssembly writes lengths.
fn append_length(bytes: &mut Vec<u8>, length: usize) -> Result<()> {
    let mut rest = u32::try_from(length)?;
    loop {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return Ok(());
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The smallest component that imports an interface of this name.
    fn importing(name: &str) -> Vec<u8> {
        let length = u8::try_from(name.len()).unwrap();
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        // One type, that of an instance without exports, and one import of it.
        component.extend([7, 3, 1, 0x42, 0, 10, length + 5, 1, 0, length]);
        component.extend(name.bytes());
        component.extend([5, 0]);
        component
    }

    #[test]
    fn a_component_may_import_the_contract_and_nothing_else() {
        let allowed = importing("msb:plugin/log@0.1.0");
        assert_eq!(imports(&allowed).unwrap(), ["msb:plugin/log@0.1.0"]);
        refuse_other_imports(&allowed, "msb:plugin/").unwrap();
        let refused = refuse_other_imports(&importing("wasi:io/poll@0.2.0"), "msb:plugin/");
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("wasi:io/poll@0.2.0")
        );
    }

    #[test]
    fn a_component_imports_what_its_manifest_lists() {
        let component = importing("msb:plugin/log@0.1.0");
        let compare = |listed: &[&str]| {
            let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
            compare_imports(&component, "msb:plugin/", &listed)
        };
        compare(&["log"]).unwrap();
        for listed in [&[][..], &["env"], &["env", "log"]] {
            let error = compare(listed).unwrap_err().to_string();
            assert!(error.starts_with(r#"imports ["log"], and"#), "{error}");
        }
    }

    #[test]
    fn lengths_are_written_as_leb128() {
        for (length, bytes) in [
            (5, &[5][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
        ] {
            let mut written = Vec::new();
            append_length(&mut written, length).unwrap();
            assert_eq!(written, bytes);
        }
    }

    #[test]
    fn a_text_section_is_a_custom_section_with_name_and_text() {
        let mut component = Vec::new();
        append_text_section(&mut component, "version", "1.2").unwrap();
        assert_eq!(component, b"\0\x0b\x07version1.2");
    }
}
