//! The question before a plugin is installed or updated: what it is, what it asks for, what is more
//! than before.

use std::borrow::Cow;
use std::io::{self, BufRead as _, IsTerminal as _};

use msb_host::credential::{AuthSourceKind, Tier};
use msb_host::installed::{Candidate, Provenance, RequestedGrant};
use msb_host::plugin::{PluginKind, exposure, shell_word};

use crate::error::CommandError;
use crate::escape::escaped;
use crate::page::Page;
use crate::ui::Ui;

/// What the user says to what a plugin asks for.
pub(super) struct Consent<'a> {
    pub(super) grants: &'a [String],
    pub(super) yes: bool,
    /// The command that gives it, without grants.
    pub(super) command: String,
}

/// Returns what is granted, and nothing where the user does not want the plugin.
pub(super) fn agree(
    ui: Ui,
    candidate: &Candidate,
    consent: &Consent<'_>,
) -> Result<Option<Vec<String>>, CommandError> {
    if candidate.is_agreed() && consent.grants.is_empty() {
        return Ok(Some(candidate.agreed()));
    }
    let grants = match consent.grants {
        [] => None,
        named => Some(given(ui, candidate, named)?),
    };
    // Whoever names permissions has looked at a plugin that is new, and not at what an update makes
    // more of it besides.
    if consent.yes || (grants.is_some() && candidate.increases.is_empty()) {
        tell(ui, candidate);
        return Ok(Some(grants.unwrap_or_else(|| candidate.agreed())));
    }
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        ui.prompt(&page(candidate));
        let grants = grants.unwrap_or_else(|| candidate.agreed());
        return Ok(confirmed(ui, candidate)?.then_some(grants));
    }
    if is_harmless(candidate) {
        return Ok(Some(candidate.agreed()));
    }
    Err(unasked(candidate, consent))
}

/// Returns whether nothing of a plugin needs the user's word: it is new, asks for no permission and takes no place.
fn is_harmless(candidate: &Candidate) -> bool {
    candidate.news.is_empty() && candidate.increases.is_empty() && candidate.replaces.is_none()
}

/// Says what the user agrees to unseen, also to one who wants to hear of nothing: it is not what was
/// asked for by name.
fn tell(ui: Ui, candidate: &Candidate) {
    let name = &candidate.name;
    let note = |text: &str| ui.prompt(&format!("note: {}\n", escaped(&format!("{name} {text}"))));
    if candidate.previous.is_none()
        && let Some(other) = &candidate.replaces
    {
        note(&format!("takes the place of {other}"));
    }
    for increase in &candidate.increases {
        note(&increase.to_string());
    }
}

/// Returns the permissions that the user has named, in canonical form.
fn given(ui: Ui, candidate: &Candidate, named: &[String]) -> Result<Vec<String>, CommandError> {
    let given = candidate.check_grants(named)?;
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
    Ok(given)
}

/// Returns the error of one who cannot be asked, with the command that says yes.
fn unasked(candidate: &Candidate, consent: &Consent<'_>) -> CommandError {
    let what = match (candidate.news.is_empty(), candidate.increases.is_empty()) {
        (false, true) => "asks for permissions",
        (true, true) => "takes the place of another",
        (_, false) => "is more than you have agreed to",
    };
    let mut error = CommandError::new(format!(
        "plugin `{}` {what}, and there is no terminal to ask you",
        candidate.name
    ));
    let mut command = consent.command.clone();
    if candidate.news.is_empty() || !candidate.increases.is_empty() {
        command.push_str(" --yes");
    }
    if !candidate.news.is_empty() || !consent.grants.is_empty() {
        let agreed = candidate.agreed();
        let grants = if consent.grants.is_empty() {
            &agreed
        } else {
            consent.grants
        };
        for grant in grants {
            command.push_str(" --grant ");
            command.push_str(&shell_word(grant));
        }
    }
    if candidate.previous.is_none()
        && let Some(other) = &candidate.replaces
    {
        error = error.hint(format!("it takes the place of {other}"));
    }
    for increase in &candidate.increases {
        error = error.hint(format!("it {increase}"));
    }
    for requested in &candidate.news {
        error = error.hint(format!(
            "it asks for `{}`{}",
            requested.grant,
            why(&requested.reason)
        ));
    }
    if let Some(exposure) = together(candidate) {
        error = error.hint(format!("together: {exposure}"));
    }
    error.hint(format!("to agree to all of it: {command}"))
}

