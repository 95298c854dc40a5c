//! `msb plugin explain-auth`

use msb_host::auth::{Action, Question, Said, Step, Surroundings, Tier, registry_named};
use serde::Serialize;

use super::Bench;
use crate::commands::DataFormat;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::table;
use crate::ui::Ui;

/// Say who is asked for the credentials of a registry, in which order, and what each says.
///
/// All are asked, also those that a pull would not ask any more. No secret is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin explain-auth ghcr.io")]
pub(crate) struct Args {
    /// The registry.
    #[arg(value_name = "REGISTRY")]
    registry: String,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    provider: &'a str,
    tier: &'static str,
    /// What a pull does with it.
    outcome: &'static str,
    said: String,
    hint: Option<&'a str>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let registry = registry_named(&args.registry)?;
    let bench = Bench::open()?;
    let chain = bench.chain();
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
    let rows = rows(&steps);
    if args.format == Some(DataFormat::Json) {
        return ui.json(&rows);
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let cells = [row.provider, row.tier, row.outcome, &row.said];
            cells.map(|cell| escaped(cell).into_owned()).to_vec()
        })
        .collect();
    ui.table(&table::lines(
        &["PROVIDER", "PLACE", "OUTCOME", "IT SAYS"],
        &cells,
    ))?;
    if rows.iter().all(|row| row.outcome == "passed over") {
        ui.status(&format!("{registry} is asked without credentials."));
    }
    Ok(())
}

fn rows(steps: &[Step]) -> Vec<Row<'_>> {
    let mut ended = false;
    steps
        .iter()
        .map(|step| {
            let (outcome, hint) = match &step.said {
                _ if ended => ("not reached", None),
                Said::Answer { .. } => ("answers", None),
                Said::Failed {
                    stops: true, hint, ..
                } => ("ends the search", hint.as_deref()),
                Said::Failed { hint, .. } => ("passed over", hint.as_deref()),
                _ => ("passed over", None),
            };
            ended |= matches!(outcome, "answers" | "ends the search");
            Row {
                provider: &step.provider,
                tier: match step.tier {
                    Tier::Ambient => "ambient",
                    Tier::Configured => "configured",
                    Tier::Installed => "installed",
                },
                outcome,
                said: step.said.to_string(),
                hint,
            }
        })
        .collect()
}
