//! When an answer that outlives a run is used again: every call here is as of a process of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::ExposeSecret as _;
use url::Url;
use zeroize::Zeroizing;

use crate::auth::Operations;
use crate::cancel::Cancel;
use crate::context::Context;
use crate::credential::{CredentialRequest, RegistryAuth};
use crate::home::Home;
use crate::plugin::test_bench::{component, request};
use crate::plugin::{
    ComponentBytes, CredentialDescription, FakeSystem, HelperOutput, Package, PluginBudget,
    PluginKind, Runtime, providers,
};
use crate::progress::{Event, PluginWork, Progress};

const NOW: u64 = 1_800_000_000;

/// A machine whose clock, variables and files a test sets.
#[derive(Debug)]
struct Machine {
    home: tempfile::TempDir,
    now: Mutex<u64>,
    variables: Mutex<BTreeMap<String, String>>,
    calls: Mutex<usize>,
}

impl FakeSystem for Machine {
    fn variable(&self, name: &str) -> Option<OsString> {
        self.variables.lock().unwrap().get(name).map(Into::into)
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("root")
    }

    fn file_read(&self) {}

    fn item(&self, _: &str, _: &str) -> Option<Zeroizing<String>> {
        None
    }

    fn keep_item(&self, _: &str, _: &str, _: Option<Zeroizing<String>>) -> bool {
        false
    }

    fn helper(&self, _: &str, _: &str, _: &[u8]) -> HelperOutput {
        panic!("no helper is asked here");
    }

    fn server(&self, url: &Url) -> Url {
        url.clone()
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(*self.now.lock().unwrap())
    }

    fn wait(&self, _: Duration) {}

    fn keeps_answers(&self) -> bool {
        true
    }

    fn refused(&self, _: &str) {}
}

/// Counts how often a plugin is called.
struct Calls(Arc<Machine>);

impl Progress for Calls {
    fn report(&self, event: Event<'_>) {
        if let Event::PluginWork {
            work: PluginWork::Call("get"),
            ..
        } = event
        {
            *self.0.calls.lock().unwrap() += 1;
        }
    }
}

impl Machine {
    fn new() -> Arc<Self> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("root")).unwrap();
        Arc::new(Self {
            home,
            now: Mutex::new(NOW),
            variables: Mutex::default(),
            calls: Mutex::new(0),
        })
    }

    fn set(&self, name: &str, value: &str) {
        let mut variables = self.variables.lock().unwrap();
        variables.insert(name.to_owned(), value.to_owned());
    }

    fn set_clock(&self, seconds: u64) {
        *self.now.lock().unwrap() = seconds;
    }

    /// Asks as another process would, and returns the password and how often the plugin was called.
    fn ask(self: &Arc<Self>, request: &CredentialRequest) -> (String, usize) {
        self.ask_with(request, &["env=*", "files=/**", "state"], "blue")
    }

    fn ask_with(
        self: &Arc<Self>,
        request: &CredentialRequest,
        grants: &[&str],
        colour: &str,
    ) -> (String, usize) {
        let home = Home::at(self.home.path().join("msb"));
        let runtime = Runtime::with_fake_system(&home, Arc::clone(self) as _);
        let package = Package {
            name: "keeper".into(),
            version: None,
            kind: PluginKind::Credential(CredentialDescription {
                name: "keeper".to_owned(),
                title: "Keeps".to_owned(),
                operations: Operations::default(),
                registries: vec!["*".to_owned()],
                needs: Vec::new(),
                tier: None,
                reads: None,
            }),
            component: ComponentBytes::Memory(component("misbehaving-credentials").into()),
            grants: grants.iter().map(|grant| grant.parse().unwrap()).collect(),
            limits: PluginBudget::CREDENTIAL,
            settings: Some(serde_json::json!({ "colour": colour })),
            builtin: false,
        };
        let provider = providers(&runtime, &[package]).remove(0);
        let context = Context {
            progress: Arc::new(Calls(Arc::clone(self))),
            cancel: Cancel::default(),
        };
        let answer = provider.get(request, &context).unwrap();
        let RegistryAuth::Basic { password, .. } = answer.credential else {
            panic!("no password");
        };
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        (password.expose_secret().to_owned(), calls)
    }
}

