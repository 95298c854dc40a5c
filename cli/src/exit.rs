//! How the process ends, for the shell: what kind of failure an error is.

use std::process::ExitCode;

use msb_host::Error;
use msb_host::image::PullError;
use msb_host::installed::InstalledError;
use msb_host::registry::{DownloadError, RegistryErrorKind};
use msb_host::store::StoreError;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Success,
    /// Something was not.
    Failure,
    /// What was asked for is not there.
    NotFound,
    /// A registry denies access.
    Denied,
    /// A registry cannot be reached, or does not answer as it should.
    Network,
    /// Nothing failed, and there is something.
    Available,
    /// What was asked cannot be answered.
    Unanswered,
    /// The user stopped it; a shell's number for a death by SIGINT.
    Interrupted,
}

impl Exit {
    /// Returns the number that the shell gets.
    pub(crate) fn code(self) -> u8 {
        // 2 is what clap exits with when the arguments make no sense.
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::NotFound => 3,
            Self::Denied => 4,
            Self::Network => 5,
            Self::Available => 10,
            // podman's, for `image exists`.
            Self::Unanswered => 125,
            Self::Interrupted => 130,
        }
    }

    /// Returns what kind of failure an error is, by what led to it.
    pub(crate) fn of(error: &Error) -> Self {
        if let Some(error) = error.registry() {
            return Self::of_registry(&error.kind);
        }
        if let Some(error) = error.store() {
            return Self::of_store(error);
        }
        match error {
            Error::Pull(PullError::NotInStore { .. }) => Self::NotFound,
            Error::Installed(InstalledError::Download(error)) => Self::of_download(error),
            _ => Self::Failure,
        }
    }

    fn of_download(error: &DownloadError) -> Self {
        match error {
            DownloadError::Status {
                status: 404 | 410, ..
            } => Self::NotFound,
            DownloadError::Status {
                status: 401 | 403, ..
            } => Self::Denied,
            DownloadError::Failed { .. }
            | DownloadError::Certificate { .. }
            | DownloadError::Proxy { .. }
            | DownloadError::Stalled { .. }
            | DownloadError::Slow { .. }
            | DownloadError::Status { .. } => Self::Network,
            _ => Self::Failure,
        }
    }

    fn of_store(error: &StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::NotFound,
            _ => Self::Failure,
        }
    }

    fn of_registry(kind: &RegistryErrorKind) -> Self {
        match kind {
            RegistryErrorKind::NotFound { .. } => Self::NotFound,
            RegistryErrorKind::Denied { .. }
            | RegistryErrorKind::Credentials { .. }
            | RegistryErrorKind::Schemes { .. } => Self::Denied,
            RegistryErrorKind::Connect { .. }
            | RegistryErrorKind::Certificate(_)
            | RegistryErrorKind::ClientCertificate(_)
            | RegistryErrorKind::Handshake(_)
            | RegistryErrorKind::PlainHttp
            | RegistryErrorKind::SpeaksHttps
            | RegistryErrorKind::Proxy(_)
            | RegistryErrorKind::Broken { .. }
            | RegistryErrorKind::Stalled { .. }
            | RegistryErrorKind::Slow { .. }
            | RegistryErrorKind::WebPage { .. }
            | RegistryErrorKind::RateLimited { .. }
            | RegistryErrorKind::Status { .. }
            | RegistryErrorKind::Elsewhere { .. }
            | RegistryErrorKind::Redirect { .. }
            | RegistryErrorKind::Token { .. } => Self::Network,
            _ => Self::Failure,
        }
    }

    /// Returns how several failures end together: as each does, if all are of one kind.
    pub(crate) fn together(exits: &[Self]) -> Self {
        match exits {
            [first, others @ ..] if others.iter().all(|other| other == first) => *first,
            _ => Self::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use msb_host::auth::LoginError;
    use msb_host::image::{FilesError, MergeError, SaveError};
    use msb_host::registry::{RegistryError, RegistryOperation, VerifyError};

    use super::*;

    #[test]
    fn each_end_has_the_number_that_scripts_expect() {
        for (exit, code) in [
            (Exit::Success, 0),
            (Exit::Failure, 1),
            (Exit::NotFound, 3),
            (Exit::Denied, 4),
            (Exit::Network, 5),
            (Exit::Available, 10),
            (Exit::Unanswered, 125),
            (Exit::Interrupted, 130),
        ] {
            assert_eq!(exit.code(), code);
        }
    }

    #[test]
    fn an_error_ends_as_what_led_to_it() {
        let registry = |kind| {
            let what = RegistryOperation::Prepare;
            Exit::of(&RegistryError::new("h", what, kind).into())
        };
        assert_eq!(
            registry(RegistryErrorKind::NotFound { message: None }),
            Exit::NotFound
        );
        assert_eq!(registry(RegistryErrorKind::PlainHttp), Exit::Network);
        let not_found = || StoreError::NotFound("a".to_owned());
        assert_eq!(Exit::of(&not_found().into()), Exit::NotFound);
        assert_eq!(
            Exit::of(&SaveError::Store(not_found()).into()),
            Exit::NotFound
        );
        assert_eq!(
            Exit::of(&FilesError::Store(not_found()).into()),
            Exit::NotFound
        );
        assert_eq!(
            Exit::of(&MergeError::Store(not_found()).into()),
            Exit::NotFound
        );
        let refused = || {
            RegistryError::new(
                "h",
                RegistryOperation::Prepare,
                RegistryErrorKind::PlainHttp,
            )
        };
        let login = LoginError::Verify(VerifyError::Registry(refused()));
        assert_eq!(Exit::of(&login.into()), Exit::Network);
        let install = InstalledError::Registry(refused());
        assert_eq!(Exit::of(&install.into()), Exit::Network);
        let many = StoreError::Ambiguous {
            selector: "a".to_owned(),
            candidates: Vec::new(),
        };
        assert_eq!(Exit::of(&many.into()), Exit::Failure);
    }

    #[test]
    fn several_failures_end_as_one_if_they_are_of_one_kind() {
        assert_eq!(Exit::together(&[Exit::Denied, Exit::Denied]), Exit::Denied);
        assert_eq!(
            Exit::together(&[Exit::Denied, Exit::Network]),
            Exit::Failure
        );
        assert_eq!(Exit::together(&[]), Exit::Failure);
    }
}
