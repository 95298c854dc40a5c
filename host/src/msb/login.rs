//! Logins to registries, by [`Msb`].

use std::sync::Arc;

use secrecy::SecretString;

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::auth::{
    self, InteractiveLogin, LoggedIn, LoggedOut, Login, LoginPrompt, LoginStore, PasswordStore,
    Registered, registry_named,
};
use crate::context::Context;
use crate::settings::Settings;

/// Logs in: see [`Msb::log_in`].
#[derive(Debug)]
pub struct LogIn {
    registry: String,
    username: String,
    password: SecretString,
    store: Option<PasswordStore>,
    verify: bool,
}

/// Logs in by talking to the user: see [`Msb::log_in_interactively`].
#[derive(Debug)]
pub struct InteractiveLogIn {
    registry: String,
    prompt: Arc<dyn LoginPrompt>,
    store: Option<PasswordStore>,
    verify: bool,
}

/// Logs out: see [`Msb::log_out`].
#[derive(Clone, Debug)]
pub struct LogOut(String);

/// Lists logins: see [`Msb::logins`].
#[derive(Clone, Debug)]
pub struct ListLogins(());

impl Msb {
    /// Tries credentials at a registry, and stores them where the settings say, else in the credential
    /// store of the system.
    pub fn log_in(
        &self,
        registry: impl Into<String>,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Operation<LogIn> {
        let work = LogIn {
            registry: registry.into(),
            username: username.into(),
            password: password.into(),
            store: None,
            verify: true,
        };
        Operation::new(self, work)
    }

    /// Has a credential provider log the user in that does so by talking to them, as with a code for a page
    /// in the browser: the one that the settings name for the registry, else the first one that knows it.
    /// What it answers is tried at the registry, and the settings name the provider from then on. `None`
    /// where no provider does this.
    pub fn log_in_interactively(
        &self,
        registry: impl Into<String>,
        prompt: Arc<dyn LoginPrompt>,
    ) -> Operation<InteractiveLogIn> {
        let work = InteractiveLogIn {
            registry: registry.into(),
            prompt,
            store: None,
            verify: true,
        };
        Operation::new(self, work)
    }

    /// Removes the credentials that a login has stored for a registry.
    pub fn log_out(&self, registry: impl Into<String>) -> Operation<LogOut> {
        Operation::new(self, LogOut(registry.into()))
    }

    /// Lists the registries with credentials, and who answers for each. Shows no secret.
    pub fn logins(&self) -> Operation<ListLogins> {
        Operation::new(self, ListLogins(()))
    }

    fn login_store<T>(
        &self,
        work: impl FnOnce(&LoginStore<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = work(&LoginStore {
            home: self.home(),
            settings: Settings::path(self.home()),
            chain: &*self.credentials()?,
        });
        // The settings may be others now, and so what was answered on their account.
        self.shared.settings.close();
        self.shared.installed.close();
        self.shared.chain.close();
        self.shared.client.close();
        done
    }
}

impl Operation<LogIn> {
    /// Where the password is stored, whatever the settings say.
    pub fn store(mut self, store: PasswordStore) -> Self {
        self.work.store = Some(store);
        self
    }

    /// Whether the registry is asked if it takes the credentials. The default is to ask.
    pub fn verify(mut self, verify: bool) -> Self {
        self.work.verify = verify;
        self
    }
}

impl Operation<InteractiveLogIn> {
    /// Asks this provider alone. Another kind of store talks to no one.
    pub fn store(mut self, store: PasswordStore) -> Self {
        self.work.store = Some(store);
        self
    }

    /// Whether the registry is asked if it takes the credentials. The default is to ask.
    pub fn verify(mut self, verify: bool) -> Self {
        self.work.verify = verify;
        self
    }
}

impl Sealed for LogIn {}
impl Sealed for InteractiveLogIn {}
impl Sealed for LogOut {}
impl Sealed for ListLogins {}

impl Work for LogIn {
    type Output = LoggedIn;

    fn work(self, msb: &Msb, context: &Context) -> Result<LoggedIn, Error> {
        let client = self.verify.then(|| msb.client()).transpose()?;
        let settings = msb.settings()?;
        let default = settings.plugins.store.as_deref();
        let store = self
            .store
            .unwrap_or_else(|| default.map_or_else(PasswordStore::default, PasswordStore::named));
        let login = Login::new(&self.registry, &self.username, self.password, store)?;
        msb.login_store(|logins| Ok(login.keep(logins, client.as_deref(), context)?))
    }
}

impl Work for InteractiveLogIn {
    type Output = Option<LoggedIn>;

    fn work(self, msb: &Msb, context: &Context) -> Result<Option<LoggedIn>, Error> {
        let client = self.verify.then(|| msb.client()).transpose()?;
        let login = InteractiveLogin {
            registry: registry_named(&self.registry)?,
            store: self.store,
            prompt: self.prompt,
        };
        msb.login_store(|logins| Ok(login.keep(logins, client.as_deref(), context)?))
    }
}

impl Work for LogOut {
    type Output = LoggedOut;

    fn work(self, msb: &Msb, context: &Context) -> Result<LoggedOut, Error> {
        let registry = registry_named(&self.0)?;
        msb.login_store(|logins| Ok(auth::logout(logins, &registry, context)?))
    }
}

impl Work for ListLogins {
    type Output = Vec<Registered>;

    fn work(self, msb: &Msb, context: &Context) -> Result<Vec<Registered>, Error> {
        Ok(auth::list(&*msb.credentials()?, context)?)
    }
}
