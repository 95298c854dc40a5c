//! In which order plugins are asked.
//!
//! Owns the default places and what the user's wishes make of them. Knows names only.

/// A plugin as the order sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) name: &'a str,
    pub(super) credential: bool,
}

/// The provider that others come before: what it finds was kept by other tools.
const LAST_PROVIDER: &str = "docker-config";

/// Where a plugin is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Right before another one.
    Before(String),
    /// Right after another one.
    After(String),
}

impl Position {
    /// Returns the name of the other one.
    pub fn other(&self) -> &str {
        let (Self::Before(other) | Self::After(other)) = self;
        other
    }
}

/// Returns the names in the order of asking: `first` before all, then as `wished`, and what is in
/// neither at its default place. Names that are not among the plugins are passed over.
pub(super) fn arranged(plugins: &[Placed<'_>], wished: &[String], first: &[String]) -> Vec<String> {
    let is_there = |name: &&String| plugins.iter().any(|plugin| plugin.name == **name);
    let mut names: Vec<String> = wished.iter().filter(is_there).cloned().collect();
    for plugin in plugins {
        if names.iter().any(|name| name == plugin.name) {
            continue;
        }
        let last = names.iter().position(|name| name == LAST_PROVIDER);
        match last.filter(|_| plugin.credential) {
            Some(last) => names.insert(last, plugin.name.to_owned()),
            None => names.push(plugin.name.to_owned()),
        }
    }
    let mut arranged: Vec<String> = first.iter().filter(is_there).cloned().collect();
    names.retain(|name| !arranged.contains(name));
    arranged.append(&mut names);
    arranged
}

/// Moves a name that is in the list beside another one that is.
pub(super) fn moved(names: &mut Vec<String>, name: &str, position: &Position) {
    names.retain(|other| other != name);
    let other = names.iter().position(|it| it == position.other());
    let at = match (position, other) {
        (Position::Before(_), Some(other)) => other,
        (Position::After(_), Some(other)) => other + 1,
        (_, None) => names.len(),
    };
    names.insert(at, name.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLUGINS: [Placed<'static>; 4] = [
        placed("oci-layout", false),
        placed("keychain", true),
        placed("docker-config", true),
        placed("vault", true),
    ];

    const fn placed(name: &'static str, credential: bool) -> Placed<'static> {
        Placed { name, credential }
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_provider_comes_before_the_files_of_other_tools_unless_the_user_says_otherwise() {
        for (wished, first, expected) in [
            (
                &[][..],
                &[][..],
                ["oci-layout", "keychain", "vault", "docker-config"],
            ),
            (
                &["docker-config", "vault", "gone"],
                &[],
                ["keychain", "docker-config", "vault", "oci-layout"],
            ),
            (
                &["vault", "docker-config"],
                &["docker-config"],
                ["docker-config", "vault", "keychain", "oci-layout"],
            ),
        ] {
            let names = arranged(&PLUGINS, &owned(wished), &owned(first));
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn a_name_is_moved_right_beside_the_other() {
        let mut names = owned(&["a", "b", "c"]);
        moved(&mut names, "c", &Position::Before("a".to_owned()));
        assert_eq!(names, ["c", "a", "b"]);
        moved(&mut names, "c", &Position::After("a".to_owned()));
        assert_eq!(names, ["a", "c", "b"]);
    }
}
