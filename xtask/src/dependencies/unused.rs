//! Dependencies that a crate names in its manifest and nowhere else.

use std::path::Path;

use serde_json::Value;
use walkdir::WalkDir;

use crate::command::Result;

/// Dependencies that are there for their features alone: crate, dependency.
const FOR_FEATURES: &[(&str, &str)] = &[("msb-host", "anyhow")];

/// Returns a line for each dependency of a package of `cargo metadata` that its sources do not name.
pub(super) fn of(package: &Value) -> Result<Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&package["name"]);
    let manifest = text(&package["manifest_path"]);
    let folder = Path::new(&manifest).parent().ok_or("no folder")?;
    let sources = sources(folder)?;
    let mut unused: Vec<String> = package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|dependency| match &dependency["rename"] {
            Value::String(renamed) => renamed.clone(),
            _ => text(&dependency["name"]),
        })
        .filter(|dependency| !FOR_FEATURES.contains(&(&name, dependency)))
        .filter(|dependency| !is_named(&dependency.replace('-', "_"), &sources))
        .map(|dependency| format!("{name}: nothing uses `{dependency}`"))
        .collect();
    unused.dedup();
    Ok(unused)
}

/// Returns the text of all sources of a package, without those of packages that nest in its folder.
fn sources(folder: &Path) -> Result<String> {
    let is_own = |entry: &walkdir::DirEntry| {
        entry.depth() == 0
            || entry.file_type().is_file()
            || (entry.file_name() != "target" && !entry.path().join("Cargo.toml").exists())
    };
    let mut text = String::new();
    for entry in WalkDir::new(folder).into_iter().filter_entry(is_own) {
        let entry = entry?;
        let is_source = entry.path().extension().is_some_and(|it| it == "rs");
        if is_source {
            text += &std::fs::read_to_string(entry.path())?;
        }
    }
    Ok(text)
}

/// Returns whether a crate is named in code or in an example of the documentation.
fn is_named(ident: &str, sources: &str) -> bool {
    sources.match_indices(ident).any(|(at, _)| {
        let (before, after) = (&sources[..at], &sources[at + ident.len()..]);
        // `::name` is the crate of that name, `crate::name` is not.
        let path = before.strip_suffix("::").unwrap_or(before);
        let is_first = !path.ends_with(|it: char| it.is_alphanumeric() || it == '_');
        is_first && (after.starts_with("::") || before.ends_with("use "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_by_a_path_or_an_import() {
        for (sources, right) in [
            ("use tar::Archive;", true),
            ("let archive = tar::Archive::new(file);", true),
            ("use tar as framing;", true),
            ("::tar::Archive", true),
            ("use crate::tar::Archive;", false),
            ("// a tar of a layer", false),
            ("mytar::Archive", false),
        ] {
            assert_eq!(is_named("tar", sources), right, "{sources}");
        }
    }
}
