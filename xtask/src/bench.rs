//! `cargo xtask bench load`, `pull`, `save` and `plugins`: what msb costs, beside others.
//!
//! All take turns on one image, so that a machine whose speed drifts drifts for all of them.

mod contest;
mod corpus;
mod load;
mod plugins;
mod pull;
mod registry;
mod save;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::command::{Result, cargo, root, run};
use crate::demo::target_directory;
use crate::guests;

const USAGE: &str = "bench takes: load, pull, save or plugins, and [--quick] [--corpus DIR]; plugins \
                     also [--component FILE]…, the others [--before MSB]";

/// Where contenders come from, and where they work.
struct Place {
    root: PathBuf,
    target: PathBuf,
    work: TempDir,
    /// An msb of another day that this one is compared with.
    before: Option<PathBuf>,
}

/// Runs the benchmark that the arguments name.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let mut words = arguments.iter().map(String::as_str);
    let what = words.next().ok_or(USAGE)?;
    if what == "measure" {
        return contest::measure(&arguments[1..]);
    }
    let (mut quick, mut folder, mut before) = (false, None, None);
    let mut components = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--quick" => quick = true,
            "--component" if what == "plugins" => {
                let path = words.next().ok_or("--component takes a file")?;
                components.push(std::path::absolute(path)?);
            }
            "--before" if what != "plugins" => {
                let path = words.next().ok_or("--before takes a program")?;
                before = Some(std::path::absolute(path)?);
            }
            "--corpus" => folder = Some(words.next().ok_or("--corpus takes a folder")?),
            _ => return Err(format!("bench {what} does not take `{word}`").into()),
        }
    }
    let run: fn(&Place, &corpus::Corpus) -> Result<()> = match what {
        "load" => load::run_all,
        "pull" => pull::run_all,
        "save" => save::run_all,
        "plugins" => {
            let place = Place::prepare(None)?;
            let corpus = match (folder, quick) {
                (Some(folder), _) => Some(corpus::Corpus::of(Path::new(folder))),
                (None, true) => Some(corpus::Corpus::quick(place.work.path())?),
                (None, false) => None,
            };
            let archive = corpus.as_ref().map(|corpus| corpus.plain.as_path());
            return plugins::run_all(&place, archive, &components);
        }
        _ => return Err(USAGE.into()),
    };
    let place = Place::prepare(before)?;
    let corpus = match (folder, quick) {
        (Some(folder), _) => corpus::Corpus::of(Path::new(folder)),
        (None, true) => corpus::Corpus::quick(place.work.path())?,
        (None, false) => {
            return Err("name a corpus with --corpus, or take the small one with --quick".into());
        }
    };
    run(&place, &corpus)
}

impl Place {
    /// Builds msb, and makes room for what it does.
    fn prepare(before: Option<PathBuf>) -> Result<Self> {
        guests::build()?;
        let root = root()?;
        run(Command::new(cargo())
            .current_dir(&root)
            .args(["build", "--release", "--package", "msb"])
            .env_remove("CARGO_MANIFEST_DIR"))?;
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
        })
    }

    fn msb(&self) -> PathBuf {
        self.target.join("release/msb")
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
