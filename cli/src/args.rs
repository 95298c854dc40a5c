//! The arguments: `msb <command>` and `msb image <command>`.

use clap::error::ErrorKind;
use clap::{ArgGroup, CommandFactory, FromArgMatches as _, Parser, Subcommand};
use msb_host::progress::LogLevel;

use crate::commands::plugin::PluginCommand;
use crate::commands::registry::{list, login, logout};
use crate::commands::store::StoreCommand;
use crate::commands::{
    adopt, cat, completion, config, df, diff, disk, doctor, exists, export, history, images,
    inspect, load, ls, mount, prune, pull, rmi, save, tag, verify, version,
};
use crate::habits::Habit;
use crate::progress::ProgressForm;

/// Pull, load, save and keep OCI images as read-only EROFS filesystems.
#[derive(Debug, Parser)]
#[command(
    name = "msb",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "\
Environment:
  MSB_HOME         Where images are kept [default: ~/.microsandbox]
  MSB_CONFIG_PATH  The file of settings [default: config.json in MSB_HOME]
  MSB_LOG          How much is shown: error, warn, info, debug or trace
  NO_COLOR         Use no colours

Examples:
  msb pull alpine                      # From Docker Hub
  docker save my-image | msb load      # From another engine
  msb images
  msb image inspect alpine             # With the files to mount
  msb image prune --older-than 30d

`msb help COMMAND` and `msb man` explain each command, `msb doctor` finds what is wrong."
)]
pub(crate) struct Args {
    #[command(flatten)]
    verbosity: Verbosity,
    /// How work in progress is shown: bars on a terminal and lines elsewhere (auto), or one of these.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "HOW",
        default_value_t = ProgressForm::Auto,
        hide_default_value = true,
        hide_short_help = true
    )]
    pub(crate) progress: ProgressForm,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How much is shown of what goes on.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(group = ArgGroup::new("verbosity").multiple(false), next_help_heading = "Verbosity")]
struct Verbosity {
    /// Show only errors.
    #[arg(long, global = true, group = "verbosity", hide_short_help = true)]
    error: bool,
    /// Also show notices (the default).
    #[arg(long, global = true, group = "verbosity", hide_short_help = true)]
    warn: bool,
    /// Also show each step.
    #[arg(long, global = true, group = "verbosity", hide_short_help = true)]
    info: bool,
    /// Also show debug messages.
    #[arg(long, global = true, group = "verbosity", hide_short_help = true)]
    debug: bool,
    /// Also show everything that plugins log.
    #[arg(long, global = true, group = "verbosity", hide_short_help = true)]
    trace: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pull(pull::Args),
    Load(load::Args),
    Save(save::Args),
    Images(images::Args),
    Rmi(rmi::Args),
    Df(df::Args),
    /// Manage images.
    #[command(subcommand)]
    Image(ImageCommand),
    /// Manage registry authentication.
    #[command(subcommand, visible_aliases = ["registries", "regs"])]
    Registry(RegistryCommand),
    /// Manage the store as a whole.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Install plugins and manage their permissions.
    #[command(subcommand, visible_alias = "plugins")]
    Plugin(PluginCommand),
    Doctor(doctor::Args),
    Config(config::Args),
    Completion(completion::CompletionArgs),
    Man(completion::ManArgs),
    Version(version::Args),
    #[command(flatten)]
    Habit(Habit),
}

/// Returns the level that a word means; a word that means none says nothing.
fn level(word: &str) -> Option<LogLevel> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "error" => LogLevel::Error,
        "warn" | "warning" => LogLevel::Warn,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => return None,
    })
}

