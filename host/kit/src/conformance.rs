//! Testing a plugin before anybody installs it: what the contract demands of one, checked by
//! running it.
//!
//! Owns the checks and their order. This is the one part of the room that knows images and the
//! store, for it does with a plugin what users will do. It runs in a home that is thrown away, and
//! all that a plugin may reach is made up: nothing of the user's is touched.
//!
//! ```no_run
//! use std::sync::Arc;
//! use msb_host::cancel::Cancel;
//! use msb_plugin_kit::conformance::{self, CheckOutcome, Subject};
//! use msb_host::progress::{Progress, Silent};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let subject = Subject {
//!     name: "my-format".to_owned(),
//!     component: std::fs::read("dist/my-format.wasm")?,
//!     archives: vec!["tests/sample.tar".into()],
//!     ..Subject::default()
//! };
//! let progress: Arc<dyn Progress> = Arc::new(Silent);
//! let report = conformance::test(&subject, &progress, &Cancel::default())?;
//! assert_eq!(report.count(CheckOutcome::Failed), 0, "{:#?}", report.checks);
//! # Ok(())
//! # }
//! ```

mod answers;
mod archives;
mod caching;
mod canary;
mod component;
mod damage;
mod fake_environment;
mod files;
mod harness;
mod hostile;
mod keeping;
mod leaks;
mod login;
mod odd;
mod own_answer;
mod probe;
mod reading;
mod report;
mod roots;
mod samples;
mod server;
mod servers;
mod writing;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub use report::{Check, CheckOutcome, Report};

use answers::Candidate;
use harness::Harness;
use msb_host::cancel::{Cancel, Cancelled};
use msb_host::plugin::{CredentialDescription, Description, Grant, Grants, Inspection, PluginKind};
use msb_host::progress::Progress;

/// A plugin and what it takes to test it.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// What it is called in messages.
    pub name: String,
    /// The bytes of its component.
    pub component: Vec<u8>,
    /// Archives of its own format, which it must read. Files or directories.
    pub archives: Vec<PathBuf>,
    /// Permissions beside those that it asks for.
    pub grants: Vec<Grant>,
    /// What it finds as its settings.
    pub settings: Option<serde_json::Value>,
    /// Variables of the environment, by name. Others that it is granted hold a made-up secret.
    pub variables: BTreeMap<String, String>,
    /// Samples of files, by the path that the plugin reads them at (`~/.logins.json`). In them
    /// `{{registry}}` stands for the registry of the question, `{{secret}}` for the made-up secret.
    /// Other files that it is granted have documents of well-known shapes.
    pub files: BTreeMap<String, String>,
    /// Samples of what servers answer, by the address that they begin with
    /// (`https://api.example.com/tokens`). In them `{{registry}}` and `{{secret}}` stand for the same. What
    /// else is asked for is answered with a document of well-known shapes.
    pub answers: BTreeMap<String, String>,
    /// What the user answers at a login, by how the question begins. Other questions are answered with the
    /// made-up user and secret.
    pub replies: BTreeMap<String, String>,
    /// The registry that the user logs in to, where it is not the first one that the plugin knows.
    pub registry: Option<String>,
    /// Where archives are kept that a format plugin has failed with, for its author to look at:
    /// `hostile-bytes-7.tar` and the like.
    pub keep: Option<PathBuf>,
    /// The executable whose processes compile it: see [`Runtime::compiled_by`].
    ///
    /// [`Runtime::compiled_by`]: msb_host::plugin::Runtime::compiled_by
    pub compiler: Option<PathBuf>,
}

