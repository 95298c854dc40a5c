//! What the server answers.

use msb_plugin::credential::Error;
use msb_plugin::system::{Response, Secret};
use serde::Deserialize;

/// A login that the server has.
#[derive(Debug)]
pub(crate) struct Login {
    /// The name.
    pub(crate) username: String,
    /// The password.
    pub(crate) password: Secret,
    /// For how long it is good, in seconds, if the server says so.
    pub(crate) lease: Option<u64>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    lease_duration: u64,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    data: Option<Fields>,
}

#[derive(Deserialize)]
struct Fields {
    username: Option<String>,
    password: Option<String>,
}

/// Reads an answer. Errors name the URL and never the body, which may have the password.
pub(crate) fn read(url: &str, response: &Response) -> Result<Login, Error> {
    match response.status {
        200 => {}
        404 => return Err(Error::NotFound),
        400 | 401 | 403 => {
            return Err(Error::denied(format!(
                "{url}: the server does not let this token read it (status {})",
                response.status
            ))
            .hint("look whether the token has expired, and at its policies"));
        }
        429 | 500.. => {
            return Err(Error::unavailable(format!(
                "{url}: the server cannot answer now (status {})",
                response.status
            )));
        }
        status => return Err(Error::failed(format!("{url}: unexpected status {status}"))),
    }
    let document: Document = serde_json::from_slice(&response.body)
        .map_err(|_| Error::failed(format!("{url}: the answer is not that of a secrets server")))?;
    // A version that was deleted has no data.
    let Some(fields) = document.data.and_then(|data| data.data) else {
        return Err(Error::NotFound);
    };
    let missing = |field| {
        Error::misconfigured(format!("{url}: the secret has no field `{field}`"))
            .hint("`vault kv put` it with the fields `username` and `password`")
    };
    Ok(Login {
        username: fields.username.ok_or_else(|| missing("username"))?,
        password: Secret::new(fields.password.ok_or_else(|| missing("password"))?),
        lease: Some(document.lease_duration).filter(|seconds| *seconds > 0),
    })
}
