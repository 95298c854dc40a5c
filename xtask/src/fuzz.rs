//! `cargo xtask fuzz`: feeds msb random bytes.
//!
//! The targets are those of `tests/fuzz`, a crate that cargo-fuzz knows its way around in, too.
//! This needs nothing but the compiler: the instrumentation is that of stable rustc. A run of
//! `cargo xtask fuzz` instruments all code and has a build folder of its own; the smoke test
//! instruments the crates of this workspace and shares all others with the other checks.

mod heard;
mod instrument;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use self::heard::listen;
use self::instrument::{INSTRUMENTED, compiler};
pub(crate) use self::instrument::{instrument, is_compiler};
use crate::command::{Result, answer, cargo, root, run, shown};

/// A target, and the longest input that makes sense for it.
struct Target {
    name: &'static str,
    longest: u32,
}

const TARGETS: &[Target] = &[
    Target {
        name: "tar_ingest",
        longest: 32 << 10,
    },
    Target {
        name: "lower_layers",
        longest: 32 << 10,
    },
    Target {
        name: "recipe_round_trip",
        longest: 32 << 10,
    },
    Target {
        name: "erofs_reader",
        longest: 16 << 10,
    },
    Target {
        name: "reference",
        longest: 300,
    },
    Target {
        name: "documents",
        longest: 4096,
    },
];

/// Seconds that one input may take. Machines that do other things as well are slow at times.
const PATIENCE: u32 = 30;
/// Inputs per target in [`smoke`].
const SMOKE: u64 = 500;
/// Seconds per target where nothing is said.
const SECONDS: u64 = 60;

const USAGE: &str = "fuzz takes names of targets and --seconds N or --runs N";

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Seconds(u64),
    Runs(u64),
}

/// Fuzzes the targets that are named, or all of them, one after the other.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let (targets, until) = parse(arguments)?;
    let fuzzer = Fuzzer::build(Build::Thorough)?;
    let mut found = Vec::new();
    for target in targets {
        fuzzer.regressions(target)?;
        let corpus = fuzzer.folder.join("corpus").join(target.name);
        fs::create_dir_all(&corpus)?;
        if let Err(error) = fuzzer.fuzz(target, until, &corpus, 0) {
            println!("{}: {error}", target.name);
            found.push(target.name);
        }
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("found something: {}", found.join(", ")).into())
    }
}

