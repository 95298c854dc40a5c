//! A secrets server.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::PASSWORD;
use crate::faulty::http::Request;

/// A secrets server, or another one that answers with JSON.
pub(crate) struct Vault {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Vault {
    pub(crate) fn answering(status: u16, body: &Value) -> Self {
        let body = body.clone();
        Self::serving(move |_| (status, body.clone()))
    }

    /// Returns a server that answers each request as a function says.
    pub(crate) fn serving(answer: impl Fn(&Request) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let Some(request) = Request::read(&mut BufReader::new(&stream)) else {
                    return;
                };
                let (status, body) = answer(&request);
                let body = body.to_string();
                log.lock().unwrap().push(request);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, asked }
    }

    /// Returns one that knows the login of the registry.
    pub(crate) fn with_lease(seconds: u64) -> Self {
        let fields = json!({"username": "ann", "password": PASSWORD});
        Self::answering(
            200,
            &json!({"lease_duration": seconds, "data": {"data": fields}}),
        )
    }

    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn grant(&self) -> String {
        format!("http=GET@http://{}", self.address)
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        // Its thread ends with a connection that asks for nothing.
        let _ = TcpStream::connect(self.address);
    }
}
