//! `msb plugin update`

use std::time::Duration;

use msb_host::plugin::InstalledError;
use msb_host::plugin::installed::{Candidate, InstallRequest, Lock, Source};

use super::consent::{Consent, agree};
use super::install::commit;
use crate::commands::connection::Connection;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Take what is at the source of a plugin now.
///
/// What is no more than before is taken without a question. What asks for more, does more, is asked
/// about more registries, takes another's place, or is signed by another is agreed to as when it was
/// installed; until then the old one stays.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = "\
Examples:
  msb plugin update
  msb plugin update vault --check")]
pub(crate) struct Args {
    /// The plugins [default: all].
    names: Vec<String>,
    /// Only show available updates.
    #[arg(long)]
    check: bool,
    /// Grant this and nothing else.
    #[arg(long, value_name = "GRANT")]
    grant: Vec<String>,
    /// Agree to all that is more than before, without a question; with --grant, to no other
    /// permissions.
    #[arg(short, long)]
    yes: bool,
    /// Change nothing: what is at the sources must be what is in plugins.lock.
    #[arg(long, env = "MSB_PLUGIN_LOCKED", value_parser = clap::builder::FalseyValueParser::new())]
    locked: bool,
    #[command(flatten)]
    connection: Connection,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = args.connection.open()?;
    let plugins = msb.plugin_sources()?;
    let interrupt = Interrupt::watch();
    let lock = Lock::read(msb.home())?;
    let all = lock.plugins.iter().map(|plugin| plugin.name.clone());
    let names = if args.names.is_empty() {
        all.collect()
    } else {
        args.names.clone()
    };
    for name in &names {
        let Some(plugin) = lock.plugin(name) else {
            if plugins.installed().find(name).is_ok() {
                return Err(InstalledError::Builtin {
                    name: name.clone(),
                    what: "updated without msb itself",
                }
                .into());
            }
            return Err(InstalledError::NotInstalled {
                name: name.clone(),
                installed: lock.plugins.iter().map(|it| it.name.clone()).collect(),
            }
            .into());
        };
        let source: Source = plugin.source.parse().map_err(InstalledError::from)?;
        let request = InstallRequest {
            name: Some(name.clone()),
            key: None,
            locked: args.locked,
            update: true,
            kept: false,
        };
        let candidate = progress::during(ui, Work::Install, |progress| {
            let context = interrupt.context(progress);
            let network = plugins.network(&context);
            let installer = plugins.installer(&network, &context);
            installer.prepare(&source, &request)
        });
        let candidate = interrupt.settle(candidate)?;
        if candidate.is_installed() {
            ui.status(&format!("{name} is up to date."));
            continue;
        }
        if args.check {
            tell(ui, &candidate)?;
            continue;
        }
        let consent = Consent {
            grants: &args.grant,
            yes: args.yes,
            command: format!("msb plugin update {name}"),
        };
        let Some(grants) = agree(ui, &candidate, &consent)? else {
            ui.status("Aborted. The old one stays.");
            continue;
        };
        commit(ui, &plugins, &interrupt, &candidate, &grants, None)?;
        let version = candidate.version.as_deref().unwrap_or_default();
        ui.success("Updated", name, version, Duration::ZERO);
    }
    Ok(())
}

fn tell(ui: Ui, candidate: &Candidate) -> Result<(), CommandError> {
    let version = |version: Option<&str>| version.unwrap_or("unknown").to_owned();
    let before = candidate.previous.as_ref();
    let before = version(before.and_then(|it| it.version.as_deref()));
    let now = version(candidate.version.as_deref());
    let mut lines = vec![format!(
        "{}: {before} -> {now} ({})",
        candidate.name, candidate.inspection.digest
    )];
    lines.extend(candidate.increases.iter().map(|it| format!("  it {it}")));
    let news = candidate.news.iter();
    lines.extend(news.map(|requested| format!("  it asks for `{}`", requested.grant)));
    let lines = lines.iter().map(|line| format!("{}\n", escaped(line)));
    ui.data(&lines.collect::<String>())
}
