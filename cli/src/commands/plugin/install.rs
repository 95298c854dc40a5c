//! `msb plugin install`

use msb_host::plugin::{Candidate, Grants, Position, Source};

use super::consent::{self, Consent, quoted};
use super::{Bench, Connection, done};
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Install a plugin from a file, an HTTPS address or a registry.
///
/// What it is and what it asks for is shown first; it may do nothing that you have not permitted.
/// The lock file `plugins/plugins.lock` in the home of msb keeps its source, digest and permissions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin install ./vault.wasm
  msb plugin install ghcr.io/acme/vault:1.2.0
  msb plugin install https://example.com/vault.wasm --grant env=VAULT_TOKEN
  msb plugin install --locked")]
pub(crate) struct Args {
    /// A file, an https:// address, or the reference of an OCI artifact.
    #[arg(required_unless_present = "locked")]
    source: Option<String>,
    #[command(flatten)]
    consent: Consent,
    /// What it is called, instead of the last part of its source.
    #[arg(long, value_name = "NAME", conflicts_with = "locked")]
    name: Option<String>,
    /// Have it asked before this plugin.
    #[arg(long, value_name = "PLUGIN", conflicts_with_all = ["after", "locked"])]
    before: Option<String>,
    /// Have it asked after this plugin.
    #[arg(long, value_name = "PLUGIN", conflicts_with = "locked")]
    after: Option<String>,
    /// Change nothing in the lock file: fetch what it names and is not there, for CI.
    #[arg(long, conflicts_with_all = ["grant", "yes"])]
    locked: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let bench = Bench::open()?;
    let source = args.source.as_deref().map(str::parse::<Source>);
    let source = source
        .transpose()
        .map_err(msb_host::plugin::InstalledError::from)?;
    let Some(source) = source.filter(|_| !args.locked) else {
        return restore(ui, args, &bench);
    };
    let fetcher = bench.fetcher(&args.connection)?;
    let interrupt = Interrupt::watch();
    let candidate = progress::during(ui, Work::Plugins, |progress| {
        let (name, cancel) = (args.name.as_deref(), interrupt.cancel());
        bench
            .installed
            .prepare(&fetcher, &source, name, progress, cancel)
    });
    let candidate = interrupt.settle(candidate)?;
    let Some(grants) = consent::ask(ui, &args.consent, &candidate, &again(args))? else {
        return Ok(());
    };
    let position = match (&args.before, &args.after) {
        (Some(other), _) => Some(Position::Before(other.clone())),
        (None, Some(other)) => Some(Position::After(other.clone())),
        (None, None) => None,
    };
    let committed = progress::during(ui, Work::Plugins, |progress| {
        let (position, cancel) = (position.as_ref(), interrupt.cancel());
        bench
            .installed
            .commit(&candidate, &grants, position, progress.as_ref(), cancel)
    });
    interrupt.settle(committed)?;
    tell(ui, "Installed", &candidate, &grants);
    Ok(())
}

/// Says what was installed, and what it may not do although it asks for it.
pub(super) fn tell(ui: Ui, verb: &str, candidate: &Candidate, grants: &Grants) {
    let version = candidate.inspection.metadata.version.as_deref();
    let aside = if candidate.is_current() {
        "the same as before".to_owned()
    } else {
        version.unwrap_or(candidate.kind()).to_owned()
    };
    done(ui, verb, &candidate.name, &aside);
    for need in &candidate.inspection.needs {
        if !grants.contains(&need.grant) {
            ui.note(&format!(
                "it also asks for {}: `msb plugin grant {} {}`",
                need.grant,
                candidate.name,
                quoted(&need.grant.to_string())
            ));
        }
    }
}

/// Returns the command that was run, up to its permissions.
fn again(args: &Args) -> String {
    let mut words = vec!["msb plugin install".to_owned()];
    words.extend(args.source.as_deref().map(quoted));
    let options = [
        ("--name", &args.name),
        ("--before", &args.before),
        ("--after", &args.after),
    ];
    for (option, value) in options {
        if let Some(value) = value {
            words.extend([option.to_owned(), quoted(value)]);
        }
    }
    words.extend(args.connection.words());
    words.join(" ")
}

/// Fetches what the lock file names and is not there, or not as it should be.
fn restore(ui: Ui, args: &Args, bench: &Bench) -> Result<(), CommandError> {
    let source = args.source.as_deref().map(str::parse::<Source>);
    let source = source
        .transpose()
        .map_err(msb_host::plugin::InstalledError::from)?;
    let only = match &source {
        Some(source) => Some(bench.installed.locked_from(source)?),
        None => None,
    };
    let mut missing = bench.installed.damaged();
    missing.retain(|name| only.is_none_or(|only| only == name));
    if missing.is_empty() {
        ui.status("Everything in the lock file is installed.");
        return Ok(());
    }
    let fetcher = bench.fetcher(&args.connection)?;
    let interrupt = Interrupt::watch();
    for name in missing {
        let restored = progress::during(ui, Work::Plugins, |progress| {
            let cancel = interrupt.cancel();
            bench.installed.restore(&fetcher, &name, progress, cancel)
        });
        interrupt.settle(restored)?;
        done(ui, "Installed", &name, "as locked");
    }
    Ok(())
}
