//! A `docker-registry` of a test's own: on a port that was free, in a folder that goes with it.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::archive::{Image, hex, sha256};
use crate::authority::Pair;
use crate::tools::run;

/// How a registry is to be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup<'a> {
    /// What it shows to prove who it is; it speaks plain HTTP without.
    pub(crate) tls: Option<&'a Pair>,
    /// The CA that certificates of clients have to come from.
    pub(crate) client_ca: Option<&'a Path>,
    /// Who is let in.
    pub(crate) auth: Option<Auth<'a>>,
}

/// Who a registry lets in.
#[derive(Clone, Copy)]
pub(crate) enum Auth<'a> {
    /// Who knows this name and password.
    Password(&'a str, &'a str),
    /// Whoever has a token of this service, signed by the key of this certificate.
    Token {
        realm: &'a str,
        certificate: &'a Path,
    },
}

/// A request as the registry has logged it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) agent: String,
}

/// A running registry; gone when dropped.
pub(crate) struct DockerRegistry {
    process: Child,
    folder: TempDir,
    host: String,
    is_plain: bool,
    lines: Arc<Mutex<Vec<String>>>,
}

impl DockerRegistry {
    pub(crate) fn start(setup: &Setup<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut http = json!({"addr": "127.0.0.1:0"});
        if let Some(pair) = setup.tls {
            http["tls"] = json!({"certificate": pair.certificate, "key": pair.key});
        }
        if let Some(ca) = setup.client_ca {
            http["tls"]["clientcas"] = json!([ca]);
        }
        let storage = json!({
            "filesystem": {"rootdirectory": folder.path().join("data")},
            "delete": {"enabled": true},
        });
        let mut config = json!({
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": false}},
            "storage": storage,
            "http": http,
        });
        match setup.auth {
            Some(Auth::Password(user, password)) => {
                // It takes bcrypt only.
                let line = run(Command::new("htpasswd").args(["-Bbn", user, password]));
                let file = folder.path().join("htpasswd");
                std::fs::write(&file, line).unwrap();
                config["auth"] = json!({"htpasswd": {"realm": "tests", "path": file}});
            }
            Some(Auth::Token { realm, certificate }) => {
                config["auth"] = json!({"token": {
                    "realm": realm,
                    "service": "tests",
                    "issuer": "tests",
                    "rootcertbundle": certificate,
                }});
            }
            None => {}
        }
        // JSON is YAML as well.
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(process.stdout.take().unwrap(), &lines);
        let said = Arc::new(Mutex::new(Vec::new()));
        collect(process.stderr.take().unwrap(), &said);
        let host = listening(&said);
        Self {
            process,
            folder,
            host,
            is_plain: setup.tls.is_none(),
            lines,
        }
    }

    /// Starts a registry that lets in those who know this name and password.
    pub(crate) fn with_password(user: &str, password: &str) -> Self {
        Self::start(&Setup {
            auth: Some(Auth::Password(user, password)),
            ..Setup::default()
        })
    }

    /// Returns address and port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Has skopeo copy an image here, as it is. Returns the digest of its manifest.
    pub(crate) fn push(&self, name: &str, image: &Image) -> String {
        self.push_with(&["--preserve-digests"], name, image)
    }

    /// Has skopeo copy an image here with a name and a password.
    pub(crate) fn push_as(&self, user: &str, password: &str, name: &str, image: &Image) -> String {
        let credentials = format!("--dest-creds={user}:{password}");
        self.push_with(&["--preserve-digests", &credentials], name, image)
    }

    fn push_with(&self, arguments: &[&str], name: &str, image: &Image) -> String {
        let layout = self.folder.path().join("pushed.tar");
        let mut image = image.clone();
        image.name = Some("docker.io/library/pushed:1".to_owned());
        std::fs::write(&layout, image.oci()).unwrap();
        let source = format!("oci-archive:{}", layout.display());
        self.copy(arguments, &source, name);
        sha256(&serde_json::to_vec(&image.manifest()).unwrap())
    }