/// Runs every finding that was fixed, then a small number of inputs that is the same every time.
pub(crate) fn smoke() -> Result<()> {
    let fuzzer = Fuzzer::build(Build::Shared)?;
    for target in TARGETS {
        fuzzer.regressions(target)?;
        let corpus = tempfile::tempdir()?;
        fuzzer.fuzz(target, Until::Runs(SMOKE), corpus.path(), 1)?;
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<(Vec<&'static Target>, Until)> {
    let mut targets = Vec::new();
    let mut until = Until::Seconds(SECONDS);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut number = || {
            let number = words.next().and_then(|text| text.parse().ok());
            // To the fuzzer, 0 means no limit.
            number.filter(|number| *number > 0).ok_or(USAGE)
        };
        match word.as_str() {
            "--seconds" => until = Until::Seconds(number()?),
            "--runs" => until = Until::Runs(number()?),
            name => {
                let target = TARGETS.iter().find(|target| target.name == name);
                targets.push(target.ok_or_else(|| no_target(name))?);
            }
        }
    }
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    Ok((targets, until))
}

fn no_target(name: &str) -> String {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    format!(
        "there is no target `{name}`, only {}; {USAGE}",
        names.join(", ")
    )
}

/// How targets are built.
#[derive(Clone, Copy, Debug)]
enum Build {
    /// With what the other checks compiled.
    Shared,
    /// With instrumentation in every crate.
    Thorough,
}

/// Targets that were built, and seeds for them.
struct Fuzzer {
    /// The crate.
    source: PathBuf,
    programs: PathBuf,
    /// Where seeds, corpora, logs and findings are.
    folder: PathBuf,
}

impl Fuzzer {
    fn build(build: Build) -> Result<Self> {
        let root = root()?;
        let source = root.join("tests/fuzz");
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |target| root.join(target));
        let folder = target.join("fuzz-corpus");
        let mut command = Command::new(cargo());
        command
            .current_dir(&root)
            .args(["build", "--quiet", "--package", "msb-fuzz"])
            .args(["--bins", "--example", "seeds"])
            .env_remove("CARGO_MANIFEST_DIR");
        let programs = match build {
            Build::Shared => {
                command.env("RUSTC_WORKSPACE_WRAPPER", compiler(&target)?);
                target.join("debug")
            }
            // With a target of its own, build scripts and macros are not instrumented.
            Build::Thorough => {
                let host = host()?;
                let target = target.join("fuzz");
                command
                    .args(["--target", &host])
                    .env("CARGO_TARGET_DIR", &target)
                    .env("RUSTFLAGS", INSTRUMENTED.join(" "))
                    .env_remove("CARGO_ENCODED_RUSTFLAGS")
                    // Worth its time only for many inputs.
                    .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2");
                target.join(host).join("debug")
            }
        };
        run(&mut command)?;
        let fuzzer = Self {
            source,
            programs,
            folder,
        };
        let seeds = fuzzer.folder.join("seeds");
        let _ = fs::remove_dir_all(&seeds);
        run(Command::new(fuzzer.programs.join("examples/seeds")).arg(seeds))?;
        Ok(fuzzer)
    }

    /// Runs the findings that were fixed.
    fn regressions(&self, target: &Target) -> Result<()> {
        let folder = self.source.join("regressions").join(target.name);
        let Ok(files) = folder.read_dir() else {
            return Ok(());
        };
        let mut files: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
        files.sort();
        let mut command = self.command(target);
        command.args(&files);
        let (status, heard, last) = listen(&mut command, &self.log(target))?;
        if status.success() {
            println!("{}: {} old findings stay fixed", target.name, files.len());
            return Ok(());
        }
        Err(format!(
            "{}: an old finding is back\n{last}\n{}",
            target.name,
            heard.panic.join("\n")
        )
        .into())
    }

    /// Runs inputs made of the corpus, which grows by those that reach something new, and of the
    /// seeds.
    fn fuzz(&self, target: &Target, until: Until, corpus: &Path, seed: u32) -> Result<()> {
        let findings = self.folder.join("findings");
        fs::create_dir_all(&findings)?;
        let mut prefix = OsString::from("-artifact_prefix=");
        prefix.push(findings.join(format!("{}-", target.name)));
        let mut command = self.command(target);
        command
            .arg(corpus)
            .arg(self.folder.join("seeds").join(target.name))
            .arg(prefix)
            .arg(format!("-max_len={}", target.longest))
            .arg(format!("-timeout={PATIENCE}"))
            .arg(format!("-seed={seed}"))
            .args(["-print_final_stats=1", "-reload=0"])
            .arg(match until {
                Until::Seconds(seconds) => format!("-max_total_time={seconds}"),
                Until::Runs(runs) => format!("-runs={runs}"),
            });
        let dictionary = self.source.join("dictionaries").join(target.name);
        let dictionary = dictionary.with_extension("dict");
        if dictionary.is_file() {
            let mut argument = OsString::from("-dict=");
            argument.push(dictionary);
            command.arg(argument);
        }
        let started = Instant::now();
        let log = self.log(target);
        let (status, heard, last) = listen(&mut command, &log)?;
        let seconds = started.elapsed().as_secs();
        let executions = heard
            .executions
            .as_deref()
            .unwrap_or("an unknown number of");
        println!("{}: {executions} inputs in {seconds} s", target.name);
        if status.success() {
            return Ok(());
        }
        let reproducer = heard.reproducer.as_deref().unwrap_or("no file");
        Err(format!(
            "{last}\n{}\n{status}; all of it is in {}\nthe input is {reproducer}\nto run it again: {} {reproducer}",
            heard.panic.join("\n"),
            shown(&log),
            shown(&self.programs.join(target.name)),
        )
        .into())
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = Command::new(self.programs.join(target.name));
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn log(&self, target: &Target) -> PathBuf {
        self.folder.join(format!("{}.log", target.name))
    }
}

fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = answer(Command::new(rustc).arg("-vV")).unwrap_or_default();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .ok_or("rustc does not say what it builds for")?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Option<(Vec<&'static str>, Until)> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (targets, until) = parse(&words).ok()?;
        Some((targets.iter().map(|target| target.name).collect(), until))
    }

    #[test]
    fn targets_and_an_end_can_be_chosen() {
        let all = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(parsed(&[]), Some((all, Until::Seconds(SECONDS))));
        assert_eq!(
            parsed(&["reference", "--runs", "7"]),
            Some((vec!["reference"], Until::Runs(7)))
        );
        for words in [
            &["nothing"][..],
            &["--runs"],
            &["--runs", "0"],
            &["--seconds", "x"],
        ] {
            assert_eq!(parsed(words), None, "{words:?}");
        }
    }
}
