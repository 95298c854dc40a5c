//! `msb plugin ls`

use msb_host::credential::{AuthSourceKind, Tier};
use msb_host::installed::{Candidate, Listed, Provenance};
use msb_host::plugin::PluginKind;
use serde::Serialize;

use crate::commands::{self, DataFormat};
use crate::error::CommandError;
use crate::escape::escaped;
use crate::table::{Cut, Table};
use crate::ui::Ui;

/// List the plugins, those of msb and those that were installed, in the order of asking.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin ls
  msb plugin ls --format json")]
pub(crate) struct Args {
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// A plugin as programs see it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: String,
    kind: &'static str,
    provides: String,
    title: String,
    version: Option<String>,
    builtin: bool,
    enabled: bool,
    tier: Option<&'static str>,
    reads: Option<&'static str>,
    replaced_by: Option<String>,
    /// The plugin of msb whose place it takes.
    replaces: Option<String>,
    /// The registries that a credential provider wants to be asked about.
    registries: Vec<String>,
    source: Option<String>,
    sha256: Option<String>,
    manifest: Option<String>,
    key: Option<String>,
    /// Who its certificate is for, where it is not signed with a key.
    identity: Option<String>,
    issuer: Option<String>,
    provenance: Option<Provenance>,
    api: Option<String>,
    imports: Vec<String>,
    asks: Vec<String>,
    grants: Vec<String>,
}

impl Row {
    pub(super) fn of(listed: &Listed) -> Self {
        let package = &listed.package;
        let locked = listed.locked.as_ref();
        let (tier, reads) = role(&package.kind);
        Self {
            name: package.name.to_string(),
            kind: listed.kind(),
            provides: package.kind.name().to_owned(),
            title: package.kind.title().to_owned(),
            version: package.version.clone(),
            builtin: package.builtin,
            enabled: listed.enabled,
            tier: tier.map(Tier::word),
            reads: reads.map(AuthSourceKind::word),
            replaced_by: listed.replaced_by.clone(),
            replaces: locked.and_then(|locked| locked.replaces.clone()),
            registries: match &package.kind {
                PluginKind::Credential(description) => description.registries.clone(),
                PluginKind::Format(_) => Vec::new(),
            },
            source: locked.map(|locked| locked.source.clone()),
            sha256: locked.map(|locked| locked.sha256.to_string()),
            manifest: locked.and_then(|locked| Some(locked.manifest.as_ref()?.to_string())),
            key: locked.and_then(|locked| locked.key.clone()),
            identity: locked.and_then(|locked| locked.signed.as_ref()?.identity.clone()),
            issuer: locked.and_then(|locked| Some(locked.identity.as_ref()?.issuer.clone())),
            provenance: locked.and_then(|locked| locked.provenance.clone()),
            api: locked.map(|locked| locked.api.clone()),
            imports: locked.map(|it| it.imports.clone()).unwrap_or_default(),
            asks: locked
                .map(|it| {
                    it.asks
                        .iter()
                        .map(|requested| requested.grant.clone())
                        .collect()
                })
                .unwrap_or_default(),
            grants: listed.grants(),
        }
    }
}

impl Row {
    /// What is not installed: it may do nothing.
    pub(super) fn of_candidate(candidate: &Candidate) -> Self {
        let inspection = &candidate.inspection;
        let asks = candidate.asks.iter();
        let signer = candidate.signers.first();
        let (tier, reads) = role(&inspection.kind);
        Self {
            name: candidate.name.clone(),
            kind: candidate.kind().word(),
            provides: inspection.kind.name().to_owned(),
            title: inspection.kind.title().to_owned(),
            version: candidate.version.clone(),
            builtin: false,
            enabled: false,
            tier: tier.map(Tier::word),
            reads: reads.map(AuthSourceKind::word),
            replaced_by: None,
            replaces: candidate.replaces.clone(),
            registries: candidate.kind().registries().to_vec(),
            source: Some(candidate.source.clone()),
            sha256: Some(inspection.digest.to_string()),
            manifest: candidate.manifest.as_ref().map(ToString::to_string),
            key: signer.and_then(|(signer, _)| signer.key()),
            identity: signer.and_then(|(_, signature)| signature.identity.clone()),
            issuer: signer.and_then(|(signer, _)| Some(signer.identity()?.issuer.clone())),
            provenance: candidate.provenance.clone(),
            api: Some(inspection.api.clone()),
            imports: inspection.imports.clone(),
            asks: asks.map(|requested| requested.grant.clone()).collect(),
            grants: Vec::new(),
        }
    }
}

/// Returns why a provider is asked, and the source that it reads.
fn role(kind: &PluginKind) -> (Option<Tier>, Option<AuthSourceKind>) {
    match kind {
        PluginKind::Credential(it) => (it.tier, it.reads),
        PluginKind::Format(_) => (None, None),
    }
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let installed = commands::open()?.plugins()?;
    if args.format == Some(DataFormat::Json) {
        let rows: Vec<Row> = installed.listed().iter().map(Row::of).collect();
        return ui.json(&rows);
    }
    ui.table(Table {
        header: &["NAME", "KIND", "PROVIDES", "VERSION", "STATE", "SOURCE"],
        rows: installed.listed().iter().map(cells).collect(),
        cuts: &[(0, Cut::End), (2, Cut::End), (4, Cut::End), (5, Cut::Start)],
    })
}

fn cells(listed: &Listed) -> Vec<String> {
    let package = &listed.package;
    let cell = |text: &str| escaped(text).into_owned();
    let source = listed.locked.as_ref().map(|locked| locked.source.as_str());
    vec![
        cell(&package.name),
        listed.kind().to_owned(),
        cell(package.kind.name()),
        cell(package.version.as_deref().unwrap_or("-")),
        state(listed),
        cell(source.unwrap_or("built in")),
    ]
}

/// Returns what is with a plugin, in a word or a few.
pub(super) fn state(listed: &Listed) -> String {
    match (&listed.replaced_by, listed.enabled) {
        (_, false) => "disabled".to_owned(),
        (Some(by), true) => format!("replaced by {by}"),
        (None, true) => "enabled".to_owned(),
    }
}
