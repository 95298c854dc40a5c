//! WASI for components that were built for it: languages whose runtimes cannot start without.
//!
//! There is nothing in it: no arguments, no variables, no directories, no network. What a component
//! writes to its standard error is kept for messages; HTTP goes through the grants.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::access::Access;
use super::bindings::msb::plugin::types::Refusal;
use super::capability::http::{self, Sending};
use super::guest::{Guest, first_bytes};
use crate::progress::Progress;

/// Bytes that a component may write to its standard error.
const MAX_STDERR: usize = 1 << 20;
/// Bytes of it that are shown.
const SHOWN: usize = 2048;
/// Bytes of the body of a request.
const MAX_REQUEST: usize = 4 << 20;

/// What an instance has of WASI.
pub(super) struct Wasi {
    context: WasiCtx,
    stderr: MemoryOutputPipe,
    http: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks {
    plugin: Arc<str>,
    access: Access,
    deadline: Option<Instant>,
    progress: Arc<dyn Progress>,
    denied: Arc<Mutex<Option<String>>>,
}

impl Wasi {
    pub(super) fn new(
        plugin: Arc<str>,
        access: Access,
        deadline: Option<Instant>,
        progress: Arc<dyn Progress>,
    ) -> Self {
        let stderr = MemoryOutputPipe::new(MAX_STDERR);
        Self {
            context: WasiCtx::builder().stderr(stderr.clone()).build(),
            stderr,
            http: WasiHttpCtx::new(),
            hooks: Hooks {
                plugin,
                access,
                deadline,
                progress,
                denied: Arc::default(),
            },
        }
    }

    /// Returns how to grant what a request was denied for, if one was. Most languages keep nothing
    /// of the text that `wasi:http` gives them.
    pub(super) fn denied(&self) -> Option<String> {
        let denied = self.hooks.denied.lock();
        denied.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the end of what was written to standard error, if anything was.
    pub(super) fn last_words(&self) -> Option<String> {
        let written = self.stderr.contents();
        let text = String::from_utf8_lossy(&written);
        let text = text.trim();
        let tail = text.len().saturating_sub(SHOWN);
        let tail = (tail..text.len()).find(|&at| text.is_char_boundary(at))?;
        Some(first_bytes(&text[tail..], SHOWN).to_owned())
    }
}

/// Links what a component may import of WASI.
pub(super) fn link(linker: &mut Linker<Guest>, http: bool) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    if http {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    }
    Ok(())
}

impl Guest {
    /// Returns what the instance has of WASI, made when it is first used, and its table of resources.
    fn wasi(&mut self) -> (&mut Wasi, &mut ResourceTable) {
        let wasi = self.wasi.get_or_insert_with(|| {
            Wasi::new(
                Arc::clone(&self.plugin),
                self.access.clone(),
                self.meter.deadline(),
                Arc::clone(&self.progress),
            )
        });
        (wasi, &mut self.table)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (wasi, table) = self.wasi();
        WasiCtxView {
            ctx: &mut wasi.context,
            table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (wasi, table) = self.wasi();
        WasiHttpCtxView {
            hooks: &mut wasi.hooks,
            table,
            ctx: &mut wasi.http,
        }
    }
}

/// What becomes of the sending of a request.
type Sent = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: ::http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _done: Sent,
    ) -> Box<dyn Future<Output = Result<(::http::Response<WasiBody>, Sent), Error>> + Send> {
        let (plugin, access, deadline) =
            (Arc::clone(&self.plugin), self.access.clone(), self.deadline);
        let progress = Arc::clone(&self.progress);
        let denied = Arc::clone(&self.denied);
        Box::new(async move {
            let (parts, body) = request.into_parts();
            let body = Limited::new(body, MAX_REQUEST)
                .collect()
                .await
                .map_err(|_| Error::HttpRequestBodySize(Some(MAX_REQUEST as u64)))?
                .to_bytes();
            let mut headers = parts.headers;
            for field in ["host", "content-length", "transfer-encoding"] {
                headers.remove(field);
            }
            let sending = Sending {
                method: parts.method.as_str().to_owned(),
                url: parts.uri.to_string(),
                headers,
                body,
            };
            let received = http::send(plugin, access, deadline, progress, sending)
                .await
                .map_err(|refusal| {
                    if let Refusal::Denied(text) = &refusal {
                        let mut denied = denied.lock().unwrap_or_else(PoisonError::into_inner);
                        *denied = Some(text.clone());
                    }
                    error(refusal)
                })?;
            let body = Full::<Bytes>::new(received.body).map_err(|never| match never {});
            let mut response = ::http::Response::new(body.boxed_unsync());
            *response.status_mut() = ::http::StatusCode::from_u16(received.status)
                .map_err(|_| Error::HttpProtocolError)?;
            *response.headers_mut() = received.headers;
            let sent: Sent = Box::new(std::future::ready(Ok(())));
            Ok((response, sent))
        })
    }
}

/// Puts a refusal into the words of `wasi:http`, with the text where it has room for one.
fn error(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Invalid(_) => Error::HttpRequestUriInvalid,
        Refusal::TooLarge(_) => Error::HttpResponseBodySize(None),
        Refusal::Denied(text) | Refusal::Unavailable(text) | Refusal::Failed(text) => {
            Error::InternalError(Some(text))
        }
    }
}
