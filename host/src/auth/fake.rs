//! A provider that says what a test tells it to, and counts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::{
    Answer, Cache, CredentialEntry, CredentialExtent, Operations, Problem, Provider, ProviderError,
};
use crate::cancel::Cancel;
use crate::context::Context;
use crate::credential::{AuthSourceKind, CredentialRequest, Outcome, RegistryAuth, Tier};
use crate::progress::{Event, LogLevel, Progress};

type Get = Box<dyn Fn(&CredentialRequest) -> Result<Answer, ProviderError> + Send + Sync>;

/// A provider.
pub(super) struct Fake {
    name: &'static str,
    patterns: Vec<String>,
    get: Get,
    pub(super) asked: AtomicUsize,
    /// What it has been given to keep: registry and password.
    pub(super) kept: Mutex<Vec<(String, String)>>,
    pub(super) reports: Mutex<Vec<Outcome>>,
    /// `store` and `erase` fail with this.
    pub(super) broken: Mutex<Option<&'static str>>,
    pause: Duration,
}

impl Fake {
    pub(super) fn new(
        name: &'static str,
        get: impl Fn(&CredentialRequest) -> Result<Answer, ProviderError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            patterns: vec!["*".to_owned()],
            get: Box::new(get),
            asked: AtomicUsize::new(0),
            kept: Mutex::default(),
            reports: Mutex::default(),
            broken: Mutex::default(),
            pause: Duration::ZERO,
        }
    }

    /// Returns one that answers with its own name as the user and `secret-<name>` as the password.
    pub(super) fn answering(name: &'static str) -> Self {
        Self::new(name, move |_| Ok(answer(name)))
    }

    /// Returns one that has nothing.
    pub(super) fn empty(name: &'static str) -> Self {
        Self::new(name, |_| Err(ProviderError::NotFound))
    }

    pub(super) fn failing(
        name: &'static str,
        error: impl Fn(Problem) -> ProviderError + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, move |_| Err(error(Problem::new("it is broken"))))
    }

    pub(super) fn only_for(mut self, patterns: &[&str]) -> Self {
        self.patterns = patterns.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    pub(super) fn slow(mut self) -> Self {
        self.pause = Duration::from_millis(50);
        self
    }

    pub(super) fn times(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn usable(&self) -> Result<(), ProviderError> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        match *broken {
            Some(text) => Err(ProviderError::Unavailable(Problem::new(text))),
            None => Ok(()),
        }
    }
}

/// Returns a password for a user, and where it is from.
pub(super) fn answer(name: &str) -> Answer {
    Answer {
        credential: RegistryAuth::basic(name, format!("secret-{name}")),
        cache: Cache::Session,
        extent: CredentialExtent::Registry,
        source: Some(format!("the place of {name}")),
    }
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl Provider for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn tier(&self) -> Tier {
        match self.name {
            "keychain" | "docker-config" => Tier::Ambient,
            "env" | "secret-file" => Tier::Configured,
            _ => Tier::Installed,
        }
    }

    fn reads(&self) -> Option<AuthSourceKind> {
        match self.name {
            "keychain" => Some(AuthSourceKind::Keyring),
            "env" => Some(AuthSourceKind::PasswordEnv),
            "secret-file" => Some(AuthSourceKind::SecretName),
            _ => None,
        }
    }

    fn title(&self) -> &str {
        self.name
    }

    fn operations(&self) -> Operations {
        Operations {
            store: true,
            erase: true,
            list: true,
            report: true,
            login: false,
        }
    }

    fn registries(&self) -> &[String] {
        &self.patterns
    }

    fn get(&self, request: &CredentialRequest, _: &Context) -> Result<Answer, ProviderError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(self.pause);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = kept.iter().find(|(host, _)| *host == request.registry);
        if let Some((_, password)) = mine {
            return Ok(Answer {
                credential: RegistryAuth::basic("kept", password.clone()),
                ..answer(self.name)
            });
        }
        drop(kept);
        (self.get)(request)
    }

    fn store(
        &self,
        request: &CredentialRequest,
        credential: &RegistryAuth,
        _: &Context,
    ) -> Result<(), ProviderError> {
        self.usable()?;
        let RegistryAuth::Basic { password, .. } = credential else {
            return Err(ProviderError::Unsupported);
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(host, _)| *host != request.registry);
        kept.push((
            request.registry.clone(),
            password.expose_secret().to_owned(),
        ));
        Ok(())
    }

    fn erase(&self, request: &CredentialRequest, _: &Context) -> Result<(), ProviderError> {
        self.usable()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.len();
        kept.retain(|(host, _)| *host != request.registry);
        if kept.len() == before {
            return Err(ProviderError::NotFound);
        }
        Ok(())
    }

    fn list(&self, _: &Context) -> Result<Vec<CredentialEntry>, ProviderError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = |host: &String| CredentialEntry {
            registry: host.clone(),
            username: Some("kept".to_owned()),
            source: None,
            expires: None,
        };
        Ok(kept.iter().map(|(host, _)| entry(host)).collect())
    }

    fn report(
        &self,
        _: &CredentialRequest,
        outcome: Outcome,
        _: &Context,
    ) -> Result<(), ProviderError> {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.push(outcome);
        Ok(())
    }
}

/// Takes down what is told.
#[derive(Debug, Default)]
pub(super) struct Listener(Mutex<Vec<(LogLevel, String)>>);

impl Listener {
    /// Returns what was told at this level.
    pub(super) fn heard(&self, level: LogLevel) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .filter(|(of, _)| *of == level)
            .map(|(_, text)| text.clone())
            .collect()
    }
}

impl Progress for Listener {
    fn report(&self, event: Event<'_>) {
        let line = match event {
            Event::Log { level, message } => (level, message.to_owned()),
            Event::Notice(text) => (LogLevel::Warn, text.to_owned()),
            _ => return,
        };
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line);
    }
}

/// The context of providers in a test.
pub(super) struct TestContext {
    pub(super) listener: Arc<Listener>,
    progress: Arc<dyn Progress>,
    cancel: Cancel,
}

impl TestContext {
    pub(super) fn new() -> Self {
        let listener = Arc::new(Listener::default());
        Self {
            progress: Arc::clone(&listener) as _,
            listener,
            cancel: Cancel::default(),
        }
    }

    pub(super) fn context(&self) -> Context {
        Context {
            progress: Arc::clone(&self.progress),
            cancel: self.cancel.clone(),
        }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.listener.heard(LogLevel::Warn)
    }
}
