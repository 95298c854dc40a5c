//! Commands that people know of other tools, and where msb has them.
//!
//! They are hidden, do nothing, and exit as a mistyped command does.

use clap::error::ErrorKind;

use crate::escape::escaped;

/// What was written after such a command.
#[derive(Debug, clap::Args)]
pub(crate) struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<String>,
}

/// A command of other tools.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Habit {
    #[command(hide = true)]
    Login(Rest),
    #[command(hide = true)]
    Logout(Rest),
    #[command(hide = true)]
    Inspect(Rest),
    #[command(hide = true)]
    Tag(Rest),
    #[command(hide = true)]
    Untag(Rest),
    #[command(hide = true)]
    History(Rest),
    #[command(hide = true)]
    Exists(Rest),
    #[command(hide = true)]
    Verify(Rest),
    #[command(hide = true)]
    Prune(Rest),
    #[command(hide = true)]
    System(Rest),
    #[command(hide = true)]
    Info(Rest),
    #[command(hide = true)]
    Push(Rest),
    #[command(hide = true)]
    Ps(Rest),
    #[command(hide = true)]
    Run(Rest),
}

impl Habit {
    /// Returns the error that says where to go.
    pub(crate) fn elsewhere(&self) -> clap::Error {
        let (name, rest, tip) = match self {
            Self::Login(rest) => ("login", rest, Tip::Command("registry login")),
            Self::Logout(rest) => ("logout", rest, Tip::Command("registry logout")),
            Self::Inspect(rest) => ("inspect", rest, Tip::Command("image inspect")),
            Self::Tag(rest) => ("tag", rest, Tip::Command("image tag")),
            Self::Untag(rest) => ("untag", rest, Tip::Command("image untag")),
            Self::History(rest) => ("history", rest, Tip::Command("image history")),
            Self::Exists(rest) => ("exists", rest, Tip::Command("image exists")),
            Self::Verify(rest) => ("verify", rest, Tip::Command("image verify")),
            Self::Prune(rest) => ("prune", rest, Tip::Command("image prune")),
            Self::System(rest) => (
                "system",
                rest,
                Tip::Words("`msb df` shows what the store takes, `msb image prune` frees it"),
            ),
            Self::Info(rest) => (
                "info",
                rest,
                Tip::Words("`msb version`, `msb config` and `msb doctor` say what there is"),
            ),
            Self::Push(rest) => (
                "push",
                rest,
                Tip::Words(
                    "msb does not push images; another tool does: `msb save --format oci -o image.tar \
                     IMAGE`, then `skopeo copy oci-archive:image.tar docker://REGISTRY/IMAGE`",
                ),
            ),
            Self::Ps(rest) => (
                "ps",
                rest,
                Tip::Words(
                    "msb keeps images and runs none; `msb image inspect IMAGE` says which sandboxes \
                     use it",
                ),
            ),
            Self::Run(rest) => (
                "run",
                rest,
                Tip::Words(
                    "msb keeps images and runs none; `msb image inspect --format json IMAGE` has the \
                     files for a runtime to mount",
                ),
            ),
        };
        let tip = match tip {
            Tip::Words(words) => words.to_owned(),
            Tip::Command(command) => {
                let words: Vec<String> = rest.words.iter().map(|word| quoted(word)).collect();
                let rest = words.iter().flat_map(|word| [" ", word.as_str()]);
                format!("write `msb {command}{}`", rest.collect::<String>())
            }
        };
        let message = format!(
            "unrecognized subcommand '{name}'\n\n  tip: {tip}\n\nFor more information, try '--help'.\n"
        );
        clap::Error::raw(ErrorKind::InvalidSubcommand, message)
    }
}

/// Where to go.
enum Tip {
    /// The same words after this command.
    Command(&'static str),
    Words(&'static str),
}

/// Returns a word as a shell takes it, and a terminal.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    escaped(&format!("'{}'", word.replace('\'', r"'\''"))).into_owned()
}
