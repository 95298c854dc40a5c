//! The front door: all that msb does, as methods of one value.
//!
//! Owns what operations share: the store, the settings, the plugins, the connections. Each is opened
//! when an operation first needs it, so that a damaged one stops only those that need it. What the
//! operations do is written in the modules of their own.

#[cfg(feature = "registry")]
mod adopt;
#[cfg(feature = "plugins")]
mod doctor;
#[cfg(feature = "plugins")]
mod export;
#[cfg(feature = "registry")]
mod files;
#[cfg(feature = "plugins")]
mod load;
mod local;
#[cfg(feature = "plugins")]
mod login;
mod merge;
#[cfg(feature = "registry")]
mod mount;
mod names;
mod operation;
#[cfg(feature = "plugins")]
mod plugins;
#[cfg(feature = "registry")]
mod pull;
#[cfg(feature = "plugins")]
mod save;
#[cfg(feature = "registry")]
mod serve;
#[cfg(feature = "registry")]
mod serve_microsandbox;

#[cfg(feature = "plugins")]
use std::path::Path;
use std::path::PathBuf;
#[cfg(feature = "registry")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;
#[cfg(feature = "registry")]
use crate::auth::Chain;
#[cfg(feature = "registry")]
use crate::context::Context;
use crate::home::Home;
#[cfg(feature = "registry")]
use crate::hosts::HostOverrides;
#[cfg(feature = "plugins")]
use crate::installed::Installed;
use crate::limits::Limits;
#[cfg(feature = "registry")]
use crate::progress::Event;
#[cfg(feature = "registry")]
use crate::registry::Client;
#[cfg(feature = "registry")]
use crate::settings::{SettingInForce, Settings};
use crate::store::Store;

#[cfg(feature = "registry")]
pub use adopt::Adopt;
#[cfg(feature = "plugins")]
pub use doctor::Doctor;
#[cfg(feature = "plugins")]
pub use export::Export;
#[cfg(feature = "registry")]
pub use files::{Diff, ListFiles, OpenFile, WalkFiles};
#[cfg(feature = "plugins")]
pub use load::Load;
pub use local::{Df, History, Images, Inspect, Prune, Release, Remove, UseImage, Verify};
#[cfg(feature = "plugins")]
pub use login::{InteractiveLogIn, ListLogins, LogIn, LogOut};
pub use merge::{Disk, Merge};
#[cfg(feature = "registry")]
pub use mount::{Mount, Unmount};
pub use names::{Exists, Similar, Tag, Untag};
pub use operation::{Operation, Running, Work};
#[cfg(feature = "plugins")]
pub use plugins::PluginSources;
#[cfg(feature = "registry")]
pub use pull::Pull;
#[cfg(feature = "plugins")]
pub use save::Save;
#[cfg(feature = "registry")]
pub use serve::ServeContainerd;
#[cfg(feature = "registry")]
pub use serve_microsandbox::ServeMicrosandbox;

/// A store of images, and what is needed to fill it.
///
/// Every method returns an [`Operation`], which does nothing yet. It is awaited, or run to its end on
/// this thread with [`run`](Operation::run). Clones share the store, the connections, and what
/// registries and credential providers have answered. Settings are read once: open another one to read
/// them again.
#[derive(Clone, Debug)]
pub struct Msb {
    shared: Arc<Shared>,
}

/// Opens an [`Msb`] other than the default one.
#[derive(Clone, Debug, Default)]
pub struct MsbBuilder {
    home: Option<PathBuf>,
    #[cfg(feature = "registry")]
    overrides: HostOverrides,
    #[cfg(feature = "plugins")]
    compiler: Option<PathBuf>,
}

#[derive(Debug)]
struct Shared {
    home: Home,
    #[cfg(feature = "plugins")]
    compiler: Option<PathBuf>,
    #[cfg(feature = "registry")]
    overrides: HostOverrides,
    #[cfg(feature = "registry")]
    settings: Opened<Settings>,
    #[cfg(feature = "plugins")]
    installed: Opened<Installed>,
    #[cfg(feature = "registry")]
    chain: Opened<Chain>,
    #[cfg(feature = "registry")]
    client: Opened<Client>,
    store: Opened<Store>,
    /// The user knows what is odd about the settings.
    #[cfg(feature = "registry")]
    is_told: AtomicBool,
}

impl Msb {
    /// Opens the store that the environment names: at `$MSB_HOME`, else at `~/.microsandbox`. It is
    /// created when something is first written.
    ///
    /// # Errors
    /// When neither `MSB_HOME` nor `HOME` is
    /// set.
    pub fn open() -> Result<Self, Error> {
        Self::builder().open()
    }

    /// Returns a builder, for another store, or other ways to connect to registries.
    pub fn builder() -> MsbBuilder {
        MsbBuilder::default()
    }

    /// Returns where the store is.
    pub fn home(&self) -> &Home {
        &self.shared.home
    }

    /// Returns what the user has set in `config.json`.
    ///
    /// # Errors
    /// When the file is there and cannot be used.
    #[cfg(feature = "registry")]
    pub fn settings(&self) -> Result<Arc<Settings>, Error> {
        let read = || Ok(Settings::read(self.home())?);
        self.shared.settings.get(read)
    }

    /// Returns all settings that are in force, and where each comes from.
    ///
    /// # Errors
    /// When a file is there and cannot be used.
    #[cfg(feature = "registry")]
    pub fn settings_in_force(&self) -> Result<Vec<SettingInForce>, Error> {
        Ok(Settings::in_force(self.home())?)
    }

