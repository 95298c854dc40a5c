//! Where a component was built, as its builder has signed it: SLSA provenance.
//!
//! Owns which parts of a statement are shown. Sources: slsa.dev/provenance v0.2 and v1.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bundle::{PROVENANCE, VerifiedBundle};

/// The most characters of one part.
const MAX_TEXT: usize = 300;

/// Where a component was built, verified. All of it is text of the builder and of who has vouched for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Who has signed it: the identity in the certificate; `None` where it is the key of the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Who has vouched for the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What has built it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// From which source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// From which revision of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

impl Provenance {
    /// Returns what a verified bundle says of the building, if it does.
    pub(super) fn of(verified: &VerifiedBundle) -> Option<Self> {
        let statement = verified.statement.as_ref()?;
        if !statement.predicate_type.starts_with(PROVENANCE) {
            return None;
        }
        let predicate = &statement.predicate;
        let text = |path: &str| {
            let text = predicate.pointer(path).and_then(Value::as_str)?;
            Some(text.chars().take(MAX_TEXT).collect::<String>())
        };
        let first = |paths: &[&str]| paths.iter().find_map(|path| text(path));
        Some(Self {
            signer: verified.identity.clone(),
            issuer: verified.issuer.clone(),
            builder: first(&["/runDetails/builder/id", "/builder/id"]),
            source: first(&[
                "/buildDefinition/externalParameters/workflow/repository",
                "/buildDefinition/resolvedDependencies/0/uri",
                "/invocation/configSource/uri",
                "/materials/0/uri",
            ]),
            revision: first(&[
                "/buildDefinition/resolvedDependencies/0/digest/gitCommit",
                "/buildDefinition/resolvedDependencies/0/digest/sha1",
                "/invocation/configSource/digest/sha1",
                "/materials/0/digest/sha1",
            ]),
        })
    }
}
