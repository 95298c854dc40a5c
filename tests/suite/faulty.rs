//! A registry in this process that serves images made from text, and fails as it is told to.
//!
//! A server is a registry, a token service and a host for signed URLs at once, so that tests put
//! several next to each other and say which is asked for what. Every request is recorded.

pub(crate) mod fault;
pub(crate) mod http;
pub(crate) mod itself;
pub(crate) mod route;

use std::collections::HashMap;
use std::io::BufReader;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::archive::{Image, sha256};
use fault::{Fault, Rule};
use http::{Answer, Request};
use route::{On, Route};

/// For a fault that does not heal.
pub(crate) const ALWAYS: usize = usize::MAX;

/// A server on a port of its own; gone when dropped.
pub(crate) struct Registry {
    state: Arc<State>,
}

struct State {
    address: SocketAddr,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    manifests: HashMap<(String, String), Manifest>,
    blobs: HashMap<String, Arc<Vec<u8>>>,
    rules: Vec<Rule>,
    requests: Vec<Request>,
    connections: Vec<TcpStream>,
    guard: Option<Guard>,
    /// What this server has issued as a token service.
    tokens: Vec<String>,
    /// How often each signed URL may still be used.
    signatures: Vec<usize>,
    signer: Option<Signer>,
    closed: bool,
}

struct Manifest {
    media_type: String,
    bytes: Vec<u8>,
}

/// Lets in who has a token, or a password.
struct Guard {
    challenges: Vec<String>,
    issuer: Option<Arc<State>>,
    passwords: Vec<String>,
}

