//! `cargo xtask faults`: lets every call by which a command of msb touches files fail, kills it in
//! front of each and at random, runs commands side by side, flips bits of compiled code; and looks
//! each time, with a fresh msb, at what is left. docs/reliability.md says what must hold.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal of a developer"
)]

mod check;
mod flips;
mod images;
mod kills;
mod place;
mod registry;
mod scene;
mod soak;
mod table;
mod walks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use scene::{SCENES, Scene, Stage};
use table::Row;

/// The text of an error is for the person at the terminal.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "\
faults takes: [COMMAND…] [--minutes N] [--points N] [--flips N] [--at EIO:N|ENOSPC:N|EMFILE:N|KILL:N]
COMMAND is a command of msb, or kills, soak or flips; without one, all are run.
--minutes is how long kills and soak take, each; --points how many calls are tried of each command,
in each way; --at tries a single one, and shows what msb said.";

/// What was asked for.
#[derive(Debug)]
struct Options {
    msb: PathBuf,
    plugin: PathBuf,
    scenes: Vec<&'static Scene>,
    others: Vec<String>,
    time: Duration,
    points: Option<usize>,
    flips: usize,
    at: Option<faultwalk::Plan>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match options(&arguments).and_then(|options| run(&options)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("faults: {wrong} findings");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options> {
    let [msb, plugin, words @ ..] = arguments else {
        return Err("takes the program, a plugin, and what `cargo xtask faults` takes".into());
    };
    let mut options = Options {
        msb: std::path::absolute(msb)?,
        plugin: std::path::absolute(plugin)?,
        scenes: Vec::new(),
        others: Vec::new(),
        time: Duration::from_mins(2),
        points: None,
        flips: 120,
        at: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().map(String::as_str).ok_or(USAGE);
        match word.as_str() {
            "--minutes" => {
                let minutes: f64 = value()?.parse().map_err(|_| USAGE)?;
                options.time = Duration::try_from_secs_f64(minutes * 60.0)?;
            }
            "--points" => options.points = Some(value()?.parse().map_err(|_| USAGE)?),
            "--flips" => options.flips = value()?.parse().map_err(|_| USAGE)?,
            "--at" => options.at = Some(walks::plan(value()?).ok_or(USAGE)?),
            "kills" | "soak" | "flips" => options.others.push(word.clone()),
            name => match SCENES.iter().find(|scene| scene.name == name) {
                Some(scene) => options.scenes.push(scene),
                None => {
                    return Err(format!("there is no `{name}`, only {}\n{USAGE}", names()).into());
                }
            },
        }
    }
    if options.scenes.is_empty() && options.others.is_empty() {
        options.scenes = SCENES.iter().collect();
        options.others = ["kills", "soak", "flips"].map(str::to_owned).to_vec();
    }
    Ok(options)
}

fn names() -> String {
    let names: Vec<&str> = SCENES.iter().map(|scene| scene.name).collect();
    names.join(", ")
}

/// Returns how much is wrong.
fn run(options: &Options) -> Result<usize> {
    // In memory where there is room: what is tested is msb and not the disk.
    let memory = Path::new("/dev/shm");
    let work = if memory.is_dir() {
        tempfile::tempdir_in(memory)?
    } else {
        tempfile::tempdir()?
    };
    let root = work.path().canonicalize()?;
    let stage = Stage::prepare(&root, &options.msb, &options.plugin)?;
    if let Some(plan) = options.at {
        let [scene] = options.scenes.as_slice() else {
            return Err("--at is for one command of msb".into());
        };
        let (said, findings) = walks::one(&stage, scene, plan)?;
        println!("{said}");
        for finding in &findings {
            println!("{}: {}", finding.wrong, finding.what);
        }
        return Ok(findings.len());
    }
    let started = Instant::now();
    println!("{}", Row::head());
    let mut rows = Vec::new();
    let mut done = |row: Row| {
        println!("{}", row.line());
        rows.push(row);
    };
    for scene in &options.scenes {
        done(walks::walk(&stage, scene, options.points)?);
    }
    for other in &options.others {
        done(match other.as_str() {
            "kills" => kills::run(&stage, options.time)?,
            "soak" => soak::run(&stage, options.time)?,
            _ => flips::run(&stage, options.flips)?,
        });
    }
    println!("\n{} s", started.elapsed().as_secs());
    for text in rows.iter().flat_map(Row::details) {
        println!("\n{text}");
    }
    Ok(rows.iter().map(Row::wrong).sum())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<Options> {
        let words: Vec<String> = ["msb", "plugin"]
            .into_iter()
            .chain(line.split_whitespace())
            .map(str::to_owned)
            .collect();
        options(&words).ok()
    }

    #[test]
    fn commands_and_limits_can_be_chosen() {
        let all = parsed("").unwrap();
        assert_eq!((all.scenes.len(), all.others.len()), (SCENES.len(), 3));
        let some = parsed("load soak --minutes 0.5 --points 7").unwrap();
        assert_eq!(some.scenes.len(), 1);
        assert_eq!(some.others, ["soak"]);
        assert_eq!(some.time, Duration::from_secs(30));
        assert_eq!(some.points, Some(7));
        let one = parsed("rmi --at EIO:3").unwrap();
        assert_eq!(one.at, walks::plan("EIO:3"));
        for line in [
            "nothing",
            "--points",
            "--points x",
            "--at EIO",
            "--minutes -1",
        ] {
            assert!(parsed(line).is_none(), "{line}");
        }
    }
}
