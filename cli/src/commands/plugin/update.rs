//! `msb plugin update`

use super::consent::{self, Consent, quoted};
use super::{Bench, Connection, done, install};
use crate::error::{CommandError, Exit};
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Fetch plugins once more from where they came from.
///
/// One that asks for more than before is installed only when you agree; one that asks for the same
/// keeps what it has.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin update
  msb plugin update --check
  msb plugin update vault --grant http=https://vault.example.com")]
pub(crate) struct Args {
    /// The plugins; all that were installed when none is named.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Change nothing, and say what is new.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let bench = Bench::open()?;
    let names = if args.names.is_empty() {
        let entries = bench.installed.entries().iter();
        let installed = entries.filter(|entry| entry.origin.is_some());
        installed
            .map(|entry| entry.package.name.to_string())
            .collect()
    } else {
        args.names.clone()
    };
    if names.is_empty() {
        ui.status("No plugins installed.");
        return Ok(());
    }
    let interrupt = Interrupt::watch();
    let mut failed = 0;
    for name in &names {
        match one(ui, args, &bench, &interrupt, name) {
            Ok(()) => {}
            Err(error) if names.len() == 1 || error.exit() == Exit::Interrupted => {
                return Err(error);
            }
            Err(error) => {
                ui.failure("Updating", name);
                ui.error(&error);
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(CommandError::new(format!(
            "{failed} of {} plugins could not be updated",
            names.len()
        ))),
    }
}

fn one(
    ui: Ui,
    args: &Args,
    bench: &Bench,
    interrupt: &Interrupt,
    name: &str,
) -> Result<(), CommandError> {
    let installed = &bench.installed;
    let fetcher = bench.fetcher(&args.connection)?;
    let candidate = progress::during(ui, Work::Plugins, |progress| {
        installed.prepare_update(&fetcher, name, progress, interrupt.cancel())
    });
    let candidate = interrupt.settle(candidate)?;
    if candidate.is_current() {
        done(ui, "Up to date", name, "");
        return Ok(());
    }
    if args.check {
        let aside = if candidate.wants_consent() {
            "asks for more than before"
        } else {
            "asks for the same as before"
        };
        done(ui, "Newer", name, aside);
        return Ok(());
    }
    let mut command = vec!["msb plugin update".to_owned(), quoted(name)];
    command.extend(args.connection.words());
    let command = command.join(" ");
    let Some(grants) = consent::ask(ui, &args.consent, &candidate, &command)? else {
        return Ok(());
    };
    let committed = progress::during(ui, Work::Plugins, |progress| {
        installed.commit(
            &candidate,
            &grants,
            None,
            progress.as_ref(),
            interrupt.cancel(),
        )
    });
    interrupt.settle(committed)?;
    install::tell(ui, "Updated", &candidate, &grants);
    Ok(())
}
