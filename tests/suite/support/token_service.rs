//! A token service of a test's own, which `docker-registry` believes. Source: distribution's
//! "Token Authentication Implementation".

use std::io::{BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::self_signed;
use crate::faulty::http::{Answer, Request};

/// A running service; takes no more connections when dropped.
pub(crate) struct TokenService {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    folder: TempDir,
    /// Without the lines around it.
    certificate: String,
    /// What has to be in `Authorization`.
    password: Option<String>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    asked: Vec<Request>,
    lifetime: i64,
    closed: bool,
}

impl TokenService {
    /// Starts a service that gives tokens to anybody.
    pub(crate) fn open() -> Self {
        Self::start(None)
    }

    /// Starts one for those who know a name and a password.
    pub(crate) fn guarded(user: &str, password: &str) -> Self {
        let pair = STANDARD.encode(format!("{user}:{password}"));
        Self::start(Some(format!("Basic {pair}")))
    }

    fn start(password: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        self_signed(folder.path(), "tokens");
        let pem = std::fs::read_to_string(folder.path().join("tokens.pem")).unwrap();
        let lines = pem.lines().filter(|line| !line.starts_with('-'));
        let state = Arc::new(State {
            certificate: lines.collect(),
            folder,
            password,
            inner: Mutex::new(Inner {
                lifetime: 300,
                ..Inner::default()
            }),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if accepting.inner.lock().unwrap().closed {
                    return;
                }
                let state = Arc::clone(&accepting);
                thread::spawn(move || state.converse(&stream));
            }
        });
        Self { address, state }
    }

    /// Returns the address that registries send their clients to.
    pub(crate) fn realm(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// Returns the file with the certificate that its tokens are signed with.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.state.folder.path().join("tokens.pem")
    }

    /// Changes for how many seconds tokens are good.
    pub(crate) fn set_lifetime(&self, seconds: i64) {
        self.state.inner.lock().unwrap().lifetime = seconds;
    }

    /// Returns the requests so far.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.state.inner.lock().unwrap().asked.clone()
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.state.inner.lock().unwrap().closed = true;
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn converse(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader) {
            self.inner.lock().unwrap().asked.push(request.clone());
            let is_known = self.password.is_none()
                || request.header("authorization") == self.password.as_deref();
            let answer = if is_known {
                self.grant(&request)
            } else {
                Answer::error(401, "UNAUTHORIZED", "incorrect username or password")
            };
            if !answer.send(&request, stream, |_| {}) {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    /// Grants what is asked for, whatever it is.
    fn grant(&self, request: &Request) -> Answer {
        let query = request.path.split('?').nth(1).unwrap_or_default();
        let scopes = query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("scope="))
            .map(|scope| {
                scope
                    .replace("%3A", ":")
                    .replace("%2F", "/")
                    .replace("%2C", ",")
            });
        let access: Vec<Value> = scopes
            .filter_map(|scope| {
                let (kind, rest) = scope.split_once(':')?;
                let (name, actions) = rest.rsplit_once(':')?;
                let actions: Vec<&str> = actions.split(',').collect();
                Some(json!({"type": kind, "name": name, "actions": actions}))
            })
            .collect();
        let lifetime = self.inner.lock().unwrap().lifetime;
        let token = self.token(&json!(access), lifetime);
        Answer::json(200, &json!({"token": token, "expires_in": lifetime}))
    }

    fn token(&self, access: &Value, lifetime: i64) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(since.as_secs()).unwrap();
        let header = json!({
            "typ": "JWT",
            "alg": "RS256",
            "x5c": [self.certificate],
        });
        let claims = json!({
            "iss": "tests",
            "sub": "",
            "aud": "tests",
            "exp": now + lifetime,
            "nbf": now - 10,
            "iat": now,
            "jti": "1",
            "access": access,
        });
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.signature(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn signature(&self, bytes: &[u8]) -> Vec<u8> {
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(self.folder.path().join("tokens.key"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        openssl.stdin.take().unwrap().write_all(bytes).unwrap();
        openssl.wait_with_output().unwrap().stdout
    }
}
