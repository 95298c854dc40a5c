//! Whether a registry knows somebody: what is asked before credentials are kept. Source: OCI
//! distribution-spec, "Determining Support".

use reqwest::Response;
use reqwest::header::HeaderMap;

use super::RegistryError;
use super::body;
use super::client::Client;
use super::credentials::{Access, Credentials};
use super::exchange::{Asking, Place, Request};
use super::hosts::HostsError;
use super::incoming::Unread;
use super::retry::Attempts;
use crate::cancel::Cancel;
use crate::progress::Progress;

/// What a registry says to somebody who shows credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Welcome {
    /// It knows them.
    Known,
    /// It lets everybody in at its door, and asks who they are further in or not at all.
    Open,
}

/// Why it is not known whether a registry knows somebody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The configuration of the registry cannot be used.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The registry does not know them, or could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Client {
    /// Asks a registry whether it knows somebody. `who` names them in messages.
    ///
    /// # Errors
    /// [`RegistryError::Credentials`] when it does not.
    pub fn verify(
        &self,
        registry: &str,
        who: &str,
        credentials: &dyn Credentials,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Welcome, VerifyError> {
        let endpoint = self.hosts.registry(registry)?;
        self.warn(&endpoint);
        let place = Place::new(&self.hosts, endpoint);
        let attempts = Attempts::new(self.policy, &self.health.traffic);
        let asking = Asking {
            client: self,
            credentials,
            access: Access::Login,
            cancel,
            progress,
            patience: &attempts.patience,
            attempt: 1,
        };
        let what = format!("the login of {who}");
        let request = Request {
            path: String::new(),
            headers: HeaderMap::new(),
            what: &what,
            upload: None,
        };
        let response = place.send(asking, &request)?;
        refuse_page(&place, asking, response, &what)?;
        let shown = place.shown(self);
        Ok(if shown.is_some_and(|shown| shown.identity.known) {
            Welcome::Known
        } else {
            Welcome::Open
        })
    }
}

/// Refuses the page of a portal, which lets everybody in. What else an answer says does not matter.
fn refuse_page(
    place: &Place,
    asking: Asking<'_>,
    response: Response,
    what: &str,
) -> Result<(), RegistryError> {
    let url = response.url().clone();
    let mut incoming = place.incoming(asking, response, what);
    let content_type = body::content_type(incoming.response());
    let found = match incoming.peek() {
        Ok(bytes) => place.page(&url, content_type.as_deref(), bytes, what),
        Err(Unread::Cancelled(cancelled)) => return Err(cancelled.into()),
        Err(_) => None,
    };
    found.map_or(Ok(()), Err)
}
