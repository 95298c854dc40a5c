//! A provider that says what a test tells it to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use msb_host::Context;
use msb_host::auth::{
    Answer, Cache, CredentialEntry, CredentialExtent, Operations, Problem, Provider, ProviderError,
};
use msb_host::credential::{AuthSourceKind, CredentialRequest, Outcome, RegistryAuth, Tier};

type Get = Box<dyn Fn(&CredentialRequest) -> Result<Answer, ProviderError> + Send + Sync>;

/// A provider that knows what it is told and what it was given to keep.
pub(super) struct Known {
    name: &'static str,
    patterns: Vec<String>,
    get: Get,
    kept: Mutex<BTreeMap<String, RegistryAuth>>,
    asked: AtomicUsize,
    reports: Mutex<Vec<Outcome>>,
    broken: Mutex<bool>,
    /// What is done before something is kept.
    before_store: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Known {
    pub(super) fn saying(
        name: &'static str,
        get: impl Fn(&CredentialRequest) -> Result<Answer, ProviderError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::of(name, &["*"], Box::new(get))
    }

    /// Returns one that has only what it is given to keep, for registries of these patterns.
    pub(super) fn only_for(name: &'static str, patterns: &[&str]) -> Arc<Self> {
        Self::of(name, patterns, Box::new(|_| Err(ProviderError::NotFound)))
    }

    fn of(name: &'static str, patterns: &[&str], get: Get) -> Arc<Self> {
        Arc::new(Self {
            name,
            patterns: patterns.iter().map(|text| (*text).to_owned()).collect(),
            get,
            kept: Mutex::default(),
            asked: AtomicUsize::new(0),
            reports: Mutex::default(),
            broken: Mutex::new(false),
            before_store: Mutex::default(),
        })
    }

    /// Has it keep something for a registry, whatever that is called.
    pub(super) fn keep(&self, registry: &str) {
        let auth = RegistryAuth::basic("kept", "secret-kept");
        self.kept.lock().unwrap().insert(registry.to_owned(), auth);
    }

    /// Returns one that always answers the same.
    pub(super) fn having(name: &'static str, auth: RegistryAuth) -> Arc<Self> {
        Self::saying(name, move |_| Ok(answer(auth.clone())))
    }

    /// Returns one that has only what it is given to keep.
    pub(super) fn empty(name: &'static str) -> Arc<Self> {
        Self::saying(name, |_| Err(ProviderError::NotFound))
    }

    /// Has something done whenever it is given something to keep, before it keeps it.
    pub(super) fn before_store(&self, act: impl Fn() + Send + 'static) {
        *self.before_store.lock().unwrap() = Some(Box::new(act));
    }

    /// Keeps nothing any more, and forgets nothing.
    pub(super) fn break_down(&self) {
        *self.broken.lock().unwrap() = true;
    }

    pub(super) fn has(&self, registry: &str) -> bool {
        self.kept.lock().unwrap().contains_key(registry)
    }

    pub(super) fn times(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn reports(&self) -> Vec<Outcome> {
        self.reports.lock().unwrap().clone()
    }

    fn usable(&self) -> Result<(), ProviderError> {
        if *self.broken.lock().unwrap() {
            return Err(ProviderError::Unavailable(Problem::new("there is no bus")));
        }
        Ok(())
    }
}

/// Returns an answer that is good for the registry and the process.
pub(super) fn answer(credential: RegistryAuth) -> Answer {
    Answer {
        credential,
        cache: Cache::Session,
        extent: CredentialExtent::Registry,
        source: Some("~/a/file".to_owned()),
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl Provider for Known {
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
        match self.kept.lock().unwrap().get(&request.registry) {
            Some(auth) => Ok(answer(auth.clone())),
            None => (self.get)(request),
        }
    }

    fn store(
        &self,
        request: &CredentialRequest,
        credential: &RegistryAuth,
        _: &Context,
    ) -> Result<(), ProviderError> {
        if let Some(act) = &*self.before_store.lock().unwrap() {
            act();
        }
        self.usable()?;
        let (registry, auth) = (request.registry.clone(), credential.clone());
        self.kept.lock().unwrap().insert(registry, auth);
        Ok(())
    }

    fn erase(&self, request: &CredentialRequest, _: &Context) -> Result<(), ProviderError> {
        self.usable()?;
        match self.kept.lock().unwrap().remove(&request.registry) {
            Some(_) => Ok(()),
            None => Err(ProviderError::NotFound),
        }
    }

    fn list(&self, _: &Context) -> Result<Vec<CredentialEntry>, ProviderError> {
        let kept = self.kept.lock().unwrap();
        let entry = |registry: &String| CredentialEntry {
            registry: registry.clone(),
            username: Some("kept".to_owned()),
            source: Some("~/a/file".to_owned()),
            expires: None,
        };
        Ok(kept.keys().map(entry).collect())
    }

    fn report(
        &self,
        _: &CredentialRequest,
        outcome: Outcome,
        _: &Context,
    ) -> Result<(), ProviderError> {
        self.reports.lock().unwrap().push(outcome);
        Ok(())
    }
}
