//! `msb plugin install`

use std::borrow::Cow;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use msb_host::Msb;
use msb_host::address;
use msb_host::plugin::installed::{Candidate, InstallRequest, Lock, OrderPosition, Source};
use msb_host::plugin::{exposure, shell_word};
use msb_host::settings::{AuthSourceKind, KeySource, Tier};
use msb_host::work::PluginSources;

use crate::commands::connection::Connection;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::page::Page;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Install a plugin from a file, an HTTPS address or a registry.
///
/// Shows what it is and what it asks for, and asks. Without a terminal it is installed with `--yes`,
/// which grants what it asks for, or with `--grant`, which grants that and nothing else. What was
/// installed is pinned: only `msb plugin update` takes other bytes from the same source.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin install ./vault.wasm --grant http=https://vault.example.com
  msb plugin install ghcr.io/my-org/vault:1.2 --before docker-config
  msb plugin install https://example.com/vault.wasm --key RWQ...
  msb plugin install --locked               # All that plugins.lock has")]
pub(crate) struct Args {
    /// A path, an HTTPS address, or a reference. Without one, what the lock has and the disk has not.
    #[arg(required_unless_present = "locked")]
    source: Option<String>,
    /// Call it this, instead of what its source is called.
    #[arg(long)]
    name: Option<String>,
    /// Grant this and nothing else: `env=NAME`, `http=https://HOST`, `clock`, …
    #[arg(long, value_name = "GRANT")]
    grant: Vec<String>,
    /// Grant what it asks for, without a question.
    #[arg(short, long, conflicts_with = "grant")]
    yes: bool,
    /// Ask it before this plugin.
    #[arg(long, value_name = "NAME", conflicts_with = "after")]
    before: Option<String>,
    /// Ask it after this plugin.
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
    /// It must be signed with this key of minisign or cosign, or the one in this file.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Install only what is in plugins.lock, with the same digest.
    #[arg(long, env = "MSB_PLUGIN_LOCKED", value_parser = clap::builder::FalseyValueParser::new())]
    locked: bool,
    #[command(flatten)]
    connection: Connection,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// What the user says to what a plugin asks for.
pub(super) struct Consent<'a> {
    pub(super) grants: &'a [String],
    pub(super) yes: bool,
    /// The command that gives it, without grants.
    pub(super) command: String,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = args.connection.open()?;
    let plugins = msb.plugin_sources()?;
    let interrupt = Interrupt::watch();
    let Some(text) = &args.source else {
        return restore(ui, &msb, &interrupt);
    };
    let source: Source = text
        .parse()
        .map_err(msb_host::plugin::InstalledError::from)?;
    let request = InstallRequest {
        name: args.name.clone(),
        key: args
            .key
            .as_deref()
            .map(|key| KeySource::parse(key, Path::new("."))),
        locked: args.locked,
        update: false,
        kept: false,
    };
    let candidate = progress::during(ui, Work::Install, |progress| {
        let context = interrupt.context(progress);
        let network = plugins.network(&context);
        let installer = plugins.installer(&network, &context);
        installer.prepare(&source, &request)
    });
    let candidate = interrupt.settle(candidate)?;
    let consent = Consent {
        grants: &args.grant,
        // Who has the lock has agreed to what is in it.
        yes: args.yes || (args.locked && candidate.news.is_empty()),
        command: command(text, args),
    };
    let Some(grants) = agree(ui, &candidate, &consent)? else {
        ui.status("Aborted.");
        return Ok(());
    };
    let position = match (&args.before, &args.after) {
        (Some(other), _) => Some(OrderPosition::Before(other.clone())),
        (_, Some(other)) => Some(OrderPosition::After(other.clone())),
        _ => None,
    };
    commit(
        ui,
        &plugins,
        &interrupt,
        &candidate,
        &grants,
        position.as_ref(),
    )?;
    let aside = if candidate.is_installed() {
        "was there already"
    } else {
        ""
    };
    ui.success("Installed", &candidate.name, aside, Duration::ZERO);
    Ok(())
}

