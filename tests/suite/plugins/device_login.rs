//! A provider that talks to the user: the login with a code for the browser (RFC 8628), against an
//! identity provider that answers as the standard says.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{component, row};
use crate::archive::Image;
use crate::cli::terminal::Terminal;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::faulty::http::Request;
use crate::plugins::examples::vault::Vault;
use crate::tests;

tests! {
    a_code_that_is_entered_logs_in_and_a_pull_refreshes_it_without_a_word needs Tmux;
    a_login_that_is_refused_or_too_late_leaves_nothing needs Tmux;
    a_login_that_the_user_stops_leaves_nothing needs Tmux;
    what_a_server_has_the_plugin_show_is_escaped needs Tmux;
    without_a_terminal_it_is_said_that_there_is_none;
    a_provider_that_knows_no_such_registry_is_passed_over;
    the_question_before_the_installation_says_that_it_talks_to_the_user;
}

/// What the identity provider answers to the next questions for a token, and which token the registry
/// takes. Nothing that msb prints or writes has any of the tokens.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<Vec<(u16, Value)>>>);

/// A registry that takes the tokens of an identity provider, and a home with the plugin.
struct Scene {
    env: TestEnv,
    registry: Registry,
    server: Vault,
}

const DEVICE_CODE: &str = "secret/device+code";

impl Scene {
    fn new(script: Vec<(u16, Value)>) -> Self {
        Self::showing("WDJB-MJHT", script)
    }

    fn showing(code: &str, script: Vec<(u16, Value)>) -> Self {
        let registry = Registry::start();
        registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
        let script = Script(Arc::new(Mutex::new(script)));
        let code = code.to_owned();
        let server = Vault::serving(move |request| script.answer(request, &code));
        let env = TestEnv::new();
        let scene = Self {
            env,
            registry,
            server,
        };
        scene.takes("secret-access-1");
        let address = scene.server.address;
        let settings = json!({"plugins": {"settings": {"device-login": {"registries": {
            scene.registry.host(): {
                "device_endpoint": format!("http://{address}/device"),
                "token_endpoint": format!("http://{address}/token"),
                "client_id": "msb", "username": "oauth2",
            },
        }}}}});
        scene.env.write_settings(settings);
        let mut command = scene.env.command(["plugin", "install"]);
        command.arg(component("device-login"));
        let http = format!("http=POST@http://{address}/");
        for grant in [http.as_str(), "clock", "state", "prompt"] {
            command.args(["--grant", grant]);
        }
        Run::of(&mut command).success();
        scene
    }

    /// Has the registry take one token, and forget whom it knew.
    fn takes(&self, token: &str) {
        self.registry.challenge(&[r#"Basic realm="tests""#], None);
        self.registry
            .accept_password(&STANDARD.encode(format!("oauth2:{token}")));
    }

    fn login(&self) -> String {
        format!("msb registry login {} --insecure", self.registry.host())
    }

    fn pull(&self) -> Run {
        let image = format!("{}/app:1", self.registry.host());
        Run::of(&mut self.env.command(["--trace", "pull", "--force", &image]))
    }

    /// Asserts that no file of the home has a secret in clear text, nor a text.
    fn is_discreet(&self, shown: &str) {
        assert!(
            !shown.replace("secret-file", "").contains("secret"),
            "{shown}"
        );
        for entry in walkdir::WalkDir::new(self.env.home()).into_iter().flatten() {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            let is_in = bytes.windows(13).any(|it| {
                it == b"secret-access" || it == b"secret-refres" || it == b"secret/device"
            });
            assert!(!is_in, "{}", entry.path().display());
        }
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.server.asked();
        let bodies = asked.iter().map(|request| &request.body);
        bodies
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .collect()
    }

    fn config(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.env.home().join("config.json")).unwrap())
            .unwrap()
    }
}

impl Script {
    fn answer(&self, request: &Request, code: &str) -> (u16, Value) {
        if request.path == "/device" {
            let answer = json!({
                "device_code": DEVICE_CODE, "user_code": code, "interval": 1, "expires_in": 60,
                "verification_uri": "https://id.example.com/device",
            });
            return (200, answer);
        }
        let mut script = self.0.lock().unwrap();
        match script.len() {
            0 => pending(),
            _ => script.remove(0),
        }
    }
}

fn error(code: &str) -> (u16, Value) {
    (400, json!({"error": code}))
}

fn pending() -> (u16, Value) {
    error("authorization_pending")
}

/// The tokens of a turn, which are good for so many seconds.
fn tokens(turn: u32, seconds: u64) -> (u16, Value) {
    let tokens = json!({
        "access_token": format!("secret-access-{turn}"),
        "refresh_token": format!("secret-refresh-{turn}"),
        "token_type": "bearer", "expires_in": seconds,
    });
    (200, tokens)
}

