//! Where msb runs: a home that is copied from one that was prepared, and runs of msb in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

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

    /// Returns the images that are listed, as `reference id`, sorted.
    pub(crate) fn images(&self) -> Result<std::result::Result<Vec<String>, Run>> {
        let run = self.msb("images --format json")?;
        let rows = match serde_json::from_str::<serde_json::Value>(&run.stdout) {
            Ok(serde_json::Value::Array(rows)) if run.status.success() => rows,
            _ => return Ok(Err(run)),
        };
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let mut images: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {}", text(&row["reference"]), text(&row["id"])))
            .collect();
        images.sort();
        Ok(Ok(images))
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
            Some(1) if !self.stderr.contains("error: ") => Some("failed without an error"),
            // Every error of a file says which one.
            Some(1) if !self.stderr.contains('/') => Some("failed without naming a path"),
            Some(0 | 1) => None,
            Some(_) => Some("ended with a code that is not documented"),
        }
    }
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