fn until(place: &str, seconds: u64) -> CredentialRequest {
    request("keep", &format!("{place} {seconds}"))
}

fn found(password: &str, calls: usize) -> (String, usize) {
    (password.to_owned(), calls)
}

#[test]
fn an_answer_is_used_until_it_ends_and_a_day_at_most() {
    let machine = Machine::new();
    machine.set("TOKEN", "first");
    let request = until("TOKEN", NOW + 3_600);
    assert_eq!(machine.ask(&request), found("first", 1));
    assert_eq!(machine.ask(&request), found("first", 0));
    machine.set_clock(NOW + 3_539);
    assert_eq!(machine.ask(&request), found("first", 0));
    machine.set_clock(NOW + 3_540);
    assert_eq!(machine.ask(&request), found("first", 1));
    machine.set_clock(NOW);
    let forever = until("TOKEN", 40_000_000_000);
    assert_eq!(machine.ask(&forever), found("first", 1));
    machine.set_clock(NOW + 86_000);
    assert_eq!(machine.ask(&forever), found("first", 0));
    machine.set_clock(NOW + 86_400);
    assert_eq!(machine.ask(&forever), found("first", 1));
}

#[test]
fn a_clock_that_was_wrong_makes_no_answer_last() {
    let machine = Machine::new();
    machine.set("TOKEN", "first");
    // Years ahead, then put right: the answer does not last for years.
    machine.set_clock(NOW + 100_000_000);
    let request = until("TOKEN", NOW + 100_003_600);
    assert_eq!(machine.ask(&request), found("first", 1));
    machine.set_clock(NOW);
    assert_eq!(machine.ask(&request), found("first", 1));
    // Years behind: what was kept then is over now.
    machine.set_clock(1_000);
    let request = until("TOKEN", 4_600);
    assert_eq!(machine.ask(&request), found("first", 1));
    machine.set_clock(NOW);
    assert_eq!(machine.ask(&request), found("first", 1));
    // Before 1970 there is no time at all.
    machine.set_clock(0);
    assert_eq!(machine.ask(&request), found("first", 1));
}

#[test]
fn another_variable_or_file_is_another_answer() {
    for place in ["file:/token", "TOKEN"] {
        let machine = Machine::new();
        let path = machine.home.path().join("root/token");
        let set = |text: &str| {
            std::fs::write(&path, text).unwrap();
            machine.set("TOKEN", text);
        };
        let request = until(place, NOW + 3_600);
        assert_eq!(machine.ask(&request), found("nothing", 1));
        assert_eq!(machine.ask(&request), found("nothing", 0));
        set("first");
        assert_eq!(machine.ask(&request), found("first", 1));
        assert_eq!(machine.ask(&request), found("first", 0));
        set("second");
        assert_eq!(machine.ask(&request), found("second", 1));
        assert_eq!(machine.ask(&request), found("second", 0));
    }
}

#[test]
fn another_question_setting_or_grant_is_another_answer() {
    let machine = Machine::new();
    machine.set("TOKEN", "first");
    let request = until("TOKEN", NOW + 3_600);
    let all = ["env=*", "files=/**", "state"];
    assert_eq!(machine.ask(&request), found("first", 1));
    assert_eq!(machine.ask_with(&request, &all, "red"), found("first", 1));
    assert_eq!(
        machine.ask_with(&request, &all[..1], "red"),
        found("first", 1)
    );
    assert_eq!(
        machine.ask_with(&request, &["env=TOKEN", "state"], "red"),
        found("first", 1)
    );
    assert_eq!(machine.ask(&request), found("first", 1));
    assert_eq!(machine.ask(&request), found("first", 0));
    let named = CredentialRequest {
        username: Some("user".to_owned()),
        ..request.clone()
    };
    assert_eq!(machine.ask(&named), found("first", 1));
    let again = CredentialRequest {
        attempt: 2,
        ..request.clone()
    };
    assert_eq!(machine.ask(&again), found("first", 1));
    let set = CredentialRequest {
        settings: Some(serde_json::json!({"provider": "keeper"})),
        ..request
    };
    assert_eq!(machine.ask(&set), found("first", 1));
}
