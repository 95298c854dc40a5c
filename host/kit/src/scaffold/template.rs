//! From the embedded files to those of a project.

use super::names::Names;
use super::{EMBEDDED, File, Language, ProjectKind, vendored};

/// Where the templates are in this repository.
const TEMPLATES: &str = "plugins/templates";
/// Where the contract is, here and in projects that are not in Rust.
const CONTRACT: &str = "wit/";

/// Returns the files of a project, sorted by their paths.
pub(super) fn files(language: Language, kind: ProjectKind, names: &Names) -> Vec<File> {
    let mut files: Vec<File> = below(&folder(language, kind))
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

/// Returns whether there is a template.
pub(super) fn exists(language: Language, kind: ProjectKind) -> bool {
    below(&folder(language, kind)).next().is_some()
}

fn folder(language: Language, kind: ProjectKind) -> String {
    format!("{TEMPLATES}/{}-{}/", language.name(), kind.name())
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::super::ScaffoldError;
    use super::*;

    fn projects() -> impl Iterator<Item = (Language, ProjectKind, Vec<File>)> {
        let offered = Language::ALL.into_iter().filter(|it| it.is_offered());
        offered.flat_map(|language| {
            ProjectKind::ALL.into_iter().map(move |kind| {
                let names = Names::of("my-login", language).unwrap();
                (language, kind, files(language, kind, &names))
            })
        })
    }

    #[test]
    fn a_template_of_every_kind_is_whole() {
        assert!(Language::Rust.is_offered());
        for (language, kind, files) in projects() {
            let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
            assert_eq!(
                paths.len(),
                files.len(),
                "{language:?} {kind:?}: a path twice"
            );
            for path in ["README.md", ".gitignore"] {
                assert!(paths.contains(path), "{language:?} {kind:?} has no {path}");
            }
        }
    }

    #[test]
    fn every_template_belongs_to_a_language_that_is_offered_and_a_kind() {
        let known: Vec<String> = Language::ALL
            .iter()
            .filter(|language| language.is_offered())
            .flat_map(|language| {
                ProjectKind::ALL.map(|kind| format!("{}-{}/", language.name(), kind.name()))
            })
            .chain(["README.md".to_owned()])
            .collect();
        for (path, _) in below("plugins/templates/") {
            assert!(known.iter().any(|known| path.starts_with(known)), "{path}");
        }
    }

    #[test]
    fn no_placeholder_is_left() {
        for (_, _, files) in projects() {
            for file in files {
                let text = format!("{}\n{}", file.path, file.contents);
                let mut words = text
                    .split("{{")
                    .skip(1)
                    .filter_map(|rest| rest.split_once("}}"));
                let word = words.find(|(word, _)| {
                    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase())
                });
                assert_eq!(word, None, "{}", file.path);
            }
        }
    }

    #[test]
    fn the_whole_contract_is_in_every_project() {
        for (language, kind, files) in projects() {
            let folder = match language {
                Language::Rust => "msb-plugin/wit/",
                _ => "wit/",
            };
            for (path, contents) in below(CONTRACT) {
                let path = format!("{folder}{path}");
                let copy = files.iter().find(|file| file.path == path);
                assert!(
                    copy.is_some_and(|file| file.contents == contents),
                    "{language:?} {kind:?}: {path}"
                );
            }
        }
    }

    #[test]
    fn the_steps_build_test_and_install() {
        for (language, kind, files) in projects() {
            let steps = steps(&files);
            for wanted in ["msb plugin test ", "msb plugin install "] {
                assert!(
                    steps.iter().any(|step| step.starts_with(wanted)),
                    "{language:?} {kind:?}: {steps:?}"
                );
            }
        }
    }

    #[test]
    fn manifests_stand_alone_and_the_names_of_their_libraries_are_no_names_of_plugins() {
        for (_, _, files) in projects().filter(|(language, ..)| *language == Language::Rust) {
            let manifests = files
                .iter()
                .filter(|file| file.path.ends_with("Cargo.toml"));
            for manifest in manifests {
                let text = &manifest.contents;
                assert!(!text.contains("workspace = true"), "{text}");
                let table: toml::Table = text.parse().unwrap();
                let of_project = manifest.path == "Cargo.toml";
                for library in table["dependencies"].as_table().unwrap().keys() {
                    let name = library.replace('_', "-");
                    let refused = Names::of(&name, Language::Rust);
                    assert!(
                        !of_project || matches!(refused, Err(ScaffoldError::Taken { .. })),
                        "{library}"
                    );
                }
            }
        }
    }
}