/// Sends those who ask for blobs to another server.
struct Signer {
    target: Arc<State>,
    uses: usize,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(State {
            address: listener.local_addr().unwrap(),
            inner: Mutex::default(),
        });
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { break };
                let mut inner = accepting.lock();
                if inner.closed {
                    break;
                }
                inner.connections.push(stream.try_clone().unwrap());
                drop(inner);
                let state = Arc::clone(&accepting);
                std::thread::spawn(move || state.converse(&stream));
            }
        });
        Self { state }
    }

    /// Returns host and port.
    pub(crate) fn host(&self) -> String {
        self.state.address.to_string()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.state.address)
    }

    /// Serves an image under `name:tag` and returns the digest of its manifest.
    pub(crate) fn put_image(&self, name: &str, tag: &str, image: &Image) -> String {
        self.put_blob(&image.config_bytes());
        for layer in &image.layers {
            self.put_blob(layer);
        }
        self.put_manifest(name, tag, &image.manifest())
    }

    /// Serves a manifest or an index, also under its digest, which it returns.
    pub(crate) fn put_manifest(&self, name: &str, tag: &str, manifest: &Value) -> String {
        let media_type = manifest["mediaType"]
            .as_str()
            .unwrap_or("application/vnd.oci.image.manifest.v1+json");
        let bytes = serde_json::to_vec(manifest).unwrap();
        let digest = sha256(&bytes);
        let mut inner = self.state.lock();
        for reference in [tag, &digest] {
            inner.manifests.insert(
                (name.to_owned(), reference.to_owned()),
                Manifest {
                    media_type: media_type.to_owned(),
                    bytes: bytes.clone(),
                },
            );
        }
        digest
    }

    pub(crate) fn put_blob(&self, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let blob = Arc::new(bytes.to_vec());
        self.state.lock().blobs.insert(digest.clone(), blob);
        digest
    }

    pub(crate) fn forget_blob(&self, digest: &str) {
        self.state.lock().blobs.remove(digest).unwrap();
    }

    /// Fails the next so many requests of a kind. Of several faults the oldest comes first.
    pub(crate) fn fault(&self, on: On, times: usize, fault: Fault) {
        let left = times;
        self.state.lock().rules.push(Rule { on, left, fault });
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        self.state.lock().rules.clear();
    }

    /// Asks for a token of another server, which may be this one.
    pub(crate) fn require_token(&self, issuer: &Self) {
        let challenge = format!(r#"Bearer realm="{}",service="tests""#, issuer.url("/token"));
        self.challenge(&[&challenge], Some(issuer));
    }

    /// Answers with these challenges whoever has no token of the issuer.
    pub(crate) fn challenge(&self, challenges: &[&str], issuer: Option<&Self>) {
        self.state.lock().guard = Some(Guard {
            challenges: challenges.iter().map(|line| (*line).to_owned()).collect(),
            issuer: issuer.map(|issuer| Arc::clone(&issuer.state)),
            passwords: Vec::new(),
        });
    }

    /// Lets in who sends this after `Basic`, too.
    pub(crate) fn accept_password(&self, encoded: &str) {
        let mut inner = self.state.lock();
        let guard = inner.guard.as_mut().unwrap();
        guard.passwords.push(format!("Basic {encoded}"));
    }

    /// Forgets the tokens that it has issued.
    pub(crate) fn revoke_tokens(&self) {
        self.state.lock().tokens.clear();
    }

    /// Redirects to another server, with URLs that work so many times each.
    pub(crate) fn redirect_blobs(&self, target: &Self, uses: usize) {
        let blobs = self.state.lock().blobs.clone();
        target.state.lock().blobs.extend(blobs);
        self.state.lock().signer = Some(Signer {
            target: Arc::clone(&target.state),
            uses,
        });
    }

    /// Returns all requests so far, the oldest first.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().requests.clone()
    }

    /// Returns the requests of a kind.
    pub(crate) fn asked(&self, on: &On) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| on.matches(&Route::of(&request.path), &request.method));
        requests
    }

    /// Returns a line for every request.
    pub(crate) fn log(&self) -> String {
        let lines = self.requests();
        lines.iter().map(|request| format!("{request}\n")).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let mut inner = self.state.lock();
        inner.closed = true;
        for connection in inner.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(inner);
        // What accepts connections sees that it is over when one comes.
        let _ = TcpStream::connect(self.state.address);
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Answers the requests of one connection.
    fn converse(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader) {
            let mut inner = self.lock();
            let number = inner.requests.len();
            inner.requests.push(request.clone());
            drop(inner);
            let answer = self.answer(&request);
            self.lock().requests[number].status = answer.status;
            let stays = answer.send(&request, stream, |sent| {
                self.lock().requests[number].sent += sent;
            });
            if !stays {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn answer(&self, request: &Request) -> Answer {
        let route = Route::of(&request.path);
        if let Some(refusal) = self.refuse(&route, request) {
            return refusal;
        }
        let healthy = self.healthy(&route, request);
        let mut inner = self.lock();
        let rule = inner
            .rules
            .iter_mut()
            .find(|rule| rule.left > 0 && rule.on.matches(&route, &request.method));
        let Some(rule) = rule else {
            return healthy;
        };
        if rule.left != ALWAYS {
            rule.left -= 1;
        }
        let fault = Arc::clone(&rule.fault);
        drop(inner);
        fault(request, healthy)
    }

    /// Returns the challenge for a request that may not have what it asks for. Faults are for those
    /// who may.
    fn refuse(&self, route: &Route, request: &Request) -> Option<Answer> {
        if matches!(
            route,
            Route::Token | Route::Signed { .. } | Route::Foreign(_)
        ) {
            return None;
        }
        let inner = self.lock();
        let guard = inner.guard.as_ref()?;
        let sent = request.header("authorization").unwrap_or_default();
        let (issuer, challenges) = (guard.issuer.clone(), guard.challenges.clone());
        if guard.passwords.iter().any(|password| password == sent) {
            return None;
        }
        drop(inner);
        let known = |issuer: Arc<Self>| {
            let tokens = &issuer.lock().tokens;
            tokens.iter().any(|token| sent == format!("Bearer {token}"))
        };
        if issuer.is_some_and(known) {
            return None;
        }
        let mut answer = Answer::error(401, "UNAUTHORIZED", "authentication required");
        for challenge in challenges {
            answer = answer.with("WWW-Authenticate", &challenge);
        }
        Some(answer)
    }

    fn healthy(&self, route: &Route, request: &Request) -> Answer {
        let mut inner = self.lock();
        match route {
            Route::Ping => Answer::json(200, &json!({})),
            Route::Token => {
                let token = format!("secret-token-{}", inner.tokens.len() + 1);
                inner.tokens.push(token.clone());
                Answer::json(200, &json!({"token": token, "expires_in": 300}))
            }
            Route::Manifest { name, reference } => {
                match inner.manifests.get(&(name.clone(), reference.clone())) {
                    Some(manifest) => Answer::new(200, manifest.bytes.clone())
                        .with("Content-Type", &manifest.media_type)
                        .with("Docker-Content-Digest", &sha256(&manifest.bytes)),
                    None => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
                }
            }
            Route::Blob(digest) => match (&inner.signer, inner.blobs.get(digest)) {
                (Some(signer), Some(_)) => {
                    let location = signer.sign(digest);
                    Answer::new(307, Vec::new()).with("Location", &location)
                }
                (None, Some(blob)) => Answer::blob(Arc::clone(blob), request),
                (_, None) => Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            },
            Route::Signed { signature, digest } => {
                let blob = inner.blobs[digest].clone();
                match inner.signatures.get_mut(*signature) {
                    Some(left) if *left > 0 => {
                        *left -= 1;
                        Answer::blob(blob, request)
                    }
                    _ => Answer::new(403, b"<Error><Code>AccessDenied</Code></Error>".to_vec())
                        .with("Content-Type", "application/xml"),
                }
            }
            Route::Foreign(digest) => Answer::blob(inner.blobs[digest].clone(), request),
            Route::Other => Answer::error(404, "UNSUPPORTED", "no such path"),
        }
    }
}

impl Signer {
    fn sign(&self, digest: &str) -> String {
        let mut inner = self.target.lock();
        inner.signatures.push(self.uses);
        let signature = inner.signatures.len() - 1;
        format!("http://{}/signed/{signature}/{digest}", self.target.address)
    }
}
