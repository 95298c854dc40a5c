//! `doctor`: whether everything is there that msb needs, and in order.
//!
//! Owns what is looked at and what counts as wrong. It changes nothing, and one thing that is wrong does not
//! keep it from looking at the others. What to do about a finding is said by those who show it.

mod files;
mod kernel;
mod registries;

use std::path::PathBuf;
use std::sync::Arc;

pub use kernel::KernelFeature;

use crate::Error;
use crate::auth::{Chain, ProviderReply};
use crate::context::Context;
use crate::credential::{Action, CredentialRequest};
use crate::home::Home;
use crate::installed::Installed;
use crate::registry::Client;
use crate::settings::Settings;
use crate::store::Store;

/// The registry whose credentials are looked for where none is named.
const USUAL_REGISTRY: &str = "docker.io";

/// Something that was looked at.
#[derive(Debug)]
pub struct Check {
    /// What: `home`, `store`, `disk`, …
    pub area: &'static str,
    /// What was found.
    pub finding: Finding,
}

/// What was found.
#[derive(Debug)]
pub enum Finding {
    /// It is in order.
    Good(String),
    /// The store is in order, and has so many images, which take so many bytes of disk.
    Images(usize, u64),
    /// There is room on the disk: so many bytes.
    Room(u64),
    /// Something will not work that may not be needed.
    Doubtful(Problem),
    /// msb will fail.
    Bad(Problem),
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// An operation of msb failed.
    #[error(transparent)]
    Failed(#[from] Error),
    /// A registry that does not answer as one.
    #[error("{registry} cannot be reached")]
    Unreachable {
        /// The registry.
        registry: String,
        /// Why.
        #[source]
        error: Box<Error>,
    },
    /// A directory that cannot be written.
    #[error("`{}` cannot be written by this user", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
    },
    /// A file that belongs to another user.
    #[error("`{}` belongs to user {owner}, not to {user}", path.display())]
    OtherOwner {
        /// The file or directory.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
        /// The number of this user.
        user: u32,
    },
    /// A file that others can read, and should not.
    #[error("`{}` can be read by others (mode {mode:o})", path.display())]
    OpenToOthers {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A disk that is nearly full.
    #[error("only {free} bytes are free on the disk of `{}`", path.display())]
    LittleRoom {
        /// The home.
        path: PathBuf,
        /// Bytes that this user may write.
        free: u64,
    },
    /// The images take more than they may.
    #[error("the images take {used} bytes, and the budget `store.max_bytes` is {budget}")]
    OverBudget {
        /// Bytes of disk of all images.
        used: u64,
        /// The budget.
        budget: u64,
    },
    /// A notice about the settings.
    #[error("{0}")]
    Settings(String),
    /// A credential provider cannot answer. Untrusted text.
    #[error("`{provider}`: {message}")]
    Provider {
        /// The provider.
        provider: String,
        /// What it said.
        message: String,
        /// What it advises.
        hint: Option<String>,
    },
    /// Something that mounting images takes and the kernel lacks.
    #[error("{}", feature.missing())]
    Kernel {
        /// What it lacks.
        feature: KernelFeature,
        /// Whether it has it as a module that is not loaded.
        is_module: bool,
    },
}

impl Check {
    fn good(area: &'static str, text: impl Into<String>) -> Self {
        Self {
            area,
            finding: Finding::Good(text.into()),
        }
    }

    fn doubtful(area: &'static str, problem: impl Into<Problem>) -> Self {
        Self {
            area,
            finding: Finding::Doubtful(problem.into()),
        }
    }

