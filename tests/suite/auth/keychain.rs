//! A real Secret Service: gnome-keyring on a bus of the test's own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::tools::run;

/// A bus, and what answers there; gone when dropped.
pub(super) struct Keychain {
    folder: TempDir,
    bus: Child,
    daemon: Option<Child>,
    address: String,
}

impl Keychain {
    /// Starts one that is open.
    pub(super) fn unlocked() -> Self {
        let mut keychain = Self::bare();
        let mut daemon = keychain.daemon_command();
        let mut daemon = daemon
            .args(["--unlock", "--components=secrets", "--foreground"])
            .spawn()
            .unwrap();
        daemon.stdin.take().unwrap().write_all(b"\n").unwrap();
        keychain.daemon = Some(daemon);
        keychain.wait();
        keychain
    }

    /// Starts a bus on which nothing answers.
    pub(super) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "run", "empty"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        // Nothing is started on demand.
        let config = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen>\
             <policy context='default'><allow send_destination='*' eavesdrop='true'/>\
             <allow eavesdrop='true'/><allow own='*'/></policy></busconfig>",
            folder.path().join("bus").display()
        );
        let file = folder.path().join("bus.conf");
        std::fs::write(&file, config).unwrap();
        let mut bus = Command::new("dbus-daemon")
            .args(["--nofork", "--print-address=1"])
            .arg(format!("--config-file={}", file.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        Self {
            folder,
            bus,
            daemon: None,
            address: address.trim().to_owned(),
        }
    }

    /// Ends what answers, and starts it again without the password that opens it.
    pub(super) fn lock(&mut self) {
        self.stop();
        let mut daemon = self.daemon_command();
        let daemon = daemon
            .args(["--components=secrets", "--foreground"])
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        self.wait();
    }

    /// Gives a program the bus.
    pub(super) fn give(&self, command: &mut Command) {
        command
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("XDG_RUNTIME_DIR", self.folder.path().join("run"));
    }

    /// Keeps an item as microsandbox does.
    pub(super) fn keep(&self, registry: &str, secret: &str) {
        let mut command = Command::new("secret-tool");
        command
            .args([
                "store",
                "--label=test",
                "service",
                "dev.microsandbox.registry",
            ])
            .args(["username", registry, "target", "default"])
            .args(["application", "rust-keyring"])
            .stdin(Stdio::piped());
        self.give(&mut command);
        let mut tool = command.spawn().unwrap();
        let mut stdin = tool.stdin.take().unwrap();
        stdin.write_all(secret.as_bytes()).unwrap();
        drop(stdin);
        assert!(tool.wait().unwrap().success());
    }

    /// Returns what is kept for a registry.
    pub(super) fn kept(&self, registry: &str) -> Option<String> {
        let mut command = Command::new("secret-tool");
        command.args(["lookup", "service", "dev.microsandbox.registry"]);
        command.args(["username", registry]);
        self.give(&mut command);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (!text.is_empty()).then_some(text)
    }

    /// Removes what is kept for a registry.
    pub(super) fn forget(&self, registry: &str) {
        let mut command = Command::new("secret-tool");
        command.args(["clear", "service", "dev.microsandbox.registry"]);
        command.args(["username", registry]);
        self.give(&mut command);
        run(&mut command);
    }

    fn daemon_command(&self) -> Command {
        let mut command = Command::new("gnome-keyring-daemon");
        self.give(&mut command);
        command
            .env("HOME", self.folder.path().join("home"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut command = Command::new("dbus-send");
            command.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"]);
            command.arg("/org/freedesktop/DBus");
            command.arg("org.freedesktop.DBus.NameHasOwner");
            command.arg("string:org.freedesktop.secrets");
            self.give(&mut command);
            let output = command.output().unwrap();
            if String::from_utf8_lossy(&output.stdout).contains("true") {
                return;
            }
            assert!(Instant::now() < deadline, "no Secret Service");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Drop for Keychain {
    fn drop(&mut self) {
        self.stop();
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}
