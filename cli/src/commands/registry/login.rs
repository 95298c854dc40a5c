//! `msb registry login`

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::sync::Arc;
use std::time::Duration;

use msb_host::auth::{MAX_PASSWORD, password_typed, registry_named};
use msb_host::progress::LogLevel;
use msb_host::registry::LoginCheck;
use msb_host::{LoggedIn, Msb, PasswordStore};

use super::has;
use super::terminal_prompt::TerminalPrompt;
use crate::commands::connection::Connection;
use crate::error::CommandError;
use crate::hidden;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Store credentials for a registry in the OS credential store.
///
/// They are tried at the registry first. The password is asked for without being shown, or read
/// from standard input; config.json gets the name alone. Without --username, a plugin that logs you in by
/// itself, as with a code for a page in the browser, is asked first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb registry login ghcr.io --username octocat
  printf '%s\\n' \"$GHCR_TOKEN\" | msb registry login ghcr.io --username octocat --password-stdin
  msb registry login registry.local:5000 --username ci --insecure --store file
  msb registry login ghcr.io --username octocat --store my-provider

Without a credential store, as on servers and in CI, let config.json name where the password is:
  {\"registries\": {\"auth\": {\"ghcr.io\": {\"username\": \"octocat\", \"password_env\": \"GHCR_TOKEN\"}}}}")]
pub(crate) struct Args {
    /// The registry.
    #[arg(value_name = "HOST")]
    host: String,
    /// Registry username.
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Read password from stdin.
    #[arg(long)]
    password_stdin: bool,
    /// Store the credentials without verifying them.
    #[arg(long)]
    no_verify: bool,
    /// Where the password is kept: `keyring`, the credential store of the operating system; `file`, a
    /// file that only you can read, as plain text; or the name of a provider that stores credentials or
    /// logs you in by itself [default: `plugins.store` in config.json, else `keyring`].
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let registry = registry_named(&args.host)?;
    let msb = args.connection.open()?;
    // What is wrong with the settings is told before anything is asked.
    msb.credentials()?;
    if !args.no_verify {
        msb.client()?;
    }
    let interrupt = Interrupt::watch();
    if args.username.is_none()
        && !args.password_stdin
        && let Some(done) = by_provider(ui, args, &msb, &registry, &interrupt)?
    {
        ui.success("Logged in", &registry, "", Duration::ZERO);
        tell(ui, &registry, &done);
        return Ok(());
    }
    interrupt.idle(true);
    let username = match &args.username {
        Some(username) => username.clone(),
        None => asked_name(ui, args.password_stdin)?,
    };
    let typed = if args.password_stdin {
        piped(ui)?
    } else {
        asked_password(ui)?
    };
    let mut login = msb
        .log_in(&registry, username, password_typed(&typed)?)
        .verify(!args.no_verify);
    if let Some(store) = &args.store {
        login = login.store(PasswordStore::named(store));
    }
    interrupt.idle(false);
    let done = progress::during(ui, Work::Login, |progress| {
        login
            .progress(Arc::clone(progress))
            .cancel(interrupt.cancel())
            .run()
    });
    let done = interrupt.settle(done)?;
    ui.success("Logged in", &registry, "", Duration::ZERO);
    tell(ui, &registry, &done);
    Ok(())
}

/// Has a provider log the user in by talking to them. `None` where none does.
fn by_provider(
    ui: Ui,
    args: &Args,
    msb: &Msb,
    registry: &str,
    interrupt: &Interrupt,
) -> Result<Option<LoggedIn>, CommandError> {
    let prompt = Arc::new(TerminalPrompt::new(ui));
    let mut login = msb
        .log_in_interactively(registry, prompt)
        .verify(!args.no_verify);
    if let Some(store) = &args.store {
        login = login.store(PasswordStore::named(store));
    }
    let done = progress::beside_questions(ui, Work::Login, |progress| {
        login
            .progress(Arc::clone(progress))
            .cancel(interrupt.cancel())
            .run()
    });
    interrupt.settle(done)
}

fn tell(ui: Ui, registry: &str, done: &LoggedIn) {
    if done.welcome == Some(LoginCheck::Open) {
        ui.log(
            LogLevel::Warn,
            &format!(
                "{registry} does not require authentication, so the password was not verified"
            ),
        );
    }
    if let Some(provider) = &done.provider {
        ui.note(&format!(
            "config.json names `{provider}` for {registry} from now on"
        ));
    }
    if let Some(path) = &done.file {
        let path = path.display();
        ui.log(
            LogLevel::Warn,
            &format!("the password is in `{path}` as plain text, which only you can read"),
        );
    }
    if let Some(key) = done.replaced {
        ui.note(&format!(
            "`{key}` of {registry} in config.json was replaced"
        ));
    }
    if let Some(step) = &done.shadowed_by {
        ui.log(
            LogLevel::Warn,
            &format!("another answer comes first for {registry}: {}", has(step)),
        );
    }
}

/// Asks for the name of the user.
fn asked_name(ui: Ui, password_is_piped: bool) -> Result<String, CommandError> {
    if password_is_piped || !io::stdin().is_terminal() {
        return Err(
            CommandError::new("no user name was given").hint("give one with `--username NAME`")
        );
    }
    ui.prompt("Username: ");
    let mut name = String::new();
    io::stdin()
        .lock()
        .read_line(&mut name)
        .map_err(|error| CommandError::new("could not read the user name").because(&error))?;
    Ok(name.trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads all of standard input.
fn piped(ui: Ui) -> Result<Vec<u8>, CommandError> {
    if io::stdin().is_terminal() {
        ui.note("the password is read from the terminal, where it can be seen; end it with Ctrl-D");
    }
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        // One byte more tells a password that is too long.
        .take(MAX_PASSWORD as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| CommandError::new("could not read standard input").because(&error))?;
    Ok(bytes)
}

/// Asks for a password that the terminal does not show.
fn asked_password(ui: Ui) -> Result<Vec<u8>, CommandError> {
    if !io::stdin().is_terminal() {
        return Err(
            CommandError::new("there is no terminal to ask for the password at")
                .hint("give the password on standard input with `--password-stdin`"),
        );
    }
    ui.prompt("Password/token: ");
    let password = hidden::read_line()
        .map_err(|error| CommandError::new("could not read the password").because(&error))?;
    Ok(password.into_bytes())
}
