//! From the embedded files to those of a project.

use super::names::Names;
use super::{EMBEDDED, File, Language, ProjectKind, vendored};

/// Where the templates are in this repository.
const TEMPLATES: &str = "plugins/templates";
/// Where the contract is, here and in projects that are not in Rust.
const CONTRACT: &str = "wit/";

/// Returns the files of a project, sorted by their paths.
pub(super) fn files(language: Language, kind: ProjectKind, names: &Names) -> Vec<File> {
    let template = format!("{TEMPLATES}/{}-{}/", language.name(), kind.name());
    let mut files: Vec<File> = below(&template)
        .map(|(path, contents)| File {
            path: names.put_into(path),
            contents: names.put_into(contents),
        })
        .collect();
    match language {
        Language::Rust => {
            for file in files.iter_mut().filter(|file| file.path == "Cargo.toml") {
                file.contents = vendored::without_workspace(&file.contents);
            }
            files.extend(vendored::sdk());
        }
        Language::Python | Language::JavaScript => {
            files.extend(below(CONTRACT).map(|(path, contents)| File {
                path: format!("{CONTRACT}{path}"),
                contents: contents.to_owned(),
            }));
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

/// Returns the commands that build, test and install the plugin: those of the first block of its
/// README that is marked `sh`.
pub(super) fn steps(files: &[File]) -> Vec<String> {
    let readme = files.iter().find(|file| file.path == "README.md");
    let block = readme.and_then(|file| file.contents.split("```sh\n").nth(1)?.split("```").next());
    block
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Returns the embedded files below a folder, by their paths in it.
pub(super) fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    EMBEDDED
        .iter()
        .filter_map(move |(path, contents)| Some((path.strip_prefix(folder)?, *contents)))
}

/// Returns an embedded file by its path in this repository.
pub(super) fn embedded(path: &str) -> &'static str {
    below(path)
        .find_map(|(rest, contents)| rest.is_empty().then_some(contents))
        .unwrap_or_default()
}
