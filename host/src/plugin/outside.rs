//! What the bytes of a component say by themselves: imports, exports, and the texts of its author.
//!
//! Owns the words for bytes that are not a component.

use wasmparser::{
    ComponentExternalKind, ComponentName, CustomSectionReader, Encoding, KnownCustom, Parser,
    Payload,
};

use super::error::Failure;
use super::package::PluginMetadata;

/// Bytes of one text of the metadata.
const MAX_TEXT: usize = 1024;

/// What the outside of a component says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outside {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    /// Whether there is any code in it.
    pub(super) code: bool,
    pub(super) metadata: PluginMetadata,
}

/// Reads the outermost imports and exports of a component.
pub(super) fn outside(bytes: &[u8]) -> Result<Outside, Failure> {
    if !bytes.starts_with(b"\0asm") {
        return Err(Failure::Unusable(format!(
            "it is not WebAssembly but {}",
            looks_like(bytes)
        )));
    }
    let unusable =
        |error: wasmparser::BinaryReaderError| Failure::Unusable(format!("it is damaged: {error}"));
    let mut outside = Outside {
        imports: Vec::new(),
        exports: Vec::new(),
        code: false,
        metadata: PluginMetadata::default(),
    };
    let mut core_imports = Vec::new();
    let mut core = false;
    let mut depth = 0_u32;
    let mut modules = 0_u32;
    let mut of_module = PluginMetadata::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(unusable)? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => core = true,
            Payload::ModuleSection { .. } => {
                outside.code = true;
                modules += u32::from(depth == 0);
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ImportSection(section) if core && depth == 0 => {
                for import in section.into_imports() {
                    core_imports.push(import.map_err(unusable)?.module.to_owned());
                }
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    outside
                        .imports
                        .push(import.map_err(unusable)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(unusable)?;
                    if export.kind != ComponentExternalKind::Type {
                        outside.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) if depth == 0 => {
                note(&mut outside.metadata, &section);
            }
            // Compilers that do not know components write it into the module.
            Payload::CustomSection(section) if depth == 1 && modules == 1 => {
                note(&mut of_module, &section);
            }
            _ => {}
        }
    }
    if core {
        return Err(Failure::Unusable(core_module(&core_imports)));
    }
    let metadata = &mut outside.metadata;
    for (field, inner) in [
        (&mut metadata.version, of_module.version),
        (&mut metadata.description, of_module.description),
        (&mut metadata.licenses, of_module.licenses),
    ] {
        *field = field.take().or(inner);
    }
    Ok(outside)
}

/// Takes note of what the author wrote into a section of the component: the registry metadata of
/// WebAssembly, plain text each. What cannot be read is left out.
fn note(metadata: &mut PluginMetadata, section: &CustomSectionReader<'_>) {
    if let KnownCustom::ComponentName(names) = section.as_known() {
        for name in names.into_iter().flatten() {
            if let ComponentName::Component { name, .. } = name {
                metadata.name = Some(name.to_owned());
            }
        }
    }
    let field = match section.name() {
        "version" => &mut metadata.version,
        "description" => &mut metadata.description,
        "licenses" => &mut metadata.licenses,
        "authors" => &mut metadata.authors,
        "source" => &mut metadata.source,
        "homepage" => &mut metadata.homepage,
        "revision" => &mut metadata.revision,
        _ => return,
    };
    let text = std::str::from_utf8(section.data()).unwrap_or_default();
    if !text.is_empty() && text.len() <= MAX_TEXT {
        *field = Some(text.to_owned());
    }
}

fn core_module(imports: &[String]) -> String {
    if imports
        .iter()
        .any(|module| module == "wasi_snapshot_preview1")
    {
        return "it is a core module for WASI preview 1 and not a component; build it for \
                `wasm32-wasip2`, or make a component of it with `wasm-tools component new --adapt \
                wasi_snapshot_preview1.wasm`"
            .to_owned();
    }
    "it is a core module and not a component; make one of it with `wasm-tools component new`"
        .to_owned()
}

/// Says what bytes that are not WebAssembly look like.
fn looks_like(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "an empty file",
        [0x1f, 0x8b, ..] => "compressed with gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "compressed with zstd",
        [0x7f, b'E', b'L', b'F', ..] => "a program of this system",
        [b'(', ..] => "the text form of it, which `wasm-tools parse` turns into a component",
        _ if bytes.get(257..262) == Some(b"ustar") => "a tar archive",
        _ if bytes.first() == Some(&b'<') || bytes.first() == Some(&b'{') => {
            "a text, perhaps an error page"
        }
        _ => "something else",
    }
}
