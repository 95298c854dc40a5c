//! A server on the loopback address that stands in for every server a plugin asks.
//!
//! Owns what it answers. It answers one request of a connection, and any path alike.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use super::canary::CANARY;

/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that are one too many for an answer.
const HUGE: usize = (4 << 20) + 1;

/// What the server does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It gives this document.
    Document(String),
    /// It has nothing.
    Missing,
    /// It gives a page that is no JSON.
    Rubbish,
    /// It gives JSON of which every value has another type.
    OtherTypes,
    /// It gives JSON that is nothing but deep.
    Deep,
    /// It gives nothing.
    Empty,
    /// It gives more than a plugin may receive.
    Huge,
    /// It sends elsewhere.
    Redirect,
    /// It answers with this status and a text.
    Status(u16),
    /// It says that it has more than it gives.
    BreaksOff,
    /// It gives what is not HTTP.
    NotHttp,
    /// It closes the connection.
    Closes,
    /// It never answers.
    Silent,
}

/// The server.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mode: Mutex<Mode>,
    /// What is answered at a path in place of the document of everything else.
    documents: Mutex<BTreeMap<String, String>>,
    asked: AtomicUsize,
    ended: AtomicBool,
}

impl Server {
    /// Starts it.
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Missing),
            documents: Mutex::default(),
            asked: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("kit-server".to_owned())
            .spawn(move || {
                for connection in listener.incoming() {
                    if serving.ended.load(Ordering::Relaxed) {
                        return;
                    }
                    let serving = Arc::clone(&serving);
                    // Whoever closes early has what they wanted.
                    let _ = std::thread::Builder::new()
                        .name("kit-connection".to_owned())
                        .spawn(move || connection.and_then(|stream| serving.answer(&stream)));
                }
            })?;
        Ok(Self { address, shared })
    }

    /// Changes what it does.
    pub(super) fn set_mode(&self, mode: Mode) {
        *self
            .shared
            .mode
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// Changes what is answered at a path, while it gives documents at all.
    pub(super) fn set_document(&self, path: &str, document: Option<String>) {
        let documents = &self.shared.documents;
        let mut documents = documents.lock().unwrap_or_else(PoisonError::into_inner);
        match document {
            Some(document) => documents.insert(path.to_owned(), document),
            None => documents.remove(path),
        };
    }

    /// Returns how often it was asked since the last time.
    pub(super) fn take_asked(&self) -> usize {
        self.shared.asked.swap(0, Ordering::Relaxed)
    }

    /// Returns an address, with this server in place of the one in it.
    pub(super) fn standing_in_for(&self, url: &Url) -> Url {
        let mut here = url.clone();
        // Neither fails: the address is one of HTTP.
        let _ = here.set_scheme("http");
        let _ = here.set_ip_host(self.address.ip());
        let _ = here.set_port(Some(self.address.port()));
        here
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the one that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// Returns what is done with a request that begins with this line.
    fn mode(&self, first: &str) -> Mode {
        let mode = self.mode.lock();
        let mode = mode.unwrap_or_else(PoisonError::into_inner).clone();
        if !matches!(mode, Mode::Document(_)) {
            return mode;
        }
        let target = first.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let documents = self.documents.lock();
        let documents = documents.unwrap_or_else(PoisonError::into_inner);
        documents.get(path).cloned().map_or(mode, Mode::Document)
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        let mut first = String::new();
        reader.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        io::copy(&mut reader.take(length), &mut io::sink())?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mode = self.mode(&first);
        let mut writer = stream;
        match mode {
            Mode::Closes => {}
            Mode::NotHttp => writer.write_all(format!("220 {CANARY}\r\n").as_bytes())?,
            // Until the other side has seen enough.
            Mode::Silent => {
                let _ = stream.peek(&mut [0]);
            }
            mode => {
                let (status, fields, body) = mode.response();
                let length = body.len() + usize::from(mode == Mode::BreaksOff);
                let head = format!(
                    "HTTP/1.1 {status} Kit\r\ncontent-length: {length}\r\n\
                     connection: close\r\n{fields}\r\n"
                );
                writer.write_all(head.as_bytes())?;
                writer.write_all(&body)?;
            }
        }
        stream.shutdown(Shutdown::Both)
    }
}

impl Mode {
    fn response(&self) -> (u16, String, Vec<u8>) {
        let json = "content-type: application/json\r\n".to_owned();
        match self {
            Self::Document(document) => (200, json, document.clone().into()),
            Self::Missing => (404, json, b"{\"errors\":[]}".to_vec()),
            Self::Rubbish => (200, String::new(), format!("<html>{CANARY}</html>").into()),
            Self::OtherTypes => {
                let other = format!(
                    "{{\"username\":[\"{CANARY}\"],\"password\":7,\"token\":{{}},\"data\":\
                     {{\"data\":{{\"username\":7,\"password\":[\"{CANARY}\"]}}}},\
                     \"lease_duration\":\"{CANARY}\",\"expires_in\":-1}}"
                );
                (200, json, other.into())
            }
            Self::Deep => (200, json, "[".repeat(100_000).into()),
            Self::Huge => (200, json, vec![b' '; HUGE]),
            Self::Redirect => {
                let location = format!("location: https://elsewhere.example.com/{CANARY}\r\n");
                (307, location, Vec::new())
            }
            Self::Status(status) => (
                *status,
                String::new(),
                format!("no, and {CANARY} neither").into(),
            ),
            Self::BreaksOff => (200, json, format!("{{\"password\":\"{CANARY}").into()),
            Self::Empty | Self::NotHttp | Self::Closes | Self::Silent => (200, json, Vec::new()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn said(mode: Mode) -> String {
        let server = Server::start().unwrap();
        server.set_document("/x", None);
        said_by(&server, mode)
    }

    #[test]
    fn a_document_of_a_path_is_given_where_documents_are() {
        let server = Server::start().unwrap();
        server.set_document("/x", Some("own".to_owned()));
        let document = || Mode::Document("{}".to_owned());
        assert!(said_by(&server, document()).ends_with("\r\n\r\nown"));
        assert!(said_by(&server, Mode::Missing).starts_with("HTTP/1.1 404 "));
        server.set_document("/x", None);
        assert!(said_by(&server, document()).ends_with("\r\n\r\n{}"));
    }

    fn said_by(server: &Server, mode: Mode) -> String {
        server.set_mode(mode);
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"GET /x HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!((server.take_asked(), server.take_asked()), (1, 0));
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn an_answer_is_what_was_agreed() {
        let document = said(Mode::Document("{}".to_owned()));
        assert!(document.starts_with("HTTP/1.1 200 ") && document.ends_with("\r\n\r\n{}"));
        assert!(said(Mode::Missing).starts_with("HTTP/1.1 404 "));
        assert!(said(Mode::Status(503)).starts_with("HTTP/1.1 503 "));
        assert!(said(Mode::Redirect).contains("\r\nlocation: https://elsewhere."));
        assert!(said(Mode::Huge).len() > HUGE);
        assert!(said(Mode::NotHttp).starts_with("220 "));
        assert_eq!(said(Mode::Closes), "");
    }
}
