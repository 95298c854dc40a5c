//! The body of an answer, piece by piece, as long as pieces come.
//!
//! Owns waiting for them with the patience there is, and telling the user of it. What the bytes
//! mean is the reader's matter.

use std::fmt::Display;
use std::future::Future;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use reqwest::Response;

use super::client::Client;
use super::log;
use super::patience::{Patience, Reader, TooSlow};
use crate::cancel::{Cancel, Cancelled};
use crate::progress::{Event, LogLevel, Progress};
use crate::reactor::NoAnswer;

/// How long a wait lasts before the user is told of it, at most.
const FIRST_WORD: Duration = Duration::from_secs(4);
/// What the body of an answer may take to begin, however long its head took.
const BEGINNING: Duration = Duration::from_secs(5);

/// Waits for the network: with what, until when, and who hears of it.
#[derive(Clone, Copy)]
pub(super) struct Waiter<'a> {
    pub(super) client: &'a Client,
    pub(super) cancel: &'a Cancel,
    pub(super) progress: &'a dyn Progress,
}

/// The bytes of an answer.
pub(super) struct Incoming<'a> {
    waiter: Waiter<'a>,
    patience: Arc<Patience>,
    response: Response,
    host: String,
    what: String,
    /// What was looked at and not taken.
    peeked: Bytes,
    received: u64,
    since: Instant,
    _reader: Reader,
}

/// Why an answer could not be read whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// The connection ended too early.
    #[error("the connection broke off")]
    Broken(#[source] Option<reqwest::Error>),
    /// Nothing has come for this long.
    #[error("nothing came for {} s", .0.as_secs())]
    Stalled(Duration),
    /// It came too slowly.
    #[error("only {} bytes came in {} s", .0.bytes, .0.during.as_secs())]
    TooSlow(TooSlow),
    /// There is more than anybody wants.
    #[error("there are too many bytes")]
    TooLong,
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Waiter<'_> {
    /// Waits for something from a host for a limited time.
    pub(super) fn wait<T>(
        self,
        limit: Duration,
        host: &str,
        what: &impl Display,
        future: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        let tell = |since: Duration| {
            if self.client.health.may_tell(host, Instant::now()) {
                let what = &what.to_string();
                self.progress
                    .report(Event::RegistryWaiting { host, what, since });
            }
        };
        let before = FIRST_WORD.min(self.client.policy.stall_timeout / 2);
        let reactor = &self.client.reactor;
        reactor.wait_telling(limit, self.cancel, (before, &tell), future)
    }

    /// Waits without doing anything.
    pub(super) fn sleep(self, time: Duration) -> Result<(), Cancelled> {
        let never = std::future::pending::<()>();
        match self.client.reactor.wait(time, self.cancel, never) {
            Err(NoAnswer::Cancelled(cancelled)) => Err(cancelled),
            _ => Ok(()),
        }
    }

    /// Adds a line to the log.
    pub(super) fn log(self, level: LogLevel, message: &str) {
        self.progress.report(Event::Log { level, message });
    }
}

impl<'a> Incoming<'a> {
    /// Takes the body of an answer. `host` is where it comes from and `what` what it is, for
    /// people.
    pub(super) fn new(
        waiter: Waiter<'a>,
        patience: Arc<Patience>,
        response: Response,
        host: &str,
        what: &impl Display,
    ) -> Self {
        Self {
            waiter,
            patience,
            response,
            host: host.to_owned(),
            what: what.to_string(),
            peeked: Bytes::new(),
            received: 0,
            since: Instant::now(),
            _reader: waiter.client.health.traffic.reader(),
        }
    }

    pub(super) fn response(&self) -> &Response {
        &self.response
    }

    /// Returns the next bytes as they lie in memory; `None` at the end.
    pub(super) fn chunk(&mut self) -> Result<Option<Bytes>, Unread> {
        if !self.peeked.is_empty() {
            return Ok(Some(std::mem::take(&mut self.peeked)));
        }
        let stall = self.waiter.client.policy.stall_timeout;
        let left = self.patience.left().max(BEGINNING).min(stall);
        let begun = Instant::now();
        let outcome = self
            .waiter
            .wait(left, &self.host, &self.what, self.response.chunk());
        let waited = begun.elapsed();
        let count = match &outcome {
            Ok(Ok(Some(bytes))) => bytes.len() as u64,
            _ => 0,
        };
        self.received += count;
        let pace = self.patience.receive(count, waited);
        match outcome {
            Err(NoAnswer::Cancelled(cancelled)) => Err(cancelled.into()),
            Err(NoAnswer::Late) => Err(Unread::Stalled(self.patience.silent())),
            Ok(Err(error)) => Err(Unread::Broken(Some(error.without_url()))),
            Ok(Ok(bytes)) => {
                pace.map_err(Unread::TooSlow)?;
                Ok(bytes)
            }
        }
    }

    /// Returns the first bytes, and leaves them to be read.
    pub(super) fn peek(&mut self) -> Result<&[u8], Unread> {
        if let Some(bytes) = self.chunk()? {
            self.peeked = bytes;
        }
        Ok(&self.peeked)
    }
}

impl Read for Incoming<'_> {
    /// Errors have an [`Unread`] in them.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.peeked.is_empty() {
            self.peek().map_err(io::Error::other)?;
        }
        let count = self.peeked.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..count), self.peeked.get(..count)) {
            target.copy_from_slice(source);
        }
        self.peeked.advance(count);
        Ok(count)
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        let line = log::received(&self.host, &self.what, self.received, self.since.elapsed());
        self.waiter.log(LogLevel::Debug, &line);
    }
}
