//! Checking a login before its credentials are stored. Source: OCI
//! distribution-spec, "Determining Support".

use reqwest::Response;
use reqwest::header::HeaderMap;

use super::RegistryError;
use super::body;
use super::client::Client;
use super::endpoint::Endpoint;
use super::exchange::{EndpointRequest, RequestContext};
use super::incoming::Unread;
use super::operation::RegistryOperation;
use super::retry::Attempts;
use crate::cancel::Cancel;
use crate::credential::{Action, Credentials};
use crate::hosts::HostsError;
use crate::progress::Progress;

/// What a registry says of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginCheck {
    /// It accepts them.
    Known,
    /// `/v2/` is open without credentials, so they could not be checked.
    Open,
}

/// Why a login could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The configuration of the registry cannot be used.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The registry refuses them, or could not be reached.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Client {
    /// Asks a registry whether it accepts credentials. `who` names their user in messages.
    ///
    /// # Errors
    /// [`RegistryErrorKind::Credentials`](super::RegistryErrorKind::Credentials) when it does not.
    pub fn verify(
        &self,
        registry: &str,
        who: &str,
        credentials: &dyn Credentials,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<LoginCheck, VerifyError> {
        let config = self.hosts.registry(registry)?;
        self.warn(&config);
        let endpoint = Endpoint::new(&self.hosts, config);
        let attempts = Attempts::new(self.policy, &self.health.traffic);
        let context = RequestContext {
            client: self,
            credentials,
            action: Action::Login,
            cancel,
            progress,
            patience: &attempts.patience,
            attempt: 1,
        };
        let what = RegistryOperation::CheckLogin(who.to_owned());
        let request = EndpointRequest {
            path: String::new(),
            headers: HeaderMap::new(),
            what: &what,
            upload: None,
        };
        let response = endpoint.send(context, &request)?;
        refuse_page(&endpoint, context, response, &what)?;
        let shown = endpoint.shown(self);
        Ok(if shown.is_some_and(|shown| shown.identity.known) {
            LoginCheck::Known
        } else {
            LoginCheck::Open
        })
    }
}

/// Refuses the page of a captive portal, which answers every request with success. What else an
/// answer says does not matter.
fn refuse_page(
    endpoint: &Endpoint,
    context: RequestContext<'_>,
    response: Response,
    what: &RegistryOperation,
) -> Result<(), RegistryError> {
    let url = response.url().clone();
    let mut incoming = endpoint.incoming(context, response, what);
    let content_type = body::content_type(incoming.response());
    let found = match incoming.peek() {
        Ok(bytes) => endpoint.page(&url, content_type.as_deref(), bytes, what),
        Err(Unread::Cancelled(cancelled)) => return Err(endpoint.error(what, cancelled)),
        Err(_) => None,
    };
    found.map_or(Ok(()), Err)
}
