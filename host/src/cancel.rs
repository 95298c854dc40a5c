//! The wish to stop, handed down from the caller of an operation.

use std::io::{self, Read};

use tokio_util::sync::CancellationToken;

/// A flag that all threads of one operation share. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(CancellationToken);

/// The operation was stopped because the user asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

impl Cancel {
    /// Returns a flag for a part of the operation: raised with this one, and also on its own
    /// when one of several workers has failed and the others need not go on.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Asks all to stop at the next point where they can.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Returns whether this or a parent was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns the token of `tokio-util` that this is made of.
    pub fn token(&self) -> &CancellationToken {
        &self.0
    }

    /// Returns a reader that gives an error instead of bytes once it was asked to stop. For
    /// input that a decoder reads, which may take any amount of it to give one byte.
    pub fn reader<R: Read>(&self, inner: R) -> CancelReader<R> {
        CancelReader {
            inner,
            cancel: self.clone(),
        }
    }

    /// Returns an error once it was asked to stop. Called in every loop over bytes or entries.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }
}

impl From<CancellationToken> for Cancel {
    fn from(token: CancellationToken) -> Self {
        Self(token)
    }
}

/// A reader that ends with an error once it was asked to stop.
#[derive(Debug)]
pub struct CancelReader<R> {
    inner: R,
    cancel: Cancel,
}

impl<R: Read> Read for CancelReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        self.inner.read(buffer)
    }
}
