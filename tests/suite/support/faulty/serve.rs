//! What a server answers: the challenge, the healthy answer, and the fault in it.

use std::io::BufReader;
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::json;

use super::http::{self, Answer, Request};
use super::route::Route;
use super::{ALWAYS, Signer, State};
use crate::archive::sha256;

impl State {
    /// Answers the requests of one connection.
    pub(super) fn converse(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        if http::is_tls(&mut reader) {
            http::refuse_tls(stream);
            return;
        }
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
        for (on, fault) in &self.lock().of_refusals {
            if on.matches(route, &request.method) {
                answer = fault(request, answer);
            }
        }
        Some(answer)
    }

    fn healthy(&self, route: &Route, request: &Request) -> Answer {
        let mut inner = self.lock();
        match route {
            Route::Ping => Answer::json(200, &json!({})),
            Route::Token => {
                // Two services never issue the same.
                let number = inner.tokens.len() + 1;
                let token = format!("secret-token-{}-{number}", self.address.port());
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
                let blob = inner.blobs.get(digest).cloned();
                match (inner.signatures.get_mut(*signature), blob) {
                    (Some(left), Some(blob)) if *left > 0 => {
                        *left -= 1;
                        Answer::blob(blob, request)
                    }
                    _ => Answer::new(403, b"<Error><Code>AccessDenied</Code></Error>".to_vec())
                        .with("Content-Type", "application/xml"),
                }
            }
            Route::Foreign(digest) => match inner.blobs.get(digest) {
                Some(blob) => Answer::blob(Arc::clone(blob), request),
                None => Answer::error(404, "UNSUPPORTED", "no such file"),
            },
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