/// Why a plugin could not be tested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConformanceError {
    /// There is no place to do it.
    #[error("could not make a folder to test the plugin in")]
    Folder(#[source] io::Error),
    /// A sample cannot lie where the author wants it.
    #[error("`{path}` is not a path that a plugin reads: {problem}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A sample cannot be the answer of what the author wants it to be.
    #[error("`{address}` is not an address that a plugin asks: {problem}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Makes all checks that suit the kind of plugin.
pub fn test(
    subject: &Subject,
    progress: &Arc<dyn Progress>,
    cancel: &Cancel,
) -> Result<Report, ConformanceError> {
    let harness = Harness::open(subject, progress, cancel)?;
    harness.begin("component")?;
    let (mut checks, inspection) = component::inspected(&harness);
    cancel.check()?;
    if let Some(inspection) = &inspection {
        harness.begin("cache")?;
        checks.extend(caching::caching(&harness, inspection));
        match &inspection.kind {
            PluginKind::Format(description) => {
                format(&harness, inspection, description, &mut checks)?;
            }
            PluginKind::Credential(description) => {
                credential(&harness, inspection, description, &mut checks)?;
            }
        }
    }
    cancel.check()?;
    Ok(Report { inspection, checks })
}

/// Returns what the plugin is granted: what it asks for, and what the author adds.
fn grants(subject: &Subject, inspection: &Inspection) -> Grants {
    let asked = inspection.needs.iter().map(|need| need.grant.clone());
    asked.chain(subject.grants.iter().cloned()).collect()
}

/// The checks of plugins that read archives.
const OF_READING: [&str; 11] = [
    "golden",
    "golden-again",
    "golden-load",
    "foreign",
    "samples",
    "samples-again",
    "samples-load",
    "made-layers",
    "hostile-bytes",
    "hostile-documents",
    "hostile-entries",
];

fn format(
    harness: &Harness<'_>,
    inspection: &Inspection,
    description: &Description,
    checks: &mut Vec<Check>,
) -> Result<(), ConformanceError> {
    let formats = harness.formats(&harness.runtime, inspection);
    harness.begin("write")?;
    let mut written = writing::writing(harness, &formats, description);
    if description.reads {
        harness.begin("golden")?;
        let golden = reading::golden(harness, &formats);
        checks.extend(golden.checks);
        harness.begin("foreign")?;
        checks.push(reading::foreign(harness, &formats));
        harness.begin("samples")?;
        checks.extend(samples::samples(harness, &formats, golden.known));
        harness.begin("hostile")?;
        // What it knows of the kit's tells enough.
        if golden.known {
            written.archives.clear();
        }
        checks.extend(hostile::hostile(harness, &formats, &written.archives));
    } else {
        let skip = |name| Check::skipped(name, "it says that it does not read");
        checks.extend(OF_READING.map(skip));
    }
    checks.extend(written.checks);
    Ok(())
}

fn credential(
    harness: &Harness<'_>,
    inspection: &Inspection,
    description: &CredentialDescription,
    checks: &mut Vec<Check>,
) -> Result<(), ConformanceError> {
    let nothing = Grants::default();
    let granted = grants(harness.subject, inspection);
    let (Some(without), Some(with)) = (
        answers::provider(harness, inspection, &nothing),
        answers::provider(harness, inspection, &granted),
    ) else {
        return Ok(());
    };
    harness.begin("ungranted")?;
    // The made-up environment has what would be found: only the grants are missing.
    checks.extend(answers::ungranted(&Candidate {
        harness,
        provider: without.as_ref(),
        description,
        grants: &granted,
    }));
    let candidate = Candidate {
        harness,
        provider: with.as_ref(),
        description,
        grants: &granted,
    };
    checks.push(harness.check("requests", || answers::requests(&candidate))?);
    checks.push(harness.check("username", || answers::username(&candidate))?);
    checks.push(harness.check("unclaimed", || answers::unclaimed(&candidate))?);
    harness.begin("leaks")?;
    checks.extend(leaks::leaks(&candidate));
    checks.push(harness.check("keeping", || keeping::keeping(&candidate))?);
    harness.begin("servers")?;
    checks.extend(servers::servers(&candidate, inspection));
    // It may keep what it gets at a login: no check of questions comes after.
    checks.push(harness.check("login", || login::login(&candidate))?);
    Ok(())
}
