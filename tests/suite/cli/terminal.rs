//! msb on a real terminal: bars while it works, prompts, and no terminal gets an archive.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::plugins::component;
use crate::tests;
use crate::tools::{self, run};

tests! {
    a_bar_is_drawn_for_a_layer_on_its_way_and_cleared_at_the_end needs Tmux;
    save_refuses_to_write_to_a_terminal needs Tmux;
    load_refuses_to_read_from_a_terminal needs Tmux;
    prune_asks_on_a_terminal needs Tmux;
    tables_are_cut_and_never_wrapped needs Tmux;
    a_hidden_question_that_a_signal_ends_leaves_the_terminal_as_it_was needs Tmux;
}

/// A terminal of its own, closed when dropped.
pub(crate) struct Terminal {
    socket: std::path::PathBuf,
}

impl Terminal {
    pub(crate) fn new(env: &TestEnv) -> Self {
        Self::at(env, "tmux", 120)
    }

    /// Returns one with so many columns.
    fn of_width(env: &TestEnv, columns: usize) -> Self {
        Self::at(env, &format!("tmux-{columns}"), columns)
    }

    /// Returns a second one.
    pub(crate) fn beside(env: &TestEnv) -> Self {
        Self::at(env, "tmux-beside", 120)
    }

    fn at(env: &TestEnv, socket: &str, columns: usize) -> Self {
        let terminal = Self {
            socket: env.path(socket),
        };
        let shell = format!(
            "env -i PATH='{}:{}' TERM=screen HOME='{}' MSB_HOME='{}' PS1='READY ' sh",
            tools::msb().parent().unwrap().display(),
            std::env::var("PATH").unwrap(),
            env.path("user-home").display(),
            env.home().display(),
        );
        let directory = env.path("").display().to_string();
        terminal.tmux(&[
            "new-session",
            "-d",
            "-x",
            &columns.to_string(),
            "-y",
            "30",
            "-c",
            &directory,
            &shell,
        ]);
        terminal.wait_for("READY");
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        run(Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .args(["-f", "/dev/null"])
            .args(args))
    }

    /// Types a line.
    pub(crate) fn enter(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    /// Presses a key.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Returns what the screen shows, with the sequences for its colours.
    pub(crate) fn coloured(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until the screen shows some words and returns it.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        self.wait_until(words, |screen| screen.contains(words))
    }

    /// Waits until the screen is as it should be and returns it.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "no {what:?} on\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command
            .arg("-S")
            .arg(&self.socket)
            .arg("kill-server")
            .output();
    }
}

fn sample() -> Image {
    Image::new(
        "sample:1",
        &[&format!("etc/\nbig = {}", "x".repeat(3 << 20))],
    )
}

fn fifo(path: &Path) {
    run(Command::new("mkfifo").arg(path));
}

fn a_bar_is_drawn_for_a_layer_on_its_way_and_cleared_at_the_end() {
    use std::io::Write as _;
    let env = TestEnv::new();
    let archive = sample().docker();
    fifo(&env.path("pipe"));
    let terminal = Terminal::new(&env);
    terminal.enter("msb load -i pipe");
    let mut pipe = std::fs::File::options()
        .write(true)
        .open(env.path("pipe"))
        .unwrap();
    pipe.write_all(&archive[..2 << 20]).unwrap();
    let screen = terminal.wait_for("layer0/layer.tar");
    let bar = screen
        .lines()
        .find(|line| line.contains("layer0/layer.tar"))
        .unwrap();
    assert!(bar.contains("━") && bar.contains("MiB/3.0"), "{screen}");
    pipe.write_all(&archive[2 << 20..]).unwrap();
    drop(pipe);
    let screen = terminal.wait_for("✓ Loaded");
    assert!(!screen.contains("layer0/layer.tar"), "{screen}");
}

fn save_refuses_to_write_to_a_terminal() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    env.msb("load -q -i in.tar").success();
    let terminal = Terminal::new(&env);
    terminal.enter("msb save sample:1; echo exit $?");
    let screen = terminal.wait_for("exit 1");
    assert!(screen.contains("standard output is a terminal"), "{screen}");
    assert!(
        screen.contains("hint: name a file with --output"),
        "{screen}"
    );
}

fn load_refuses_to_read_from_a_terminal() {
    let env = TestEnv::new();
    let terminal = Terminal::new(&env);
    terminal.enter("msb load; echo exit $?");
    let screen = terminal.wait_for("exit 1");
    assert!(screen.contains("standard input is a terminal"), "{screen}");
    assert!(screen.contains("name a file with --input"), "{screen}");
}

