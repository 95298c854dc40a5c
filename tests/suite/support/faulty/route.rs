//! What a path asks for.

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Ping,
    Token,
    Manifest {
        name: String,
        reference: String,
    },
    Blob(String),
    /// A blob at a URL that works for a while.
    Signed {
        signature: usize,
        digest: String,
    },
    /// A blob at a URL that always works.
    Foreign(String),
    Other,
}

impl Route {
    pub(crate) fn of(path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        if path == "/v2/" {
            return Self::Ping;
        }
        if path == "/token" {
            return Self::Token;
        }
        if let Some((name, reference)) = path.rsplit_once("/manifests/") {
            return Self::Manifest {
                name: name.trim_start_matches("/v2/").to_owned(),
                reference: reference.to_owned(),
            };
        }
        if let Some((_, digest)) = path.rsplit_once("/blobs/") {
            return Self::Blob(digest.to_owned());
        }
        if let Some(digest) = path.strip_prefix("/foreign/") {
            return Self::Foreign(digest.to_owned());
        }
        let signed = path.strip_prefix("/signed/");
        if let Some((signature, digest)) = signed.and_then(|rest| rest.split_once('/')) {
            return Self::Signed {
                signature: signature.parse().unwrap_or(usize::MAX),
                digest: digest.to_owned(),
            };
        }
        Self::Other
    }
}

/// Which requests a fault is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// The start of the API.
    Ping,
    Token,
    /// A manifest, not its head.
    Manifest,
    /// The head of a manifest.
    ManifestHead,
    /// The blob of a digest, also at another URL.
    Blob(String),
    /// Every blob.
    Blobs,
    Everything,
}

impl On {
    pub(crate) fn matches(&self, route: &Route, method: &str) -> bool {
        let head = method == "HEAD";
        match (self, route) {
            (Self::Everything, _) | (Self::Token, Route::Token) | (Self::Ping, Route::Ping) => true,
            (Self::ManifestHead, Route::Manifest { .. }) => head,
            (Self::Manifest, Route::Manifest { .. })
            | (Self::Blobs, Route::Blob(_) | Route::Signed { .. } | Route::Foreign(_)) => !head,
            (
                Self::Blob(wanted),
                Route::Blob(digest) | Route::Signed { digest, .. } | Route::Foreign(digest),
            ) => wanted == digest && !head,
            _ => false,
        }
    }
}
