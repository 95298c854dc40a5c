//! A certificate authority of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::tools::run;

/// An authority that is trusted only by those who were told to.
pub(crate) struct Authority {
    folder: TempDir,
}

/// A certificate and its key, as files.
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// From and to when certificates are good, as `openssl ca` writes dates.
const VALID: [&str; 2] = ["20200101000000Z", "20991231000000Z"];
const FUTURE: [&str; 2] = ["20900101000000Z", "20990101000000Z"];
const EXPIRED: [&str; 2] = ["20200101000000Z", "20210101000000Z"];

/// Makes a key and a certificate that it has signed itself: `NAME.key` and `NAME.pem`.
pub(crate) fn self_signed(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!("req -x509 -newkey rsa:2048 -nodes -days 30 -keyout {name}.key -out {name}.pem"),
        &["-subj", &format!("/CN={name} of the tests")],
    );
}

/// Runs openssl in a folder, with the words of a line and then the rest.
pub(crate) fn openssl(folder: &Path, line: &str, rest: &[&str]) {
    run(Command::new("openssl")
        .current_dir(folder)
        .args(line.split(' '))
        .args(rest));
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        self_signed(folder.path(), "ca");
        let config = "\
            [ca]\ndefault_ca = own\n\
            [own]\ndatabase = index.txt\nnew_certs_dir = .\nrand_serial = yes\n\
            default_md = sha256\npolicy = any\nunique_subject = no\n\
            [any]\ncommonName = supplied\n";
        std::fs::write(folder.path().join("ca.conf"), config).unwrap();
        std::fs::write(folder.path().join("index.txt"), "").unwrap();
        Self { folder }
    }

    /// Returns the folder in which it keeps everything.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the file with the authority's own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Writes a certificate of the same authority whose time is over.
    pub(crate) fn expired_file(&self) -> PathBuf {
        let folder = self.folder.path();
        let line = "x509 -x509toreq -in ca.pem -signkey ca.key -out ca.csr";
        openssl(folder, line, &[]);
        std::fs::write(
            folder.join("ca.ext"),
            "basicConstraints = critical,CA:TRUE\n",
        )
        .unwrap();
        let [from, to] = EXPIRED;
        let line = format!(
            "ca -batch -notext -config ca.conf -selfsign -keyfile ca.key -in ca.csr -out old.pem \
             -extfile ca.ext -startdate {from} -enddate {to}"
        );
        openssl(folder, &line, &[]);
        folder.join("old.pem")
    }

    /// Issues a certificate for a server on this machine.
    pub(crate) fn server(&self) -> Pair {
        let names = "IP:127.0.0.1,DNS:localhost,DNS:registry.test";
        self.issue("server", Some(names), VALID)
    }

    /// Issues a certificate for a server of another name.
    pub(crate) fn server_called(&self, name: &str) -> Pair {
        self.issue("other", Some(&format!("DNS:{name}")), VALID)
    }

    /// Issues a certificate whose time is over.
    pub(crate) fn expired_server(&self) -> Pair {
        self.issue("expired", Some("IP:127.0.0.1"), EXPIRED)
    }

    /// Issues a certificate whose time has not begun.
    pub(crate) fn server_of_the_future(&self) -> Pair {
        self.issue("future", Some("IP:127.0.0.1"), FUTURE)
    }

    /// Makes a certificate for a server that has issued itself, with these extensions, as the
    /// manual of Docker has it.
    pub(crate) fn self_signed_server(extensions: &[&str]) -> (TempDir, Pair) {
        let folder = tempfile::tempdir().unwrap();
        let options: Vec<&str> = extensions
            .iter()
            .flat_map(|extension| ["-addext", *extension])
            .collect();
        let line = "req -x509 -newkey rsa:2048 -nodes -sha256 -days 30 -subj /CN=localhost \
                    -keyout domain.key -out domain.crt";
        openssl(folder.path(), line, &options);
        let pair = Pair {
            certificate: folder.path().join("domain.crt"),
            key: folder.path().join("domain.key"),
        };
        (folder, pair)
    }

    /// Makes a certificate for a server that has issued itself, with a key of its own kind.
    pub(crate) fn server_with_key(kind: &str) -> (TempDir, Pair) {
        let folder = tempfile::tempdir().unwrap();
        let line = format!(
            "req -x509 -newkey {kind} -nodes -days 30 -subj /CN=localhost -keyout own.key -out \
             own.crt -addext subjectAltName=IP:127.0.0.1"
        );
        openssl(folder.path(), &line, &[]);
        let pair = Pair {
            certificate: folder.path().join("own.crt"),
            key: folder.path().join("own.key"),
        };
        (folder, pair)
    }

    /// Makes a certificate of version 1, which has no place for extensions.
    pub(crate) fn version_1_server() -> (TempDir, Pair) {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let line = "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout v1.key -out v1.csr";
        openssl(at, line, &[]);
        openssl(
            at,
            "x509 -req -days 30 -in v1.csr -signkey v1.key -out v1.crt",
            &[],
        );
        let pair = Pair {
            certificate: at.join("v1.crt"),
            key: at.join("v1.key"),
        };
        (folder, pair)
    }

    /// Issues a certificate for a client.
    pub(crate) fn client(&self) -> Pair {
        self.issue("client", None, VALID)
    }

    /// Issues a certificate for servers of some names, or for a client.
    fn issue(&self, file: &str, names: Option<&str>, [from, to]: [&str; 2]) -> Pair {
        let folder = self.folder.path();
        let usage = match names {
            Some(names) => format!("extendedKeyUsage = serverAuth\nsubjectAltName = {names}\n"),
            None => "extendedKeyUsage = clientAuth\n".to_owned(),
        };
        let extensions = format!("basicConstraints = CA:FALSE\n{usage}");
        std::fs::write(folder.join(format!("{file}.ext")), extensions).unwrap();
        let wanted = format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {file}.key \
             -out {file}.csr -subj /CN={file}"
        );
        openssl(folder, &wanted, &[]);
        let issued = format!(
            "ca -batch -notext -config ca.conf -cert ca.pem -keyfile ca.key -in {file}.csr \
             -out {file}.pem -extfile {file}.ext -startdate {from} -enddate {to}"
        );
        openssl(folder, &issued, &[]);
        Pair {
            certificate: folder.join(format!("{file}.pem")),
            key: folder.join(format!("{file}.key")),
        }
    }
}
