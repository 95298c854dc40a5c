//! What the user types at a login: the registry, and the password.

use secrecy::SecretString;

use super::login_error::LoginError;
use crate::address;
use crate::reference::canonical_host;

/// The most bytes of a password or token: more than the largest key that stands for one, and about
/// what servers take in the head of a request.
pub const MAX_PASSWORD: usize = 256 << 10;

/// Returns the canonical form of a registry that the user has typed.
pub fn registry_named(text: &str) -> Result<String, LoginError> {
    if let Some(registry) = canonical_host(text) {
        return Ok(registry);
    }
    // Before an `@` stands a password as often as a registry: `me:123/x@h`.
    if address::shown_as_registry(text) != text {
        return Err(LoginError::NotARegistry(text.to_owned()));
    }
    let path = text.trim();
    let (scheme, rest) = match path.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), path),
    };
    let host = rest.split('/').next().unwrap_or_default();
    match canonical_host(&format!("{scheme}{host}")) {
        Some(registry) => Err(LoginError::Path {
            text: text.to_owned(),
            registry,
        }),
        None => Err(LoginError::NotARegistry(text.to_owned())),
    }
}

/// Returns the password in what a program or a person has typed: all of it but the line ends after
/// it, however many there are. Docker removes one alone, which leaves a part of `\n\n` in the
/// password. A password may have several lines, as the key of a service account has, and any
/// character: RFC 7617 forbids control characters, but they travel in base64, and registries take
/// them.
///
/// # Errors
/// [`LoginError::Password`] for one that is empty, longer than [`MAX_PASSWORD`] or not UTF-8.
pub fn password_typed(bytes: &[u8]) -> Result<SecretString, LoginError> {
    check_length(bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|_| LoginError::Password("is not UTF-8 text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    check_length(text.as_bytes())?;
    Ok(SecretString::from(text))
}

pub(super) fn check_length(password: &[u8]) -> Result<(), LoginError> {
    match password.len() {
        0 => Err(LoginError::Password("is empty")),
        1..=MAX_PASSWORD => Ok(()),
        _ => Err(LoginError::LongPassword {
            limit: MAX_PASSWORD,
        }),
    }
}