fn a_code_that_is_entered_logs_in_and_a_pull_refreshes_it_without_a_word() {
    let scene = Scene::new(vec![
        pending(),
        error("slow_down"),
        tokens(1, 3600),
        // Those of a second login end at once.
        tokens(2, 30),
        tokens(3, 30),
        error("invalid_grant"),
    ]);
    let terminal = Terminal::new(&scene.env);
    terminal.enter(&scene.login());
    let shown = terminal.wait_for("WDJB-MJHT");
    for words in [
        "plugin `device-login`: ",
        "page: https://id.example.com/device",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
    let started = Instant::now();
    let screen = terminal.wait_for("Logged in");
    // A second, a second, and six more after it was told to slow down.
    assert!(started.elapsed() > Duration::from_secs(6), "{screen}");
    scene.is_discreet(&screen);
    let host = scene.registry.host();
    assert_eq!(
        scene.config()["registries"]["auth"][&host],
        json!({"provider": "device-login", "username": "oauth2"})
    );
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=msb\
                 &device_code=secret%2Fdevice%2Bcode";
    assert_eq!(scene.asked()[1], grant);
    // Another process, which does not ask.
    let pull = scene.pull().success();
    scene.is_discreet(&pull.stderr);
    assert_eq!(scene.asked().len(), 4);
    scene.takes("secret-access-2");
    // The screen still shows the first login, and the line as it is typed.
    terminal.enter(&format!(
        "clear; {} && echo log''ged in twice",
        scene.login()
    ));
    terminal.wait_for("logged in twice");
    // What was given out has ended since: a pull gets another one, without a terminal.
    scene.takes("secret-access-3");
    let pull = scene.pull().success();
    scene.is_discreet(&pull.stderr);
    let refresh = "grant_type=refresh_token&client_id=msb&refresh_token=secret-refresh-2";
    assert_eq!(scene.asked().last().unwrap(), refresh);
    scene.pull().failure(&[
        "the login has ended",
        &format!("hint: log in with `msb registry login {host}`"),
    ]);
    let out = scene.env.msb(&format!("registry logout {host}"));
    scene.is_discreet(&out.stderr);
    assert_eq!(scene.config()["registries"]["auth"].get(&host), None);
}

fn a_login_that_is_refused_or_too_late_leaves_nothing() {
    for (answer, words) in [
        ("access_denied", "the login was refused in the browser"),
        ("expired_token", "the code was not entered in time"),
    ] {
        let scene = Scene::new(vec![error(answer)]);
        let before = scene.config();
        let terminal = Terminal::new(&scene.env);
        terminal.enter(&format!("{}; echo \"ended $?\"", scene.login()));
        let screen = terminal.wait_for("ended 1");
        let words = format!("caused by: {words}");
        assert!(screen.contains(&words), "{screen}");
        assert_eq!(scene.config(), before);
        assert!(
            !scene
                .env
                .home()
                .join("cache/plugins/device-login.state")
                .exists()
        );
    }
    // A token that the registry does not take is forgotten as well.
    let scene = Scene::new(vec![tokens(7, 3600)]);
    let before = scene.config();
    let terminal = Terminal::new(&scene.env);
    terminal.enter(&format!("{}; echo \"ended $?\"", scene.login()));
    // The line that was typed has the word as well.
    let is_over = |screen: &str| screen.lines().any(|line| line.starts_with("ended "));
    let screen = terminal.wait_until("an end", is_over);
    assert!(!screen.contains("ended 0"), "{screen}");
    assert_eq!(scene.config(), before);
    scene.pull().failure(&[]);
    assert_eq!(scene.asked().len(), 2);
}

fn a_login_that_the_user_stops_leaves_nothing() {
    let scene = Scene::new(Vec::new());
    let before = scene.config();
    let terminal = Terminal::new(&scene.env);
    terminal.enter(&format!("{}; echo \"ended $?\"", scene.login()));
    terminal.wait_for("WDJB-MJHT");
    terminal.press("C-c");
    let started = Instant::now();
    terminal.wait_for("ended 130");
    assert!(started.elapsed() < Duration::from_secs(4));
    assert_eq!(scene.config(), before);
}

fn what_a_server_has_the_plugin_show_is_escaped() {
    let scene = Scene::showing("AB\u{202e}CD\u{200b}", vec![tokens(1, 3600)]);
    let terminal = Terminal::new(&scene.env);
    terminal.enter(&scene.login());
    let screen = terminal.wait_for("Logged in");
    assert!(screen.contains("code: AB\\u{202e}CD\\u{200b}"), "{screen}");
    // What would move the cursor does not even reach the terminal.
    let scene = Scene::showing("AB\u{1b}[2J", Vec::new());
    let terminal = Terminal::new(&scene.env);
    terminal.enter(&scene.login());
    terminal.wait_for("no control characters");
}

fn without_a_terminal_it_is_said_that_there_is_none() {
    let scene = Scene::new(vec![tokens(1, 3600)]);
    let host = scene.registry.host();
    let run = scene.env.msb(&format!("registry login {host} --insecure"));
    run.failure(&[
        &format!("could not log in to {host} with the provider `device-login`"),
        "there is no terminal at which the user could be asked; log in at one",
    ]);
    // It was asked for a code before, and for nothing after.
    assert_eq!(scene.asked().len(), 1);
}

fn a_provider_that_knows_no_such_registry_is_passed_over() {
    let scene = Scene::new(Vec::new());
    scene
        .env
        .msb("registry login registry.example.com --insecure")
        .failure(&["no user name was given"]);
    scene
        .env
        .msb("registry login registry.example.com --insecure --store device-login")
        .failure(&[
            "could not log in to registry.example.com with the provider `device-login`",
            "it does not know this registry",
        ]);
    assert!(scene.asked().is_empty());
}

fn the_question_before_the_installation_says_that_it_talks_to_the_user() {
    let env = TestEnv::new();
    let path = component("device-login");
    let plugin = path.display();
    let run = env.msb(&format!("plugin inspect {plugin}")).success();
    for words in [
        "log you in by talking to you",
        "it shows the code that you enter",
    ] {
        assert!(run.stdout.contains(words), "{run:#?}");
    }
    env.msb(&format!("plugin install {plugin} --yes")).success();
    let row = row(&env, "device-login").to_string();
    assert!(row.contains("prompt"), "{row}");
    let lock = std::fs::read_to_string(env.home().join("plugins/plugins.lock")).unwrap();
    assert!(lock.contains(r#""login""#), "{lock}");
}