/// The commands as the help lists them, in words that fit a narrow terminal.
const GROUPS: [(&str, &[(&str, &str)]); 3] = [
    (
        "Images",
        &[
            ("pull", "Pull images from registries"),
            ("load", "Load images from an archive, a directory or a pipe"),
            ("save", "Save images to an archive"),
            ("images", "List images"),
            ("rmi", "Remove images, or one of their names"),
            ("image", "Inspect, tag, mount, export, prune, verify, …"),
        ],
    ),
    (
        "Registries and plugins",
        &[
            ("registry", "Log in to registries, and out"),
            ("plugin", "Install plugins and manage their permissions"),
        ],
    ),
    (
        "This machine",
        &[
            ("df", "Show what the store takes of the disk"),
            ("store", "Serve the store to other programs"),
            ("doctor", "Find what is wrong, and what to do about it"),
            ("config", "Show what is set, and where"),
            (
                "completion",
                "Complete commands and names of images in a shell",
            ),
            ("man", "Print or write the manual pages"),
            ("version", "Show the versions of msb and of its formats"),
        ],
    ),
];

/// Returns the command line's grammar, with its help in groups.
pub(crate) fn command() -> clap::Command {
    let command = <Args as CommandFactory>::command();
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let names = GROUPS.iter().flat_map(|(_, commands)| *commands);
    let width = names.map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut template = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (title, commands) in GROUPS {
        template.extend(["\n", &format!("{header}{title}:{header:#}"), "\n"]);
        for (name, about) in commands {
            let padding = " ".repeat(width - name.len() + 2);
            let name = format!("{literal}{name}{literal:#}");
            template.extend(["  ", &name, &padding, about, "\n"]);
        }
    }
    template.extend([
        "\n",
        &format!("{header}Options:{header:#}"),
        "\n{options}{after-help}",
    ]);
    command.help_template(template)
}

/// Reads the arguments of this process.
pub(crate) fn parse() -> Result<Args, clap::Error> {
    let matches = command().get_matches();
    Args::from_arg_matches(&matches)?.checked()
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    Pull(pull::Args),
    Load(load::Args),
    Save(save::Args),
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    Inspect(inspect::Args),
    Cat(cat::Args),
    Diff(diff::Args),
    Export(export::Args),
    Mount(mount::MountArgs),
    #[command(visible_alias = "unmount")]
    Umount(mount::UmountArgs),
    Disk(disk::Args),
    Adopt(adopt::Args),
    #[command(visible_alias = "remove")]
    Rm(rmi::Args),
    Tag(tag::TagArgs),
    Untag(tag::UntagArgs),
    History(history::Args),
    Exists(exists::Args),
    Prune(prune::Args),
    Verify(verify::Args),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    Login(login::Args),
    Logout(logout::Args),
    #[command(visible_alias = "ls")]
    List(list::Args),
}

impl Args {
    /// Refuses two verbosities that stand at different places: clap looks at those in front of a
    /// command and those after it one by one.
    pub(crate) fn checked(self) -> Result<Self, clap::Error> {
        let Verbosity {
            error,
            warn,
            info,
            debug,
            trace,
        } = self.verbosity;
        let given = [error, warn, info, debug, trace];
        if given.into_iter().filter(|given| *given).count() > 1 {
            let message = "only one of --error, --warn, --info, --debug and --trace can be used";
            return Err(command().error(ErrorKind::ArgumentConflict, message));
        }
        if let Command::Habit(habit) = &self.command {
            return Err(habit.elsewhere());
        }
        if let Command::Load(load) | Command::Image(ImageCommand::Load(load)) = &self.command {
            load.checked()?;
        }
        if let Command::Image(ImageCommand::Disk(disk)) = &self.command {
            disk.checked()?;
        }
        Ok(self)
    }

    /// Returns how important something must be to be shown, if the user said so: by a flag, else by
    /// `MSB_LOG`.
    pub(crate) fn level(&self) -> Option<LogLevel> {
        let variable = || std::env::var("MSB_LOG").ok().and_then(|word| level(&word));
        self.flag().or_else(variable)
    }

    fn flag(&self) -> Option<LogLevel> {
        match self.verbosity {
            Verbosity { trace: true, .. } => Some(LogLevel::Trace),
            Verbosity { debug: true, .. } => Some(LogLevel::Debug),
            Verbosity { info: true, .. } => Some(LogLevel::Info),
            Verbosity { warn: true, .. } => Some(LogLevel::Warn),
            Verbosity { error: true, .. } => Some(LogLevel::Error),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
