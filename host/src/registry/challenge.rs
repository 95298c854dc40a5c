//! What a registry asks for when it answers 401. Source: RFC 9110 section 11.6.1; distribution's
//! token specification.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// Schemes that are told, at most.
const MAX_NAMES: usize = 5;
/// Letters of one of them, at most.
const MAX_NAME: usize = 32;

/// How a registry wants us to show who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With a token from a token server.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
        /// The token that was shown is not good for this.
        insufficient_scope: bool,
    },
    /// With a name and a password.
    Basic,
}

/// Returns what is asked for, the best way first. Text that cannot be parsed is ignored.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = texts(headers)
        .iter()
        .flat_map(|text| Reader::new(text).read())
        .filter_map(Raw::understood)
        .collect();
    found.sort_by_key(|challenge| matches!(challenge, Challenge::Basic));
    found.dedup();
    found
}

/// Returns the values of the header. A realm may be in any language, and as any bytes: servers are not
/// told which.
pub(super) fn texts(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(WWW_AUTHENTICATE).into_iter();
    values
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect()
}

/// Returns the schemes that are asked for and not understood, a few at most; untrusted text.
pub(super) fn unknown_schemes(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for text in texts(headers) {
        for raw in Reader::new(&text).read() {
            let is_known = ["basic", "bearer"].contains(&&*raw.scheme.to_ascii_lowercase());
            let is_there = names.iter().any(|it| it.eq_ignore_ascii_case(raw.scheme));
            let is_short = raw.scheme.len() <= MAX_NAME;
            if raw.is_apart && is_short && !is_known && !is_there && names.len() < MAX_NAMES {
                names.push(raw.scheme.to_owned());
            }
        }
    }
    names
}

/// A challenge of any kind.
#[derive(Debug)]
struct Raw<'a> {
    scheme: &'a str,
    /// It begins the header or comes after a comma. Else it may be the token that some schemes have in
    /// place of parameters.
    is_apart: bool,
    parameters: Vec<(&'a str, String)>,
}

impl Raw<'_> {
    fn understood(self) -> Option<Challenge> {
        let parameter = |name: &str| {
            let mut parameters = self.parameters.iter();
            let (_, value) = parameters.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value.clone()).filter(|value| !value.is_empty())
        };
        if self.scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !self.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Challenge::Bearer {
            realm: parameter("realm")?,
            service: parameter("service"),
            scope: parameter("scope"),
            insufficient_scope: parameter("error").as_deref() == Some("insufficient_scope"),
        })
    }
}

/// Reads the list of challenges in a header. Spaces around `=` are none of RFC 9110's, and real.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// Returns the challenges up to where the text makes no sense any more.
    fn read(mut self) -> Vec<Raw<'a>> {
        let mut found: Vec<Raw<'a>> = Vec::new();
        loop {
            let before = self.rest;
            self.skip(|character| is_space(character) || character == ',');
            let skipped = before.strip_suffix(self.rest).unwrap_or_default();
            let is_apart = found.is_empty() || skipped.contains(',');
            if self.rest.is_empty() {
                return found;
            }
            let word = self.take(is_of_token);
            let Some((name, is_parameter)) = self.kind_of(word) else {
                // What the challenge at hand was meant to say is unknown.
                found.pop();
                return found;
            };
            if !is_parameter {
                found.push(Raw {
                    scheme: name,
                    is_apart,
                    parameters: Vec::new(),
                });
                continue;
            }
            let (Some(value), Some(challenge)) = (self.value(), found.last_mut()) else {
                found.pop();
                return found;
            };
            challenge.parameters.push((name, value));
        }
    }

    /// Returns a word and whether a value follows it. The token that some schemes have in place of
    /// parameters is taken for a scheme, or for a parameter without a value: neither is used.
    fn kind_of(&mut self, word: &'a str) -> Option<(&'a str, bool)> {
        if word.is_empty() {
            return None;
        }
        let is_scheme = self.rest.is_empty() || self.rest.starts_with([' ', '\t', ',']);
        self.skip(is_space);
        if self.rest.starts_with('=') {
            self.skip(|character| character == '=');
            self.skip(is_space);
            return Some((word, true));
        }
        is_scheme.then_some((word, false))
    }

    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let value = self.take(|character| !is_space(character) && character != ',');
            return Some(value.to_owned());
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((position, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = quoted.get(position + 1..).unwrap_or_default();
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                other => value.push(other),
            }
        }
        None
    }

    fn skip(&mut self, is: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(is);
    }

    fn take(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !is(character));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// Source: RFC 9110 section 5.6.2, and the `/` of section 11.2.