/// Keeps a plugin.
pub(super) fn commit(
    ui: Ui,
    plugins: &PluginSources,
    interrupt: &Interrupt,
    candidate: &Candidate,
    grants: &[String],
    position: Option<&OrderPosition>,
) -> Result<(), CommandError> {
    let committed = progress::during(ui, Work::Install, |progress| {
        let context = interrupt.context(progress);
        let network = plugins.network(&context);
        let installer = plugins.installer(&network, &context);
        installer.commit(candidate, grants, position)
    });
    interrupt.settle(committed)
}

/// Returns what is granted, and nothing where the user does not want the plugin.
pub(super) fn agree(
    ui: Ui,
    candidate: &Candidate,
    consent: &Consent<'_>,
) -> Result<Option<Vec<String>>, CommandError> {
    let asks_here = io::stdin().is_terminal() && io::stderr().is_terminal();
    let is_known = candidate.previous.is_some() && candidate.news.is_empty();
    if let Some(other) = candidate.replaces.as_ref().filter(|_| !is_known) {
        let is_asked = asks_here && consent.grants.is_empty() && !consent.yes;
        if !is_asked {
            // Also where the user wants to hear of nothing: this is not what was asked for by name.
            let text = format!("{} takes the place of {other}", candidate.name);
            ui.prompt(&format!("note: {}\n", escaped(&text)));
        }
    }
    if !consent.grants.is_empty() {
        let given = candidate.check_grants(consent.grants)?;
        for requested in candidate
            .asks
            .iter()
            .filter(|it| !given.contains(&it.grant))
        {
            ui.note(&format!(
                "`{}` was asked for and is not granted; what needs it will not work",
                requested.grant
            ));
        }
        return Ok(Some(given));
    }
    let agreed = candidate.agreed();
    if consent.yes || is_known {
        return Ok(Some(agreed));
    }
    if asks_here {
        ui.prompt(&page(candidate));
        return Ok(confirmed(ui, candidate)?.then_some(agreed));
    }
    if candidate.news.is_empty() {
        return Ok(Some(agreed));
    }
    let mut command = consent.command.clone();
    for grant in &agreed {
        command.push_str(" --grant ");
        command.push_str(&shell_word(grant));
    }
    let mut error = CommandError::new(format!(
        "plugin `{}` asks for permissions, and there is no terminal to ask you",
        candidate.name
    ));
    for requested in &candidate.news {
        error = error.hint(format!(
            "it asks for `{}`{}",
            requested.grant,
            why(&requested.reason)
        ));
    }
    if let Some(exposure) = exposure(candidate.asks.iter().map(|it| it.grant.as_str())) {
        error = error.hint(format!("together: {exposure}"));
    }
    Err(error.hint(format!("to grant all of it: {command}")))
}

fn confirmed(ui: Ui, candidate: &Candidate) -> Result<bool, CommandError> {
    let question = match (&candidate.previous, candidate.news.is_empty()) {
        (None, true) => "Install it? [y/N] ",
        (None, false) => "Install it and grant this? [y/N] ",
        (Some(_), _) => "Update it and grant what is new? [y/N] ",
    };
    ui.prompt(question);
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| CommandError::new("could not read the answer").because(&error))?;
    if !answer.ends_with('\n') {
        ui.prompt("\n");
    }
    let answer = answer.trim().to_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes"))
}

