//! The capability `http`, against a server on loopback.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use crate::auth::ProviderError;
use crate::plugin::PluginBudget;
use crate::plugin::test_bench::{Bench, request};

/// Serves requests by their path, until the process ends; returns the address.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: std::net::TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let fields: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let token = fields
        .iter()
        .find_map(|field| field.strip_prefix("authorization: "))
        .unwrap_or_default();
    let head = if first.contains("/moved") {
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\n"
    } else {
        "HTTP/1.1 200 OK\r\n"
    };
    let body = if first.contains("/large") {
        "x".repeat(5 << 20)
    } else {
        format!("{first} {token}")
    };
    if first.contains("/hang") {
        std::thread::sleep(Duration::from_mins(1));
    }
    let _ = write!(
        stream,
        "{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
}

#[test]
fn servers_are_denied_by_default_and_outside_of_the_scope() {
    let bench = Bench::new(&[]);
    let server = server();
    let grant = format!("http=GET@{server}");
    bench.is_denied(&[], "http", &format!("GET {server}/x"), &grant);
    assert_eq!(
        bench.words(&[&grant], "http", &format!("GET {server}/x")),
        "200 GET /x HTTP/1.1 Bearer token"
    );
    bench.is_denied(
        &[&grant],
        "http",
        &format!("POST {server}/x"),
        &format!("http=POST@{server}"),
    );
    bench.is_denied(
        &[&grant],
        "http",
        "GET http://127.0.0.1:1/x",
        "http=GET@http://127.0.0.1:1",
    );
    bench.is_denied(
        &[&grant],
        "http",
        "GET https://127.0.0.1/x",
        "http=GET@https://127.0.0.1",
    );
}

#[test]
fn redirects_are_answers_and_no_way_out_of_the_scope() {
    let bench = Bench::new(&[]);
    let server = server();
    let words = bench.words(
        &[&format!("http={server}")],
        "http",
        &format!("GET {server}/moved"),
    );
    assert!(words.starts_with("302 "), "{words}");
}

#[test]
fn a_large_answer_is_cut_off_and_an_address_with_a_password_refused() {
    let bench = Bench::new(&[]);
    let server = server();
    let grant = format!("http={server}");
    let words = bench.words(&[&grant], "http", &format!("GET {server}/large"));
    assert!(words.contains("is larger than 4 MiB"), "{words}");
    let with_password = server.replace("http://", "http://me:pw@");
    let words = bench.words(&[&grant], "http", &format!("GET {with_password}/x"));
    assert_eq!(words, "invalid: an address carries no password");
}

#[test]
fn a_server_that_never_answers_is_given_up_while_the_plugin_can_still_say_so() {
    let bench = Bench::new(&[]);
    let server = server();
    let limits = PluginBudget {
        wall: Some(Duration::from_secs(2)),
        ..PluginBudget::CREDENTIAL
    };
    let grant = format!("http={server}");
    let asked = request("http", &format!("GET {server}/hang"));
    let error = bench
        .provider(&[&grant], limits)
        .get(&asked, &bench.context())
        .unwrap_err();
    let words = error.to_string();
    assert!(matches!(error, ProviderError::Failed(_)), "{words}");
    assert!(words.starts_with("unavailable: could not ask "), "{words}");
}

#[test]
fn a_server_that_is_not_there_is_unavailable() {
    let bench = Bench::new(&[]);
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let words = bench.words(
        &[&format!("http=http://{free}")],
        "http",
        &format!("GET http://{free}/x"),
    );
    assert!(
        words.starts_with(&format!("unavailable: could not ask `http://{free}`")),
        "{words}"
    );
}
