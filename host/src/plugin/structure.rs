//! How much there is in a component to compile: looked at before the compiler does.
//!
//! Owns the largest sizes and counts that a component may have. One pass over the bytes, which keeps
//! nothing; the bodies of functions are not read.

use wasmparser::{BinaryReaderError, FunctionBody, Parser, Payload};

use super::error::Failure;

/// The most bytes of a component.
pub const MAX_COMPONENT: u64 = 32 << 20;
/// Functions of all modules. Languages with a runtime of their own have some 20,000.
const MAX_FUNCTIONS: u64 = 65_536;
/// Bytes of one function.
const MAX_BODY: u64 = 2 << 20;
/// Local variables of one function.
const MAX_LOCALS: u64 = 50_000;
/// Components and modules within one another.
const MAX_DEPTH: u32 = 32;
/// Components and modules in all.
const MAX_PARTS: u64 = 1_000;
/// Types, imports, instances, aliases, exports, segments and other items in all.
const MAX_ITEMS: u64 = 200_000;

/// What there is to compile in a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Structure {
    /// Bytes of all functions.
    pub(super) code: u64,
    functions: u64,
    parts: u64,
    items: u64,
}

impl Structure {
    /// Looks through a component.
    ///
    /// # Errors
    /// When it has more than a plugin can need, or is damaged.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Failure> {
        let mut structure = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(damaged)?;
            match &payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    depth += 1;
                    structure.parts += 1;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::FunctionSection(section) => {
                    structure.functions += u64::from(section.count());
                }
                Payload::CodeSectionEntry(body) => structure.add(body)?,
                payload => structure.items += u64::from(items(payload)),
            }
            within(
                "nested modules and components",
                depth.into(),
                MAX_DEPTH.into(),
            )?;
            within("modules and components", structure.parts, MAX_PARTS)?;
            within("functions", structure.functions, MAX_FUNCTIONS)?;
            within("types, imports and other items", structure.items, MAX_ITEMS)?;
        }
        Ok(structure)
    }

    fn add(&mut self, body: &FunctionBody<'_>) -> Result<(), Failure> {
        let range = body.range();
        let length = range.end.saturating_sub(range.start);
        within("bytes in one function", length, MAX_BODY)?;
        let mut locals = 0_u64;
        for group in body.get_locals_reader().map_err(damaged)? {
            let (count, _) = group.map_err(damaged)?;
            locals += u64::from(count);
            within("local variables in one function", locals, MAX_LOCALS)?;
        }
        self.code += length;
        Ok(())
    }
}

/// Returns how many items a section has.
fn items(payload: &Payload<'_>) -> u32 {
    match payload {
        Payload::TypeSection(it) => it.count(),
        Payload::ImportSection(it) => it.count(),
        Payload::TableSection(it) => it.count(),
        Payload::MemorySection(it) => it.count(),
        Payload::TagSection(it) => it.count(),
        Payload::GlobalSection(it) => it.count(),
        Payload::ExportSection(it) => it.count(),
        Payload::ElementSection(it) => it.count(),
        Payload::DataSection(it) => it.count(),
        Payload::InstanceSection(it) => it.count(),
        Payload::CoreTypeSection(it) => it.count(),
        Payload::ComponentInstanceSection(it) => it.count(),
        Payload::ComponentAliasSection(it) => it.count(),
        Payload::ComponentTypeSection(it) => it.count(),
        Payload::ComponentCanonicalSection(it) => it.count(),
        Payload::ComponentImportSection(it) => it.count(),
        Payload::ComponentExportSection(it) => it.count(),
        _ => 0,
    }
}

fn within(what: &str, number: u64, limit: u64) -> Result<(), Failure> {
    if number > limit {
        return Err(Failure::Unusable(format!(
            "it has more than {limit} {what}"
        )));
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by it")]
fn damaged(error: BinaryReaderError) -> Failure {
    Failure::Unusable(format!("it is damaged: {error}"))
}

#[cfg(test)]
#[path = "structure_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
