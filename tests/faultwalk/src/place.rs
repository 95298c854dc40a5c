//! Where msb runs: a home that is copied from one that was prepared, and runs of msb in it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use msb_host::Context;
use msb_host::home::Home;
use msb_host::image::{self, ImageSummary, ListOptions, VerifyOptions};
use msb_host::limits::Limits;
use msb_host::store::Store;
use walkdir::WalkDir;

use crate::Result;

/// How long a command may take before it is taken for locked.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with a home of msb and whatever a command writes.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    msb: PathBuf,
}

/// What a run of msb came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// It did not end and was killed.
    pub(crate) is_late: bool,
}

impl Place {
    pub(crate) fn new(folder: PathBuf, msb: &Path) -> Self {
        Self {
            folder,
            msb: msb.to_owned(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// Returns whether there is a store in the home.
    pub(crate) fn has_store(&self) -> bool {
        self.home().join("db/images.db").exists()
    }

    /// Makes it a copy of another one.
    pub(crate) fn reset(&self, template: &Self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        for entry in WalkDir::new(&template.folder) {
            let entry = entry?;
            let to = self
                .folder
                .join(entry.path().strip_prefix(&template.folder)?);
            if entry.file_type().is_dir() {
                fs::create_dir_all(&to)?;
                fs::set_permissions(&to, entry.metadata()?.permissions())?;
            } else if to.extension().is_some_and(|it| it == "compiled") {
                // Large, and never written to: a new one takes its place.
                fs::hard_link(entry.path(), &to)?;
            } else {
                fs::copy(entry.path(), &to)?;
            }
        }
        Ok(())
    }

    /// Returns a command that runs msb here.
    pub(crate) fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(&self.msb);
        command
            .args(words)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("MSB_HOME", self.home())
            .env("HOME", self.folder.join("user"))
            .env("DOCKER_CONFIG", self.folder.join("docker"))
            .env("TZ", "UTC")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs msb with words separated by spaces.
    pub(crate) fn msb(&self, line: &str) -> Result<Run> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        finish(self.command(&words), PATIENCE)
    }

    /// Returns the images that are listed, as `reference id`, sorted. Of the many that are asked for,
    /// no process is started: what msb would say is what its library says.
    pub(crate) fn images(&self) -> std::result::Result<BTreeSet<String>, String> {
        let list = || {
            image::list(
                &Store::open(&Home::at(self.home()))?,
                &ListOptions::default(),
            )
        };
        let images = list().map_err(|error| in_full(&error))?;
        if let Some(error) = &images.incomplete {
            return Err(in_full(error));
        }
        let rows = images.images.iter().flat_map(ImageSummary::rows);
        let lines = rows.map(|row| format!("{} {}", row.reference, row.id));
        Ok(lines.collect())
    }

    /// Returns what `msb image verify` finds of these images, or of all; `None` if that is nothing.
    pub(crate) fn unsound(&self, selectors: &[&str]) -> Option<String> {
        let selectors: Vec<String> = selectors.iter().map(|it| (*it).to_owned()).collect();
        let options = VerifyOptions::default();
        let home = Home::at(self.home());
        let limits = Limits::default();
        match image::verify(&home, &selectors, options, &limits, &Context::default()) {
            Ok(report) if report.is_sound() => None,
            Ok(report) => Some(serde_json::to_string(&report).unwrap_or_default()),
            Err(error) => Some(in_full(&error)),
        }
    }

    /// Returns the paths of all files below, from here, sorted. Lock files, which are empty and which the
    /// next command reuses, are left out.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for entry in WalkDir::new(&self.folder) {
            let entry = entry?;
            if !entry.file_type().is_dir() {
                let path = entry.path().strip_prefix(&self.folder)?;
                files.push(path.to_string_lossy().into_owned());
            }
        }
        files.retain(|path| !path.starts_with("home/cache/locks/"));
        files.sort();
        Ok(files)
    }

    /// Makes a folder in it.
    pub(crate) fn make(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

impl Run {
    /// Returns the end of the run, and what it said.
    pub(crate) fn words(&self) -> String {
        let said = self.stderr.trim();
        format!("{}: {said}", self.status)
    }

    /// Returns what is wrong with the way in which it ended, whatever it was to do.
    pub(crate) fn misbehaviour(&self) -> Option<&'static str> {
        match self.status.code() {
            _ if self.is_late => Some("does not end"),
            None => Some("ended by a signal"),
            _ if self.stderr.contains("panicked at") => Some("panicked"),
            Some(1 | 3..=5) if !self.stderr.contains("error: ") => Some("failed without an error"),
            // Every error of a file says which one.
            Some(1) if !self.stderr.contains('/') => Some("failed without naming a path"),
            Some(0 | 1 | 3..=5) => None,
            Some(_) => Some("ended with a code that is not documented"),
        }
    }
}

/// Returns an error with all that led to it.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}

/// Runs a command to its end, or kills it. Its output goes through files, so that no pipe holds it
/// up.
pub(crate) fn finish(mut command: Command, patience: Duration) -> Result<Run> {
    let (stdout, stderr) = (
        tempfile::NamedTempFile::new()?,
        tempfile::NamedTempFile::new()?,
    );
    let mut child = command
        .stdout(stdout.reopen()?)
        .stderr(stderr.reopen()?)
        .spawn()?;
    let started = Instant::now();
    let (status, is_late) = loop {
        if let Some(status) = child.try_wait()? {
            break (status, false);
        }
        if started.elapsed() > patience {
            child.kill()?;
            break (child.wait()?, true);
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = |file: &tempfile::NamedTempFile| -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(file.path())?).into_owned())
    };
    Ok(Run {
        status,
        stdout: text(&stdout)?,
        stderr: text(&stderr)?,
        is_late,
    })
}
