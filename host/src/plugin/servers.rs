//! How servers that plugins ask are spoken to: the certificates that the user has configured.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use url::Url;

use crate::hosts::{HostOverrides, Hosts};
use crate::progress::{Event, Progress};
use crate::registry::{client_for, client_for_loopback};
use crate::settings::Settings;

/// Makes the HTTP clients of plugins.
#[derive(Debug, Default)]
pub(super) struct Servers {
    settings: Settings,
    hosts: OnceLock<Result<Arc<Hosts>, String>>,
    /// What the user was told.
    told: Mutex<BTreeSet<String>>,
}

impl Servers {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            hosts: OnceLock::new(),
            told: Mutex::default(),
        }
    }

    /// Returns a client for the server of a URL: it follows no redirects, and checks certificates
    /// against what is configured for the host. Where the user has said that they are not checked,
    /// the user is told so, once.
    pub(super) fn client(
        &self,
        url: &Url,
        progress: &dyn Progress,
    ) -> Result<reqwest::Client, String> {
        let hosts = self
            .hosts
            .get_or_init(|| {
                self.settings
                    .hosts(&HostOverrides::default())
                    .map(Arc::new)
                    .map_err(|error| error.to_string())
            })
            .as_ref()
            .map_err(Clone::clone)?;
        let (client, notices) = client_for(hosts, url).map_err(|error| error.to_string())?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for notice in notices.iter() {
            if told.insert(notice.clone()) {
                progress.report(Event::Notice(notice));
            }
        }
        Ok(client)
    }

    /// Returns a client for a server of this very process: whatever is configured, nothing of it
    /// leads elsewhere.
    #[expect(clippy::unused_self, reason = "those who ask a server have this")]
    pub(super) fn nearby_client(&self) -> Result<reqwest::Client, String> {
        client_for_loopback().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::hosts::ConfigPaths;

    /// Keeps the notices.
    #[derive(Default)]
    struct Notices(Mutex<Vec<String>>);

    impl Progress for Notices {
        fn report(&self, event: Event<'_>) {
            if let Event::Notice(text) = event {
                self.0.lock().unwrap().push(text.to_owned());
            }
        }
    }

    #[test]
    fn the_user_is_told_once_which_server_is_not_verified() {
        let mut settings = Settings::default();
        let host = settings.registries.hosts.entry("lax.example".to_owned());
        host.or_default().tls_verify = Some(false);
        let servers = Servers::new(&settings);
        let paths = ConfigPaths {
            home: None,
            etc: "/nowhere".into(),
            registries_conf: None,
        };
        let hosts = settings.hosts_at(&HostOverrides::default(), paths).unwrap();
        servers.hosts.set(Ok(Arc::new(hosts))).unwrap();
        let told = Notices::default();
        for url in [
            "https://strict.example/",
            "http://lax.example/",
            "https://lax.example:444/",
            "https://lax.example/",
            "https://lax.example/again",
        ] {
            servers.client(&url.parse().unwrap(), &told).unwrap();
        }
        let told = told.0.into_inner().unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("server lax.example is not verified: "));
    }
}