    /// Returns what an input may cost.
    fn limits(&self) -> Result<Limits, Error> {
        #[cfg(feature = "registry")]
        return Ok(self.settings()?.limits.clone());
        #[cfg(not(feature = "registry"))]
        Ok(Limits::default())
    }

    /// Tells what is odd about the settings, once.
    #[cfg(feature = "registry")]
    fn tell(&self, settings: &Settings, context: &Context) {
        if !self.shared.is_told.swap(true, Ordering::Relaxed) {
            for notice in &settings.notices {
                context.progress.report(Event::Notice(notice));
            }
        }
    }

    /// Returns the plugins that there are.
    ///
    /// # Errors
    /// When the settings or the list of installed plugins cannot be read.
    #[cfg(feature = "plugins")]
    pub fn plugins(&self) -> Result<Arc<Installed>, Error> {
        let open = || {
            let installed = Installed::open(self.home(), &*self.settings()?)?;
            Ok(installed.compiled_by(self.compiler()))
        };
        self.shared.installed.get(open)
    }

    #[cfg(feature = "plugins")]
    fn compiler(&self) -> Option<&Path> {
        self.shared.compiler.as_deref()
    }

    /// Returns the credential providers, in the order in which they are asked.
    ///
    /// # Errors
    /// As for [`plugins`](Self::plugins).
    #[cfg(feature = "registry")]
    pub fn credentials(&self) -> Result<Arc<Chain>, Error> {
        self.shared.chain.get(|| {
            let settings = self.settings()?;
            #[cfg(feature = "plugins")]
            let providers = self.plugins()?.providers();
            #[cfg(not(feature = "plugins"))]
            let providers = [];
            Ok(Chain::new(providers, &settings.registries.auth))
        })
    }

    /// Returns the client of all registries.
    ///
    /// # Errors
    /// When the settings or the files that they name cannot be used.
    #[cfg(feature = "registry")]
    pub fn client(&self) -> Result<Arc<Client>, Error> {
        self.shared.client.get(|| {
            let settings = self.settings()?;
            let hosts = settings.hosts(&self.shared.overrides)?;
            Ok(Client::new(hosts, settings.registries.retry)?)
        })
    }

    /// Returns the store.
    ///
    /// # Errors
    /// When its catalogue cannot be opened.
    pub fn store(&self) -> Result<Arc<Store>, Error> {
        self.shared.store.get(|| Ok(Store::open(self.home())?))
    }
}

impl MsbBuilder {
    /// Uses the store at a directory, which need not exist yet.
    #[must_use]
    pub fn home(mut self, directory: impl Into<PathBuf>) -> Self {
        self.home = Some(directory.into());
        self
    }

    /// Connects to the registries that are named over plain HTTP. Never to Docker Hub, and to no other
    /// host that a registry refers to.
    #[must_use]
    #[cfg(feature = "registry")]
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.overrides.insecure = insecure;
        self
    }

    /// Says whether certificates are verified, whatever the settings say. Without that, plain HTTP is
    /// used as well where HTTPS is not answered.
    #[must_use]
    #[cfg(feature = "registry")]
    pub fn tls_verify(mut self, verify: bool) -> Self {
        self.overrides.tls_verify = Some(verify);
        self
    }

    /// Trusts the certificates in a PEM file as well. May be called again.
    #[must_use]
    #[cfg(feature = "registry")]
    pub fn ca_certs(mut self, file: impl Into<PathBuf>) -> Self {
        self.overrides.ca_certs.push(file.into());
        self
    }

    /// Names an executable, processes of which compile the plugins that do not ship with msb: for 10 s of
    /// the processor's time at most, or `plugins.limits.NAME.compile_secs`, and in 512 MiB. It calls
    /// [`compile_if_asked`](crate::plugin::compile_if_asked) before anything else; `msb` itself does.
    /// Without one, plugins are compiled in this process, where a thread that takes longer than a minute
    /// is left behind, and memory is bounded by no more than the sizes that a component may have.
    #[must_use]
    #[cfg(feature = "plugins")]
    pub fn compiler(mut self, executable: impl Into<PathBuf>) -> Self {
        self.compiler = Some(executable.into());
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    /// As for [`Msb::open`].
    pub fn open(self) -> Result<Msb, Error> {
        let home = match self.home {
            Some(directory) => Home::at(directory),
            None => Home::resolve()?,
        };
        Ok(Msb {
            shared: Arc::new(Shared {
                home,
                #[cfg(feature = "plugins")]
                compiler: self.compiler,
                #[cfg(feature = "registry")]
                overrides: self.overrides,
                #[cfg(feature = "registry")]
                settings: Opened::default(),
                #[cfg(feature = "plugins")]
                installed: Opened::default(),
                #[cfg(feature = "registry")]
                chain: Opened::default(),
                #[cfg(feature = "registry")]
                client: Opened::default(),
                store: Opened::default(),
                #[cfg(feature = "registry")]
                is_told: AtomicBool::new(false),
            }),
        })
    }
}

/// Something that is opened when it is first needed. If that fails, the next one tries again.
#[derive(Debug)]
struct Opened<T>(Mutex<Option<Arc<T>>>);

impl<T> Opened<T> {
    fn get(&self, open: impl FnOnce() -> Result<T, Error>) -> Result<Arc<T>, Error> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*opened {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(open()?);
        *opened = Some(Arc::clone(&value));
        Ok(value)
    }

    /// Forgets it: what it was opened from has changed.
    fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<T> Default for Opened<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}
