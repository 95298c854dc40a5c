//! `msb plugin new`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use msb_plugin_kit::scaffold::{Language, Project, ProjectKind};

use crate::error::CommandError;
use crate::ui::Ui;

/// Begin a plugin: a project that builds, and that does something already.
///
/// It has a small plugin with its tests, the contract that it is written against, and a README with
/// every step from building to publishing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin new my-login --kind credential --lang rust
  msb plugin new shelf --kind format --lang rust --path plugins/shelf")]
pub(crate) struct Args {
    /// What it is called: lower-case letters, digits and dashes.
    name: String,
    /// What it is.
    #[arg(long, value_enum)]
    kind: Kind,
    /// What it is written in.
    #[arg(long, value_parser = offered())]
    lang: Language,
    /// The folder of the project; the one of its name in this folder unless given.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// What a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// It reads and writes archives of images.
    Format,
    /// It knows who the user is to registries.
    Credential,
}

/// Reads the name of a language in which there are templates.
fn offered() -> impl TypedValueParser<Value = Language> {
    let offered = || Language::ALL.into_iter().filter(|it| it.is_offered());
    let values = offered().map(|language| {
        PossibleValue::new(language.name()).help(match language {
            Language::Rust => "Needs cargo and the target wasm32-unknown-unknown",
            Language::Python => "Needs componentize-py",
            Language::JavaScript => "Needs Node.js",
        })
    });
    PossibleValuesParser::new(values).try_map(move |name| {
        let language = offered().find(|language| language.name() == name);
        language.ok_or("there are no templates in it")
    })
}

impl From<Kind> for ProjectKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Format => Self::Format,
            Kind::Credential => Self::Credential,
        }
    }
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let path = args.path.as_deref().unwrap_or(Path::new(&args.name));
    let project = Project {
        name: args.name.clone(),
        language: args.lang,
        kind: args.kind.into(),
        path: path.to_owned(),
    };
    let made = project.create()?;
    let aside = format!("{} files", made.files.len());
    ui.success(
        "Created",
        &path.display().to_string(),
        &aside,
        Duration::ZERO,
    );
    ui.status("next:");
    ui.status(&format!("  cd {}", path.display()));
    for step in made.steps {
        ui.status(&format!("  {step}"));
    }
    ui.status("README.md has the rest: permissions, publishing, signing");
    Ok(())
}
