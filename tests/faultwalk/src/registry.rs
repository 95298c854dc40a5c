//! A registry on this machine, with what was pushed to it when it started.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use base64::Engine as _;

use crate::Result;
use crate::images::{Image, MANIFEST, digest};

/// Who may log in.
pub(crate) const USER: &str = "ann";
/// With what. It is looked for in what a killed login leaves.
pub(crate) const PASSWORD: &str = "hunter2-hunter2";

/// What it serves, by path.
struct Contents {
    answers: HashMap<String, (&'static str, Vec<u8>)>,
    /// Whether it wants a login.
    closed: bool,
}

/// Starts a registry and returns its host. It ends with this process.
pub(crate) fn start(images: &[(&str, &str, &Image)], closed: bool) -> Result<String> {
    let mut answers = HashMap::new();
    for (repository, tag, image) in images {
        let pushed = image.pushed()?;
        for blob in pushed.blobs {
            let path = format!("/v2/{repository}/blobs/{}", digest(&blob));
            answers.insert(path, ("application/octet-stream", blob));
        }
        for reference in [(*tag).to_owned(), digest(&pushed.manifest)] {
            let path = format!("/v2/{repository}/manifests/{reference}");
            answers.insert(path, (MANIFEST, pushed.manifest.clone()));
        }
    }
    answers.insert("/v2/".to_owned(), ("application/json", b"{}".to_vec()));
    let contents = Arc::new(Contents { answers, closed });
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let host = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let contents = Arc::clone(&contents);
            // A client that was killed is no concern of the others.
            std::thread::spawn(move || contents.serve(stream).ok());
        }
    });
    Ok(host)
}

impl Contents {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        while let Some(request) = lines.next().transpose()? {
            let mut has_login = false;
            while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
                has_login |= line.split_once(' ').is_some_and(|(name, value)| {
                    name.eq_ignore_ascii_case("authorization:") && value == login()
                });
            }
            let mut words = request.split(' ');
            let (method, path) = (words.next(), words.next().unwrap_or_default());
            let path = path.replace("%3A", ":");
            let (status, header, body) = match self.answers.get(&path) {
                _ if self.closed && !has_login => (
                    "401 Unauthorized",
                    "WWW-Authenticate: Basic realm=\"tests\"".to_owned(),
                    &b"{}"[..],
                ),
                Some((media_type, body)) => (
                    "200 OK",
                    format!("Content-Type: {media_type}"),
                    body.as_slice(),
                ),
                None => (
                    "404 Not Found",
                    "Content-Type: application/json".to_owned(),
                    &b"{}"[..],
                ),
            };
            write!(
                stream,
                "HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            if method != Some("HEAD") {
                stream.write_all(body)?;
            }
        }
        Ok(())
    }
}

fn login() -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    format!("Basic {encoded}")
}
