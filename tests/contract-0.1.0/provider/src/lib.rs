//! A credential provider written against the contract 0.1.0 alone: it asks a server with the secret
//! of a variable, and answers with the password that a file has. What else the contract has, it
//! uses once.

wit_bindgen::generate!({ path: "../wit", world: "credential" });

use exports::msb::plugin::credentials::{
    Answer, Cache, Credential, Description, Entry, Error, Extent, Guest, Operations, Outcome,
    Problem, Request,
};
use msb::plugin::secret::Secret;
use msb::plugin::types::{Need, Refusal};
use msb::plugin::{clock, env, files, helper, http, keychain, log, reveal, settings};

struct Provider;

export!(Provider);

impl Guest for Provider {
    fn describe() -> Description {
        Description {
            name: "old".to_owned(),
            title: "Provider of the contract 0.1.0".to_owned(),
            operations: Operations::LIST,
            registries: vec!["*".to_owned()],
            needs: vec![Need {
                capability: "env".to_owned(),
                scope: Some("OLD_TOKEN".to_owned()),
                reason: "what opens the server".to_owned(),
            }],
            attributes: Vec::new(),
        }
    }

    fn get(_: Request) -> Result<Answer, Error> {
        let set = settings::plugin().unwrap_or_default();
        let text = |name: &str| {
            let (_, after) = set
                .split_once(&format!("\"{name}\":\""))
                .unwrap_or_default();
            after.split('"').next().unwrap_or_default().to_owned()
        };
        let token = env::get("OLD_TOKEN")
            .map_err(refused)?
            .ok_or(Error::NotFound)?;
        let answer = http::send(http::Request {
            method: "POST".to_owned(),
            url: text("url"),
            headers: vec![
                ("x-token".to_owned(), http::Value::Secret(token)),
                ("accept".to_owned(), http::Value::Text("*/*".to_owned())),
                (
                    "authorization".to_owned(),
                    http::Value::Prefixed(("Bearer ".to_owned(), Secret::new(b"made"))),
                ),
            ],
            body: Some(b"question".to_vec()),
        })
        .map_err(refused)?;
        let file = files::read(&text("file"))
            .map_err(refused)?
            .ok_or(Error::NotFound)?;
        let password = file.contents.trimmed();
        for refusal in [
            reveal::bytes(&password).err(),
            keychain::get("old", "old").err(),
            helper::get("old", "old").err(),
        ] {
            let Some(Refusal::Denied(text)) = refusal else {
                return Err(failed("what was not granted was given"));
            };
            log::emit(log::Level::Debug, &text);
        }
        Ok(Answer {
            credential: Credential::Basic((
                String::from_utf8_lossy(&answer.body).into_owned(),
                password,
            )),
            cache: Cache::Until(clock::now().map_err(refused)? + 60),
            extent: Extent::Registry,
            source: Some(format!("{} of {} bytes", file.path, file.contents.length())),
            attributes: Vec::new(),
        })
    }

    fn erase(_: Request) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    fn list() -> Result<Vec<Entry>, Error> {
        Ok(vec![Entry {
            registry: "old.example.com".to_owned(),
            username: None,
            source: None,
            expires: None,
        }])
    }

    fn report(_: Request, _: Outcome) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    fn store(_: Request, _: Credential) -> Result<(), Error> {
        Err(Error::Unsupported)
    }
}

fn failed(message: &str) -> Error {
    Error::Failed(Problem {
        message: message.to_owned(),
        hint: None,
    })
}

fn refused(refusal: Refusal) -> Error {
    failed(&format!("{refusal:?}"))
}
