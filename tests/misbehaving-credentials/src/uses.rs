//! Uses of what the host offers, each with all that a plugin can do with a secret there.

use crate::exports::msb::plugin::credentials::{Answer, Cache, Error};
use crate::msb::plugin::secret::Secret;
use crate::msb::plugin::types::Refusal;
use crate::msb::plugin::{derive, env, exchange, files, http, prompt, state};
use crate::{answer, basic, failed, told};

/// Sends a secret to the server in the argument.
pub(super) fn fetches(url: &str) -> Result<Answer, Error> {
    let (method, url) = url.split_once(' ').unwrap_or(("GET", url));
    let token = Secret::new(b"token");
    let request = http::Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: vec![(
            "authorization".to_owned(),
            http::Value::Prefixed(("Bearer ".to_owned(), token)),
        )],
        body: None,
    };
    match http::send(request) {
        Ok(response) => Err(failed(format!(
            "{} {}",
            response.status,
            String::from_utf8_lossy(&response.body)
        ))),
        Err(refusal) => Err(told(refusal)),
    }
}

/// Sends the secret of a variable to a server, and tells what the answer shows of it.
pub(super) fn leaks(argument: &str) -> Result<Answer, Error> {
    let (name, url) = argument.split_once(' ').unwrap_or_default();
    let secret = env::get(name).map_err(told)?.ok_or(Error::NotFound)?;
    let request = http::Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: vec![("authorization".to_owned(), http::Value::Secret(secret))],
        body: None,
    };
    let response = http::send(request).map_err(told)?;
    Err(failed(format!(
        "{:?} {}",
        response.headers,
        String::from_utf8_lossy(&response.body)
    )))
}

/// Sends the secret of a variable in all that a request has, and tells what the answer shows of
/// it. What is taken out of the answer becomes the password.
pub(super) fn exchanges(argument: &str) -> Result<Answer, Error> {
    let (name, url) = argument.split_once(' ').unwrap_or_default();
    let secret = env::get(name).map_err(told)?.ok_or(Error::NotFound)?;
    let written = |encoding| {
        derive::join(&[
            derive::Part::Text("a \"".to_owned()),
            derive::Part::Secret((&secret, encoding)),
            derive::Part::Text("\" b".to_owned()),
        ])
        .map_err(told)
    };
    let (header, body) = (
        written(derive::Encoding::Base64)?,
        written(derive::Encoding::Json)?,
    );
    let field = |pointer: &str| exchange::Field {
        pointer: pointer.to_owned(),
        form: exchange::Form::Text,
    };
    let mut response = exchange::send(&exchange::Request {
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers: vec![(
            "authorization".to_owned(),
            exchange::Content::Secret(&header),
        )],
        body: Some(exchange::Content::Secret(&body)),
        take: vec![field("/token"), field("/none")],
    })
    .map_err(told)?;
    let shown = String::from_utf8_lossy(&response.body).into_owned();
    match (response.taken.pop(), response.taken.pop()) {
        (Some(None), Some(Some(token))) => Ok(Answer {
            source: Some(format!("{} {shown}", token.length())),
            ..answer("user", token)
        }),
        _ => Err(failed(shown)),
    }
}

/// Answers with what it kept for the secret of a variable, or keeps a password for it.
pub(super) fn remembers(name: &str) -> Result<Answer, Error> {
    let secret = env::get(name).map_err(told)?.ok_or(Error::NotFound)?;
    match state::get("key", &[&secret]).map_err(told)? {
        Some(kept) => Ok(Answer {
            source: Some(format!("{} until {}", kept.value.length(), kept.until)),
            ..answer("user", kept.value)
        }),
        None => {
            let value = Secret::new(b"secret-kept");
            state::put("key", &[&secret], &value, 40_000_000_000).map_err(told)?;
            Err(failed("kept".to_owned()))
        }
    }
}

/// Answers with what is in a variable or a file until a time, and lets the host keep that.
pub(super) fn keeps(argument: &str) -> Result<Answer, Error> {
    let (place, until) = argument.split_once(' ').unwrap_or_default();
    let found = match place.strip_prefix("file:") {
        Some(path) => files::read(path).map_err(told)?.map(|file| file.contents),
        None => env::get(place).map_err(told)?,
    };
    Ok(Answer {
        cache: Cache::Until(until.parse().unwrap_or_default()),
        attributes: vec![("keep".to_owned(), "yes".to_owned())],
        ..answer("user", found.unwrap_or_else(|| Secret::new(b"nothing")))
    })
}

/// Shows a text, a page and a code, which bars separate.
pub(super) fn shows(argument: &str) -> Result<Answer, Error> {
    let mut parts = argument.split('|').map(str::to_owned);
    let instruction = prompt::Instruction {
        text: parts.next().unwrap_or_default(),
        url: parts.next(),
        code: parts.next(),
    };
    prompt::show(&instruction).map_err(told)?;
    Ok(basic("user", b"secret"))
}

/// Tells what can be learnt of a secret that was made of that of a variable.
pub(super) fn learns(name: &str) -> Result<Answer, Error> {
    let secret = env::get(name).map_err(told)?.ok_or(Error::NotFound)?;
    let made = derive::join(&[derive::Part::Secret((&secret, derive::Encoding::Plain))]);
    let made = made.map_err(told)?;
    let refused = match derive::member(&made, "/a") {
        Err(Refusal::Invalid(text)) => text,
        _ => "a member".to_owned(),
    };
    let digest = derive::sha256(&secret).map_err(told)?;
    Err(failed(format!(
        "{} {} {} {} {refused}",
        secret.length(),
        made.length(),
        made.trimmed().length(),
        digest.length(),
    )))
}
