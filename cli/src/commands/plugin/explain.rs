//! `msb plugin explain-auth`

use msb_host::address;
use msb_host::auth::{Action, Question, Said, Step, Surroundings};
use msb_host::reference::canonical_host;
use msb_host::settings::Settings;
use msb_host::store::Home;
use serde::Serialize;

use crate::commands::{DataFormat, open_chain};
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::table;
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
    let home = Home::resolve()?;
    let settings = Settings::read(&home)?;
    let chain = open_chain(&home, &settings)?;
    let interrupt = Interrupt::watch();
    let steps = progress::during(ui, Work::List, |progress| {
        let around = Surroundings {
            progress,
            cancel: interrupt.cancel(),
        };
        let question = Question {
            registry: &registry,
            repository: None,
            action: Action::Pull,
            challenges: &[],
            attempt: 1,
        };
        chain.explain(&question, &around)
    });
    let steps = interrupt.settle(steps)?;
    let end = steps.iter().position(is_end);
    let rows: Vec<Row> = steps
        .iter()
        .enumerate()
        .map(|(number, step)| Row {
            provider: step.provider.clone(),
            tier: format!("{:?}", step.tier).to_lowercase(),
            answers: step.said.is_answer(),
            used: end == Some(number) && step.said.is_answer(),
            said: step.said.to_string(),
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
    ui.table(&table::lines(
        &["", "PROVIDER", "", "SAYS"],
        &rows.iter().enumerate().map(cells).collect::<Vec<_>>(),
    ))?;
    match end.and_then(|end| steps.get(end)) {
        Some(step) if step.said.is_answer() => {
            ui.status(&format!("`{}` answers for {registry}.", step.provider));
        }
        Some(step) => ui.status(&format!(
            "The search ends with the fault of `{}`.",
            step.provider
        )),
        None => ui.status(&format!(
            "Nobody answers: {registry} is asked without credentials."
        )),
    }
    Ok(())
}

/// Returns whether nobody is asked after this one.
fn is_end(step: &Step) -> bool {
    step.said.is_answer() || matches!(step.said, Said::Failed { stops: true, .. })
}
