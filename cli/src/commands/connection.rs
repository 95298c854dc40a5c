//! How registries and servers are spoken to: the options that every command has that asks one.

use std::path::PathBuf;

use msb_host::Msb;

use crate::error::CommandError;

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
    /// Opens the store that the environment names, to connect like this.
    pub(crate) fn open(&self) -> Result<Msb, CommandError> {
        let mut builder = super::builder().insecure(self.insecure);
        if let Some(verify) = self.tls_verify {
            builder = builder.tls_verify(verify);
        }
        for file in &self.ca_certs {
            builder = builder.ca_certs(file);
        }
        Ok(builder.open()?)
    }
}
