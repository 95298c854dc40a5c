//! How servers that plugins ask are spoken to: the certificates that the user has configured.

use std::sync::{Arc, OnceLock};

use url::Url;

use crate::registry::hosts::{HostOverrides, Hosts};
use crate::registry::{client_for, client_for_loopback};
use crate::settings::Settings;

/// Makes the HTTP clients of plugins.
#[derive(Debug, Default)]
pub(super) struct Servers {
    settings: Settings,
    hosts: OnceLock<Result<Arc<Hosts>, String>>,
}

impl Servers {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            hosts: OnceLock::new(),
        }
    }

    /// Returns a client for the server of a URL: it follows no redirects, and checks certificates
    /// against what is configured for the host.
    pub(super) fn client(&self, url: &Url) -> Result<reqwest::Client, String> {
        let hosts = self
            .hosts
            .get_or_init(|| {
                Hosts::read(&self.settings, &HostOverrides::default())
                    .map(Arc::new)
                    .map_err(|error| error.to_string())
            })
            .as_ref()
            .map_err(Clone::clone)?;
        client_for(hosts, url).map_err(|error| error.to_string())
    }

    /// Returns a client for a server of this very process: whatever is configured, nothing of it
    /// leads elsewhere.
    #[expect(clippy::unused_self, reason = "whoever asks a server has this")]
    pub(super) fn nearby_client(&self) -> Result<reqwest::Client, String> {
        client_for_loopback().map_err(|error| error.to_string())
    }
}
