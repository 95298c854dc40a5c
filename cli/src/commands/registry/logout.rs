//! `msb registry logout`

use std::sync::Arc;
use std::time::Duration;

use msb_host::LoggedOut;
use msb_host::auth::registry_named;
use msb_host::progress::LogLevel;

use super::has;
use crate::commands;
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Remove stored credentials for a registry.
///
/// Works without the OS credential store as well, and says who else has credentials.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb registry logout ghcr.io")]
pub(crate) struct Args {
    /// The registry.
    #[arg(value_name = "HOST")]
    host: String,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let registry = registry_named(&args.host)?;
    let logout = commands::open()?.log_out(&registry);
    let interrupt = Interrupt::watch();
    let done = progress::during(ui, Work::Logout, |progress| {
        logout
            .progress(Arc::clone(progress))
            .cancel(interrupt.cancel())
            .run()
    });
    let done = interrupt.settle(done)?;
    tell(ui, &registry, &done);
    Ok(())
}

fn tell(ui: Ui, registry: &str, done: &LoggedOut) {
    if done.is_nothing() {
        ui.log(
            LogLevel::Warn,
            &format!("no stored registry credentials found for `{registry}`"),
        );
    } else {
        ui.success("Logged out", registry, "", Duration::ZERO);
    }
    if let Some(problem) = &done.problem {
        let text = format!(
            "the credential store could not be asked and may still have credentials for \
             {registry}: {problem}"
        );
        // Where nothing was ever kept this is no news.
        let level = if done.in_keychain {
            LogLevel::Warn
        } else {
            LogLevel::Info
        };
        ui.log(level, &text);
    }
    for (provider, error) in &done.not_erased {
        ui.log(
            LogLevel::Warn,
            &format!("`{provider}` may still have credentials for {registry}: {error}"),
        );
    }
    match &done.left {
        Some(("password_env", name)) => {
            ui.note(&format!("the variable `{name}` is not used any more"));
        }
        Some((_, name)) => {
            let path = format!("secrets/registries/{name}");
            ui.note(&format!(
                "the file `{path}` is not used any more; it is still there"
            ));
        }
        None => {}
    }
    for attempt in &done.remaining {
        ui.note(&format!(
            "there are other credentials for {registry}: {}",
            has(attempt)
        ));
    }
}
