//! `Msb::doctor`.

use std::sync::Arc;

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::auth::Chain;
use crate::context::Context;
use crate::doctor::{self, Check, Subject};
use crate::home::Home;
use crate::installed::Installed;
use crate::registry::Client;
use crate::settings::Settings;
use crate::store::Store;

/// Looks at everything that msb needs: see [`Msb::doctor`].
#[derive(Clone, Debug)]
pub struct Doctor(Vec<String>);

impl Msb {
    /// Checks that everything is there that msb needs, and in order: the home, the store, the disk, settings,
    /// plugins, credential providers, the kernel, and whether these registries can be reached. Changes
    /// nothing. What is wrong is in the result, and no error.
    pub fn doctor<I>(&self, registries: I) -> Operation<Doctor>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let registries = registries.into_iter().map(Into::into);
        Operation::new(self, Doctor(registries.collect()))
    }
}

impl Subject for Msb {
    fn home(&self) -> &Home {
        Self::home(self)
    }

    fn settings(&self) -> Result<Arc<Settings>, Error> {
        Self::settings(self)
    }

    fn store(&self) -> Result<Arc<Store>, Error> {
        Self::store(self)
    }

    fn plugins(&self) -> Result<Arc<Installed>, Error> {
        Self::plugins(self)
    }

    fn credentials(&self) -> Result<Arc<Chain>, Error> {
        Self::credentials(self)
    }

    fn client(&self) -> Result<Arc<Client>, Error> {
        Self::client(self)
    }
}

impl Sealed for Doctor {}

impl Work for Doctor {
    type Output = Vec<Check>;

    fn work(self, msb: &Msb, context: &Context) -> Result<Vec<Check>, Error> {
        doctor::look(msb, &self.0, context)
    }
}
