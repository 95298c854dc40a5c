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
    /// command and those behind it one by one.
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
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(["msb"].into_iter().chain(line.split_whitespace()))?.checked()
    }

    #[test]
    fn the_grammar_has_no_contradictions() {
        command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_of_the_manual_is_there() {
        for line in [
            "load",
            "pull python",
            "pull ghcr.io/my-org/my-image:v1 -f -q --insecure --ca-certs ca.pem",
            "pull --tls-verify=false localhost:5000/app",
            "pull --tls-verify localhost:5000/app",
            "pull --tls-verify=0 localhost:5000/app",
            "pull --force --quiet --platform linux/arm64 a b",
            "image pull alpine",
            "pull --policy newer alpine",
            "pull --policy never alpine",
            "load --input my-image.tar",
            "load -i x -t a:b -q --platform linux/arm64",
            "load --tag a --tag b:1",
            "image verify",
            "image verify --repair --format json -q a b",
            "image load --input oci-layout.tar --tag my-image:latest --quiet",
            "save --output my-image.tar my-image:latest",
            "save --format oci -o x -q a b",
            "image save a --quiet",
            "images",
            "images --format json -q",
            "images alpine ghcr.io/a/* --filter label=a=b -f dangling=true --sort size",
            "images --digests --no-trunc",
            "image tag a b c:1",
            "image untag a b --format json",
            "image history a --no-trunc --format json",
            "image exists a",
            "image inspect a b --format json",
            "image ls",
            "image list --quiet",
            "image ls alpine",
            "image ls alpine /etc -R --format json",
            "image ls -q alpine etc",
            "image cat alpine /etc/passwd",
            "image diff a b --ignore-times --format json",
            "image export alpine -o x.tar -q",
            "image mount alpine /mnt -q",
            "image umount /mnt /mnt2",
            "image unmount -q /mnt",
            "store serve containerd /d",
            "store serve containerd --dm-verity /d",
            "store serve microsandbox",
            "store serve microsandbox --prune --home /h a b --format json -q",
            "store serve containerd --prune --containerd-root /x /d a b --format json -q",
            "image inspect python",
            "image inspect python --format json",
            "image adopt",
            "image adopt python --home /h --format json -q",
            "image disk python -o python.vmdk",
            "image disk python --output d --type raw --verity --format json -q",
            "image disk python -o d --type erofs --without-xattrs",
            "image disk python -o d --type erofs --compress zstd:19 --cluster-size 128K",
            "image disk python -o d --type erofs -z lz4 -C 1M --verity",
            "image disk python --type dm",
            "rmi alpine ubuntu -f -q",
            "image rm a --force --quiet",
            "image remove a",
            "image prune",
            "image prune -y --format json -q",
            "image prune --yes --dry-run",
            "image prune --dangling --older-than 30d --filter label=a --keep 3 --max-size 20G",
            "df --verbose --format json",
            "doctor --registry ghcr.io --format json",
            "config registries --format json",
            "config --schema",
            "completion bash",
            "man",
            "man directory",
            "version --format json",
            "pull --format json --progress json a",
            "--progress none load --format json",
            "plugin install x.wasm --grant env=A --grant clock --before env --name x",
            "plugin install --locked",
            "plugin ls --format json",
            "plugin inspect x",
            "plugin rm x y",
            "plugin update --check",
            "plugin enable x",
            "plugin disable x",
            "plugin grant x clock reveal",
            "plugin revoke x",
            "plugin order a b",
            "plugin order a --before b",
            "plugin tier a",
            "plugin tier a ambient",
            "plugin tier a --default",
            "plugin verify",
            "plugin explain-auth ghcr.io",
            "plugin push x.wasm ghcr.io/a/b:1",
            "plugin test x.wasm --archive a.tar --grant clock",
            "registry login ghcr.io --username octocat",
            "registry login ghcr.io -u octocat --password-stdin --no-verify --store file",
            "registry login h:5000 --username a --insecure --ca-certs ca.pem",
            "registry login h:5000 --username a --tls-verify=false",
            "plugin install ghcr.io/a/b --tls-verify=false",
            "registry logout ghcr.io",
            "registry ls",
            "registry list --format json",
            "registries ls",
            "regs login ghcr.io",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_makes_no_sense_is_an_error_of_usage() {
        for line in [
            "",
            "nonsense",
            "image",
            "save",
            "rmi",
            "image inspect",
            "image ls -R",
            "image cat a",
            "image diff a",
            "image export",
            "image mount alpine",
            "image umount",
            "store",
            "store serve",
            "store serve containerd",
            "store serve containerd /d --containerd-root /x",
            "image disk a -o b --type qcow2",
            "image disk a -o b --type erofs --compress lzma",
            "image disk a -o b --type erofs --compress zstd:23",
            "image disk a -o b --type erofs --compress lz4 --cluster-size 4K",
            "image disk a -o b --type erofs --cluster-size 64K",
            "image disk a",
            "image disk a --type raw",
            "images --format yaml",
            "load my-image.tar",
            "pull",
            "pull --ca-certs",
            "pull --policy sometimes a",
            "pull --policy always --force a",
            "image tag a",
            "image untag",
            "image exists",
            "images --filter dangling",
            "images --filter nonsense=a",
            "images --sort nonsense",
            "image prune --older-than 30",
            "image prune --max-size much",
            "completion tcsh",
            "registry",
            "registry login",
            "registry login h --password secret",
            "registry login h --store",
            "registry logout",
            "registry ls --format yaml",
            "images --debug --trace",
            "--debug images --trace",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_help_has_every_command_in_a_group() {
        let command = command();
        let visible = command.get_subcommands().filter(|it| !it.is_hide_set());
        let mut visible: Vec<&str> = visible.map(clap::Command::get_name).collect();
        let listed = GROUPS.iter().flat_map(|(_, commands)| *commands);
        let mut listed: Vec<&str> = listed.map(|(name, _)| *name).collect();
        visible.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, visible);
        let help = command.clone().render_help().to_string();
        for text in [
            "Images:",
            "Registries and plugins:",
            "  pull        Pull images",
            "Examples:",
        ] {
            assert!(help.contains(text), "{text}: {help}");
        }
        let widths = help.lines().map(|line| line.chars().count());
        assert!(widths.max() <= Some(88), "{help}");
    }

    #[test]
    fn commands_of_other_tools_say_where_to_go() {
        for (line, tip) in [
            ("login ghcr.io -u me", "msb registry login ghcr.io -u me"),
            ("inspect alpine", "msb image inspect alpine"),
            ("tag a b", "msb image tag a b"),
            ("prune --all", "msb image prune --all"),
            ("push a", "skopeo copy"),
            ("ps -a", "msb image inspect"),
            ("run -it alpine sh", "keeps images and runs none"),
            ("system df", "msb df"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(tip), "{line}: {error}");
        }
    }

    #[test]
    fn the_verbosity_may_stand_anywhere() {
        for (line, level) in [
            ("images", None),
            ("--debug images", Some(LogLevel::Debug)),
            ("image ls --trace", Some(LogLevel::Trace)),
            ("image --warn ls", Some(LogLevel::Warn)),
            ("rmi a --error", Some(LogLevel::Error)),
            ("load --info", Some(LogLevel::Info)),
        ] {
            assert_eq!(parse(line).unwrap().flag(), level, "{line}");
        }
    }
}
