//! The token endpoint: what it answers, and what is kept of that.

use msb_plugin::credential::Error;
use msb_plugin::system::{
    Clock, Derive, Encoding, Exchange, Exchanged, Part, Refusal, Secret, State, Taking,
};
use serde::Deserialize;

use crate::settings::Server;

/// How long a token is good where the server does not say, in seconds.
const LIFE: u64 = 5 * 60;
/// For how long a token that others are given for is tried, in seconds: the server knows how long it is
/// good, and does not say.
const REFRESH_LIFE: u64 = 90 * 24 * 60 * 60;

/// What the server has given out.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// For the registry.
    pub(crate) access: Secret,
    /// For other tokens.
    refresh: Option<Secret>,
    /// How long the first one is good, in seconds.
    life: u64,
}

#[derive(Deserialize)]
struct Document {
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorDocument {
    error: String,
}

/// Sends a form of which one value is a secret to the token endpoint.
pub(crate) fn ask(
    system: &(impl Derive + Exchange),
    server: &Server,
    form: &[(&str, &str)],
    secret: (&str, &Secret),
) -> Result<Exchanged, Refusal> {
    let head = format!("{}&{}=", encoded(form), secret.0);
    let body = system.join(&[(&head).into(), Part::Secret(secret.1, Encoding::Percent)])?;
    system.exchange(
        Taking::new("POST", &server.token_endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(&body)
            .take("/access_token")
            .take("/refresh_token"),
    )
}

/// Returns a form as it is sent.
pub(crate) fn encoded(form: &[(&str, &str)]) -> String {
    let pairs = form
        .iter()
        .map(|(name, value)| format!("{name}={}", percent(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn percent(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    bytes.collect()
}

/// Returns the error that the server states, by RFC 6749 section 5.2.
pub(crate) fn error_of(answer: &Exchanged) -> Option<String> {
    let document: ErrorDocument = serde_json::from_slice(&answer.body).ok()?;
    (answer.status >= 400).then_some(document.error)
}

/// Returns an error for an answer that is none of those that the standard has.
pub(crate) fn unexpected(url: &str, answer: &Exchanged) -> Error {
    let said = error_of(answer).map(|error| format!(" ({error})"));
    let said = said.unwrap_or_default();
    match answer.status {
        429 | 500.. => Error::unavailable(format!("{url}: status {}{said}", answer.status)),
        status => Error::failed(format!("{url}: unexpected status {status}{said}")),
    }
}

/// Has the server give out a token for one that was given out before. `None` where it does not any more:
/// it wants to see the user.
pub(crate) fn refresh(
    system: &(impl Derive + Exchange),
    server: &Server,
    token: &Secret,
) -> Result<Option<Tokens>, Error> {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", server.client_id.as_str()),
    ];
    let answer = ask(system, server, &form, ("refresh_token", token))?;
    if answer.status == 200 {
        return Tokens::of(server, answer).map(Some);
    }
    match error_of(&answer).as_deref() {
        Some("invalid_grant") => Ok(None),
        _ => Err(unexpected(&server.token_endpoint, &answer)),
    }
}

/// Forgets what was kept, and returns whether there was anything.
pub(crate) fn forget(system: &impl State, server: &Server) -> Result<bool, Refusal> {
    let access = system.forget(&server.access_key())?;
    let refresh = system.forget(&server.refresh_key())?;
    Ok(access || refresh)
}

impl Tokens {
    /// Takes them out of an answer.
    pub(crate) fn of(server: &Server, answer: Exchanged) -> Result<Self, Error> {
        let document = serde_json::from_slice::<Document>(&answer.body).ok();
        let life = document.and_then(|it| it.expires_in).unwrap_or(LIFE);
        let mut taken = answer.taken.into_iter();
        let access = taken.next().flatten().ok_or_else(|| {
            Error::failed(format!(
                "{}: the answer has no token",
                server.token_endpoint
            ))
        })?;
        Ok(Self {
            access,
            refresh: taken.next().flatten(),
            life,
        })
    }

    /// Keeps them for the next run, and returns when the one for the registry ends.
    pub(crate) fn keep(
        &self,
        system: &(impl Clock + State),
        server: &Server,
    ) -> Result<u64, Error> {
        let now = system.now()?;
        let until = now.saturating_add(self.life);
        system.keep(&server.access_key(), &[], &self.access, until)?;
        // One that is not given out again stays good.
        if let Some(refresh) = &self.refresh {
            let end = now.saturating_add(REFRESH_LIFE);
            system.keep(&server.refresh_key(), &[], refresh, end)?;
        }
        Ok(until)
    }
}
