//! The arguments: `msb <command>` and `msb image <command>`.

use clap::{ArgGroup, Parser, Subcommand};
use msb_host::progress::LogLevel;

use crate::commands::{images, inspect, load, prune, rmi, save};

/// Load, save and keep OCI images as read-only EROFS filesystems.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(
    name = "msb",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(group = ArgGroup::new("verbosity").multiple(false))]
pub(crate) struct Args {
    /// Show errors only.
    #[arg(long, global = true, group = "verbosity")]
    error: bool,
    /// Show warnings and errors (the default).
    #[arg(long, global = true, group = "verbosity")]
    warn: bool,
    /// Show what plugins tell beside warnings.
    #[arg(long, global = true, group = "verbosity")]
    info: bool,
    /// Show what helps to find a fault.
    #[arg(long, global = true, group = "verbosity")]
    debug: bool,
    /// Show every step of plugins.
    #[arg(long, global = true, group = "verbosity")]
    trace: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load images from a Docker archive or an OCI layout.
    Load(load::Args),
    /// Save images as an archive.
    Save(save::Args),
    /// List the images in the store.
    Images(images::Args),
    /// Remove images.
    Rmi(rmi::Args),
    /// Work with images.
    #[command(subcommand)]
    Image(ImageCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Load images from a Docker archive or an OCI layout.
    Load(load::Args),
    /// Save images as an archive.
    Save(save::Args),
    /// List the images in the store.
    #[command(visible_alias = "list")]
    Ls(images::Args),
    /// Show all that is known of an image.
    Inspect(inspect::Args),
    /// Remove images.
    #[command(visible_alias = "remove")]
    Rm(rmi::Args),
    /// Remove the images that no sandbox uses.
    Prune(prune::Args),
}

impl Args {
    /// Returns how important a notice must be to be shown.
    pub(crate) fn verbosity(&self) -> LogLevel {
        match self {
            Self { trace: true, .. } => LogLevel::Trace,
            Self { debug: true, .. } => LogLevel::Debug,
            Self { info: true, .. } => LogLevel::Info,
            Self { error: true, .. } => LogLevel::Error,
            _ => LogLevel::Warn,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_has_no_contradictions() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_has_its_long_and_short_form() {
        for line in [
            "load -i x -t a:b -q --platform linux/arm64",
            "image load --input x --tag a:b --quiet",
            "save a b --format oci -o x -q",
            "image save a --output x --quiet",
            "images --format json -q",
            "image ls",
            "image list --quiet",
            "image inspect a --format json",
            "rmi a b -f -q",
            "image rm a --force --quiet",
            "image remove a",
            "image prune -y --format json -q",
            "image prune --yes --debug",
        ] {
            let line = ["msb"].into_iter().chain(line.split(' '));
            Args::try_parse_from(line).unwrap();
        }
    }

    #[test]
    fn two_verbosities_are_refused() {
        assert!(Args::try_parse_from(["msb", "images", "--debug", "--trace"]).is_err());
        let args = Args::try_parse_from(["msb", "--debug", "images"]).unwrap();
        assert_eq!(args.verbosity(), LogLevel::Debug);
    }
}
