//! New plugins: the project that an author begins with.
//!
//! Owns what a project consists of and how it comes to disk, whole or not at all. Its files are
//! those of `plugins/templates/<language>-<kind>/` with names put in, the contract, and for Rust
//! the SDK; all of them are part of msb. Knows nothing of compilers: whether what it writes builds
//! and runs is a matter of the tests.

mod error;
mod names;
mod template;
mod vendored;
mod write;

use std::path::PathBuf;

pub use error::ScaffoldError;
use names::Names;

/// What a project is made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Rust, with a copy of the SDK.
    Rust,
    /// Python, for componentize-py.
    Python,
    /// JavaScript, for componentize-js.
    JavaScript,
}

/// What a project is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProjectKind {
    /// An archive format.
    Format,
    /// A credential provider.
    Credential,
}

/// A project that is to be made.
#[derive(Clone, Debug)]
pub struct Project {
    /// What the plugin is called, and its crate or package.
    pub name: String,
    /// The language.
    pub language: Language,
    /// The kind of plugin.
    pub kind: ProjectKind,
    /// The folder of the project, which is made, as are those above it. It may exist if it is
    /// empty.
    pub path: PathBuf,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::JavaScript];

    /// Returns whether there are templates in it.
    pub fn is_offered(self) -> bool {
        ProjectKind::ALL
            .iter()
            .all(|&kind| template::exists(self, kind))
    }

    /// Returns its name as it is typed: `javascript`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
        }
    }

    /// Returns its name as it is written: `JavaScript`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        }
    }
}

impl ProjectKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Format, Self::Credential];

    /// Returns its name as it is typed: `credential`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Credential => "credential",
        }
    }
}

impl Project {
    /// Makes the project. Overwrites nothing, and leaves nothing where it fails.
    ///
    /// # Errors
    /// [`ScaffoldError`]: the name is none for a plugin, the folder is in use, or it cannot be
    /// written.
    pub fn create(&self) -> Result<Created, ScaffoldError> {
        let names = Names::of(&self.name, self.language)?;
        // It could be built and tested, and not be installed.
        let of_msb = msb_host::plugin::builtin_packages();
        if of_msb.iter().any(|package| *package.name == *self.name) {
            return Err(ScaffoldError::OfMsb(self.name.clone()));
        }
        let files = template::files(self.language, self.kind, &names);
        write::project(&self.path, &files)?;
        Ok(Created {
            steps: template::steps(&files),
            files: files.into_iter().map(|file| file.path).collect(),
        })
    }
}

/// A project that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its files, relative to its folder and sorted.
    pub files: Vec<String>,
    /// The commands that build, test and install it, for a shell in its folder.
    pub steps: Vec<String>,
}

/// A file of a project.
#[derive(Debug, PartialEq, Eq)]
struct File {
    /// Where it is in the project, with `/` between the parts.
    path: String,
    /// What is in it.
    contents: String,
}

/// All that is embedded: paths in this repository, and contents. Sorted.
static EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scaffold.rs"));
