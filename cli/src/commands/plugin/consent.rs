//! What a plugin wants, shown and asked before anything is changed.
//!
//! Owns the question, and the command that answers it where there is nobody to ask.

use std::io::{self, BufRead as _, IsTerminal as _};

use msb_host::plugin::{Candidate, Grant, Grants};

use crate::error::CommandError;
use crate::ui::Ui;

/// What the user has said beforehand.
#[derive(Debug, clap::Args)]
pub(crate) struct Consent {
    /// Give this permission, and those alone that are given like this; may be repeated.
    #[arg(long, value_name = "PERMISSION")]
    grant: Vec<Grant>,
    /// Give all permissions that are asked for.
    #[arg(short, long)]
    yes: bool,
}

/// Returns what a candidate may do, or nothing if the user does not want it. `command` is the one
/// that is run, for somebody who cannot be asked.
pub(super) fn ask(
    ui: Ui,
    consent: &Consent,
    candidate: &Candidate,
    command: &str,
) -> Result<Option<Grants>, CommandError> {
    let wanted = || candidate.ask.needs.iter().map(|need| need.grant.clone());
    let given = consent.grant.iter().cloned();
    let with = |more: &mut dyn Iterator<Item = Grant>| {
        let all = candidate.granted.iter().cloned().chain(more);
        Some(all.collect::<Grants>())
    };
    if consent.yes {
        return Ok(with(&mut wanted().chain(given)));
    }
    if !consent.grant.is_empty() || !candidate.wants_consent() {
        return Ok(with(&mut given.into_iter()));
    }
    show(ui, candidate);
    if !io::stdin().is_terminal() {
        return Err(refused(candidate, command));
    }
    let question = match (candidate.updates.is_some(), candidate.ask.needs.is_empty()) {
        (true, true) => "Update it? [y/N] ",
        (true, false) => "Update it with these permissions? [y/N] ",
        (false, true) => "Install it? [y/N] ",
        (false, false) => "Install it with these permissions? [y/N] ",
    };
    Ok(if confirmed(ui, question)? {
        with(&mut wanted())
    } else {
        ui.status("Aborted.");
        None
    })
}

/// Shows what a candidate is and what it asks for.
pub(super) fn show(ui: Ui, candidate: &Candidate) {
    let inspection = &candidate.inspection;
    let version = inspection.metadata.version.as_deref().unwrap_or("none");
    ui.status(&format!("Plugin {}", candidate.name));
    ui.status(&format!(
        "  Kind:      {}: {}",
        candidate.kind(),
        inspection.kind.title()
    ));
    ui.status(&format!("  Version:   {version}"));
    ui.status(&format!("  API:       {}", inspection.api));
    ui.status(&format!("  Source:    {}", candidate.source));
    ui.status(&format!("  Digest:    {}", inspection.digest));
    ui.status(&format!(
        "  Signed:    {}",
        if candidate.signed {
            "yes, checked"
        } else {
            "not checked"
        }
    ));
    if let Some(other) = &candidate.replaces {
        ui.status(&format!("  Replaces:  `{other}`, which ships with msb"));
    }
    let capabilities: Vec<&str> = inspection.capabilities.iter().map(|it| it.name()).collect();
    ui.status(&format!(
        "  Can use:   {}",
        if capabilities.is_empty() {
            "nothing beside what it is shown".to_owned()
        } else {
            format!(
                "{}, each as far as it is permitted",
                capabilities.join(", ")
            )
        }
    ));
    if candidate.ask.needs.is_empty() {
        return;
    }
    ui.status(if candidate.updates.is_some() {
        "  It asks for more than before:"
    } else {
        "  It asks for:"
    });
    for need in &candidate.ask.needs {
        ui.status(&if need.reason.is_empty() {
            format!("    {}", need.grant)
        } else {
            format!("    {}  ({})", need.grant, need.reason)
        });
    }
}

fn refused(candidate: &Candidate, command: &str) -> CommandError {
    let mut command = command.to_owned();
    for need in &candidate.ask.needs {
        command += " --grant ";
        command += &quoted(&need.grant.to_string());
    }
    let wish = match &candidate.replaces {
        _ if !candidate.ask.needs.is_empty() => "asks for permissions".to_owned(),
        Some(other) if candidate.updates.is_none() => {
            format!("takes the place of `{other}`, which ships with msb")
        }
        _ => "can use more than before".to_owned(),
    };
    if candidate.ask.needs.is_empty() {
        command += " --yes";
    }
    CommandError::new(format!(
        "plugin `{}` {wish}, and there is no terminal to ask you at",
        candidate.name
    ))
    .hint(format!("if you agree: {command}"))
}

fn confirmed(ui: Ui, question: &str) -> Result<bool, CommandError> {
    ui.prompt(question);
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| CommandError::new("could not read the answer").because(&error))?;
    if !answer.ends_with('\n') {
        // The end of the input leaves the cursor behind the question.
        ui.prompt("\n");
    }
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Returns a word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| {
        letter.is_ascii_alphanumeric()
            || matches!(letter, '=' | '/' | '.' | ':' | '-' | '_' | '@' | ',')
    };
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