fn is_of_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(character)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Vec<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        challenges(&headers)
    }

    fn bearer(service: Option<&str>, scope: Option<&str>, insufficient_scope: bool) -> Challenge {
        Challenge::Bearer {
            realm: "https://a/t".to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
            insufficient_scope,
        }
    }

    #[test]
    fn a_bearer_challenge_is_read_with_what_it_says() {
        let text = r#"Bearer realm="https://a/t",service="a",scope="repository:x:pull,push""#;
        let expected = bearer(Some("a"), Some("repository:x:pull,push"), false);
        assert_eq!(read(&[text]), [expected]);
        assert_eq!(
            read(&[r#"bearer realm="https://a/t""#]),
            [bearer(None, None, false)]
        );
        let text = r#"Bearer realm="https://a/t",error="insufficient_scope""#;
        assert_eq!(read(&[text]), [bearer(None, None, true)]);
    }

    #[test]
    fn of_several_challenges_a_token_is_the_better_one() {
        for values in [
            &[r#"Basic realm="x", Bearer realm="https://a/t""#][..],
            &[r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#][..],
            &[
                "Negotiate",
                r#"Bearer realm="https://a/t""#,
                r#"Basic realm="x""#,
            ][..],
        ] {
            let expected = [bearer(None, None, false), Challenge::Basic];
            assert_eq!(read(values), expected, "{values:?}");
        }
    }

    #[test]
    fn spaces_capitals_and_missing_quotes_are_no_matter() {
        let text = r#"bearer  Realm = "https://a/t" ,SERVICE=plain , error="a \"b\", c""#;
        assert_eq!(read(&[text]), [bearer(Some("plain"), None, false)]);
        let text = r#"Bearer realm=https://a/t, service="a, b",,"#;
        assert_eq!(read(&[text]), [bearer(Some("a, b"), None, false)]);
        let text = r#"Negotiate YWJj/+==, Bearer realm="https://a/t""#;
        assert_eq!(read(&[text]), [bearer(None, None, false)]);
    }

    #[test]
    fn a_realm_may_have_any_bytes() {
        for realm in ["Müller".as_bytes(), b"M\xfcller"] {
            let value = [b"Basic realm=\"", realm, b"\""].concat();
            let mut headers = HeaderMap::new();
            let value = reqwest::header::HeaderValue::from_bytes(&value).unwrap();
            headers.append(WWW_AUTHENTICATE, value);
            assert_eq!(challenges(&headers), [Challenge::Basic]);
        }
    }

    #[test]
    fn schemes_that_are_not_understood_have_names() {
        let schemes = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
            }
            unknown_schemes(&headers)
        };
        let digest = r#"Digest realm="x", nonce="a,b", qop="auth", NTLM"#;
        assert_eq!(schemes(&[digest, "ntlm TlRM"]), ["Digest", "NTLM"]);
        assert_eq!(schemes(&["Negotiate YWJj/+=="]), ["Negotiate"]);
        assert_eq!(schemes(&["Negotiate abc"]), ["Negotiate"]);
        for value in ["", "Bearer", "Basic realm=\"x\"", "=,="] {
            assert!(schemes(&[value]).is_empty(), "{value}");
        }
    }

    #[test]
    fn what_can_be_read_before_the_nonsense_counts() {
        assert_eq!(
            read(&[r#"Basic realm="x", Bearer realm="open"#]),
            [Challenge::Basic]
        );
    }

    #[test]
    fn what_makes_no_sense_is_no_challenge() {
        for text in [
            "",
            "Bearer",
            "Bearer service=\"x\"",
            "=,=",
            "Bearer realm=\"unclosed",
        ] {
            assert_eq!(read(&[text]), [], "{text}");
        }
    }
}
