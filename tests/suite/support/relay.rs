//! A way to a server that is as slow as a test wants it, and that counts what passes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes that pass at a time.
const PIECE: usize = 8 << 10;

/// Passes connections on to a server; no more of them when dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Bytes that the server has sent.
    received: AtomicU64,
    /// Microseconds that a piece takes.
    pause: AtomicU64,
    closed: AtomicBool,
}

impl Relay {
    /// Passes on to `host:port` so many bytes per second on each connection.
    pub(crate) fn to(target: &str, rate: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (accepting, target) = (Arc::clone(&state), target.to_owned());
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if accepting.closed.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&accepting);
                let server = TcpStream::connect(&target).unwrap();
                thread::spawn(move || state.pass(&client, &server));
            }
        });
        let relay = Self { address, state };
        relay.set_rate(rate);
        relay
    }

    /// Returns address and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Changes how many bytes pass per second on each connection.
    pub(crate) fn set_rate(&self, rate: u64) {
        let pause = 1_000_000 * PIECE as u64 / rate;
        self.state.pause.store(pause, Ordering::Relaxed);
    }

    /// Returns how many bytes the server has sent.
    pub(crate) fn received(&self) -> u64 {
        self.state.received.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Relaxed);
        // What accepts connections sees that it is over when one comes.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn pass(&self, client: &TcpStream, server: &TcpStream) {
        let (asking, asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || copy(&asking, &asked));
        self.answer(server, client);
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }

    fn answer(&self, mut server: &TcpStream, mut client: &TcpStream) {
        let mut piece = [0; PIECE];
        while let Ok(count) = server.read(&mut piece) {
            if count == 0 || client.write_all(&piece[..count]).is_err() {
                return;
            }
            self.received.fetch_add(count as u64, Ordering::Relaxed);
            let pause = self.pause.load(Ordering::Relaxed);
            if pause > 0 {
                thread::sleep(Duration::from_micros(pause));
            }
        }
    }
}

/// Copies until either side has had enough.
pub(crate) fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