    /// Has skopeo copy something here.
    pub(crate) fn copy(&self, arguments: &[&str], source: &str, name: &str) {
        run(self
            .skopeo("copy")
            .args(arguments)
            .args(["--quiet", "--dest-tls-verify=false", source])
            .arg(format!("docker://{}/{name}", self.host)));
    }

    /// Returns a skopeo that checks no certificates and no signatures.
    pub(crate) fn skopeo(&self, command: &str) -> Command {
        let mut skopeo = Command::new("skopeo");
        skopeo
            .args(["--insecure-policy", command])
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env_remove("REGISTRY_AUTH_FILE");
        skopeo
    }

    /// Puts a manifest or an index here, byte for byte. Returns its digest.
    pub(crate) fn put_manifest(&self, name: &str, tag: &str, manifest: &Value) -> String {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let media_type = manifest["mediaType"].as_str().unwrap();
        let digest = sha256(&bytes);
        let tag = if tag.is_empty() { &digest } else { tag };
        let file = self.folder.path().join("manifest.json");
        std::fs::write(&file, bytes).unwrap();
        assert!(self.is_plain);
        run(Command::new("curl")
            .args(["-sS", "--fail-with-body", "-X", "PUT", "-H"])
            .arg(format!("Content-Type: {media_type}"))
            .arg("--data-binary")
            .arg(format!("@{}", file.display()))
            .arg(format!("http://{}/v2/{name}/manifests/{tag}", self.host))
            .env("NO_PROXY", "*"));
        digest
    }

    /// Returns the file in which the registry keeps a blob.
    pub(crate) fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = hex(digest);
        let blobs = "data/docker/registry/v2/blobs/sha256";
        let folder = self.folder.path().join(blobs).join(&hex[..2]);
        folder.join(hex).join("data")
    }

    /// Returns the requests of msb so far, the oldest first. The registry writes a line when it
    /// has answered, so one that is still under way is missing.
    pub(crate) fn requests(&self) -> Vec<Request> {
        // What was answered before msb ended is written soon.
        std::thread::sleep(Duration::from_millis(100));
        let lines = self.lines.lock().unwrap();
        let requests = lines.iter().filter_map(|line| Request::read(line));
        requests
            .filter(|request| request.agent.starts_with("msb/"))
            .collect()
    }

    /// Returns how often msb has fetched a blob, or a part of it.
    pub(crate) fn fetched(&self, digest: &str) -> usize {
        let of_blob = |request: &&Request| {
            matches!(request.status, 200 | 206)
                && request.method == "GET"
                && request.path.ends_with(&format!("/blobs/{digest}"))
        };
        self.requests().iter().filter(of_blob).count()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            for request in self.requests() {
                eprintln!("{request:?}");
            }
        }
    }
}

impl Request {
    /// Reads a line in the "combined" format.
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.split('"');
        let mut request = parts.nth(1)?.split(' ');
        let mut numbers = parts.next()?.split_whitespace();
        Some(Self {
            method: request.next()?.to_owned(),
            path: request.next()?.to_owned(),
            status: numbers.next()?.parse().ok()?,
            agent: parts.nth(2)?.to_owned(),
        })
    }
}

/// Keeps the lines that a process prints.
fn collect(output: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            lines.lock().unwrap().push(line);
        }
    });
}

/// Waits until the registry says where it is.
fn listening(said: &Mutex<Vec<String>>) -> String {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let lines = said.lock().unwrap().clone();
        let address = lines.iter().find_map(|line| {
            let rest = line.split("listening on ").nth(1)?;
            Some(rest.split(['"', ',']).next()?.to_owned())
        });
        if let Some(address) = address {
            return address;
        }
        let is_late = Instant::now() > deadline;
        assert!(!is_late, "the registry does not start:\n{lines:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
