//! `msb plugin test`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use msb_host::plugin::{Grant, PluginKind};
use msb_plugin_kit::conformance::{self, Check, CheckOutcome, Report, Subject};
use serde::Serialize;
use serde_json::Value;

use crate::commands::{self, DataFormat};
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::table::Table;
use crate::ui::Ui;

/// Test a plugin that you write: whether it keeps to the contract, whatever it is shown.
///
/// It is given sound and damaged archives, or questions with and without permissions, answers of
/// servers that make no sense, and a made-up secret in all that it may look at. It runs in a home
/// that is thrown away, and nothing of yours is in reach of it. Whatever it fails, the exit status
/// is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin test target/my-format.wasm --archive sample.tar
  msb plugin test vault.wasm --settings settings.json --grant http=https://vault.example.com
  msb plugin test robots.wasm --answer https://robots.example.com=sample.json
  msb plugin test vault.wasm --format json")]
pub(crate) struct Args {
    /// The component.
    file: PathBuf,
    /// An archive of the plugin's own format, which it must read. May be repeated.
    #[arg(long, value_name = "PATH")]
    archive: Vec<PathBuf>,
    /// A permission beside those that it asks for, as in `env=VAULT_TOKEN`. May be repeated.
    #[arg(long, value_name = "PERMISSION")]
    grant: Vec<String>,
    /// What it finds as its settings: JSON, or a file with it.
    #[arg(long, value_name = "JSON|PATH")]
    settings: Option<String>,
    /// A variable of its environment that is not a secret. Without this, granted variables hold a secret.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// What it finds in a file that it reads, as in `'~/.logins.json=sample.json'`: in the sample
    /// `{{registry}}` and `{{secret}}` stand for those of each question. May be repeated.
    #[arg(long = "file", value_name = "PATH=SAMPLE")]
    files: Vec<String>,
    /// What a server answers, as in `https://api.example.com/tokens=sample.json`: for every address that
    /// begins like this one, with the same words in the sample as in those of --file. May be repeated.
    #[arg(long = "answer", value_name = "URL=SAMPLE")]
    answers: Vec<String>,
    /// What the user answers at a login, as in `'Name:=ann'`: to every question that begins like this one.
    /// Without this, the answer is the made-up user or secret. May be repeated.
    #[arg(long = "reply", value_name = "QUESTION=ANSWER")]
    replies: Vec<String>,
    /// The registry that a user logs in to with it. Without this, the first one that it knows.
    #[arg(long, value_name = "HOST")]
    registry: Option<String>,
    /// Keep the archives that a format plugin fails with in this directory.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: Args) -> Result<(), CommandError> {
    let format = args.format;
    let file = args.file.display().to_string();
    let subject = subject(args)?;
    let started = Instant::now();
    let interrupt = Interrupt::watch();
    let report = progress::during(ui, Work::Test, |progress| {
        conformance::test(&subject, progress, interrupt.cancel())
    });
    let report = interrupt.settle(report)?;
    match format {
        Some(DataFormat::Json) => ui.json(&Rows::of(&file, &report))?,
        None => ui.table_lines(&lines(&report))?,
    }
    ended(ui, &file, &report, started.elapsed())
}

fn subject(args: Args) -> Result<Subject, CommandError> {
    let component = std::fs::read(&args.file).map_err(|error| unread(&args.file, &error))?;
    for archive in &args.archive {
        std::fs::metadata(archive).map_err(|error| unread(archive, &error))?;
    }
    let grants = args.grant.iter().map(|grant| {
        grant
            .parse::<Grant>()
            .map_err(|error| CommandError::new(error.to_string()))
    });
    let variables = args
        .env
        .iter()
        .map(|variable| match variable.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(CommandError::new(format!(
                "`{variable}` is not of the form NAME=VALUE"
            ))),
        });
    let files = args
        .files
        .iter()
        .map(|file| sample(file, file.split_once('='), "PATH=SAMPLE"));
    // An address may have an equals sign; the name of a file seldom has.
    let answers = args
        .answers
        .iter()
        .map(|answer| sample(answer, answer.rsplit_once('='), "URL=SAMPLE"));
    let replies = args
        .replies
        .iter()
        .map(|reply| match reply.rsplit_once('=') {
            Some((question, answer)) if !question.is_empty() => {
                Ok((question.to_owned(), answer.to_owned()))
            }
            _ => Err(CommandError::new(format!(
                "`{reply}` is not of the form QUESTION=ANSWER"
            ))),
        });
    let stem = args.file.file_stem().unwrap_or_default();
    Ok(Subject {
        name: stem.to_string_lossy().into_owned(),
        component,
        grants: grants.collect::<Result<_, _>>()?,
        settings: args.settings.as_deref().map(settings).transpose()?,
        variables: variables.collect::<Result<_, _>>()?,
        files: files.collect::<Result<_, _>>()?,
        answers: answers.collect::<Result<_, _>>()?,
        replies: replies.collect::<Result<_, _>>()?,
        registry: args.registry,
        archives: args.archive,
        keep: args.keep,
        compiler: commands::compiler().map(Path::to_owned),
    })
}

