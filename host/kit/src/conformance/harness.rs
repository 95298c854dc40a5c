//! Where a plugin is tested: a home that is thrown away, a runtime in it, and a made-up environment.
//!
//! Owns what the checks share. Nothing of the user's is in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::fake_environment::FakeEnvironment;
use super::files::OwnFile;
use super::own_answer::OwnAnswer;
use super::report::Check;
use super::{ConformanceError, Subject};
use msb_host::Context;
use msb_host::cancel::Cancel;
use msb_host::home::Home;
use msb_host::plugin::{
    ComponentBytes, Formats, Grants, Inspection, Package, PluginBudget, PluginError, PluginKind,
    Runtime,
};
use msb_host::progress::{Event, LogLevel, Progress};

/// How long a call may compute here. Inputs are small: who takes longer hangs.
const COMPUTE: Duration = Duration::from_secs(10);
/// The processor's time that compiling may take: the author of a plugin knows what is in it.
const COMPILE_TIME: Duration = Duration::from_mins(1);

/// The lines that a plugin logs. They are passed on as well, none of them as a warning: that a
/// plugin warns of what it is shown here is what it should do.
pub(super) struct Journal {
    lines: Mutex<Vec<String>>,
    outer: Arc<dyn Progress>,
}

impl Journal {
    /// Returns the lines so far, and starts again.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Progress for Journal {
    fn report(&self, event: Event<'_>) {
        if let Event::PluginLog {
            plugin,
            level,
            message,
        } = event
        {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(message.to_owned());
            self.outer.report(Event::PluginLog {
                plugin,
                level: level.min(LogLevel::Info),
                message,
            });
        }
    }
}

/// What all checks of one plugin share.
pub(super) struct Harness<'a> {
    pub(super) subject: &'a Subject,
    pub(super) runtime: Runtime,
    pub(super) fake: Arc<FakeEnvironment>,
    pub(super) journal: Arc<Journal>,
    /// The journal, as callers of a plugin expect it.
    pub(super) progress: Arc<dyn Progress>,
    pub(super) cancel: &'a Cancel,
    outer: &'a Arc<dyn Progress>,
    folder: tempfile::TempDir,
    component: Arc<[u8]>,
}

impl<'a> Harness<'a> {
    /// Returns what an operation is given that is watched.
    pub(super) fn context(&self) -> Context {
        Context {
            progress: Arc::clone(&self.progress),
            cancel: self.cancel.clone(),
        }
    }

    /// Sets it up.
    pub(super) fn open(
        subject: &'a Subject,
        outer: &'a Arc<dyn Progress>,
        cancel: &'a Cancel,
    ) -> Result<Self, ConformanceError> {
        let folder = tempfile::Builder::new()
            .prefix("msb-plugin-test-")
            .tempdir()
            .map_err(ConformanceError::Folder)?;
        let own = subject.files.iter().map(|(path, sample)| {
            OwnFile::parse(path, sample).map_err(|problem| ConformanceError::Path {
                path: path.clone(),
                problem,
            })
        });
        let own = own.collect::<Result<_, _>>()?;
        let answers = subject.answers.iter().map(|(address, sample)| {
            OwnAnswer::parse(address, sample).map_err(|problem| ConformanceError::Address {
                address: address.clone(),
                problem,
            })
        });
        let answers = answers.collect::<Result<_, _>>()?;
        let root = folder.path().join("root");
        let fake = FakeEnvironment::open(&root, &subject.variables, own, answers)
            .map_err(ConformanceError::Folder)?;
        let fake = Arc::new(fake);
        let journal = Arc::new(Journal {
            lines: Mutex::default(),
            outer: Arc::clone(outer),
        });
        Ok(Self {
            subject,
            runtime: in_fake(&folder.path().join("msb"), &fake, subject),
            progress: Arc::clone(&journal) as _,
            journal,
            fake,
            cancel,
            outer,
            folder,
            component: subject.component.as_slice().into(),
        })
    }

    /// Says what goes on, and whether it still should.
    pub(super) fn begin(&self, check: &str) -> Result<(), ConformanceError> {
        let doing = format!("Testing ({check})");
        self.outer.report(Event::Phase(&doing));
        Ok(self.cancel.check()?)
    }

    /// Makes a check, and says so before.
    pub(super) fn check(
        &self,
        name: &'static str,
        check: impl FnOnce() -> Check,
    ) -> Result<Check, ConformanceError> {
        self.begin(name)?;
        let check = check();
        // A check that was interrupted is not a finding.
        self.cancel.check()?;
        Ok(check)
    }

    /// Returns a runtime in the same home, as if msb had been started again.
    pub(super) fn restarted(&self) -> Runtime {
        in_fake(&self.runtime.home(), &self.fake, self.subject)
    }

    /// Has the component describe itself.
    pub(super) fn inspect(&self, runtime: &Runtime) -> Result<Inspection, PluginError> {
        let Subject {
            name, component, ..
        } = self.subject;
        runtime.inspect(name, component, &self.progress, self.cancel)
    }

    /// Returns a path that nothing else uses.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and returns where it is. What was there before goes first: some file systems
    /// wait for the disk when a file is written over.
    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// Keeps an archive with which a case of a check failed, if the author wants it, and returns
    /// the failure with a word of where.
    pub(super) fn kept(&self, check: &str, case: usize, bytes: &[u8], why: &str) -> String {
        let Some(folder) = &self.subject.keep else {
            return why.to_owned();
        };
        let path = folder.join(format!("{check}-{case}.tar"));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, bytes));
        match written {
            Ok(()) => format!("{why} (kept as {})", path.display()),
            Err(error) => format!("{why} (not kept: {}: {error})", path.display()),
        }
    }

    /// Makes an empty directory in place of what was there.
    pub(super) fn fresh(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Returns the plugin with these grants.
    pub(super) fn package(&self, inspection: &Inspection, grants: Grants) -> Package {
        let limits = match inspection.kind {
            PluginKind::Format(_) => PluginBudget {
                compute: COMPUTE,
                ..PluginBudget::FORMAT
            },
            PluginKind::Credential(_) => PluginBudget::CREDENTIAL,
        };
        Package {
            name: self.subject.name.as_str().into(),
            version: inspection.metadata.version.clone(),
            kind: inspection.kind.clone(),
            component: ComponentBytes::Memory(Arc::clone(&self.component)),
            grants,
            limits,
            settings: self.subject.settings.clone(),
            builtin: false,
        }
    }

    /// Returns the plugin as the only format there is.
    pub(super) fn formats(&self, runtime: &Runtime, inspection: &Inspection) -> Formats {
        Formats::of(runtime, &[self.package(inspection, Grants::default())])
    }
}

fn in_fake(home: &Path, fake: &Arc<FakeEnvironment>, subject: &Subject) -> Runtime {
    Runtime::with_fake_system(&Home::at(home), Arc::clone(fake) as _)
        .compiled_by(subject.compiler.as_deref())
        .compiled_within(COMPILE_TIME)
}

/// Returns an error and everything that led to it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}
