//! Registries whose identity provider speaks OAuth 2.0: the user logs in at a page in the browser, and
//! the tokens that come of it are refreshed until they log out.
//!
//! Codes and tokens stay in the host: the plugin has no `reveal`.
//!
//! Sources: RFC 8628 (device authorization grant), RFC 6749 section 6 (refreshing a token).

mod device;
mod settings;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
mod tokens;

use msb_plugin::credential::{
    Answer, Cache, Credential, Description, Error, Operations, Provider, Request,
};
use msb_plugin::system::{Clock, Derive, Exchange, Prompt, Secret, Settings, State};

use settings::{Configured, Server};

/// The provider.
#[derive(Debug)]
pub struct DeviceLogin;

impl<S: Clock + Derive + Exchange + Prompt + Settings + State> Provider<S> for DeviceLogin {
    fn describe() -> Description {
        Description::new("device-login", "logins with a code for the browser")
            .registry("*")
            .operations(Operations::ERASE)
            .logs_in()
            .need(
                "http",
                Some("POST@https://id.example.com/oauth/"),
                "your identity provider, which gives out codes and tokens",
            )
            .need("clock", None, "tokens have an end")
            .need("state", None, "you stay logged in until the tokens end")
            .need(
                "prompt",
                None,
                "it shows the code that you enter in the browser",
            )
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let server = Configured::server(system, &request.registry)?;
        let names_another = server.username.is_some() && request.username.is_some();
        if names_another && request.username != server.username {
            return Err(Error::NotFound);
        }
        if request.is_interactive() {
            let tokens = device::log_in(system, &server)?;
            let until = tokens.keep(system, &server)?;
            return Ok(answer(&server, tokens.access, until));
        }
        if request.attempt <= 1
            && let Some(kept) = system.kept(&server.access_key(), &[])?
        {
            return Ok(answer(&server, kept.value, kept.until));
        }
        let Some(kept) = system.kept(&server.refresh_key(), &[])? else {
            return Err(Error::NotFound);
        };
        let Some(tokens) = tokens::refresh(system, &server, &kept.value)? else {
            tokens::forget(system, &server)?;
            let message = format!("{}: the login has ended", server.token_endpoint);
            let hint = format!("log in with `msb registry login {}`", request.registry);
            return Err(Error::denied(message).hint(hint));
        };
        let until = tokens.keep(system, &server)?;
        Ok(answer(&server, tokens.access, until))
    }

    fn erase(system: &S, request: &Request) -> Result<(), Error> {
        let server = Configured::server(system, &request.registry)?;
        if tokens::forget(system, &server)? {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }
}

msb_plugin::export_provider!(DeviceLogin);

fn answer(server: &Server, access: Secret, until: u64) -> Answer {
    let credential = match &server.username {
        Some(username) => Credential::Basic(username.clone(), access),
        None => Credential::RegistryToken(access),
    };
    Answer::new(credential)
        .cache(Cache::Until(until))
        .source(server.token_endpoint.as_str())
}