    fn bad(area: &'static str, problem: impl Into<Problem>) -> Self {
        Self {
            area,
            finding: Finding::Bad(problem.into()),
        }
    }
}

/// What is looked at. Each part is opened when its turn comes, and may fail by itself.
pub(crate) trait Subject {
    fn home(&self) -> &Home;
    fn settings(&self) -> Result<Arc<Settings>, Error>;
    fn store(&self) -> Result<Arc<Store>, Error>;
    fn plugins(&self) -> Result<Arc<Installed>, Error>;
    fn credentials(&self) -> Result<Arc<Chain>, Error>;
    fn client(&self) -> Result<Arc<Client>, Error>;
}

/// Looks at everything, and at these registries.
pub(crate) fn look(
    msb: &impl Subject,
    registries: &[String],
    context: &Context,
) -> Result<Vec<Check>, Error> {
    let mut checks = files::home(msb.home());
    checks.extend(settings(msb));
    checks.extend(store(msb));
    checks.push(files::room(msb.home()));
    checks.extend(plugins(msb));
    context.cancel.check()?;
    checks.extend(credentials(msb, context)?);
    for registry in registries {
        context.cancel.check()?;
        checks.push(registries::reach(msb, registry, context));
    }
    checks.extend(kernel::features());
    Ok(checks)
}

fn settings(msb: &impl Subject) -> Vec<Check> {
    const AREA: &str = "settings";
    let path = Settings::path(msb.home());
    let settings = match msb.settings() {
        Ok(settings) => settings,
        Err(error) => return vec![Check::bad(AREA, error)],
    };
    let mut checks: Vec<Check> = settings
        .notices
        .iter()
        .map(|notice| Check::doubtful(AREA, Problem::Settings(notice.clone())))
        .collect();
    if checks.is_empty() {
        let text = if path.is_file() {
            format!("`{}` can be used", path.display())
        } else {
            format!(
                "there is no `{}`: all settings are the defaults",
                path.display()
            )
        };
        checks.push(Check::good(AREA, text));
    }
    checks
}

fn store(msb: &impl Subject) -> Vec<Check> {
    const AREA: &str = "store";
    if !msb.home().root().join("db/images.db").is_file() {
        return vec![Check::good(AREA, "there are no images yet")];
    }
    let looked = || -> Result<(usize, u64), Error> {
        let store = msb.store()?;
        let (images, damaged) = store.listing()?;
        if let Some(row) = damaged.into_iter().next() {
            return Err(crate::store::StoreError::from(row).into());
        }
        store.check_complete_with(images.iter())?;
        Ok((images.len(), store.stock()?.bytes()))
    };
    let (images, bytes) = match looked() {
        Ok(looked) => looked,
        Err(error) => return vec![Check::bad(AREA, error)],
    };
    let mut checks = vec![Check {
        area: AREA,
        finding: Finding::Images(images, bytes),
    }];
    let budget = msb
        .settings()
        .ok()
        .and_then(|settings| settings.store.max_bytes);
    if let Some(budget) = budget.filter(|budget| bytes > *budget) {
        let used = bytes;
        checks.push(Check::doubtful(AREA, Problem::OverBudget { used, budget }));
    }
    checks
}

fn plugins(msb: &impl Subject) -> Vec<Check> {
    const AREA: &str = "plugins";
    let installed = match msb.plugins() {
        Ok(installed) => installed,
        Err(error) => return vec![Check::bad(AREA, error)],
    };
    let listed = installed.listed();
    let own = listed.iter().filter(|it| it.package.builtin).count();
    let disabled = listed.iter().filter(|it| !it.enabled).count();
    let others = listed.len() - own;
    let mut text = format!("{own} ship with msb, {others} are installed");
    if disabled > 0 {
        text = format!("{text}, {disabled} of all are disabled");
    }
    vec![Check::good(AREA, text)]
}

/// Asks each credential provider, as a pull does.
fn credentials(msb: &impl Subject, context: &Context) -> Result<Vec<Check>, Error> {
    const AREA: &str = "credentials";
    // What is wrong with plugins and settings was said.
    let Ok(chain) = msb.credentials() else {
        return Ok(Vec::new());
    };
    let request = CredentialRequest::new(USUAL_REGISTRY, Action::Pull);
    let attempts = match chain.explain(&request, context) {
        Ok(attempts) => attempts,
        Err(error) => {
            context.cancel.check()?;
            return Ok(vec![Check::bad(AREA, Error::from(error))]);
        }
    };
    let mut sound = Vec::new();
    let mut checks = Vec::new();
    for attempt in attempts {
        match attempt.reply {
            ProviderReply::Failed {
                message,
                hint,
                stops,
                ..
            } => {
                let problem = Problem::Provider {
                    provider: attempt.provider,
                    message,
                    hint,
                };
                checks.push(if stops {
                    Check::bad(AREA, problem)
                } else {
                    Check::doubtful(AREA, problem)
                });
            }
            _ => sound.push(format!("`{}`", attempt.provider)),
        }
    }
    if !sound.is_empty() {
        checks.insert(
            0,
            Check::good(AREA, format!("{} can be asked", sound.join(", "))),
        );
    }
    Ok(checks)
}
