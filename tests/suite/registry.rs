//! Registries that require authentication, and have to prove who they are: passwords, tokens,
//! certificates, proxies.

pub(crate) mod access;
mod certificate_files;
mod plain_http;
mod proxies;
mod tls;
mod trust;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        access::tests(),
        certificate_files::all(),
        plain_http::tests(),
        proxies::tests(),
        tls::tests(),
        trust::tests(),
    ];
    tests.into_iter().flatten().collect()
}