/// Reads a sample: returns what it is of, and its text.
fn sample(
    argument: &str,
    parts: Option<(&str, &str)>,
    form: &str,
) -> Result<(String, String), CommandError> {
    match parts {
        Some((place, sample)) if !place.is_empty() => {
            let sample = Path::new(sample);
            let text = std::fs::read_to_string(sample).map_err(|error| unread(sample, &error))?;
            Ok((place.to_owned(), text))
        }
        _ => Err(CommandError::new(format!(
            "`{argument}` is not of the form {form}"
        ))),
    }
}

fn unread(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::new(format!("could not read `{}`", path.display())).because(error)
}

/// Reads the settings from the argument, or from the file that it names.
fn settings(given: &str) -> Result<Value, CommandError> {
    let (text, place) = if given.trim_start().starts_with(['{', '[']) {
        (given.to_owned(), "--settings".to_owned())
    } else {
        let path = Path::new(given);
        let text = std::fs::read_to_string(path).map_err(|error| unread(path, &error))?;
        (text, format!("`{given}`"))
    };
    serde_json::from_str(&text)
        .map_err(|error| CommandError::new(format!("{place} is not JSON")).because(&error))
}

/// What programs see.
#[derive(Serialize)]
struct Rows<'a> {
    file: &'a str,
    kind: Option<&'static str>,
    provides: Option<&'a str>,
    version: Option<&'a str>,
    api: Option<&'a str>,
    sha256: Option<String>,
    passed: usize,
    failed: usize,
    skipped: usize,
    checks: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'static str,
    outcome: &'static str,
    summary: &'a str,
    details: &'a [String],
}

impl<'a> Rows<'a> {
    fn of(file: &'a str, report: &'a Report) -> Self {
        let inspection = report.inspection.as_ref();
        Self {
            file,
            kind: inspection.map(|it| match it.kind {
                PluginKind::Credential(_) => "credential",
                PluginKind::Format(_) => "format",
            }),
            provides: inspection.map(|it| it.kind.name()),
            version: inspection.and_then(|it| it.metadata.version.as_deref()),
            api: inspection.map(|it| it.api.as_str()),
            sha256: inspection.map(|it| it.digest.to_string()),
            passed: report.count(CheckOutcome::Passed),
            failed: report.count(CheckOutcome::Failed),
            skipped: report.count(CheckOutcome::Skipped),
            checks: report.checks.iter().map(row).collect(),
        }
    }
}

fn row(check: &Check) -> Row<'_> {
    Row {
        name: check.name,
        outcome: check.outcome.name(),
        summary: &check.summary,
        details: &check.details,
    }
}

/// Returns the lines of a table, with the details of a check below it.
fn lines(report: &Report) -> Vec<String> {
    let cells = |check: &Check| {
        let summary = escaped(&check.summary).into_owned();
        vec![
            check.outcome.name().to_owned(),
            check.name.to_owned(),
            summary,
        ]
    };
    let table = Table {
        header: &["OUTCOME", "CHECK", "WHAT"],
        rows: report.checks.iter().map(cells).collect(),
        // What a check has found is for reading.
        cuts: &[],
    };
    let mut table = table.lines(None).into_iter();
    let mut lines: Vec<String> = table.next().into_iter().collect();
    for (line, check) in table.zip(&report.checks) {
        lines.push(line);
        let details = check.details.iter();
        lines.extend(details.map(|detail| format!("           - {}", escaped(detail))));
    }
    lines
}

fn ended(ui: Ui, file: &str, report: &Report, took: Duration) -> Result<(), CommandError> {
    let [passed, failed, skipped] = [
        CheckOutcome::Passed,
        CheckOutcome::Failed,
        CheckOutcome::Skipped,
    ]
    .map(|it| report.count(it));
    if failed == 0 {
        ui.success(
            "Tested",
            file,
            &format!("{passed} passed, {skipped} skipped"),
            took,
        );
        return Ok(());
    }
    Err(CommandError::new(format!(
        "`{file}` failed {failed} of {} checks",
        report.checks.len() - skipped
    )))
}
