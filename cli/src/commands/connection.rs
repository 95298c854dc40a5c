//! How registries and servers are spoken to: the options that every command has that asks one.

use std::path::PathBuf;

use msb_host::registry::hosts::HostOverrides;

/// How registries and servers are spoken to.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// Connect over plain HTTP instead of HTTPS. For the registries that are named here alone, and
    /// never for Docker Hub.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// `false`: do not verify certificates, and speak plain HTTP where HTTPS is not answered.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub(crate) tls_verify: Option<bool>,
    /// Path to a PEM file with certificates to trust as well: of authorities, or the registry's own.
    #[arg(long, value_name = "PATH")]
    pub(crate) ca_certs: Vec<PathBuf>,
}

impl Connection {
    /// Returns what the library takes.
    pub(crate) fn overrides(&self) -> HostOverrides {
        HostOverrides {
            insecure: self.insecure,
            tls_verify: self.tls_verify,
            ca_certs: self.ca_certs.clone(),
        }
    }
}
