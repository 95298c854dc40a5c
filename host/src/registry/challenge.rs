//! What a registry asks for when it answers 401. Source: RFC 9110 section 11.6.1; distribution's
//! token specification.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

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

/// Returns what is asked for, the best way first. What cannot be read is no challenge.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        let Ok(parsed) =
            http_auth::parser::ChallengeParser::new(text).collect::<Result<Vec<_>, _>>()
        else {
            continue;
        };
        for challenge in parsed {
            let parameter = |name: &str| {
                challenge
                    .params
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                found.push(Challenge::Basic);
            } else if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                found.push(Challenge::Bearer {
                    realm,
                    service: parameter("service").filter(|service| !service.is_empty()),
                    scope: parameter("scope").filter(|scope| !scope.is_empty()),
                    insufficient_scope: parameter("error").as_deref() == Some("insufficient_scope"),
                });
            }
        }
    }
    found.sort_by_key(|challenge| matches!(challenge, Challenge::Basic));
    found.dedup();
    found
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
