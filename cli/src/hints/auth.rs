//! What to do about credentials: where they are missing, and where they cannot be kept.

use msb_host::auth::{AuthError, LoginError, ProviderError};
use msb_host::credential::AuthSourceKind;
use msb_host::registry::VerifyError;
use msb_host::settings::AuthProblem;

use super::for_settings;
use super::plugin::for_plugin;
use super::registry::for_verify;

/// What a key below `registries.auth` and `registries.hosts` is.
pub(super) const HOST: &str = "the key has to be a host alone, like ghcr.io or registry.local:5000";

const ENTRY: &str = "an entry has a `username` and one of `\"store\": \"keyring\"`, `password_env`, \
                     `secret_name` and `provider`";

pub(super) fn for_auth(error: &AuthError) -> Option<String> {
    if let Some(hint) = error.hint() {
        return Some(hint.to_owned());
    }
    if let AuthError::Provider { source, .. } = error
        && let ProviderError::Broken(error) = &**source
        && let Some(error) = error.downcast_ref()
    {
        return for_plugin(error);
    }
    let hint = match error {
        AuthError::Settings {
            source: AuthProblem::NotARegistry,
            ..
        } => HOST,
        AuthError::Settings { .. } => ENTRY,
        AuthError::Configured { named, .. }
            if named.source == Some(AuthSourceKind::PasswordEnv) =>
        {
            "set the variable, or take the entry out of config.json"
        }
        AuthError::Configured { .. } => "put it there, or take the entry out of config.json",
        AuthError::Unanswered {
            provider: Some(name),
            ..
        } => {
            return Some(format!(
                "install a plugin that is the provider `{name}`, or enable it if `msb plugin ls` has \
                 it as disabled; or take the entry out"
            ));
        }
        AuthError::Unanswered { .. } => {
            "the provider is disabled: `msb plugin ls` names it, and `msb plugin enable NAME` enables \
             it; or take the entry out"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

pub(super) fn for_keep(error: &LoginError) -> Option<String> {
    let hint = match error {
        LoginError::Path { registry, .. } => {
            return Some(format!("log in with `msb registry login {registry}`"));
        }
        LoginError::NoKeyring { offered }
        | LoginError::NoProvider { offered, .. }
        | LoginError::CannotStore { offered, .. } => {
            return Some(format!(
                "name one that does with --store: {}",
                offered.join(", ")
            ));
        }
        LoginError::Interactive { source, .. } => {
            return match source {
                ProviderError::Broken(error) => error.downcast_ref().and_then(for_plugin),
                error => error.hint().map(str::to_owned),
            };
        }
        LoginError::NotARegistry(text) if text.contains('@') => {
            "leave out what is before the `@`: a user name is given with `--username NAME`"
        }
        LoginError::NotARegistry(_) => "write it like ghcr.io or registry.local:5000",
        LoginError::Verify(VerifyError::Registry(error)) => return for_verify(error),
        LoginError::Settings(error) => return for_settings(error),
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns what to do where the system has no store of credentials that works.
pub(super) fn for_missing_store(registry: &str, source: &ProviderError) -> Vec<String> {
    let own = source.hint().map(str::to_owned);
    let entry = |key: &str, value: &str| {
        format!(
            "{{\"registries\": {{\"auth\": {{\"{registry}\": {{\"username\": \"NAME\", \"{key}\": \
             \"{value}\"}}}}}}}}"
        )
    };
    own.into_iter()
        .chain([
            format!(
                "let a variable have the password, as in CI: {} in config.json",
                entry("password_env", "VARIABLE")
            ),
            format!(
                "or a file below secrets/registries in the home of msb: {}",
                entry("secret_name", "FILE")
            ),
            "or let msb write that file, as plain text that only you can read: `--store file`"
                .to_owned(),
        ])
        .collect()
}
