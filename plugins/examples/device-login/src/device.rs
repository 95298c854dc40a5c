//! The device authorization grant: a code for the user, and questions until they have entered it.
//! Source: RFC 8628.

use msb_plugin::credential::Error;
use msb_plugin::system::{Derive, Exchange, Instruction, Prompt, Refusal, Secret, Taking};
use serde::Deserialize;

use crate::settings::Server;
use crate::tokens::{self, Tokens};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Seconds between two questions where the server does not say (section 3.2), what is added when it wants
/// to be asked less often (section 3.5), and the most that are waited.
const INTERVAL: u32 = 5;
const SLOWER: u32 = 5;
const SLOWEST: u32 = 300;
/// For how long the user is waited for, whatever the server says, in seconds.
const PATIENCE: u64 = 25 * 60;

/// What the server says of a code, without the one that it took out.
#[derive(Deserialize)]
struct Document {
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Option<u64>,
    interval: Option<u32>,
}

/// Shows a code to the user, and waits until they have entered it.
pub(crate) fn log_in(
    system: &(impl Derive + Exchange + Prompt),
    server: &Server,
) -> Result<Tokens, Error> {
    let (document, code) = begin(system, server)?;
    let page = document
        .verification_uri_complete
        .unwrap_or(document.verification_uri);
    let text = "open this page in a browser, and see that it shows this code or enter it there";
    let instruction = Instruction::new(text).url(page).code(document.user_code);
    system.show(&instruction)?;
    let patience = document.expires_in.unwrap_or(PATIENCE).min(PATIENCE);
    let mut interval = document.interval.unwrap_or(INTERVAL).clamp(1, SLOWEST);
    let mut waited = 0;
    let form = [
        ("grant_type", GRANT),
        ("client_id", server.client_id.as_str()),
    ];
    while waited < patience {
        system.wait(interval)?;
        waited += u64::from(interval);
        let answer = match tokens::ask(system, server, &form, ("device_code", &code)) {
            Ok(answer) => answer,
            // A server that does not answer is asked less often (section 3.5).
            Err(Refusal::Unavailable(_)) => {
                interval = (interval * 2).min(SLOWEST);
                continue;
            }
            Err(refusal) => return Err(refusal.into()),
        };
        if answer.status == 200 {
            return Tokens::of(server, answer);
        }
        match tokens::error_of(&answer).as_deref() {
            Some("authorization_pending") => {}
            Some("slow_down") => interval = (interval + SLOWER).min(SLOWEST),
            Some("access_denied") => {
                return Err(Error::denied("the login was refused in the browser"));
            }
            Some("expired_token") => return Err(expired()),
            _ => return Err(tokens::unexpected(&server.token_endpoint, &answer)),
        }
    }
    Err(expired())
}

fn expired() -> Error {
    Error::unavailable("the code was not entered in time").hint("log in once more for another code")
}

/// Has the server give out a code, and one that stands for it when the server is asked.
fn begin(system: &impl Exchange, server: &Server) -> Result<(Document, Secret), Error> {
    let url = server.device_endpoint.as_str();
    let mut form = vec![("client_id", server.client_id.as_str())];
    form.extend(server.scope.as_deref().map(|scope| ("scope", scope)));
    let body = tokens::encoded(&form);
    let answer = system.exchange(
        Taking::new("POST", url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(&body)
            .take("/device_code"),
    )?;
    if answer.status != 200 {
        return Err(tokens::unexpected(url, &answer));
    }
    let document: Document = serde_json::from_slice(&answer.body)
        .map_err(|_| Error::failed(format!("{url}: the answer has no code for the user")))?;
    let code = answer
        .secret()
        .ok_or_else(|| Error::failed(format!("{url}: the answer has no `device_code`")))?;
    Ok((document, code))
}
