//! The client: what all repositories of one operation share.

use std::sync::Arc;

use super::health::Health;
use super::notices::Notices;
use super::token::Tokens;
use super::{RegistryError, RegistryErrorKind, RegistryOperation, Repository};
use crate::credential::{Action, Credentials};
use crate::hosts::HostsError;
use crate::hosts::RetryPolicy;
use crate::hosts::{EndpointConfig, Hosts};
use crate::reactor::Reactor;
use crate::reference::Reference;

/// Fetches from registries. Tokens are kept, and what registries want users to know is gathered.
#[derive(Debug)]
pub struct Client {
    pub(super) reactor: Reactor,
    pub(super) policy: RetryPolicy,
    pub(super) tokens: Tokens,
    pub(super) notices: Notices,
    pub(super) hosts: Arc<Hosts>,
    pub(super) health: Health,
}

impl Client {
    /// Returns a client that has sent nothing yet.
    ///
    /// # Errors
    /// [`RegistryErrorKind::Setup`] when the system has no threads left.
    pub fn new(hosts: Hosts, policy: RetryPolicy) -> Result<Self, RegistryError> {
        let reactor = Reactor::new("msb-network").map_err(|source| {
            let kind = RegistryErrorKind::Setup(source.into());
            RegistryError::new("any", RegistryOperation::Prepare, kind)
        })?;
        Ok(Self {
            reactor,
            policy,
            tokens: Tokens::default(),
            notices: Notices::default(),
            hosts: Arc::new(hosts),
            health: Health::default(),
        })
    }

    /// Returns the repository of a reference, at every endpoint that has it, for something that is to
    /// be done there.
    ///
    /// # Errors
    /// [`HostsError`] when the configuration forbids the registry.
    pub fn repository(
        self: &Arc<Self>,
        reference: &Reference,
        action: Action,
        credentials: Arc<dyn Credentials>,
    ) -> Result<Repository, HostsError> {
        let configs = self.hosts.endpoints(reference)?;
        for config in &configs {
            self.warn(config);
        }
        let client = Arc::clone(self);
        Ok(Repository::new(client, configs, action, credentials))
    }

    /// Takes note of what the user gives up at an endpoint, and of what of the user's is not used.
    pub(super) fn warn(&self, config: &EndpointConfig) {
        for notice in &config.tls.notices {
            self.notices.add(notice.clone());
        }
        if let Some(given_up) = config.unverified {
            let host = &config.host;
            self.notices
                .add(format!("registry {host} is not verified: {given_up}"));
        }
    }

    /// Returns what registries wanted the user to know since the last time; untrusted text.
    pub fn notices(&self) -> Vec<String> {
        self.notices.drain()
    }
}
