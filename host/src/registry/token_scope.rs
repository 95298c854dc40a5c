//! What a token shall be good for. Source: the document "Token Scope" of the registry distribution.
//!
//! Owns that a registry does not choose what it gets a token for.

use super::endpoint::Endpoint;
use crate::credential::Action;

impl Endpoint {
    /// Returns what the token shall be good for, sorted: what is to be done, and of what the endpoint
    /// names only another word for that. It has no say in what it gets to see.
    pub(super) fn scopes(&self, action: Action, demanded: Option<&str>) -> Vec<String> {
        let actions = match action {
            Action::Pull => Some("pull"),
            Action::Push => Some("pull,push"),
            Action::Login => None,
        };
        let own = actions.map(|actions| format!("repository:{}:{actions}", self.config.repository));
        let is_same = |scope: &&str| {
            actions.is_some_and(|actions| is_within(scope, &self.config.repository, actions))
        };
        let demanded = demanded.into_iter().flat_map(str::split_whitespace);
        let mut scopes: Vec<String> = own.into_iter().collect();
        scopes.extend(demanded.filter(is_same).map(str::to_owned));
        scopes.sort();
        scopes.dedup();
        scopes
    }
}

/// Returns whether a scope is about a repository, whatever the registry calls its kind
/// (`repository(plugin)`), and about none but these actions. Source: distribution's "Token Scope".
fn is_within(scope: &str, repository: &str, actions: &str) -> bool {
    let Some((kind, rest)) = scope.split_once(':') else {
        return false;
    };
    let Some((name, wanted)) = rest.rsplit_once(':') else {
        return false;
    };
    let is_repository = kind == "repository"
        || kind
            .strip_prefix("repository(")
            .is_some_and(|class| class.ends_with(')'));
    let mut wanted = wanted.split(',');
    is_repository
        && name == repository
        && wanted.all(|action| actions.split(',').any(|own| own == action))
}

#[cfg(test)]
mod tests {
    use super::is_within;

    #[test]
    fn a_registry_does_not_choose_what_a_token_is_good_for() {
        for scope in ["repository:a/b:pull", "repository(plugin):a/b:pull"] {
            assert!(is_within(scope, "a/b", "pull"), "{scope}");
        }
        assert!(is_within("repository:a/b:push,pull", "a/b", "pull,push"));
        for scope in [
            "repository:a/b:pull,push",
            "repository:a/b:*",
            "repository:a/b:",
            "repository:private/secret:pull",
            "repository:a:pull",
            "registry:catalog:*",
            "registry:a/b:pull",
            "*",
            "",
            ":",
        ] {
            assert!(!is_within(scope, "a/b", "pull"), "{scope}");
        }
    }
}
