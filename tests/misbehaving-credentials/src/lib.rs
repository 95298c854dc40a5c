//! A guest that breaks every rule of a credential provider, and asks for everything, so that limits
//! and grants can be tested against a real component. What it does is named by the registry of the
//! request, with the repository as argument; by the settings of the plugin, as in
//! `{"what":"env","argument":"HOME"}`; or, whatever it is asked, by `deed` there (`deeds`).

mod deeds;
mod endless;
mod uses;

wit_bindgen::generate!({ path: "../../wit", world: "credential" });

use endless::{allocates, loops, panics_in_a_function_with_a_name, recurses};
use exports::msb::plugin::credentials::{
    Answer, Cache, Credential, Description, Entry, Error, Extent, Guest, Operations, Outcome,
    Problem, Request,
};
use msb::plugin::secret::Secret;
use msb::plugin::types::{Need, Refusal};
use msb::plugin::{clock, env, files, helper, keychain, log, prompt, reveal, settings};
use uses::{exchanges, fetches, keeps, leaks, learns, remembers, shows};

struct Misbehaving;

export!(Misbehaving);

impl Guest for Misbehaving {
    fn describe() -> Description {
        // Nothing is granted to those who describe themselves.
        let _ = env::get("MISBEHAVING_NAME");
        Description {
            name: "misbehaving-credentials".to_owned(),
            title: "Breaks the rules".to_owned(),
            operations: Operations::STORE | Operations::ERASE | Operations::LIST,
            registries: vec!["*".to_owned()],
            needs: vec![Need {
                capability: "env".to_owned(),
                scope: Some("MISBEHAVING_*".to_owned()),
                reason: "to see what is there".to_owned(),
            }],
            attributes: vec![("login".to_owned(), "interactive".to_owned())],
        }
    }

