//! The credential store of the operating system: permission `keychain`.
//!
//! Owns the form of an item and what the errors of the stores mean. Every call is on a thread of
//! its own: a Secret Service that accepts and never answers would hang us for good.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use super::off_thread::{NoAnswer, off_thread};
use super::secret::Value;
use super::system_store;
use crate::plugin::bindings::msb::plugin::keychain::{self, Item};
use crate::plugin::bindings::msb::plugin::types::Refusal;
use crate::plugin::grant::Capability;
use crate::plugin::guest::Guest;

/// How long the store may take: unlocked it answers within a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// An item as it is kept.
#[derive(Deserialize)]
struct Kept {
    username: String,
    password: SecretString,
}

/// The same, to be written.
#[derive(Serialize)]
struct LoginEntry<'a> {
    username: &'a str,
    password: &'a str,
}

impl keychain::Host for Guest {
    async fn get(
        &mut self,
        service: String,
        account: String,
    ) -> wasmtime::Result<Result<Option<Item>, Refusal>> {
        self.host_waits(async |guest| {
            if let Err(refusal) = guest.may_use(&service, &account) {
                return Ok(Err(refusal));
            }
            let fake = guest.access.environment.fake().cloned();
            let kept = ask(move || {
                let text = match fake {
                    Some(fake) => fake.item(&service, &account),
                    None => system_store::read(&service, &account)?,
                };
                text.map(|text| parse(&text, &service, &account))
                    .transpose()
            });
            match kept.await {
                Err(refusal) => Ok(Err(refusal)),
                Ok(None) => Ok(Ok(None)),
                Ok(Some(kept)) => {
                    let password = kept.password.expose_secret().as_bytes().to_vec();
                    let password = guest.keep(Value::new(password))?;
                    Ok(Ok(Some(Item {
                        username: kept.username,
                        password,
                    })))
                }
            }
        })
        .await?
    }

    async fn put(
        &mut self,
        service: String,
        account: String,
        item: Item,
    ) -> wasmtime::Result<Result<(), Refusal>> {
        self.host_waits(async |guest| {
            let password: Value = guest.take(Resource::new_own(item.password.rep()))?;
            if let Err(refusal) = guest.may_use(&service, &account) {
                return Ok(Err(refusal));
            }
            let Ok(password) = std::str::from_utf8(password.bytes()) else {
                return Ok(Err(Refusal::Invalid(
                    "the password is not UTF-8".to_owned(),
                )));
            };
            let entry = LoginEntry {
                username: &item.username,
                password,
            };
            let text = match serde_json::to_string(&entry) {
                Ok(text) => Zeroizing::new(text),
                Err(error) => return Ok(Err(Refusal::Failed(error.to_string()))),
            };
            let fake = guest.access.environment.fake().cloned();
            let put = ask(move || {
                if let Some(fake) = fake {
                    fake.keep_item(&service, &account, Some(text));
                    return Ok(());
                }
                system_store::write(&service, &account, &text)
            });
            Ok(put.await)
        })
        .await?
    }

    async fn remove(
        &mut self,
        service: String,
        account: String,
    ) -> wasmtime::Result<Result<bool, Refusal>> {
        self.host_waits(async |guest| {
            guest.may_use(&service, &account)?;
            let fake = guest.access.environment.fake().cloned();
            ask(move || {
                if let Some(fake) = fake {
                    return Ok(fake.keep_item(&service, &account, None));
                }
                system_store::remove(&service, &account)
            })
            .await
        })
        .await
    }
}

impl Guest {
    fn may_use(&self, service: &str, account: &str) -> Result<(), Refusal> {
        if service.is_empty() || account.is_empty() {
            return Err(Refusal::Invalid(
                "an item has a service and an account".to_owned(),
            ));
        }
        if self.access.grants.allow_keychain(service) {
            Ok(())
        } else {
            Err(self.denied(Capability::Keychain, Some(service)))
        }
    }
}

async fn ask<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    match off_thread(PATIENCE, work).await {
        Ok(answer) => answer,
        Err(NoAnswer::Late) => Err(Refusal::Unavailable(format!(
            "the system's credential store did not answer within {} s",
            PATIENCE.as_secs()
        ))),
        Err(NoAnswer::Broken) => Err(Refusal::Unavailable(
            "the system's credential store could not be asked".to_owned(),
        )),
    }
}

fn parse(text: &str, service: &str, account: &str) -> Result<Kept, Refusal> {
    // Where in the item the fault is says nothing of what is in it; the rest of the error might.
    serde_json::from_str(text).map_err(|error| {
        Refusal::Failed(format!(
            "the item of `{account}` under `{service}` in the system's credential store is not an \
             object with `username` and `password` (column {})",
            error.column()
        ))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_another_form_is_refused_without_its_contents() {
        for text in [
            "",
            "hunter2",
            r#"{"username":"a"}"#,
            r#"{"password":"hunter2"}"#,
            r#"["hunter2"]"#,
        ] {
            let Err(Refusal::Failed(message)) = parse(text, "s", "ghcr.io") else {
                unreachable!("{text}");
            };
            assert!(
                message.contains("ghcr.io") && !message.contains("hunter2"),
                "{message}"
            );
        }
        let kept = parse(r#"{"username":"a","password":"b","more":1}"#, "s", "h").unwrap();
        assert_eq!(
            (kept.username.as_str(), kept.password.expose_secret()),
            ("a", "b")
        );
    }
}