fn prune_asks_on_a_terminal() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    env.msb("load -q -i in.tar").success();
    let terminal = Terminal::new(&env);
    terminal.enter("msb image prune; echo exit $?");
    terminal.wait_for("Remove all cached images not used by sandboxes? [y/N]");
    terminal.enter("n");
    let screen = terminal.wait_for("exit 0");
    assert!(screen.contains("Aborted."), "{screen}");
    assert_eq!(env.references(), ["sample:1"]);
    terminal.tmux(&["clear-history"]);
    terminal.enter("clear; msb image prune; echo done $?");
    terminal.wait_for("[y/N]");
    terminal.enter("y");
    let screen = terminal.wait_for("done 0");
    assert!(screen.contains("Pruned"), "{screen}");
    env.assert_clean();
}

/// Long names, many layers and wide characters, on a narrow, a usual and a wide screen.
fn tables_are_cut_and_never_wrapped() {
    let env = TestEnv::new();
    let layers: Vec<String> = (0..9)
        .map(|it| format!("dir/漢字漢字漢字漢字漢字漢字漢字漢字{it} = x"))
        .collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let long = "registry.example.com/an-organization/with-teams/an-application-with-a-long-name:2026.11.29";
    let mut image = Image::new(long, &layers);
    let step =
        |number| serde_json::json!({"created_by": format!("RUN {number} {}", "漢字".repeat(30))});
    image.config["history"] = (0..layers.len()).map(step).collect();
    env.write("in.tar", &image.docker());
    env.msb("load -q -i in.tar").success();
    env.msb(&format!("image tag {long} short:1")).success();
    env.write(
        "msb-home/config.json",
        br#"{"registries":{"auth":{"registry.with-a-long-name.example.com:5000":
            {"username":"a-user-with-a-long-name@example.com","password_env":"A_VARIABLE_WITH_A_LONG_NAME"}}}}"#,
    );
    for columns in [40, 80, 120] {
        let terminal = Terminal::of_width(&env, columns);
        for line in [
            "images",
            "images --digests",
            "image history short:1",
            "image ls short:1 dir",
            "df",
            "df -v",
            "plugin ls",
            "registry ls",
            "config",
        ] {
            // What is typed would wrap as well, and prose may.
            let script = format!(
                "clear; {{ msb {line} > all; msb {line}; }} 2>/dev/null; echo; echo; echo did {line}"
            );
            env.write("t", script.as_bytes());
            terminal.tmux(&["clear-history"]);
            terminal.enter(". ./t");
            let screen = terminal.wait_for(&format!("\n\ndid {line}\n"));
            let shown = terminal.tmux(&["capture-pane", "-p", "-S", "-"]);
            let joined = terminal.tmux(&["capture-pane", "-p", "-J", "-S", "-"]);
            let lines = |text: &str| {
                text.lines()
                    .map(|it| it.trim_end().to_owned())
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                lines(&shown),
                lines(&joined),
                "`msb {line}` wraps at {columns} columns"
            );
            let all = std::fs::read_to_string(env.path("all")).unwrap();
            assert!(all.lines().count() > 1, "{screen}");
            assert!(!all.contains('…') || line.contains("history"), "{all}");
        }
    }
}

/// The question of msb for a password, and one of a plugin.
fn a_hidden_question_that_a_signal_ends_leaves_the_terminal_as_it_was() {
    let env = TestEnv::new();
    let registry = Registry::start();
    registry.challenge(&[r#"Basic realm="x""#], None);
    let mut install = env.command(["plugin", "install", "--name", "rogue", "--grant", "prompt"]);
    Run::of(install.arg(component("misbehaving-credentials"))).success();
    let settings = json!({"what": "ask-secret", "argument": "Code:"});
    env.write_settings(json!({"plugins": {"settings": {"rogue": settings}}}));
    let terminal = Terminal::new(&env);
    terminal.enter("stty -a > before");
    for (user, question) in [
        ("-u me", "Password/token:"),
        ("", "plugin `rogue` asks: Code:"),
    ] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let login = format!("msb registry login {} {user}", registry.host());
            // The shell stays, and says what it finds.
            let script =
                format!("clear; sh -c 'echo $$ > pid; exec {login}'; stty -a > after; echo over");
            env.write("t", script.as_bytes());
            terminal.enter(". ./t");
            // Not on what is left of the turn before.
            terminal.wait_until(question, |screen| {
                screen.contains(question) && !screen.contains("over")
            });
            let pid = std::fs::read_to_string(env.path("pid")).unwrap();
            let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
            kill_process(pid, signal).unwrap();
            terminal.wait_for("over");
            let state = |name: &str| std::fs::read_to_string(env.path(name)).unwrap();
            assert_eq!(state("after"), state("before"), "{question} {signal:?}");
        }
    }
}
