//! Who msb is to a registry: which credentials it finds, what it does when they are refused, and
//! what `msb registry` keeps, forgets and lists.

mod commands;
mod kept;
mod keychain;
mod login;
mod other_tools;
mod provider;
mod refused;
mod roles;
mod secrets;
mod sources;
mod third_party;
mod tokens;

use std::sync::Arc;

use msb_host::Context;
use msb_host::auth::{Chain, Provider};
use msb_host::home::Home;
use msb_host::hosts::{HostOverrides, RetryPolicy};
use msb_host::image::{self, PullError, PullOptions, PulledImage};
use msb_host::progress::{Event, LogLevel, Progress};
use msb_host::registry::Client;
use msb_host::settings::Settings;
use msb_host::store::Store;

use crate::archive::{Image, gzip};
use crate::env::TestEnv;
use crate::faulty::Registry;
use provider::Known;

/// Returns the tests about credentials.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        kept::tests(),
        tokens::tests(),
        refused::tests(),
        login::all(),
        commands::all(),
        sources::all(),
        other_tools::all(),
        secrets::tests(),
        third_party::tests(),
        roles::tests(),
    ];
    tests.into_iter().flatten().collect()
}

/// A registry with the images `app:1` and `other:1`, and a home; msb is used as a library.
struct Scene {
    env: TestEnv,
    registry: Registry,
    client: Arc<Client>,
    heard: Arc<Heard>,
}

impl Scene {
    fn new() -> Self {
        let registry = Registry::start();
        for name in ["app", "other"] {
            let image = Image::new("", &["etc/\netc/hosts = here"]).compressed(gzip);
            registry.put_image(name, "1", &image);
        }
        let hosts = Settings::default()
            .hosts(&HostOverrides::default())
            .unwrap();
        let policy = RetryPolicy {
            delay: std::time::Duration::from_millis(10),
            ..RetryPolicy::default()
        };
        Self {
            env: TestEnv::new(),
            registry,
            client: Arc::new(Client::new(hosts, policy).unwrap()),
            heard: Arc::default(),
        }
    }

    /// Lets in who has a token of the registry itself.
    fn guarded() -> Self {
        let scene = Self::new();
        scene.registry.require_token(&scene.registry);
        scene
    }

    fn pull(&self, name: &str, options: &PullOptions) -> Result<PulledImage, PullError> {
        let home = Home::at(self.env.home());
        let progress: Arc<dyn Progress> = Arc::clone(&self.heard) as _;
        image::pull(
            &Store::open(&home).unwrap(),
            &self.client,
            &format!("{}/{name}:1", self.registry.host())
                .parse()
                .unwrap(),
            options,
            &Context {
                progress,
                ..Context::default()
            },
        )
    }

    /// Pulls with what a provider knows.
    fn pull_with(&self, name: &str, provider: &Arc<Known>) -> Result<PulledImage, PullError> {
        self.pull(name, &with(&[provider]))
    }
}

/// Returns options with these providers in the chain.
fn with(providers: &[&Arc<Known>]) -> PullOptions {
    let providers = providers
        .iter()
        .map(|known| Arc::clone(known) as Arc<dyn Provider>);
    let chain = Chain::new(providers, &Settings::default().registries.auth);
    PullOptions {
        chain: Arc::new(chain),
        ..PullOptions::default()
    }
}

/// Returns options with these providers, and what is set for registries where that is wanted.
fn with_settings(providers: &[Arc<Known>], registries: &str, is_set: bool) -> PullOptions {
    let file = tempfile::NamedTempFile::new().unwrap();
    let registries = if is_set { registries } else { "{}" };
    std::fs::write(file.path(), format!("{{\"registries\": {registries}}}")).unwrap();
    let settings = Settings::read_from(file.path()).unwrap();
    let providers = providers
        .iter()
        .map(|known| Arc::clone(known) as Arc<dyn Provider>);
    let chain = Chain::new(providers, &settings.registries.auth);
    PullOptions {
        chain: Arc::new(chain),
        ..PullOptions::default()
    }
}

/// Asserts that a run shows no password. One of the providers is called `secret-file`.
#[track_caller]
fn assert_no_secret(run: &crate::env::Run) {
    for text in [&run.stdout, &run.stderr] {
        assert!(
            !text.replace("secret-file", "").contains("secret-"),
            "{run:#?}"
        );
    }
}

/// Returns an error with all that led to it.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let lines: Vec<String> = chain.map(ToString::to_string).collect();
    let text = lines.join("\n");
    assert!(!text.contains("secret-"), "{text}");
    text
}

/// What an operation has told.
#[derive(Default)]
struct Heard(std::sync::Mutex<Vec<(LogLevel, String)>>);

impl Heard {
    /// Returns the warnings, each on a line.
    fn warnings(&self) -> String {
        let lines = self.0.lock().unwrap();
        let warnings = lines.iter().filter(|(level, _)| *level == LogLevel::Warn);
        let texts: Vec<&str> = warnings.map(|(_, text)| text.as_str()).collect();
        texts.join("\n")
    }
}

impl Progress for Heard {
    fn report(&self, event: Event<'_>) {
        let line = match event {
            Event::Log { level, message } => (level, message.to_owned()),
            Event::Notice(text) => (LogLevel::Warn, text.to_owned()),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}
