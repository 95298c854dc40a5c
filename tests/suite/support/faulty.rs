//! A registry in this process that serves images made from text, and fails as it is told to.
//!
//! A server is a registry, a token service and a host for signed URLs at once, so that tests put
//! several next to each other and say which is asked for what. Every request is recorded.

pub(crate) mod fault;
pub(crate) mod http;
pub(crate) mod itself;
pub(crate) mod route;
mod serve;

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::archive::{Image, sha256};
use fault::{Fault, Rule};
use http::Request;
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
    /// What is done to answers that ask for credentials.
    of_refusals: Vec<(On, Fault)>,
    requests: Vec<Request>,
    connections: HashMap<SocketAddr, TcpStream>,
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
            while let Ok((stream, peer)) = listener.accept() {
                let mut inner = accepting.lock();
                if inner.closed {
                    break;
                }
                let copy = stream.try_clone().unwrap();
                inner.connections.insert(peer, copy);
                drop(inner);
                let state = Arc::clone(&accepting);
                std::thread::spawn(move || {
                    state.converse(&stream);
                    // With the last copy the connection ends, or is reset.
                    state.lock().connections.remove(&peer);
                });
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

    /// Serves a component as a plugin under `name:tag`.
    pub(crate) fn put_plugin(&self, name: &str, tag: &str, component: &[u8]) {
        let blob = |media_type: &str, bytes: &[u8]| {
            let digest = self.put_blob(bytes);
            json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("application/vnd.wasm.config.v0+json", b"{}"),
            "layers": [blob("application/wasm", component)],
        });
        self.put_manifest(name, tag, &manifest);
    }

    /// Serves a manifest or an index, also under its digest, which it returns.
    pub(crate) fn put_manifest(&self, name: &str, tag: &str, manifest: &Value) -> String {
        let media_type = manifest["mediaType"]
            .as_str()
            .unwrap_or("application/vnd.oci.image.manifest.v1+json");
        self.put_document(
            name,
            tag,
            media_type,
            &serde_json::to_vec(manifest).unwrap(),
        )
    }

    /// Serves any bytes as a manifest or an index, also under their digest, which it returns.
    pub(crate) fn put_document(
        &self,
        name: &str,
        tag: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> String {
        let digest = sha256(bytes);
        let mut inner = self.state.lock();
        for reference in [tag, &digest] {
            inner.manifests.insert(
                (name.to_owned(), reference.to_owned()),
                Manifest {
                    media_type: media_type.to_owned(),
                    bytes: bytes.to_vec(),
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

    /// Changes every answer to a kind of request that asks for credentials.
    pub(crate) fn fault_of_refusals(&self, on: On, fault: Fault) {
        self.state.lock().of_refusals.push((on, fault));
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        self.state.lock().rules.clear();
    }

    /// Breaks off every answer that is under way.
    pub(crate) fn hang_up(&self) {
        for connection in self.state.lock().connections.values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
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
        let requests = self.requests();
        let lines: Vec<String> = requests.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.state.lock().closed = true;
        self.hang_up();
        // What accepts connections sees that it is over when one comes.
        let _ = TcpStream::connect(self.state.address);
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}
