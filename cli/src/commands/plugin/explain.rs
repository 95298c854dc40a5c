//! `msb plugin explain-auth`

use msb_host::address;
use msb_host::auth::{ProviderAttempt, ProviderReply};
use msb_host::credential::{Action, CredentialRequest};
use msb_host::reference::canonical_host;
use serde::Serialize;

use crate::commands::{self, DataFormat};
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::table::Table;
use crate::ui::Ui;

/// Show who is asked for the credentials of a registry, in which order, and what each says.
///
/// The first that answers is used. No secret is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin explain-auth ghcr.io")]
pub(crate) struct Args {
    /// The registry.
    registry: String,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

#[derive(Serialize)]
struct Row {
    provider: String,
    tier: String,
    answers: bool,
    used: bool,
    said: String,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let registry = canonical_host(&args.registry).ok_or_else(|| {
        CommandError::new(format!(
            "`{}` is not a registry",
            address::shown_as_registry(&args.registry)
        ))
        .hint("write it like ghcr.io or host:5000")
    })?;
    let chain = commands::open()?.credentials()?;
    let interrupt = Interrupt::watch();
    let attempts = progress::during(ui, Work::List, |progress| {
        let request = CredentialRequest::new(&*registry, Action::Pull);
        chain.explain(&request, &interrupt.context(progress))
    });
    let attempts = interrupt.settle(attempts)?;
    let end = attempts.iter().position(is_end);
    let rows: Vec<Row> = attempts
        .iter()
        .enumerate()
        .map(|(number, attempt)| Row {
            provider: attempt.provider.clone(),
            tier: attempt.tier.to_string(),
            answers: attempt.reply.is_answer(),
            used: end == Some(number) && attempt.reply.is_answer(),
            said: attempt.reply.to_string(),
        })
        .collect();
    if args.format == Some(DataFormat::Json) {
        return ui.json(&rows);
    }
    let cells = |(number, row): (usize, &Row)| {
        vec![
            (number + 1).to_string(),
            escaped(&row.provider).into_owned(),
            if row.used { "used" } else { "" }.to_owned(),
            escaped(&row.said).into_owned(),
        ]
    };
    ui.table(Table {
        header: &["", "PROVIDER", "", "SAYS"],
        rows: rows.iter().enumerate().map(cells).collect(),
        // What a provider says is for reading.
        cuts: &[],
    })?;
    match end.and_then(|end| attempts.get(end)) {
        Some(attempt) if attempt.reply.is_answer() => {
            ui.status(&format!("`{}` answers for {registry}.", attempt.provider));
        }
        Some(attempt) => ui.status(&format!(
            "The search ends with the fault of `{}`.",
            attempt.provider
        )),
        None => ui.status(&format!(
            "Nobody answers: {registry} is asked without credentials."
        )),
    }
    Ok(())
}

/// Returns whether no provider is asked after this one.
fn is_end(attempt: &ProviderAttempt) -> bool {
    attempt.reply.is_answer() || matches!(attempt.reply, ProviderReply::Failed { stops: true, .. })
}