fn confirmed(ui: Ui, candidate: &Candidate) -> Result<bool, CommandError> {
    let question = match (&candidate.previous, candidate.news.is_empty()) {
        (None, true) => "Install it? [y/N] ",
        (None, false) => "Install it and grant this? [y/N] ",
        (Some(_), true) => "Update it to this? [y/N] ",
        (Some(_), false) => "Update it and grant what is new? [y/N] ",
    };
    ui.prompt(question);
    said_yes(ui)
}

/// Reads an answer.
pub(super) fn said_yes(ui: Ui) -> Result<bool, CommandError> {
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
pub(super) fn page(candidate: &Candidate) -> String {
    let inspection = &candidate.inspection;
    let kind = candidate.kind();
    let mut page = Page::new(14);
    page.pair("Plugin", &candidate.name);
    page.pair("Kind", word(kind.word()));
    let title = format!("{} ({})", inspection.kind.name(), inspection.kind.title());
    page.pair("Provides", &title);
    page.pair("Version", candidate.version.as_deref().unwrap_or_default());
    page.pair("API", &inspection.api);
    page.pair("Source", &candidate.source);
    let manifest = candidate.manifest.as_ref().map(ToString::to_string);
    page.pair("Manifest", &manifest.unwrap_or_default());
    page.pair("Digest", &inspection.digest.to_string());
    let signer = candidate.signers.first();
    let signer = signer.map(|(signer, _)| signer.to_string());
    let signer = signer.unwrap_or_else(|| "nothing that was checked".to_owned());
    page.pair("Signed with", &signer);
    let also = candidate.signers.iter().skip(1);
    page.list(
        "And with",
        also.map(|(signer, _)| signer.to_string().into()),
    );
    add_provenance(&mut page, candidate.provenance.as_ref());
    page.pair(
        "Replaces",
        candidate.replaces.as_deref().unwrap_or_default(),
    );
    if let PluginKind::Credential(description) = &inspection.kind {
        page.pair("Tier", description.tier.map_or("", Tier::word));
        page.pair("Reads", description.reads.map_or("", AuthSourceKind::word));
    }
    page.list("For registries", kind.registries().iter().map(Cow::from));
    page.pair("Can", &kind.operations().join(", "));
    page.pair("Limits", &candidate.limits.to_string());
    if candidate.asks.is_empty() {
        page.pair("Asks for", "nothing");
    }
    let line = |requested: &RequestedGrant| {
        let mark = if candidate.previous.is_some() && candidate.news.contains(requested) {
            " (new)"
        } else {
            ""
        };
        format!("{}{mark}{}", requested.grant, why(&requested.reason)).into()
    };
    page.list("Asks for", candidate.asks.iter().map(line));
    page.pair("Together", &together(candidate).unwrap_or_default());
    let more = |increase: &_| format!("it {increase}").into();
    page.list("More than now", candidate.increases.iter().map(more));
    page.into_text()
}

/// Says where a plugin was built, where that was shown.
pub(super) fn add_provenance(page: &mut Page, provenance: Option<&Provenance>) {
    let Some(provenance) = provenance else {
        return;
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    page.pair("Built by", &text(&provenance.builder));
    page.pair("Built from", &text(&provenance.source));
    page.pair("Revision", &text(&provenance.revision));
    let signer = match (&provenance.signer, &provenance.issuer) {
        (Some(signer), Some(issuer)) => format!("{signer} (issuer {issuer})"),
        (Some(signer), None) => signer.clone(),
        _ => "the key that it is signed with".to_owned(),
    };
    page.pair("Attested by", &signer);
}

/// Returns what the permissions come to that it would have.
fn together(candidate: &Candidate) -> Option<String> {
    exposure(candidate.agreed().iter().map(String::as_str))
}

fn word(kind: &str) -> &'static str {
    match kind {
        "credential" => "credential provider",
        _ => "archive format",
    }
}

fn why(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}
