//! A SOCKS5 proxy of a test's own, which knows hosts that no resolver knows. Sources: RFC 1928 and
//! RFC 1929.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::relay::copy;

/// A running proxy; takes no more connections when dropped.
pub(crate) struct Socks {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Where hosts are.
    hosts: HashMap<String, String>,
    /// The name and the password that it wants.
    login: Option<(String, String)>,
    asked: Mutex<Vec<String>>,
    closed: Mutex<bool>,
}

impl Socks {
    /// Starts a proxy that finds each host at an address of this machine.
    pub(crate) fn start(hosts: &[(&str, &str)], login: Option<(&str, &str)>) -> Self {
        let owned = |(name, address): &(&str, &str)| ((*name).to_owned(), (*address).to_owned());
        let state = Arc::new(State {
            hosts: hosts.iter().map(owned).collect(),
            login: login.map(|(name, password)| (name.to_owned(), password.to_owned())),
            ..State::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if *accepting.closed.lock().unwrap() {
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

    /// Returns the names and addresses that were asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }
}

impl Drop for Socks {
    fn drop(&mut self) {
        *self.state.closed.lock().unwrap() = true;
        let _ = TcpStream::connect(self.address);
    }
}

fn take<const N: usize>(mut client: &TcpStream) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads a text with its length before it.
fn text(mut client: &TcpStream) -> std::io::Result<String> {
    let [length] = take(client)?;
    let mut bytes = vec![0; usize::from(length)];
    client.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl State {
    fn serve(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let [version, methods] = take(client)?;
        assert_eq!(version, 5);
        let mut offered = vec![0; usize::from(methods)];
        client.read_exact(&mut offered)?;
        match &self.login {
            None => client.write_all(&[5, 0])?,
            Some(_) if !offered.contains(&2) => return client.write_all(&[5, 0xff]),
            Some(login) => {
                client.write_all(&[5, 2])?;
                let [_version] = take(client)?;
                let given = (text(client)?, text(client)?);
                let status = u8::from(given != *login);
                client.write_all(&[1, status])?;
                if status != 0 {
                    return Ok(());
                }
            }
        }
        let [_version, _connect, _reserved, kind] = take(client)?;
        let name = match kind {
            1 => std::net::Ipv4Addr::from(take::<4>(client)?).to_string(),
            3 => text(client)?,
            _ => std::net::Ipv6Addr::from(take::<16>(client)?).to_string(),
        };
        let authority = format!("{name}:{}", u16::from_be_bytes(take(client)?));
        self.asked.lock().unwrap().push(authority.clone());
        let server = self
            .hosts
            .get(&authority)
            .and_then(|address| TcpStream::connect(address).ok());
        // Granted, or: the host cannot be reached.
        let status = if server.is_some() { 0 } else { 4 };
        client.write_all(&[5, status, 0, 1, 0, 0, 0, 0, 0, 0])?;
        let Some(server) = server else { return Ok(()) };
        let (asking, asked) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || copy(&asking, &asked));
        copy(&server, client);
        server.shutdown(Shutdown::Both)
    }
}
