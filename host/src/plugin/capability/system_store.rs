//! The credential store of the operating system itself. Without the feature `keyring` there is none.
//!
//! Owns what the errors of the stores mean.

#[cfg(feature = "keyring")]
pub(super) use with_keyring::{read, remove, write};
#[cfg(not(feature = "keyring"))]
pub(super) use without_keyring::{read, remove, write};

#[cfg(feature = "keyring")]
mod with_keyring {
    use keyring::{Entry, Error};
    use zeroize::Zeroizing;

    use crate::plugin::bindings::msb::plugin::types::Refusal;

    /// Returns the text of an item.
    pub(in crate::plugin::capability) fn read(
        service: &str,
        account: &str,
    ) -> Result<Option<Zeroizing<String>>, Refusal> {
        match Entry::new(service, account).and_then(|entry| entry.get_password()) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Writes the text of an item.
    pub(in crate::plugin::capability) fn write(
        service: &str,
        account: &str,
        text: &str,
    ) -> Result<(), Refusal> {
        Entry::new(service, account)
            .and_then(|entry| entry.set_password(text))
            .map_err(|error| refusal(&error))
    }

    /// Removes an item, and returns whether there was one.
    pub(in crate::plugin::capability) fn remove(
        service: &str,
        account: &str,
    ) -> Result<bool, Refusal> {
        match Entry::new(service, account).and_then(|entry| entry.delete_credential()) {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Says what an error of the store means. The variant alone does not tell: a locked store is
    /// reported in different ways, and what can be done about it is the same.
    fn refusal(error: &Error) -> Refusal {
        match error {
            Error::NoDefaultStore => Refusal::Unavailable(match Entry::store_status() {
                Err(cause) => format!("there is no credential store of the system here: {cause}"),
                Ok(()) => "there is no credential store of the system here".to_owned(),
            }),
            Error::TooLong(attribute, limit) => Refusal::TooLarge(format!(
                "the system's credential store takes at most {limit} characters as {attribute}"
            )),
            Error::Invalid(attribute, reason) => {
                Refusal::Invalid(format!("{attribute} is not valid: {reason}"))
            }
            Error::BadEncoding(_) => {
                Refusal::Failed("the item in the system's credential store is not UTF-8".to_owned())
            }
            Error::Ambiguous(_) => Refusal::Failed(
                "the system's credential store has several items of this name".to_owned(),
            ),
            error => Refusal::Unavailable(format!(
                "the system's credential store is locked or refuses: {error}"
            )),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_store_that_is_locked_or_missing_is_unavailable_and_not_a_failure() {
            let cause = || "IsLocked".into();
            for error in [
                Error::PlatformFailure(cause()),
                Error::NoStorageAccess(cause()),
            ] {
                assert!(
                    matches!(refusal(&error), Refusal::Unavailable(_)),
                    "{error}"
                );
            }
        }
    }
}

#[cfg(not(feature = "keyring"))]
mod without_keyring {
    use zeroize::Zeroizing;

    use crate::plugin::bindings::msb::plugin::types::Refusal;

    fn missing() -> Refusal {
        Refusal::Unavailable("this build of msb has no access to a credential store".to_owned())
    }

    pub(in crate::plugin::capability) fn read(
        _: &str,
        _: &str,
    ) -> Result<Option<Zeroizing<String>>, Refusal> {
        Err(missing())
    }

    pub(in crate::plugin::capability) fn write(_: &str, _: &str, _: &str) -> Result<(), Refusal> {
        Err(missing())
    }

    pub(in crate::plugin::capability) fn remove(_: &str, _: &str) -> Result<bool, Refusal> {
        Err(missing())
    }
}
