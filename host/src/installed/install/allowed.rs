//! What a plugin may be called, and whether its place is free.

use super::{InstallRequest, Purpose};
use crate::digest::Digest;
use crate::installed::error::InstalledError;
use crate::installed::lock::Lock;
use crate::installed::locked_plugin::LockedKind;
use crate::plugin::{PluginKind, builtin};
use crate::settings::is_plugin_name;

/// Refuses a name that no plugin can have, or that a plugin of msb has.
pub(super) fn check_name(name: &str) -> Result<(), InstalledError> {
    let error = |reason: &str| {
        Err(InstalledError::Name {
            name: name.to_owned(),
            reason: reason.to_owned(),
        })
    };
    if !is_plugin_name(name) {
        return error(
            "a name has lower-case letters, digits and dashes, begins with a letter, and is at \
             most 32 long",
        );
    }
    if builtin::packages().iter().any(|it| &*it.name == name) {
        return error("a plugin that ships with msb has it");
    }
    Ok(())
}

/// Refuses other bytes than the lock has, unless the user wants them.
pub(super) fn check_bytes(
    name: &str,
    place: &str,
    locked: Option<&Digest>,
    found: &Digest,
    request: &InstallRequest,
) -> Result<(), InstalledError> {
    let (name, place, found) = (name.to_owned(), place.to_owned(), found.clone());
    match locked {
        Some(locked) if *locked == found => Ok(()),
        None if request.locked => Err(InstalledError::NotLocked { place, found }),
        Some(locked) if request.locked => Err(InstalledError::Unlike {
            name,
            place,
            locked: locked.clone(),
            found,
        }),
        Some(locked) if request.purpose != Purpose::Update => Err(InstalledError::Changed {
            name,
            place,
            locked: locked.clone(),
            found,
        }),
        _ => Ok(()),
    }
}

/// Refuses a plugin whose kind and name another one has that is in use.
pub(in crate::installed) fn check_provides(
    lock: &Lock,
    name: &str,
    kind: &PluginKind,
) -> Result<(), InstalledError> {
    let kind = LockedKind::of(kind);
    // Providers are asked and named by their plugins: of one there can be several, each with settings of
    // its own. A place of msb has only one.
    if matches!(kind, LockedKind::Credential { .. }) && kind.place_taken().is_none() {
        return Ok(());
    }
    let other = lock.plugins.iter().find(|other| {
        other.enabled
            && other.name != name
            && other.kind.word() == kind.word()
            && other.kind.name() == kind.name()
    });
    match other {
        Some(other) => Err(InstalledError::Provided {
            kind: kind.word(),
            provides: kind.name().to_owned(),
            by: other.name.clone(),
        }),
        None => Ok(()),
    }
}

/// Returns whether both are formats, or both are providers.
pub(in crate::installed) fn same_kind(one: &PluginKind, other: &PluginKind) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
