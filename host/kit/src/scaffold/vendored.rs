//! The copy of the SDK that a project in Rust gets: `msb-plugin` is in no registry.
//!
//! Here a manifest takes versions from the workspace (`serde.workspace = true`). A project has no
//! such workspace, so each is replaced by what it stands for, and no version is written down twice.

use super::File;
use super::template::{below, embedded};

/// Where the SDK and the crate that it needs are in this repository, and where in a project.
const CRATES: [(&str, &str); 2] = [
    ("plugins/sdk/", "msb-plugin/"),
    ("plugins/documents/", "msb-plugin/documents/"),
];
/// How the SDK finds the other crate here.
const PATH: &str = r#"path = "../documents""#;
/// How it does in a project.
const PATH_IN_COPY: &str = r#"path = "documents""#;

/// Returns the files of the SDK as a project has them.
pub(super) fn sdk() -> impl Iterator<Item = File> {
    let licence = File {
        path: "msb-plugin/LICENSE".to_owned(),
        contents: embedded("LICENSE").to_owned(),
    };
    let sources = CRATES.iter().flat_map(|(folder, copy)| {
        below(folder).map(move |(path, contents)| File {
            path: format!("{copy}{path}"),
            contents: if path.ends_with("Cargo.toml") {
                without_workspace(contents).replace(PATH, PATH_IN_COPY)
            } else {
                contents.to_owned()
            },
        })
    });
    sources.chain([licence])
}

/// Returns a manifest with the values of the workspace in place of references to it, and without
/// its lints.
pub(super) fn without_workspace(manifest: &str) -> String {
    let mut text = String::new();
    let mut section = String::new();
    for line in manifest.lines() {
        if let Some(head) = header(line) {
            head.clone_into(&mut section);
        }
        // A crate may say where its workspace is.
        if section == "lints" || line.starts_with("workspace = ") {
            continue;
        }
        let resolved = line
            .strip_suffix(".workspace = true")
            .and_then(|key| Some(format!("{key} = {}", workspace_value(&section, key)?)));
        text.push_str(resolved.as_deref().unwrap_or(line));
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Returns what the workspace has for a key of a section, as it is written there.
fn workspace_value(section: &str, key: &str) -> Option<&'static str> {
    let wanted = match section {
        "package" => "workspace.package",
        _ => "workspace.dependencies",
    };
    let mut section = "";
    embedded("plugins/Cargo.toml").lines().find_map(|line| {
        section = header(line).unwrap_or(section);
        let (name, value) = line.split_once(" = ")?;
        (section == wanted && name == key).then_some(value)
    })
}

fn header(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_gets_what_the_workspace_says() {
        let manifest = "[package]\nname = \"x\"\nlicense.workspace = true\n\n[dependencies]\n\
                        # Why.\nserde.workspace = true\n\n[lints]\nworkspace = true\n";
        let serde = workspace_value("dependencies", "serde").unwrap_or_default();
        assert!(serde.contains("version"), "{serde}");
        assert_eq!(
            without_workspace(manifest),
            format!(
                "[package]\nname = \"x\"\nlicense = \"Apache-2.0\"\n\n[dependencies]\n# Why.\n\
                 serde = {serde}\n"
            )
        );
    }
}