/// Returns what the user should know before they agree.
fn page(candidate: &Candidate) -> String {
    let inspection = &candidate.inspection;
    let mut page = Page::new(14);
    page.pair("Plugin", &candidate.name);
    page.pair("Kind", kind(candidate));
    let title = format!("{} ({})", inspection.kind.name(), inspection.kind.title());
    page.pair("Provides", &title);
    page.pair("Version", candidate.version.as_deref().unwrap_or_default());
    page.pair("API", &inspection.api);
    page.pair("Source", &candidate.source);
    let manifest = candidate.manifest.as_ref().map(ToString::to_string);
    page.pair("Manifest", &manifest.unwrap_or_default());
    page.pair("Digest", &inspection.digest.to_string());
    page.pair(
        "Signed with",
        candidate
            .key
            .as_deref()
            .unwrap_or("nothing that was checked"),
    );
    page.pair(
        "Replaces",
        candidate.replaces.as_deref().unwrap_or_default(),
    );
    if let msb_host::plugin::PluginKind::Credential(description) = &inspection.kind {
        page.pair("Tier", description.tier.map_or("", Tier::word));
        page.pair("Reads", description.reads.map_or("", AuthSourceKind::word));
        page.list(
            "For registries",
            description.registries.iter().map(Cow::from),
        );
        page.pair("Can", &operations(description.operations));
    }
    if candidate.asks.is_empty() {
        page.pair("Asks for", "nothing");
    }
    let line = |requested: &msb_host::plugin::installed::RequestedGrant| {
        let mark = if candidate.previous.is_some() && candidate.news.contains(requested) {
            " (new)"
        } else {
            ""
        };
        format!("{}{mark}{}", requested.grant, why(&requested.reason)).into()
    };
    page.list("Asks for", candidate.asks.iter().map(line));
    let exposure = exposure(candidate.asks.iter().map(|it| it.grant.as_str()));
    page.pair("Together", &exposure.unwrap_or_default());
    page.into_text()
}

/// Returns what a credential provider can do.
fn operations(can: msb_host::auth::Operations) -> String {
    let named = [
        (can.store, "store"),
        (can.erase, "erase"),
        (can.list, "list"),
        (can.report, "hear what became of its answers"),
    ];
    let named = named.into_iter().filter(|(can, _)| *can);
    let named: Vec<&str> = named.map(|(_, name)| name).collect();
    match named.as_slice() {
        [] => "find credentials".to_owned(),
        named => format!("find credentials, {}", named.join(", ")),
    }
}

fn kind(candidate: &Candidate) -> &'static str {
    match candidate.inspection.kind {
        msb_host::plugin::PluginKind::Credential(_) => "credential provider",
        msb_host::plugin::PluginKind::Format(_) => "archive format",
    }
}

fn why(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

fn command(source: &str, args: &Args) -> String {
    // What is secret in the address is the user's to write again.
    let source = address::shown(source);
    let mut command = format!("msb plugin install {}", shell_word(&source));
    let options = [
        ("--name", &args.name),
        ("--before", &args.before),
        ("--after", &args.after),
        ("--key", &args.key),
    ];
    for (option, value) in options {
        if let Some(value) = value {
            command.extend([" ", option, " ", &shell_word(value)]);
        }
    }
    if args.connection.insecure {
        command.push_str(" --insecure");
    }
    if let Some(verify) = args.connection.tls_verify {
        command.extend([" --tls-verify=", &verify.to_string()]);
    }
    for path in &args.connection.ca_certs {
        let path = path.to_string_lossy();
        command.extend([" --ca-certs ", &shell_word(&path)]);
    }
    command
}

/// Installs what the lock has and the disk has not.
fn restore(ui: Ui, msb: &Msb, interrupt: &Interrupt) -> Result<(), CommandError> {
    let lock = Lock::read(msb.home())?;
    // What is there is looked at before anything is fetched.
    msb.plugins()?;
    for plugin in &lock.plugins {
        let source: Source = plugin
            .source
            .parse()
            .map_err(msb_host::plugin::InstalledError::from)?;
        let request = InstallRequest {
            name: Some(plugin.name.clone()),
            key: None,
            locked: true,
            update: false,
            kept: true,
        };
        // A provider that was just installed may know the registry of the next plugin.
        let plugins = msb.plugin_sources()?;
        let done = progress::during(ui, Work::Install, |progress| {
            let context = interrupt.context(progress);
            let network = plugins.network(&context);
            let installer = plugins.installer(&network, &context);
            let candidate = installer.prepare(&source, &request)?;
            installer.commit(&candidate, &plugin.grants, None)
        });
        interrupt.settle(done)?;
        let name = escaped(&plugin.name);
        ui.success("Installed", &name, "as in the lock", Duration::ZERO);
    }
    Ok(())
}