    fn get(request: Request) -> Result<Answer, Error> {
        std::panic::set_hook(Box::new(|info| log::last_words(&info.to_string())));
        if let Some(deed) = deeds::deed() {
            return deeds::get(&deed, request);
        }
        let (what, argument) = told_to(&request);
        match what.as_str() {
            "panic" => panics_in_a_function_with_a_name(),
            "trap" => core::arch::wasm32::unreachable(),
            "loop" => loops(),
            "allocate" => allocates(),
            "recurse" => Err(failed(recurses(1).to_string())),
            "flood" => loop {
                let _ = clock::now();
            },
            "hoard" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(Secret::new(&[b'x'; 1 << 16]));
                }
            }
            "huge" => Err(failed("x".repeat(8 << 20))),
            "huge-in" => {
                log::emit(log::Level::Info, &"x".repeat(8 << 20));
                Err(failed("it was taken".to_owned()))
            }
            "escape" => Ok(basic("\u{1b}[2Jroot", b"secret")),
            "long-name" => Ok(basic(&"x".repeat(100_000), b"secret")),
            "two-lines" => Ok(Answer {
                credential: Credential::RegistryToken(Secret::new(b"secret\r\nX-Evil: 1")),
                ..basic("user", b"secret")
            }),
            "colon" => Ok(basic("us:er", b"secret")),
            "not-text" => Ok(basic("user", b"\xff\xfe")),
            "no-time" => Ok(Answer {
                cache: Cache::Until(u64::MAX),
                ..basic("user", b"secret")
            }),
            "good" => Ok(basic("user", b"secret")),
            "env" => passed_on(env::get(&argument)),
            "files" => match files::read(&argument) {
                Ok(Some(file)) => Ok(Answer {
                    source: Some(format!("owned {} private {}", file.owned, file.private)),
                    ..answer("user", file.contents.trimmed())
                }),
                Ok(None) => Err(Error::NotFound),
                Err(refusal) => Err(told(refusal)),
            },
            "keychain" => match keychain::get(&argument, "ghcr.io") {
                Ok(Some(item)) => Ok(answer(&item.username, item.password)),
                Ok(None) => Err(Error::NotFound),
                Err(refusal) => Err(told(refusal)),
            },
            "helper" => match helper::get(&argument, "ghcr.io") {
                Ok(Some(login)) => Ok(answer(&login.username, login.secret)),
                Ok(None) => Err(Error::NotFound),
                Err(refusal) => Err(told(refusal)),
            },
            "helper-store" => {
                let login = helper::Login {
                    username: "user".to_owned(),
                    secret: Secret::new(b"secret"),
                };
                match helper::store(&argument, "ghcr.io", login) {
                    Ok(()) => Err(Error::NotFound),
                    Err(refusal) => Err(told(refusal)),
                }
            }
            "helper-list" => match helper::list(&argument) {
                Ok(list) => Err(failed(format!("{list:?}"))),
                Err(refusal) => Err(told(refusal)),
            },
            "http" => fetches(&argument),
            "leak" => leaks(&argument),
            "exchange" => exchanges(&argument),
            "learn" => learns(&argument),
            "state" => remembers(&argument),
            "keep" => keeps(&argument),
            "show" => shows(&argument),
            "ask" => match prompt::ask(&argument) {
                Ok(answer) => Err(failed(answer)),
                Err(refusal) => Err(told(refusal)),
            },
            "ask-secret" => match prompt::ask_secret(&argument) {
                Ok(secret) => Ok(Answer {
                    source: Some(secret.length().to_string()),
                    ..answer("user", secret)
                }),
                Err(refusal) => Err(told(refusal)),
            },
            "wait" => match prompt::wait(argument.parse().unwrap_or(0)) {
                Ok(()) => Err(failed("waited".to_owned())),
                Err(refusal) => Err(told(refusal)),
            },
            "show-forever" => loop {
                if let Err(error) = shows("again") {
                    return Err(error);
                }
            },
            "wait-forever" => loop {
                prompt::wait(0).map_err(told)?;
            },
            "clock" => match clock::now() {
                Ok(now) => Err(failed(format!("it is {now}"))),
                Err(refusal) => Err(told(refusal)),
            },
            "reveal" => match reveal::bytes(&Secret::new(b"an open secret")) {
                Ok(bytes) => Err(failed(String::from_utf8_lossy(&bytes).into_owned())),
                Err(refusal) => Err(told(refusal)),
            },
            "settings" => Err(failed(format!(
                "{:?} {:?}",
                settings::plugin(),
                settings::registry()
            ))),
            _ => Err(Error::NotMine),
        }
    }

    fn store(request: Request, credential: Credential) -> Result<(), Error> {
        if deeds::deed().as_deref() == Some("forget") {
            return Ok(());
        }
        match credential {
            Credential::Basic((username, password)) => Err(failed(format!(
                "{} {username} {}",
                request.registry,
                password.length()
            ))),
            _ => Err(Error::Unsupported),
        }
    }

    fn erase(_request: Request) -> Result<(), Error> {
        Err(Error::NotFound)
    }

    fn list() -> Result<Vec<Entry>, Error> {
        if let Some(deed) = deeds::deed() {
            return deeds::list(&deed);
        }
        Ok((0..20_000)
            .map(|number| Entry {
                registry: format!("{number}.example"),
                username: None,
                source: None,
                expires: None,
            })
            .collect())
    }

    fn report(_request: Request, _outcome: Outcome) -> Result<(), Error> {
        if deeds::deed().as_deref() == Some("report") {
            return Ok(());
        }
        Err(Error::Unsupported)
    }
}

/// Returns what to do, and to what.
fn told_to(request: &Request) -> (String, String) {
    let settings = settings::plugin().unwrap_or_default();
    let set = |key: &str| {
        let (_, rest) = settings.split_once(&format!("\"{key}\":\""))?;
        Some(rest.split('"').next().unwrap_or_default().to_owned())
    };
    let what = set("what").unwrap_or_else(|| request.registry.clone());
    let argument = set("argument").or_else(|| request.repository.clone());
    (what, argument.unwrap_or_default())
}

fn passed_on(found: Result<Option<Secret>, Refusal>) -> Result<Answer, Error> {
    match found {
        Ok(Some(secret)) => Ok(answer("user", secret)),
        Ok(None) => Err(Error::NotFound),
        Err(refusal) => Err(told(refusal)),
    }
}

fn told(refusal: Refusal) -> Error {
    let (kind, text) = match refusal {
        Refusal::Denied(text) => ("denied", text),
        Refusal::Unavailable(text) => ("unavailable", text),
        Refusal::Invalid(text) => ("invalid", text),
        Refusal::TooLarge(text) => ("too large", text),
        Refusal::Failed(text) => ("failed", text),
    };
    failed(format!("{kind}: {text}"))
}

fn failed(message: String) -> Error {
    Error::Failed(Problem {
        message,
        hint: None,
    })
}

fn basic(username: &str, password: &[u8]) -> Answer {
    answer(username, Secret::new(password))
}

fn answer(username: &str, password: Secret) -> Answer {
    Answer {
        credential: Credential::Basic((username.to_owned(), password)),
        cache: Cache::Session,
        extent: Extent::Registry,
        source: None,
        attributes: Vec::new(),
    }
}
