//! `cargo xtask bench`: what msb costs, beside others.
//!
//! All take turns on one image, so that a machine whose speed drifts drifts for all of them.

mod archive;
mod builtins;
mod contest;
mod corpus;
mod floor;
mod growth;
mod list;
mod load;
mod plugins;
mod pull;
mod registry;
mod report;
mod save;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::command::{Result, cargo, root, run};
use crate::demo::target_directory;
use crate::guests;

const USAGE: &str = "bench takes: load, pull, save or plugins, and [--quick] [--corpus DIR]; list or \
                     growth; plugins also [--component FILE]…, the others [--write]; [--before MSB] \
                     compares with another msb, and [--msb MSB] measures this one instead of \
                     building it";

/// Where contenders come from, and where they work.
struct Place {
    root: PathBuf,
    target: PathBuf,
    work: TempDir,
    /// An msb of another day that this one is compared with.
    before: Option<PathBuf>,
    /// The msb that is measured, if it is not the one of this repository.
    now: Option<PathBuf>,
}

/// Runs the benchmark that the arguments name.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let mut words = arguments.iter().map(String::as_str);
    let what = words.next().ok_or(USAGE)?;
    match what {
        "measure" => return contest::measure(&arguments[1..]),
        "floor" => return floor::run_all(&arguments[1..]),
        _ => {}
    }
    let (mut quick, mut write, mut folder) = (false, false, None);
    let (mut before, mut now) = (None, None);
    let mut components = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--quick" => quick = true,
            "--write" if what != "plugins" => write = true,
            "--component" if what == "plugins" => {
                let path = words.next().ok_or("--component takes a file")?;
                components.push(std::path::absolute(path)?);
            }
            "--before" | "--msb" => {
                let path = words.next().ok_or(format!("{word} takes a program"))?;
                let program = if word == "--msb" {
                    &mut now
                } else {
                    &mut before
                };
                *program = Some(std::path::absolute(path)?);
            }
            "--corpus" => folder = Some(words.next().ok_or("--corpus takes a folder")?),
            _ => return Err(format!("bench {what} does not take `{word}`").into()),
        }
    }
    let corpus = |place: &Place| match (folder, quick) {
        (Some(folder), _) => Ok(Some(corpus::Corpus::of(Path::new(folder)))),
        (None, true) => corpus::Corpus::quick(place.work.path()).map(Some),
        (None, false) => Ok(None),
    };
    let needed = "name a corpus with --corpus, or take the small one with --quick";
    let place = Place::prepare(before, now)?;
    // Where things lie on this machine is of no interest.
    let shown: Vec<&str> = arguments
        .iter()
        .map(|word| if word.contains('/') { "…" } else { word })
        .filter(|word| *word != "--write")
        .collect();
    let mut report = report::Report::begin(&format!("cargo xtask bench {}", shown.join(" ")));
    match what {
        "load" => load::run_all(&place, &corpus(&place)?.ok_or(needed)?, &mut report)?,
        "pull" => pull::run_all(&place, &corpus(&place)?.ok_or(needed)?, &mut report)?,
        "save" => save::run_all(&place, &corpus(&place)?.ok_or(needed)?, &mut report)?,
        "list" => list::run_all(&place, &mut report)?,
        "growth" => growth::run_all(&place, &mut report)?,
        "plugins" => {
            if let Some(before) = &place.before {
                return builtins::run_all(&place, before);
            }
            let corpus = corpus(&place)?;
            let archive = corpus.as_ref().map(|corpus| corpus.plain.as_path());
            plugins::run_all(&place, archive, &components)?;
        }
        _ => return Err(USAGE.into()),
    }
    if write {
        report.write(&place.root, what)?;
    }
    Ok(())
}

impl Place {
    /// Builds msb where none is given, and makes room for what it does.
    fn prepare(before: Option<PathBuf>, now: Option<PathBuf>) -> Result<Self> {
        let root = root()?;
        if now.is_none() {
            guests::build()?;
            run(Command::new(cargo())
                .current_dir(&root)
                .args(["build", "--release", "--package", "msb"])
                .env_remove("CARGO_MANIFEST_DIR"))?;
        }
        // In memory where there is room: then the disk of the day is not what is measured.
        let work = match Path::new("/dev/shm") {
            memory if memory.is_dir() => tempfile::tempdir_in(memory)?,
            _ => tempfile::tempdir()?,
        };
        Ok(Self {
            target: target_directory(&root)?,
            root,
            work,
            before,
            now,
        })
    }

    fn msb(&self) -> PathBuf {
        let built = || self.target.join("release/msb");
        self.now.clone().unwrap_or_else(built)
    }

    /// Returns each msb that takes part, and what to call it.
    fn each_msb(&self) -> Vec<(&'static str, PathBuf)> {
        let mut each = vec![("msb", self.msb())];
        each.extend(self.before.clone().map(|before| ("msb before", before)));
        each
    }

    /// Whether the programs of others take part, too: not where msb is compared with itself.
    fn has_others(&self) -> bool {
        self.before.is_none()
    }

    /// Builds the program that does what microsandbox does; `None` where it does not build.
    fn incumbent(&self) -> Option<PathBuf> {
        let built = self.target.join("incumbent");
        let compiled = run(Command::new(cargo())
            .current_dir(self.root.join("tests/incumbent"))
            .args(["build", "--release", "--quiet", "--target-dir"])
            .arg(&built)
            .env_remove("CARGO_MANIFEST_DIR"));
        if compiled.is_err() {
            println!("microsandbox-image does not build here and does not take part");
            return None;
        }
        Some(built.join("release/incumbent"))
    }
}
