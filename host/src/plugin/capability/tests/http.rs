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

/// Serves requests with all of themselves, as they are and in JSON; returns the address.
fn echo() -> String {
    use std::io::Read as _;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut fields = String::new();
            while !fields.ends_with("\r\n\r\n") && reader.read_line(&mut fields).unwrap() > 0 {}
            let field = |name: &str| {
                let mut lines = fields.lines();
                let value = lines
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap_or_default();
                value.to_owned()
            };
            let mut body = vec![0; field("content-length: ").parse().unwrap_or_default()];
            reader.read_exact(&mut body).unwrap();
            let sent = field("authorization: ");
            let answer = serde_json::json!({
                "token": "secret-of-the-server",
                "again": "secret-of-the-server",
                "header": sent,
                "body": String::from_utf8_lossy(&body),
            });
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\nx-sent: {sent}\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.to_string().len()
            );
        }
    });
    format!("http://{address}")
}

#[test]
fn what_was_sent_does_not_come_back() {
    let bench = Bench::new(&[("KEY", "s3cr3t \"of\" the user")]);
    let server = echo();
    let granted = [&format!("http={server}")[..], "env=KEY"];
    let words = bench.words(&granted, "leak", &format!("KEY {server}/"));
    assert!(words.contains(r#"("x-sent", "***")"#), "{words}");
    assert!(words.contains(r#""header":"***""#), "{words}");
    assert!(!words.contains("s3cr3t"), "{words}");
}

#[test]
fn what_a_server_answers_becomes_a_secret_before_it_is_seen() {
    let bench = Bench::new(&[("KEY", "s3cr3t \"of\" the user")]);
    let server = echo();
    let granted = [&format!("http={server}")[..], "env=KEY"];
    let answer = bench.get(&granted, "exchange", &format!("KEY {server}/"));
    let answer = answer.unwrap();
    let crate::credential::RegistryAuth::Basic { password, .. } = &answer.credential else {
        panic!("{answer:?}");
    };
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(password),
        "secret-of-the-server"
    );
    let shown = answer.source.unwrap();
    assert!(shown.starts_with("1 {"), "the length is not told: {shown}");
    assert!(shown.contains(r#""again":"***""#), "{shown}");
    assert!(shown.contains(r#""body":"***""#), "{shown}");
    for part in ["s3cr3t", "of the", "server\"", &base64_of("s3cr3t \"of")] {
        assert!(!shown.contains(part), "{part} in {shown}");
    }
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn of_what_was_made_nothing_is_learnt() {
    let bench = Bench::new(&[("KEY", "{\"a\": \"b\"}\n\n")]);
    let words = bench.words(&["env=KEY"], "learn", "KEY");
    assert!(words.starts_with("12 1 1 1 "), "{words}");
    assert!(words.ends_with("and this secret was made"), "{words}");
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
