//! An HTTP proxy of a test's own, which knows hosts that no resolver knows.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::relay::copy;

/// A running proxy; takes no more connections when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Where hosts are.
    hosts: HashMap<String, String>,
    /// What has to be in `Proxy-Authorization`.
    password: Option<String>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    asked: Vec<String>,
    closed: bool,
}

impl Proxy {
    /// Starts a proxy that finds each host at an address of this machine.
    pub(crate) fn start(hosts: &[(&str, &str)]) -> Self {
        Self::guarded(hosts, None)
    }

    /// Starts one that wants this in `Proxy-Authorization`.
    pub(crate) fn guarded(hosts: &[(&str, &str)], password: Option<&str>) -> Self {
        let owned = |(name, address): &(&str, &str)| ((*name).to_owned(), (*address).to_owned());
        let state = Arc::new(State {
            hosts: hosts.iter().map(owned).collect(),
            password: password.map(str::to_owned),
            inner: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if accepting.inner.lock().unwrap().closed {
                    return;
                }
                let state = Arc::clone(&accepting);
                thread::spawn(move || {
                    // Whoever goes away in the middle is not missed.
                    let _ = state.serve(&client);
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the first line of each request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.inner.lock().unwrap().asked.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.inner.lock().unwrap().closed = true;
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    /// Answers one request. After a plain one the connection ends.
    fn serve(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let Some(first) = head.first().cloned() else {
            return Ok(());
        };
        self.inner.lock().unwrap().asked.push(first.clone());
        let header = |name: &str| {
            let mut pairs = head.iter().filter_map(|line| line.split_once(": "));
            let found = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_owned())
        };
        if self.password.is_some() && header("proxy-authorization") != self.password {
            return client.write_all(
                b"HTTP/1.1 407 Proxy Authentication Required\r\n\
                  Proxy-Authenticate: Basic realm=\"proxy\"\r\n\
                  Content-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (authority, path) = match target.strip_prefix("http://") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => (target, ""),
        };
        let Some(mut server) = self.connect(authority) else {
            return client.write_all(
                b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        };
        if method == "CONNECT" {
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        } else {
            let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
            let own = ["proxy-", "connection:"];
            for line in &head[1..] {
                let lower = line.to_lowercase();
                if !own.iter().any(|name| lower.starts_with(name)) {
                    request.extend([line, "\r\n"]);
                }
            }
            server.write_all(format!("{request}\r\n").as_bytes())?;
        }
        let mut early = vec![0; reader.buffer().len()];
        reader.read_exact(&mut early)?;
        server.write_all(&early)?;
        let (asking, asked) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || copy(&asking, &asked));
        copy(&server, client);
        server.shutdown(Shutdown::Both)
    }

    fn connect(&self, authority: &str) -> Option<TcpStream> {
        TcpStream::connect(self.hosts.get(authority)?).ok()
    }
}
