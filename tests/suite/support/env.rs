//! A home of its own for each test, and runs of msb in it.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::compiled;
use crate::tools;

/// An isolated place to run msb in.
pub(crate) struct TestEnv {
    directory: TempDir,
    home: PathBuf,
    /// Whether the home is left to msb, down to the compiled code of the plugins.
    untouched: bool,
}

/// What a run of msb came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The settings of the machine that a test may make for itself.
pub(crate) const SYSTEM_SETTINGS: &str = "system.json";

impl TestEnv {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("msb-home");
        Self {
            directory,
            home,
            untouched: false,
        }
    }

    /// Leaves it to msb to make its home and to compile its plugins.
    pub(crate) fn untouched() -> Self {
        let mut env = Self::new();
        env.untouched = true;
        env
    }

    /// Uses another directory as `MSB_HOME`.
    pub(crate) fn with_home(mut self, home: &Path) -> Self {
        home.clone_into(&mut self.home);
        self
    }

    /// Returns the directory that msb runs in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Has the machine give a plugin that brings a language with it time to be compiled, whatever runs
    /// beside this test.
    pub(crate) fn give_time_to_compile(&self, plugin: &str) {
        let limits = json!({plugin: {"compile_secs": 120}});
        let settings = json!({"plugins": {"limits": limits}});
        std::fs::write(self.path(SYSTEM_SETTINGS), settings.to_string()).unwrap();
    }

    /// Returns the settings of the machine, if the test has made some.
    pub(crate) fn system_settings(&self) -> Option<PathBuf> {
        Some(self.path(SYSTEM_SETTINGS)).filter(|path| path.is_file())
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Gives the home these settings, JSON or what a test wants there instead.
    pub(crate) fn write_settings(&self, settings: impl Display) {
        std::fs::create_dir_all(&self.home).unwrap();
        std::fs::write(self.home.join("config.json"), settings.to_string()).unwrap();
    }

    /// Writes the configuration of docker.
    pub(crate) fn write_docker_config(&self, config: impl Display) {
        let directory = self.path("docker-config");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
    }

    /// Returns a command that runs msb here.
    pub(crate) fn command<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = self.program(tools::msb());
        command.args(args);
        if !self.untouched
            && command
                .get_args()
                .next()
                .is_some_and(|word| word == "plugin")
        {
            for word in command.get_args() {
                compiled::put_code_of(&self.directory.path().join(word), &self.home);
            }
        }
        command
    }

    /// Returns a command that runs a script of the shell here: `$0` is msb, `$@` are the arguments.
    pub(crate) fn shell<I: AsRef<OsStr>>(
        &self,
        script: &str,
        args: impl IntoIterator<Item = I>,
    ) -> Command {
        let mut command = self.program("sh");
        command.args(["-c", script]).arg(tools::msb()).args(args);
        command
    }

    fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let place = self.home.parent().filter(|place| place.is_dir());
        if !self.untouched && place.is_some() && !self.home.exists() {
            compiled::put_into(&self.home);
        }
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("MSB_HOME", &self.home)
            .env("HOME", self.path("user-home"))
            .env("DOCKER_CONFIG", self.path("docker-config"))
            .env("TZ", "UTC")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        if let Some(settings) = self.system_settings() {
            command.env("MSB_SYSTEM_CONFIG_PATH", settings);
        }
        command
    }

    /// Runs msb with words separated by spaces.
    pub(crate) fn msb(&self, line: &str) -> Run {
        Run::of(&mut self.command(line.split_whitespace()))
    }

    /// Runs msb with something on its standard input.
    pub(crate) fn msb_with_input(&self, line: &str, input: &[u8]) -> Run {
        Run::with_input(&mut self.command(line.split_whitespace()), input)
    }

    /// Runs msb and returns its JSON.
    pub(crate) fn json(&self, line: &str) -> Value {
        let run = self.msb(line).success();
        serde_json::from_str(&run.stdout).unwrap()
    }

    /// Returns the references in the store, sorted.
    pub(crate) fn references(&self) -> Vec<String> {
        let mut references: Vec<String> = self
            .json("images --format json")
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["reference"].as_str().unwrap().to_owned())
            .collect();
        references.sort();
        references
    }

    /// Asserts that a failed operation has left nothing: no image, nothing in flight.
    pub(crate) fn assert_clean(&self) {
        if self.home.join("db").exists() {
            assert_eq!(self.json("images --format json"), json!([]));
        }
        self.assert_nothing_in_flight();
        let layers = self.home.join("cache/layers");
        if layers.exists() {
            assert_eq!(std::fs::read_dir(layers).unwrap().count(), 0, "layers");
        }
    }

    pub(crate) fn assert_nothing_in_flight(&self) {
        let tmp = self.home.join("cache/tmp");
        if tmp.exists() {
            let left: Vec<_> = std::fs::read_dir(tmp).unwrap().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        if !self.untouched {
            compiled::collect(&self.home);
        }
    }
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Runs a command with something on its standard input.
    pub(crate) fn with_input(command: &mut Command, input: &[u8]) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // msb may stop reading when it has seen enough.
            scope.spawn(move || stdin.write_all(input).ok());
            Self::from(child.wait_with_output().unwrap())
        })
    }

    /// Asserts that msb succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Asserts that msb failed as it does, with all of these words on stderr.
    #[track_caller]
    pub(crate) fn failure(self, words: &[&str]) -> Self {
        // By what the failure is of: docs/json.md.
        assert!(matches!(self.code, Some(1 | 3..=5)), "{self:#?}");
        for words in words {
            assert!(self.stderr.contains(words), "no {words:?} in {self:#?}");
        }
        assert!(self.stderr.starts_with("error: ") || self.stderr.contains("\nerror: "));
        self
    }

    /// Returns exit code, stdout and stderr as one text, with what changes from run to run
    /// replaced.
    pub(crate) fn snapshot(&self, env: &TestEnv) -> String {
        let code = self
            .code
            .map_or("signal".to_owned(), |code| code.to_string());
        let text = format!(
            "exit {code}\n--- stdout\n{}--- stderr\n{}",
            self.stdout, self.stderr
        );
        text.replace(&env.home().display().to_string(), "[HOME]")
            .replace(&env.path("").display().to_string(), "[DIR]/")
            .lines()
            .flat_map(|line| [without_duration(line), "\n"])
            .collect()
    }
}

/// Returns a line without how long it took, which is told where it was long: `(1.0s)`.
fn without_duration(line: &str) -> &str {
    let is_duration =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| b"0123456789. m".contains(&byte));
    match line
        .strip_suffix("s)")
        .and_then(|line| line.rsplit_once(" ("))
    {
        Some((rest, duration)) if is_duration(duration) => rest,
        _ => line,
    }
}

impl From<std::process::Output> for Run {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
