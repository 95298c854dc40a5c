//! `msb completion` and `msb man`: what shells and `man` know of msb.

use std::path::PathBuf;

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::env::Shells;

use crate::args::Args;
use crate::error::CommandError;
use crate::ui::Ui;

/// The variable that has msb complete a line instead of running it.
pub(crate) const VARIABLE: &str = "MSB_COMPLETE";

/// Print what a shell needs to complete commands, options and the names of local images.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb completion bash > ~/.local/share/bash-completion/completions/msb
  msb completion zsh > ~/.zfunc/_msb
  msb completion fish > ~/.config/fish/completions/msb.fish
  msb completion powershell >> $PROFILE
  msb completion elvish >> ~/.config/elvish/rc.elv")]
pub(crate) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Print the manual page of msb, or write those of all commands to a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb man | man -l -
  msb man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The directory, which is made.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    Pwsh,
    Zsh,
}

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Pwsh => "powershell",
            Self::Zsh => "zsh",
        }
    }
}

/// Runs `completion`.
pub(crate) fn completion(ui: Ui, args: &CompletionArgs) -> Result<(), CommandError> {
    let name = args.shell.name();
    let failed = || CommandError::new(format!("cannot complete in {name}"));
    let shells = Shells::builtins();
    let shell = shells.completer(name).ok_or_else(failed)?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "msb", "msb", "msb", &mut script)
        .map_err(|error| failed().because(&error))?;
    ui.data(&String::from_utf8_lossy(&script))
}

/// Runs `man`.
pub(crate) fn man(ui: Ui, args: &ManArgs) -> Result<(), CommandError> {
    let command = Args::command().disable_help_subcommand(true);
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        rendered.map_err(|error| CommandError::new("could not write the page").because(&error))?;
        return ui.data(&String::from_utf8_lossy(&page));
    };
    let failed = |error: std::io::Error| {
        CommandError::new(format!("could not write to `{}`", directory.display())).because(&error)
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(command, directory).map_err(failed)
}
