//! `msb doctor`

use msb_host::Error;
use msb_host::doctor::{Check, Finding, KernelFeature, Problem};
use serde::Serialize;

use super::DataFormat;
use super::connection::Connection;
use crate::commands;
use crate::error::{CommandError, chain};
use crate::hints;
use crate::progress::Work;
use crate::size;
use crate::ui::Ui;

/// Check that everything is there that msb needs, and in order.
///
/// Looks at the home, the store, the disk, settings, plugins, credential providers and the kernel. Changes
/// nothing. The exit code is 1 if something is found that makes msb fail.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb doctor
  msb doctor --registry ghcr.io --registry registry.local:5000
  msb doctor --format json")]
pub(crate) struct Args {
    /// Also check that this registry can be reached; may be given several times.
    #[arg(long = "registry", value_name = "HOST")]
    registries: Vec<String>,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    #[command(flatten)]
    connection: Connection,
}

/// What is printed of a check as JSON.
#[derive(Serialize)]
struct Row {
    area: &'static str,
    cures: Vec<String>,
    message: String,
    state: &'static str,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let msb = args.connection.open()?;
    let checks = commands::perform(ui, Work::Check, msb.doctor(args.registries.iter().cloned()))?;
    let rows: Vec<Row> = checks.iter().map(row).collect();
    match args.format {
        Some(DataFormat::Json) => ui.json(&rows)?,
        None => {
            for row in &rows {
                ui.finding(row.state, row.area, &row.message, &row.cures)?;
            }
        }
    }
    match rows.iter().filter(|row| row.state == "error").count() {
        0 => Ok(()),
        1 => Err(CommandError::new("1 check failed")),
        failed => Err(CommandError::new(format!("{failed} checks failed"))),
    }
}

fn row(check: &Check) -> Row {
    let (state, message, cures) = match &check.finding {
        Finding::Good(text) => ("ok", text.clone(), Vec::new()),
        Finding::Images(images, bytes) => {
            let many = if *images == 1 {
                "image takes"
            } else {
                "images take"
            };
            let bytes = size::bytes(*bytes);
            let text = format!("the catalogue is in order; {images} {many} {bytes}");
            ("ok", text, Vec::new())
        }
        Finding::Room(free) => ("ok", format!("{} are free", size::bytes(*free)), Vec::new()),
        Finding::Doubtful(problem) => ("warning", message(problem), cures(problem)),
        Finding::Bad(problem) => ("error", message(problem), cures(problem)),
    };
    Row {
        area: check.area,
        cures,
        message,
        state,
    }
}

fn message(problem: &Problem) -> String {
    match problem {
        Problem::LittleRoom { path, free } => format!(
            "only {} are free on the disk of `{}`",
            size::bytes(*free),
            path.display()
        ),
        Problem::OverBudget { used, budget } => format!(
            "the images take {}, and the budget `store.max_bytes` is {}",
            size::bytes(*used),
            size::bytes(*budget)
        ),
        Problem::Failed(error) => told(error),
        Problem::Unreachable { error, .. } => format!("{problem}: {}", told(error)),
        problem => problem.to_string(),
    }
}

/// Returns an error with all that led to it.
fn told(error: &Error) -> String {
    let texts: Vec<String> = chain(error).map(ToString::to_string).collect();
    texts.join(": ")
}

/// Returns what can be done about a problem.
fn cures(problem: &Problem) -> Vec<String> {
    let cure = match problem {
        Problem::Failed(error) => return hints::hints(error),
        Problem::Unreachable { error, .. } => return hints::hints(error),
        Problem::Provider {
            hint: Some(hint), ..
        } => hint.clone(),
        Problem::Provider { provider, .. } => format!(
            "msb asks the others; `msb plugin explain-auth REGISTRY` shows what each says, and \
             `msb plugin disable {provider}` leaves this one out"
        ),
        Problem::Settings(_) => "correct the key in config.json; `msb config` shows what is in force".to_owned(),
        Problem::NotWritable { path } => format!(
            "point MSB_HOME to a directory that you can write, or let its owner give you `{}`",
            path.display()
        ),
        Problem::OtherOwner { path, user, .. } => format!(
            "if it is to be yours: `sudo chown -R {user} {}`; else point MSB_HOME elsewhere",
            path.display()
        ),
        Problem::OpenToOthers { path, .. } => {
            format!("`chmod go= {}`", path.display())
        }
        Problem::LittleRoom { .. } => {
            "`msb image prune --dry-run` shows what can go, or point MSB_HOME to another disk".to_owned()
        }
        Problem::OverBudget { .. } => {
            "the next pull or load makes room; `msb image prune --max-size SIZE` does it now".to_owned()
        }
        Problem::Kernel { feature, is_module: true } => {
            format!("load it: `sudo modprobe {}`", feature.module())
        }
        Problem::Kernel { feature: KernelFeature::Verity, .. } => {
            "images work without it".to_owned()
        }
        Problem::Kernel { .. } => {
            "pull, load and save work without it; mount the images in a microVM, or on a kernel that has it"
                .to_owned()
        }
        _ => return Vec::new(),
    };
    vec![cure]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_a_message_and_a_cure() {
        let path = std::path::PathBuf::from("/home");
        for problem in [
            Problem::Failed(
                msb_host::store::StoreError::Ambiguous {
                    selector: "a".to_owned(),
                    candidates: Vec::new(),
                }
                .into(),
            ),
            Problem::NotWritable { path: path.clone() },
            Problem::OtherOwner {
                path: path.clone(),
                owner: 1,
                user: 2,
            },
            Problem::OpenToOthers {
                path: path.clone(),
                mode: 0o755,
            },
            Problem::LittleRoom { path, free: 5 },
            Problem::OverBudget { used: 2, budget: 1 },
            Problem::Settings("config.json: `x` is not a setting".to_owned()),
            Problem::Kernel {
                feature: KernelFeature::Erofs,
                is_module: true,
            },
            Problem::Kernel {
                feature: KernelFeature::Overlay,
                is_module: false,
            },
            Problem::Kernel {
                feature: KernelFeature::Files,
                is_module: false,
            },
            Problem::Kernel {
                feature: KernelFeature::Verity,
                is_module: false,
            },
        ] {
            assert!(!message(&problem).is_empty());
            assert_eq!(cures(&problem).len(), 1, "{problem}");
        }
    }
}
