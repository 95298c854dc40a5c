//! A project of `msb plugin new` in a home of its own, and how it is built.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::env::TestEnv;
use crate::tools::{plugin_build, run};

/// The compiled code that projects have in common, which is most of it, is built once.
const TARGET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/new-plugins");

/// Held while cargo is at work there: it runs tests of documentation while another cargo may be
/// building what they link.
pub(super) static AT_WORK: Mutex<()> = Mutex::new(());

/// A project in a home of its own.
pub(in crate::plugins) struct NewPlugin {
    pub(in crate::plugins) env: TestEnv,
    pub(in crate::plugins) folder: PathBuf,
    /// What msb says to do next, without `cd`.
    steps: Vec<String>,
}

impl NewPlugin {
    /// Has msb make it.
    pub(in crate::plugins) fn new(name: &str, kind: &str, language: &str) -> Self {
        let env = TestEnv::new();
        if language != "rust" {
            env.give_time_to_compile(name);
        }
        let made = env
            .msb(&format!(
                "plugin new {name} --kind {kind} --lang {language}"
            ))
            .success();
        let mut steps = made
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("  "));
        let mut steps = steps.by_ref().map(str::trim_start);
        let cd = steps.find(|line| !line.starts_with('✓')).unwrap();
        assert_eq!(cd, format!("cd {name}"));
        Self {
            folder: env.path(name),
            steps: steps.map(str::to_owned).collect(),
            env,
        }
    }

    /// Runs the steps that it was said to need. `line` may change a step or leave it out.
    pub(in crate::plugins) fn take_steps(&self, line: impl Fn(&str) -> Option<String>) {
        for step in self.steps.iter().filter_map(|step| line(step)) {
            run(&mut self.shell(&step));
        }
    }

    /// Returns a shell in the project, in which `msb` is the one under test.
    pub(in crate::plugins) fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        let own = crate::tools::msb().parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        command
            .args(["-ec", line])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .env("PATH", format!("{}:{path}", own.display()))
            .env("MSB_HOME", self.env.home())
            .env("NO_COLOR", "1")
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET");
        if let Some(settings) = self.env.system_settings() {
            command.env("MSB_SYSTEM_CONFIG_PATH", settings);
        }
        command
    }
}

/// Returns a project in Rust, built, tested and installed.
pub(super) fn in_rust(name: &str, kind: &str) -> NewPlugin {
    let plugin = NewPlugin::new(name, kind, "rust");
    prepare(&plugin.folder);
    let _alone = AT_WORK.lock().unwrap_or_else(PoisonError::into_inner);
    plugin.take_steps(|step| match step.split_once(' ')? {
        ("rustup", _) => None,
        ("cargo", "plugin") => Some(format!("{}{step}", plugin_build().unwrap())),
        ("msb", rest) if rest.starts_with("plugin install ") => Some(format!("{step} --yes")),
        _ => Some(step.to_owned()),
    });
    plugin
}

/// Returns the component of a new project that has another source.
pub(in crate::plugins) fn built_in_rust(name: &str, source: &str) -> Vec<u8> {
    let plugin = NewPlugin::new(name, "credential", "rust");
    prepare(&plugin.folder);
    let _alone = AT_WORK.lock().unwrap_or_else(PoisonError::into_inner);
    // All of this name are one package to cargo, which looks at the time of its source.
    std::fs::write(plugin.folder.join("src/lib.rs"), source).unwrap();
    run(&mut plugin.shell(&format!("{}cargo plugin", plugin_build().unwrap())));
    let component = format!("target/wasm32-unknown-unknown/release/{name}.wasm");
    std::fs::read(plugin.folder.join(component)).unwrap()
}

/// Gives a project in Rust what was compiled and fetched before.
pub(super) fn prepare(folder: &Path) {
    std::fs::create_dir_all(TARGET).unwrap();
    symlink(TARGET, folder.join("target")).unwrap();
    // The versions that the guests of this repository have are here, whatever there is elsewhere.
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/Cargo.lock");
    std::fs::copy(guests, folder.join("Cargo.lock")).unwrap();
}
