//! Whether a registry speaks HTTPS or plain HTTP.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use reqwest::{Response, Url};

use super::endpoint::Endpoint;
use super::exchange::RequestContext;
use super::transport::Side;
use super::{RegistryError, RegistryErrorKind, RegistryOperation};
use crate::hosts::Plain;

impl Endpoint {
    /// Returns the address of the registry. Where plain HTTP may be, HTTPS is tried first.
    pub(super) fn base(
        &self,
        context: RequestContext<'_>,
        what: &RegistryOperation,
    ) -> Result<Url, RegistryError> {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = &*base {
            return Ok(base.clone());
        }
        let at = |scheme: &str| {
            Url::parse(&format!("{scheme}://{}/", self.config.authority))
                .map_err(|error| self.malformed(what, &error))
        };
        let found = match self.config.plain {
            Plain::Never => at("https")?,
            Plain::Only => at("http")?,
            Plain::Fallback => {
                let secure = at("https")?;
                match self.ping(context, &secure, what) {
                    Ok(_) => secure,
                    Err(error)
                        if error.is_of_tls()
                            || matches!(error.kind, RegistryErrorKind::Cancelled(_)) =>
                    {
                        return Err(error);
                    }
                    Err(_) => {
                        let plain = at("http")?;
                        self.ping(context, &plain, what)?;
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
        context: RequestContext<'_>,
        base: &Url,
        what: &RegistryOperation,
    ) -> Result<Response, RegistryError> {
        let url = base
            .join("/v2/")
            .map_err(|error| self.malformed(what, &error))?;
        let connection = self.connection(&url, Side::Registry, what)?;
        let request = connection.client.get(url);
        self.answer(context, &connection, request, what)
    }

    /// Returns whether plain HTTP does not work because the registry speaks HTTPS. Looks once, when
    /// there is reason to, and shows nothing.
    pub(super) fn speaks_https(
        &self,
        context: RequestContext<'_>,
        base: &Url,
        error: &RegistryError,
    ) -> bool {
        let is_reason = match &error.kind {
            RegistryErrorKind::Broken { .. }
            | RegistryErrorKind::Connect { .. }
            | RegistryErrorKind::Elsewhere { .. }
            | RegistryErrorKind::Stalled { .. } => true,
            // What servers of HTTPS answer to plain HTTP.
            RegistryErrorKind::Status { status, .. } => matches!(status, 400 | 426 | 497),
            _ => false,
        };
        if !is_reason
            || base.scheme() != "http"
            || self.config.plain != Plain::Only
            || self.probed.swap(true, Ordering::Relaxed)
        {
            return false;
        }
        let Ok(secure) = Url::parse(&format!("https://{}/", self.config.authority)) else {
            return false;
        };
        match self.ping(context, &secure, &RegistryOperation::ProbeHttps) {
            Ok(_) => true,
            Err(error) => error.is_of_tls(),
        }
    }
}
