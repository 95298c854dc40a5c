//! Real engines: a Docker daemon that the suite starts and stops, a containerd for a test, podman and skopeo
//! as they are.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::archive;
use crate::env::TestEnv;
use crate::tools::run;

static DOCKER: OnceLock<Docker> = OnceLock::new();
static DOCKER_ON_OVERLAY: OnceLock<Docker> = OnceLock::new();

/// A Docker daemon with a store of its own, without network.
pub(crate) struct Docker {
    directory: TempDir,
    daemon: Mutex<Option<Child>>,
}

impl Docker {
    /// Returns the daemon, which is started for the first who asks.
    pub(crate) fn get() -> &'static Self {
        DOCKER.get_or_init(|| Self::start("vfs"))
    }

    /// Returns another daemon, which keeps layers apart and mounts them over each other.
    pub(crate) fn on_overlay() -> &'static Self {
        DOCKER_ON_OVERLAY.get_or_init(|| Self::start("overlay2"))
    }

    fn start(storage_driver: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let log = std::fs::File::create(path("log")).unwrap();
        let daemon = Command::new("dockerd")
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
            .args(["--storage-driver", storage_driver, "--log-level=warn"])
            .arg(format!("--host=unix://{}", path("socket").display()))
            .arg(format!("--data-root={}", path("data").display()))
            .arg(format!("--exec-root={}", path("exec").display()))
            .arg(format!("--pidfile={}", path("pid").display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let docker = Self {
            daemon: Mutex::new(Some(daemon)),
            directory,
        };
        let deadline = Instant::now() + Duration::from_mins(1);
        while !docker
            .command(["version"])
            .output()
            .unwrap()
            .status
            .success()
        {
            assert!(
                Instant::now() < deadline,
                "dockerd does not answer: {}",
                std::fs::read_to_string(docker.directory.path().join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        docker
    }

    pub(crate) fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let socket = self.directory.path().join("socket");
        let mut command = Command::new("docker");
        command
            .arg(format!("--host=unix://{}", socket.display()))
            .args(args)
            .env("DOCKER_CONFIG", self.directory.path().join("config"))
            .env("DOCKER_BUILDKIT", "0");
        command
    }

    pub(crate) fn run(&self, line: &str) -> String {
        run(&mut self.command(line.split_whitespace()))
    }

    /// Returns the ID that Docker has for an image.
    pub(crate) fn id(&self, name: &str) -> String {
        self.run(&format!("image inspect --format {{{{.Id}}}} {name}"))
            .trim()
            .to_owned()
    }

    /// Builds an image of several layers with links, whiteouts and devices from files.
    pub(crate) fn build(&self, name: &str) {
        let context = tempfile::tempdir().unwrap();
        write_context(context.path());
        let path = context.path().display().to_string();
        run(&mut self.command(["build", "--quiet", "--tag", name, &path]));
    }
}

/// Ends the daemons that were started.
pub(crate) fn stop_docker() {
    for docker in [&DOCKER, &DOCKER_ON_OVERLAY]
        .into_iter()
        .filter_map(OnceLock::get)
    {
        let mut daemon = docker.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut daemon) = daemon.take() {
            let pid = rustix::process::Pid::from_child(&daemon);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = daemon.wait();
        }
        let _ = std::fs::remove_dir_all(docker.directory.path());
    }
}

/// Writes what an engine needs to build an image without network and without running anything.
pub(crate) fn write_context(directory: &Path) {
    let layers = [
        "bin/\nbin/busybox = not really\nbin/sh -> busybox\nbin/ash => bin/busybox\netc/\n\
         etc/hosts = 127.0.0.1 localhost\ndev/\ndev/null : 1,3\nvar/log/deep/file = text",
        "etc/.wh.hosts = \netc/motd = welcome\nvar/.wh..wh..opq = \nvar/new = only this",
    ];
    let mut dockerfile = "FROM scratch\n".to_owned();
    for (number, text) in layers.iter().enumerate() {
        let name = format!("layer{number}.tar");
        std::fs::write(directory.join(&name), archive::layer(text)).unwrap();
        dockerfile = format!("{dockerfile}ADD {name} /\n");
    }
    std::fs::write(directory.join("notes"), "a file of its own").unwrap();
    dockerfile.push_str("COPY notes /srv/notes\nENV A=1\nLABEL of=msb\nCMD [\"/bin/sh\"]\n");
    std::fs::write(directory.join("Dockerfile"), dockerfile).unwrap();
}

/// podman with a store of its own.
pub(crate) struct Podman {
    directory: TempDir,
}

impl Podman {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new("podman");
        command
            .arg(format!("--root={}", self.path("root").display()))
            .arg(format!("--runroot={}", self.path("run").display()))
            .args([
                "--storage-driver=vfs",
                "--cgroup-manager=cgroupfs",
                "--events-backend=none",
            ])
            .args(args)
            .env("TMPDIR", self.directory.path());
        command
    }

    pub(crate) fn run(&self, line: &str) -> String {
        run(&mut self.command(line.split_whitespace()))
    }
}

/// containerd with a store of its own.
pub(crate) struct Containerd {
    daemon: Child,
    socket: String,
}

impl Containerd {
    pub(crate) fn start(env: &TestEnv) -> Self {
        let folder = env.path("containerd");
        std::fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let socket = path("socket");
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = {socket:?}\n[ttrpc]\naddress = {:?}\n",
            path("root"),
            path("state"),
            path("ttrpc"),
        );
        let config = env.write("containerd.toml", config.as_bytes());
        let daemon = Command::new("containerd")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let containerd = Self { daemon, socket };
        let deadline = Instant::now() + Duration::from_mins(1);
        let answers = || {
            let mut version = containerd.ctr("version");
            version.output().unwrap().status.success()
        };
        while !answers() {
            assert!(Instant::now() < deadline, "containerd does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        containerd
    }

    pub(crate) fn ctr(&self, line: &str) -> Command {
        let mut command = Command::new("ctr");
        command
            .args(["--address", &self.socket])
            .args(line.split(' '));
        command
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
