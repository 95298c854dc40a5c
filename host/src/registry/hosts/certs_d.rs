//! Directories of certificates, one for each host, as Docker and podman have them. Source:
//! containers-certs.d(5).

use std::collections::BTreeSet;
use std::fs::read_dir;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::pem::{self, ClientIdentity, NamedBy, NamedFile};
use super::{ConfigPaths, HostsError};

/// What the directory of a host holds.
#[derive(Debug, Default)]
pub(super) struct HostCertificates {
    /// CA certificates, DER.
    pub(super) roots: Vec<Vec<u8>>,
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
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
                ) => {}
            Err(source) => {
                return Err(HostsError::Directory {
                    path: directory,
                    source,
                });
            }
        }
    }
    Ok(HostCertificates::default())
}

fn list(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    read_dir(directory)?
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
            Some("crt") => found.roots.extend(pem::read_roots(&named(path))?),
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
