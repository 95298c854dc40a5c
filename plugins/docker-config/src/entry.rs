//! An entry under `auths`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use msb_plugin::credential::{Credential, Error};
use msb_plugin::system::Secret;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Docker pads, and others do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// An entry as Docker writes it. Empty texts are as good as none.
#[derive(Deserialize)]
struct Fields {
    auth: Option<Zeroizing<String>>,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<Zeroizing<String>>,
    #[serde(rename = "registrytoken")]
    registry_token: Option<Zeroizing<String>>,
}

/// Reads an entry: who the user is, and the name where one is known. `None` where it is empty, as
/// the markers are that Docker leaves beside a store. `place` names it for errors, which have
/// nothing of its contents.
pub(crate) fn read(
    json: &str,
    place: impl Fn() -> String,
) -> Result<Option<(Option<String>, Credential)>, Error> {
    let wrong = |what: &str| Error::misconfigured(format!("{} {what}", place()));
    let fields: Option<Fields> =
        serde_json::from_str(json).map_err(|_| wrong("is not as Docker writes it"))?;
    let Some(fields) = fields else {
        return Ok(None);
    };
    let present = |text: Option<Zeroizing<String>>| text.filter(|text| !text.is_empty());
    let username = fields.username.filter(|username| !username.is_empty());
    if let Some(token) = present(fields.registry_token) {
        return Ok(Some((
            username,
            Credential::RegistryToken(Secret::new(token.as_bytes())),
        )));
    }
    let auth = present(fields.auth);
    if let Some(token) = present(fields.identity_token) {
        // Beside a token, `auth` has a name at most, and need not have even that.
        let name = auth.and_then(|auth| Some(split(&auth, wrong).ok()?.0));
        let credential = Credential::IdentityToken(Secret::new(token.as_bytes()));
        return Ok(Some((name.or(username), credential)));
    }
    let (username, password) = match (auth, username, present(fields.password)) {
        (Some(auth), ..) => split(&auth, wrong)?,
        (None, Some(username), Some(password)) => {
            (username, Zeroizing::new(password.as_bytes().to_vec()))
        }
        (None, None, None) => return Ok(None),
        (None, Some(_), None) => return Err(wrong("has `username` and no `password`")),
        (None, None, Some(_)) => return Err(wrong("has `password` and no `username`")),
    };
    if password.is_empty() {
        return Err(wrong("has an `auth` with an empty password"));
    }
    let credential = Credential::Basic(username.clone(), Secret::new(password.as_slice()));
    Ok(Some((Some(username), credential)))
}

/// Splits `auth`, the base64 of name, colon and password. NULs around the password are not part of
/// it: Docker once padded with them.
fn split(auth: &str, wrong: impl Fn(&str) -> Error) -> Result<(String, Zeroizing<Vec<u8>>), Error> {
    let text: Zeroizing<String> = Zeroizing::new(
        auth.chars()
            .filter(|letter| !letter.is_ascii_whitespace())
            .collect(),
    );
    let bytes = BASE64.decode(text.as_bytes()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| wrong("has an `auth` that is not base64"))?;
    let colon = bytes.iter().position(|byte| *byte == b':');
    let Some(colon) = colon else {
        return Err(wrong("has an `auth` without a colon"));
    };
    let (name, password) = bytes.split_at(colon);
    let Ok(name) = str::from_utf8(name) else {
        return Err(wrong("has an `auth` whose name is not UTF-8"));
    };
    if name.is_empty() {
        return Err(wrong("has an `auth` without a name"));
    }
    let mut password = password.get(1..).unwrap_or_default();
    while let Some(rest) = password.strip_prefix(b"\0") {
        password = rest;
    }
    while let Some(rest) = password.strip_suffix(b"\0") {
        password = rest;
    }
    Ok((name.to_owned(), Zeroizing::new(password.to_vec())))
}
