//! Directories of certificates, one for each host, as Docker and podman have them. Source:
//! containers-certs.d(5).

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::pem::{self, ClientIdentity, NamedBy, NamedFile, Roots};
use super::{ConfigPaths, HostsError};
use crate::fs::{self, FileError};

/// What the directory of a host holds.
#[derive(Debug, Default)]
pub(super) struct HostCertificates {
    /// CA certificates.
    pub(super) roots: Roots,
    /// What we show. Where there are several, the first by name.
    pub(super) identity: Option<ClientIdentity>,
}

/// Reads the directory of a host: the first one that there is.
pub(super) fn read(paths: &ConfigPaths, host: &str) -> Result<HostCertificates, HostsError> {
    for directory in paths.certs_d(host) {
        match list(&directory) {
            Ok(files) => return from_files(&files),
            // One that is not for us is as good as none, as it is for podman.
            Err(error)
                if matches!(
                    error.source.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
                ) => {}
            Err(FileError { path, source, .. }) => {
                return Err(HostsError::Directory { path, source });
            }
        }
    }
    Ok(HostCertificates::default())
}

/// Returns whether there is a directory for a host.
pub(super) fn has_directory(paths: &ConfigPaths, host: &str) -> bool {
    paths.certs_d(host).iter().any(|path| path.is_dir())
}

fn list(directory: &Path) -> Result<BTreeSet<PathBuf>, FileError> {
    fs::entries(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}

fn from_files(files: &BTreeSet<PathBuf>) -> Result<HostCertificates, HostsError> {
    let named = |path: &Path| NamedFile {
        path: path.to_owned(),
        named_by: NamedBy::CertsD,
    };
    let partner = |path: &Path, extension| {
        let missing = path.with_extension(extension);
        if files.contains(&missing) {
            return Ok(missing);
        }
        Err(HostsError::MissingPartner {
            path: path.to_owned(),
            missing,
        })
    };
    let mut found = HostCertificates::default();
    for path in files {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => match pem::read_roots(&named(path)) {
                Ok(roots) => found.roots.extend(roots),
                // A link that leads nowhere, or a file that is gone since.
                Err(HostsError::Certificates { source, .. })
                    if source.kind() == ErrorKind::NotFound =>
                {
                    found.roots.skipped.push(format!(
                        "`{}` in certs.d leads to no file and was skipped",
                        path.display()
                    ));
                }
                Err(error) => return Err(error),
            },
            Some("cert") => {
                let key = partner(path, "key")?;
                let identity = pem::read_identity(&named(path), Some(&named(&key)))?;
                found.identity.get_or_insert(identity);
            }
            Some("key") => {
                partner(path, "cert")?;
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::hosts::fixtures::{CERTIFICATE, KEY};

    fn paths(root: &Path) -> ConfigPaths {
        ConfigPaths {
            home: Some(root.join("home")),
            etc: root.join("etc"),
            registries_conf: None,
        }
    }

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn no_directory_is_no_certificates() {
        let root = tempfile::tempdir().unwrap();
        let found = read(&paths(root.path()), "h:5000").unwrap();
        assert!(found.roots == Roots::default() && found.identity.is_none());
    }

    #[test]
    fn a_directory_has_authorities_and_a_client_certificate() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/docker/certs.d/h:5000");
        for (name, text) in [
            ("a.crt", CERTIFICATE),
            ("b.crt", CERTIFICATE),
            ("c.cert", CERTIFICATE),
            ("c.key", KEY),
            ("notes.txt", "x"),
        ] {
            write(&directory.join(name), text);
        }
        let found = read(&paths(root.path()), "h:5000").unwrap();
        assert_eq!(found.roots.certificates.len(), 2);
        assert!(found.identity.is_some());
        let other = read(&paths(root.path()), "h").unwrap();
        assert!(other.roots == Roots::default());
    }

    #[test]
    fn the_first_directory_that_there_is_stands_alone() {
        let root = tempfile::tempdir().unwrap();
        let docker = root.path().join("etc/docker/certs.d/h/ca.crt");
        let system = root.path().join("etc/containers/certs.d/h/ca.crt");
        let user = root.path().join("home/.config/containers/certs.d/h/ca.crt");
        let count = || {
            read(&paths(root.path()), "h")
                .unwrap()
                .roots
                .certificates
                .len()
        };
        write(&docker, CERTIFICATE);
        assert_eq!(count(), 1);
        write(&system, &CERTIFICATE.repeat(2));
        assert_eq!(count(), 2);
        write(&user, &CERTIFICATE.repeat(3));
        assert_eq!(count(), 3);
    }

    #[test]
    fn only_a_name_leads_to_a_directory() {
        let root = tempfile::tempdir().unwrap();
        write(&root.path().join("etc/containers/x.crt"), CERTIFICATE);
        write(
            &root.path().join("etc/containers/certs.d/x.crt"),
            CERTIFICATE,
        );
        for host in ["..", ".", "", "../certs.d", "a/..", "/", "x.crt/"] {
            assert!(paths(root.path()).certs_d(host).is_empty(), "{host}");
            let found = read(&paths(root.path()), host).unwrap();
            assert!(found.roots == Roots::default(), "{host}");
            assert!(!has_directory(&paths(root.path()), host), "{host}");
        }
        assert_eq!(paths(root.path()).certs_d("[::1]:5000").len(), 3);
    }

    #[test]
    fn a_certificate_without_its_key_names_the_file_that_is_missing() {
        for (there, missing) in [("a.b.cert", "a.b.key"), ("a.key", "a.cert")] {
            let root = tempfile::tempdir().unwrap();
            let directory = root.path().join("etc/containers/certs.d/h");
            write(&directory.join(there), CERTIFICATE);
            let error = read(&paths(root.path()), "h").unwrap_err();
            let expected = format!(
                "`{0}/{there}` needs `{0}/{missing}` next to it",
                directory.display()
            );
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_spoils_no_other_file() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/containers/certs.d/h");
        write(&directory.join("b.crt"), CERTIFICATE);
        std::os::unix::fs::symlink("/nowhere/ca.pem", directory.join("a.crt")).unwrap();
        let found = read(&paths(root.path()), "h").unwrap();
        assert_eq!(found.roots.certificates.len(), 1);
        let path = directory.join("a.crt");
        let note = format!(
            "`{}` in certs.d leads to no file and was skipped",
            path.display()
        );
        assert_eq!(found.roots.skipped, [note]);
        // What is there and cannot be read is an error.
        std::fs::create_dir(directory.join("c.crt")).unwrap();
        let error = read(&paths(root.path()), "h").unwrap_err();
        assert!(error.to_string().starts_with("could not read"), "{error}");
    }

    #[test]
    fn a_broken_file_is_an_error_with_its_path() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("etc/containers/certs.d/h/ca.crt");
        write(&path, "garbage");
        let error = read(&paths(root.path()), "h").unwrap_err();
        assert!(matches!(&error, HostsError::Pem { path: named, .. } if *named == path));
        let expected = format!("`{}` in certs.d cannot be used", path.display());
        assert_eq!(error.to_string(), expected);
    }
}
