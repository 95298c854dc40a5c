//! Whether a registry speaks HTTPS or plain HTTP.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use reqwest::{Response, Url};

use super::RegistryError;
use super::exchange::{Asking, Place};
use super::hosts::Plain;
use super::transport::Side;

impl Place {
    /// Returns the address of the registry. Where plain HTTP may be, HTTPS is tried first.
    pub(super) fn base(&self, asking: Asking<'_>, what: &str) -> Result<Url, RegistryError> {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = &*base {
            return Ok(base.clone());
        }
        let at = |scheme: &str| {
            Url::parse(&format!("{scheme}://{}/", self.endpoint.authority))
                .map_err(|error| self.malformed(what, &error))
        };
        let found = match self.endpoint.plain {
            Plain::Never => at("https")?,
            Plain::Only => at("http")?,
            Plain::Fallback => {
                let secure = at("https")?;
                match self.ping(asking, &secure, what) {
                    Ok(_) => secure,
                    Err(
                        error @ (RegistryError::Certificate { .. }
                        | RegistryError::ClientCertificate { .. }
                        | RegistryError::Handshake { .. }
                        | RegistryError::Cancelled(_)),
                    ) => return Err(error),
                    Err(_) => {
                        let plain = at("http")?;
                        self.ping(asking, &plain, what)?;
                        plain
                    }
                }
            }
        };
        *base = Some(found.clone());
        Ok(found)
    }

    /// Asks whether there is a registry. Source: OCI distribution-spec, "Determining Support".
    pub(super) fn ping(
        &self,
        asking: Asking<'_>,
        base: &Url,
        what: &str,
    ) -> Result<Response, RegistryError> {
        let url = base
            .join("/v2/")
            .map_err(|error| self.malformed(what, &error))?;
        let connection = self.connection(&url, Side::Registry)?;
        let request = connection.client.get(url);
        self.answer(asking, &connection, request, what)
    }

    /// Returns whether plain HTTP does not work because the registry speaks HTTPS. Looks once, when
    /// there is reason to, and shows nothing.
    pub(super) fn speaks_https(
        &self,
        asking: Asking<'_>,
        base: &Url,
        error: &RegistryError,
    ) -> bool {
        let is_reason = match error {
            RegistryError::Broken { .. }
            | RegistryError::Connect { .. }
            | RegistryError::Elsewhere { .. }
            | RegistryError::Stalled { .. } => true,
            // What servers of HTTPS answer to plain HTTP.
            RegistryError::Status { status, .. } => matches!(status, 400 | 426 | 497),
            _ => false,
        };
        if !is_reason
            || base.scheme() != "http"
            || self.endpoint.plain != Plain::Only
            || self.probed.swap(true, Ordering::Relaxed)
        {
            return false;
        }
        let Ok(secure) = Url::parse(&format!("https://{}/", self.endpoint.authority)) else {
            return false;
        };
        matches!(
            self.ping(asking, &secure, "a look at whether it speaks HTTPS"),
            Ok(_)
                | Err(RegistryError::Certificate { .. }
                    | RegistryError::ClientCertificate { .. }
                    | RegistryError::Handshake { .. })
        )
    }
}
