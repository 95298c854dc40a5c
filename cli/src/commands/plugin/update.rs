//! `msb plugin update`

use std::time::Duration;

use msb_host::installed::{
    Candidate, Destination, InstallRequest, InstalledError, Lock, LockedPlugin, Purpose, Source,
};
use msb_host::work::PluginSources;
use serde::Serialize;

use super::consent::{Consent, agree};
use super::install::{commit, options};
use crate::commands::DataFormat;
use crate::commands::connection::Connection;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Take what is at the source of a plugin now, or another version.
///
/// An update that asks for no more than before is taken without a question. One that asks for more, does more, is asked
/// about more registries, takes another's place, or is signed by another is agreed to as when it was
/// installed; until then the old one stays. Permissions and order are kept.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = "\
Examples:
  msb plugin update
  msb plugin update vault --to 1.3.0
  msb plugin update vault --to '^1.2'       # And stay within it
  msb plugin update --check --format json   # Exit status 10: there is something")]
pub(crate) struct Args {
    /// The plugins [default: all].
    names: Vec<String>,
    /// Go to this tag or digest of its repository, to the newest version in a range, or to another
    /// source.
    #[arg(long, value_name = "TAG|RANGE|SOURCE", conflicts_with = "locked")]
    to: Option<String>,
    /// Only show available updates; the exit status is 10 where there are some.
    #[arg(long)]
    check: bool,
    /// Output format of --check.
    #[arg(long, value_enum, requires = "check")]
    format: Option<DataFormat>,
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

/// An update as programs see it.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    available: bool,
    version: Option<String>,
    available_version: Option<String>,
    source: String,
    available_source: String,
    sha256: String,
    available_sha256: String,
    /// The permissions that it asks for and did not.
    asks: Vec<String>,
    /// What else is more than was agreed to.
    increases: Vec<String>,
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
    if args.to.is_some() && args.names.len() != 1 {
        return Err(CommandError::new(
            "--to updates one plugin, which must be named",
        ));
    }
    let mut rows = Vec::new();
    for name in &names {
        let plugin = locked(name, &lock, &plugins)?;
        let candidate = candidate(ui, &plugins, &interrupt, plugin, args)?;
        let candidate = interrupt.settle(candidate)?;
        if args.check {
            rows.push(row(plugin, &candidate));
            if args.format.is_none() {
                tell(ui, &candidate)?;
            }
            continue;
        }
        if candidate.is_installed() && !candidate.moves() {
            ui.status(&format!("{name} is up to date."));
            continue;
        }
        let consent = Consent {
            grants: &args.grant,
            yes: args.yes,
            command: command(name, args),
        };
        let Some(grants) = agree(ui, &candidate, &consent)? else {
            ui.status("Aborted. The old one stays.");
            continue;
        };
        commit(ui, &plugins, &interrupt, &candidate, &grants, None)?;
        let version = candidate.version.as_deref().unwrap_or_default();
        ui.success("Updated", name, version, Duration::ZERO);
    }
    if args.format == Some(DataFormat::Json) {
        ui.json(&rows)?;
    }
    if rows.iter().any(|row| row.available) {
        return Err(CommandError::Available);
    }
    Ok(())
}

/// Returns the plugin of a name, if it can be updated.
fn locked<'l>(
    name: &str,
    lock: &'l Lock,
    plugins: &PluginSources,
) -> Result<&'l LockedPlugin, InstalledError> {
    if let Some(plugin) = lock.plugin(name) {
        return Ok(plugin);
    }
    let name = name.to_owned();
    Err(if plugins.installed().find(&name).is_ok() {
        InstalledError::Builtin {
            name,
            what: "updated without msb itself",
        }
    } else {
        let installed = lock.plugins.iter().map(|it| it.name.clone()).collect();
        InstalledError::NotInstalled { name, installed }
    })
}

/// Fetches what a plugin is to become.
fn candidate(
    ui: Ui,
    plugins: &PluginSources,
    interrupt: &Interrupt,
    plugin: &LockedPlugin,
    args: &Args,
) -> Result<Result<Candidate, InstalledError>, CommandError> {
    let current: Source = plugin.source.parse().map_err(InstalledError::from)?;
    // What --locked compares is what the lock names, whatever came after it.
    let range = plugin.range.as_ref().filter(|_| !args.locked);
    Ok(progress::during(ui, Work::Install, |progress| {
        let context = interrupt.context(progress);
        let network = plugins.network(&context);
        let to = match args.to.as_ref().or(range) {
            Some(to) => Destination::find(&current, to, &network, interrupt.cancel())?,
            None => Destination {
                source: current,
                range: plugin.range.clone(),
            },
        };
        let request = InstallRequest {
            name: Some(plugin.name.clone()),
            locked: args.locked,
            purpose: Purpose::Update,
            range: to.range,
            ..InstallRequest::default()
        };
        let installer = plugins.installer(&network, &context);
        installer.prepare(&to.source, &request)
    }))
}

fn command(name: &str, args: &Args) -> String {
    let mut command = format!("msb plugin update {name}");
    if let Some(to) = &args.to {
        command.push_str(" --to ");
        command.push_str(&msb_host::plugin::shell_word(&msb_host::address::shown(to)));
    }
    command.push_str(&options(&args.connection));
    command
}

fn row(plugin: &LockedPlugin, candidate: &Candidate) -> Row {
    let news = candidate.news.iter();
    Row {
        name: plugin.name.clone(),
        available: !candidate.is_installed(),
        version: plugin.version.clone(),
        available_version: candidate.version.clone(),
        source: plugin.source.clone(),
        available_source: candidate.source.clone(),
        sha256: plugin.sha256.to_string(),
        available_sha256: candidate.inspection.digest.to_string(),
        asks: news.map(|requested| requested.grant.clone()).collect(),
        increases: candidate
            .increases
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

fn tell(ui: Ui, candidate: &Candidate) -> Result<(), CommandError> {
    if candidate.is_installed() {
        ui.status(&format!("{} is up to date.", candidate.name));
        return Ok(());
    }
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
