//! What the guest does wrong whoever asks, so that it can be tested like any provider: the settings
//! are `{"deed":"…"}`.

use crate::exports::msb::plugin::credentials::{Answer, Entry, Error, Extent, Problem, Request};
use crate::exports::msb::plugin::credentials::{Cache, Credential};
use crate::msb::plugin::secret::Secret;
use crate::msb::plugin::types::Refusal;
use crate::msb::plugin::{env, files, http, keychain, log, prompt, reveal, settings};

/// Returns what to do, if the settings say.
pub(crate) fn deed() -> Option<String> {
    let settings = settings::plugin()?;
    let (_, deed) = settings.split_once("\"deed\":\"")?;
    Some(deed.split('"').next()?.to_owned())
}

/// Answers in a wrong way.
pub(crate) fn get(deed: &str, request: Request) -> Result<Answer, Error> {
    match deed {
        "leak-log" => {
            log::emit(log::Level::Debug, &format!("the password is {}", found()?));
            Err(Error::NotFound)
        }
        "leak-error" => Err(failed(&format!("`{}` is not a password", found()?), None)),
        "leak-hint" => Err(failed("it is wrong", Some(format!("change {}", found()?)))),
        "leak-source" => Ok(Answer {
            source: Some(found()?),
            ..answer("kit-user", b"other")
        }),
        "leak-own" => own_login(&request.registry),
        "leak-panic" => panic!("no password but {}", found()?),
        "swallow" => match env::get("MISBEHAVING_NAME") {
            Ok(Some(secret)) => Ok(Answer {
                credential: Credential::Basic(("kit-user".to_owned(), secret)),
                ..answer("", b"")
            }),
            _ => Err(Error::NotFound),
        },
        "anyone" => {
            let _ = env::get("MISBEHAVING_NAME");
            Ok(answer("kit-user", b"secret"))
        }
        "count" => Ok(answer("kit-user", &counted())),
        "echo" => Err(failed(&asked()?, None)),
        "insist" => loop {
            match asked() {
                Err(Error::Failed(problem)) if problem.message.ends_with("timed out") => {}
                ended => return ended.map(|_| answer("kit-user", b"secret")),
            }
        },
        "login-leak" => {
            shows(&format!("the password is {}", found()?))?;
            Err(Error::NotFound)
        }
        "login-mute" => {
            let _ = shows("open the page");
            Err(Error::NotFound)
        }
        "login-forgets" if !request.attributes.is_empty() => Ok(answer("kit-user", b"secret")),
        "odd" if request.registry.len() > 1000 => panic!("that is no registry"),
        _ => Err(Error::NotFound),
    }
}

/// Lists in a wrong way.
pub(crate) fn list(deed: &str) -> Result<Vec<Entry>, Error> {
    let source = match deed {
        "leak-entry" => Some(found()?),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Entry {
        registry: "ghcr.io".to_owned(),
        username: None,
        source,
        expires: None,
    }])
}

/// Returns the login out of a file that has a shape of its own, and says the password as well.
fn own_login(registry: &str) -> Result<Answer, Error> {
    let Ok(Some(file)) = files::read("~/.misbehaving") else {
        return Err(Error::NotMine);
    };
    let bytes = reveal::bytes(&file.contents).map_err(|_| failed("msb plugin grant", None))?;
    let text = String::from_utf8_lossy(&bytes);
    match text.trim_end().split_once(" is opened by ") {
        Some((of, password)) if of == registry => Ok(Answer {
            source: Some(password.to_owned()),
            ..answer("kit-user", password.as_bytes())
        }),
        _ => Err(Error::NotMine),
    }
}

/// Returns what is in a variable.
fn found() -> Result<String, Error> {
    let Ok(Some(secret)) = env::get("MISBEHAVING_NAME") else {
        return Err(failed("msb plugin grant", None));
    };
    let bytes = reveal::bytes(&secret).map_err(|_| failed("msb plugin grant", None))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Shows the user a text.
fn shows(text: &str) -> Result<(), Error> {
    let instruction = prompt::Instruction {
        text: text.to_owned(),
        url: None,
        code: None,
    };
    prompt::show(&instruction).map_err(|refusal| match refusal {
        Refusal::Denied(text) | Refusal::Unavailable(text) => failed(&text, None),
        _ => failed("it is not shown", None),
    })
}

/// Returns how often it was called.
fn counted() -> Vec<u8> {
    let before = keychain::get("misbehaving", "count").ok().flatten();
    let calls = before.map_or(1, |item| item.username.len() + 1);
    let item = keychain::Item {
        username: "x".repeat(calls),
        password: Secret::new(b"x"),
    };
    let _ = keychain::put("misbehaving", "count", item);
    calls.to_string().into_bytes()
}

/// Returns what a server says.
fn asked() -> Result<String, Error> {
    let request = http::Request {
        method: "GET".to_owned(),
        url: "https://misbehaving.example.com/".to_owned(),
        headers: Vec::new(),
        body: None,
    };
    match http::send(request) {
        Ok(response) => Ok(String::from_utf8_lossy(&response.body).into_owned()),
        Err(Refusal::Denied(text) | Refusal::Unavailable(text)) => Err(failed(&text, None)),
        Err(_) => Err(failed("the answer is of no use", None)),
    }
}

fn failed(message: &str, hint: Option<String>) -> Error {
    let message = message.to_owned();
    Error::Failed(Problem { message, hint })
}

fn answer(username: &str, password: &[u8]) -> Answer {
    Answer {
        credential: Credential::Basic((username.to_owned(), Secret::new(password))),
        cache: Cache::Session,
        extent: Extent::Registry,
        source: None,
        attributes: Vec::new(),
    }
}
