//! Where a plugin is tested: a home that is thrown away, a runtime in it, and a stage around it.
//!
//! Owns what the checks share. Nothing of the user's is in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::report::Check;
use super::stage::Theatre;
use super::{ConformanceError, Subject};
use crate::cancel::Cancel;
use crate::plugin::access::Environment;
use crate::plugin::{Budget, ComponentBytes, Formats, Grants, Inspection, Kind, Package, Runtime};
use crate::progress::{Event, Progress};
use crate::store::Home;

/// How long a call may compute here. Inputs are small: who takes longer hangs.
const COMPUTE: Duration = Duration::from_secs(10);

/// The lines that a plugin logs.
#[derive(Debug, Default)]
pub(super) struct Journal(Mutex<Vec<String>>);

impl Journal {
    /// Returns the lines so far, and begins anew.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Progress for Journal {
    fn report(&self, event: Event<'_>) {
        if let Event::PluginLog { message, .. } = event {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(message.to_owned());
        }
    }
}

/// The place.
pub(super) struct Lab<'a> {
    pub(super) subject: &'a Subject,
    pub(super) runtime: Runtime,
    pub(super) stage: Arc<Theatre>,
    pub(super) journal: Arc<Journal>,
    /// The journal, as whoever calls a plugin wants it.
    pub(super) progress: Arc<dyn Progress>,
    pub(super) cancel: &'a Cancel,
    outer: &'a Arc<dyn Progress>,
    folder: tempfile::TempDir,
    component: Arc<[u8]>,
}

impl<'a> Lab<'a> {
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
        let stage = Theatre::open(&folder.path().join("root"), &subject.variables)
            .map_err(ConformanceError::Folder)?;
        let stage = Arc::new(stage);
        let journal = Arc::new(Journal::default());
        Ok(Self {
            subject,
            runtime: on_stage(&folder.path().join("msb"), &stage),
            progress: Arc::clone(&journal) as _,
            journal,
            stage,
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
        // What was stopped halfway is no finding.
        self.cancel.check()?;
        Ok(check)
    }

    /// Returns another runtime, with a home of its own, on the same stage.
    pub(super) fn other_runtime(&self, name: &str) -> Runtime {
        on_stage(&self.path(name), &self.stage)
    }

    /// Returns a path that nobody else uses.
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
            Kind::Format(_) => Budget {
                compute: COMPUTE,
                ..Budget::FORMAT
            },
            Kind::Credential(_) => Budget::CREDENTIAL,
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

fn on_stage(home: &Path, stage: &Arc<Theatre>) -> Runtime {
    let stage = Arc::clone(stage);
    Runtime::with_environment(&Home::at(home), Environment::Staged(stage))
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
