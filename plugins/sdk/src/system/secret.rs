//! A value that is passed on without being read.

use std::fmt;

use zeroize::Zeroizing;

use crate::credential_bindings::msb::plugin::secret as bindings;

/// A secret. What a capability brings in from outside is a handle whose bytes stay in the host;
/// reading them takes [`Reveal`](crate::system::Reveal).
pub struct Secret(Kept);

/// A handle for one call.
pub(super) enum Handle<'a> {
    /// The secret's own.
    Kept(&'a bindings::Secret),
    /// One of a secret whose bytes are here.
    Made(bindings::Secret),
}

impl Handle<'_> {
    pub(super) fn get(&self) -> &bindings::Secret {
        match self {
            Self::Kept(secret) => secret,
            Self::Made(secret) => secret,
        }
    }
}

/// Where the bytes are.
pub(super) enum Kept {
    /// In the host.
    Host(bindings::Secret),
    /// Here: what the plugin has taken out of an answer, and everything in native tests.
    Here(Zeroizing<Vec<u8>>),
}

impl Secret {
    /// Returns a secret of bytes that the plugin has already, of which the host takes 1 MiB.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Kept::Here(Zeroizing::new(bytes.into())))
    }

    /// Returns the same value without the line ends at its end.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        match &self.0 {
            Kept::Host(secret) => Self(Kept::Host(secret.trimmed())),
            Kept::Here(bytes) => {
                let is_of_the_secret = |byte: &u8| !matches!(byte, b'\r' | b'\n');
                let end = bytes.iter().rposition(is_of_the_secret);
                Self::new(&bytes[..end.map_or(0, |last| last + 1)])
            }
        }
    }

    /// Returns the number of bytes; of what the host has made of other secrets, 1.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::Host(secret) => secret.length() as usize,
            Kept::Here(bytes) => bytes.len(),
        }
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.0
    }

    /// Returns the handle that the host knows this secret by.
    pub(crate) fn into_handle(self) -> bindings::Secret {
        match self.0 {
            Kept::Host(secret) => secret,
            Kept::Here(bytes) => bindings::Secret::new(&bytes),
        }
    }

    /// Returns the handle that the host knows this secret by for as long as a call takes.
    pub(super) fn handle(&self) -> Handle<'_> {
        match &self.0 {
            Kept::Host(secret) => Handle::Kept(secret),
            Kept::Here(bytes) => Handle::Made(bindings::Secret::new(bytes)),
        }
    }

    pub(crate) fn from_handle(secret: bindings::Secret) -> Self {
        Self(Kept::Host(secret))
    }

    /// Returns the bytes where they are here.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Kept::Host(_) => None,
            Kept::Here(bytes) => Some(bytes),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}
