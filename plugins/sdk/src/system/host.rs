//! The capabilities as the host provides them.

use zeroize::Zeroizing;

use super::secret::Kept;
use super::{
    Clock, Env, File, Files, Helper, Http, Keychain, Log, Login, Refusal, Request, Response,
    Reveal, Secret, Settings, Value,
};
use crate::Level;
use crate::bindings::msb::plugin::log;
use crate::credential_bindings::msb::plugin::{
    clock, env, files, helper, http, keychain, reveal, settings,
};

/// What the host offers. Natively its functions panic.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Log for System {
    fn log(&self, level: Level, message: &str) {
        log::emit(level, message);
    }
}

impl Settings for System {
    fn plugin(&self) -> Option<String> {
        settings::plugin()
    }

    fn registry(&self) -> Option<String> {
        settings::registry()
    }
}

impl Env for System {
    fn variable(&self, name: &str) -> Result<Option<Secret>, Refusal> {
        Ok(env::get(name)?.map(Secret::from_handle))
    }
}

impl Files for System {
    fn file(&self, path: &str) -> Result<Option<File>, Refusal> {
        Ok(files::read(path)?.map(|file| File {
            contents: Secret::from_handle(file.contents),
            path: file.path,
            owned: file.owned,
            private: file.private,
        }))
    }
}

impl Keychain for System {
    fn item(&self, service: &str, account: &str) -> Result<Option<Login>, Refusal> {
        Ok(keychain::get(service, account)?.map(|item| Login {
            username: item.username,
            secret: Secret::from_handle(item.password),
        }))
    }

    fn put_item(&self, service: &str, account: &str, item: Login) -> Result<(), Refusal> {
        let item = keychain::Item {
            username: item.username,
            password: item.secret.into_handle(),
        };
        keychain::put(service, account, item)
    }

    fn remove_item(&self, service: &str, account: &str) -> Result<bool, Refusal> {
        keychain::remove(service, account)
    }
}

impl Helper for System {
    fn helper_login(&self, name: &str, server: &str) -> Result<Option<Login>, Refusal> {
        Ok(helper::get(name, server)?.map(|login| Login {
            username: login.username,
            secret: Secret::from_handle(login.secret),
        }))
    }

    fn helper_store(&self, name: &str, server: &str, login: Login) -> Result<(), Refusal> {
        let login = helper::Login {
            username: login.username,
            secret: login.secret.into_handle(),
        };
        helper::store(name, server, login)
    }

    fn helper_erase(&self, name: &str, server: &str) -> Result<(), Refusal> {
        helper::erase(name, server)
    }

    fn helper_list(&self, name: &str) -> Result<Vec<(String, String)>, Refusal> {
        helper::list(name)
    }
}

impl Http for System {
    fn send(&self, request: Request) -> Result<Response, Refusal> {
        let headers = request.headers.into_iter().map(|(name, value)| {
            let value = match value {
                Value::Text(text) => http::Value::Text(text),
                Value::Secret(secret) => http::Value::Secret(secret.into_handle()),
                Value::Prefixed(text, secret) => {
                    http::Value::Prefixed((text, secret.into_handle()))
                }
            };
            (name, value)
        });
        http::send(http::Request {
            method: request.method,
            url: request.url,
            headers: headers.collect(),
            body: request.body,
        })
    }
}

impl Clock for System {
    fn now(&self) -> Result<u64, Refusal> {
        clock::now()
    }
}

impl Reveal for System {
    fn reveal(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        match secret.kept() {
            Kept::Host(secret) => reveal::bytes(secret).map(Zeroizing::new),
            Kept::Here(bytes) => Ok(bytes.clone()),
        }
    }
}
