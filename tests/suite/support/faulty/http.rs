//! HTTP as bytes on a socket: what a library for servers would not let a test send.

use std::fmt;
use std::io::{BufRead, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// Returns whether the other side begins with TLS.
pub(crate) fn is_tls(reader: &mut impl BufRead) -> bool {
    reader
        .fill_buf()
        .is_ok_and(|bytes| bytes.first() == Some(&0x16))
}

/// Answers as servers do that know of HTTP alone.
pub(crate) fn refuse_tls(mut stream: &TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
}

/// A request, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What it was answered.
    pub(crate) status: u16,
    /// How many bytes of the body were sent.
    pub(crate) sent: usize,
}

impl Request {
    /// Reads the next request of a connection, if there is one.
    pub(crate) fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            lines.push(line.to_owned());
        }
        let mut words = lines.first()?.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        // A proxy that only passes bytes on is sent whole addresses.
        let path = match target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            None => target,
        };
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: lines[1..]
                .iter()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
                .collect(),
            body: Vec::new(),
            status: 0,
            sent: 0,
        };
        let length = request.header("content-length").unwrap_or("0");
        request.body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns where the range begins that is asked for.
    pub(crate) fn offset(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.split('-').next()?.parse().ok()
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            path,
            status,
            sent,
            ..
        } = self;
        write!(formatter, "{method} {path} -> {status}, {sent} bytes")?;
        for name in ["range", "authorization"] {
            if let Some(value) = self.header(name) {
                write!(formatter, ", {name}: {value}")?;
            }
        }
        Ok(())
    }
}

/// What a request is answered. Faults change it at will.
#[derive(Clone)]
pub(crate) struct Answer {
    /// 0 for one that is the body and nothing before it.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// All of what the body may be a range of.
    pub(crate) whole: Option<Arc<Vec<u8>>>,
    pub(crate) delivery: Delivery,
}

/// How the body goes over the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// Without its length.
    Chunked,
    /// The connection ends after so many bytes.
    Close(usize),
    /// The connection is reset after so many bytes.
    Reset(usize),
    /// Without its length, and the end never comes: the connection ends after the last byte.
    NoEnd,
    /// Nothing comes after so many bytes, until the other side goes away.
    Stall(usize),
    /// So many bytes at a time, with pauses in between.
    Drip(usize, Duration),
}

impl Answer {
    pub(crate) fn new(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            whole: None,
            delivery: Delivery::Whole,
        }
    }

    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, serde_json::to_vec(value).unwrap())
            .with("Content-Type", "application/json")
    }

    /// Returns an error as registries word it.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let error = json!({"code": code, "message": message});
        Self::json(status, &json!({"errors": [error]}))
    }

    /// Returns all of a blob or the range that is asked for.
    pub(crate) fn blob(blob: Arc<Vec<u8>>, request: &Request) -> Self {
        let total = blob.len();
        let mut answer = match request.offset() {
            None => Self::new(200, blob.to_vec()),
            Some(offset) if offset < total => {
                let range = format!("bytes {offset}-{}/{total}", total - 1);
                Self::new(206, blob[offset..].to_vec()).with("Content-Range", &range)
            }
            Some(_) => {
                Self::new(416, Vec::new()).with("Content-Range", &format!("bytes */{total}"))
            }
        };
        answer.whole = Some(blob);
        answer.with("Content-Type", "application/octet-stream")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self
    }

    fn has(&self, name: &str) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(header, _)| header.eq_ignore_ascii_case(name))
    }

    /// Sends this, telling of each piece of the body how long it was. Returns whether the
    /// connection can be used again.
    pub(crate) fn send(&self, request: &Request, stream: &TcpStream, sent: impl Fn(usize)) -> bool {
        self.try_send(request, stream, sent).unwrap_or(false)
    }

    fn try_send(
        &self,
        request: &Request,
        mut stream: &TcpStream,
        sent: impl Fn(usize),
    ) -> std::io::Result<bool> {
        let chunked = matches!(self.delivery, Delivery::Chunked | Delivery::NoEnd);
        let lies = self.has("Content-Length");
        let mut head = format!("HTTP/1.1 {} Said\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if chunked {
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else if !lies {
            head.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n"]);
        }
        if self.status > 0 {
            stream.write_all(format!("{head}\r\n").as_bytes())?;
        }
        if request.method == "HEAD" {
            return Ok(true);
        }
        let end = match self.delivery {
            Delivery::Close(end) | Delivery::Reset(end) | Delivery::Stall(end) => end,
            _ => self.body.len(),
        };
        let piece = match self.delivery {
            Delivery::Drip(bytes, _) => bytes,
            _ => 16 << 10,
        };
        for piece in self.body[..end.min(self.body.len())].chunks(piece) {
            if chunked {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            }
            stream.write_all(piece)?;
            if chunked {
                stream.write_all(b"\r\n")?;
            }
            sent(piece.len());
            if let Delivery::Drip(_, pause) = self.delivery {
                std::thread::sleep(pause);
            }
        }
        match self.delivery {
            Delivery::Chunked => stream.write_all(b"0\r\n\r\n")?,
            Delivery::Stall(_) => while stream.read(&mut [0; 1024])? > 0 {},
            Delivery::Reset(_) => {
                rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
            }
            _ => {}
        }
        let whole = matches!(
            self.delivery,
            Delivery::Whole | Delivery::Chunked | Delivery::Drip(..)
        );
        Ok(whole && !lies && self.status > 0)
    }
}
