//! Paths as plugins name them: absolute, or from a root that the host knows.
//!
//! Owns their syntax and whether a pattern covers one. Knows nothing of the disk.

use std::fmt;

use super::grants::Links;
use crate::wildcard::{self, Stars};

/// Where a path begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// `/`
    Absolute,
    /// `~/`: the home of the user.
    UserHome,
    /// `msb:`: the home of msb.
    MsbHome,
    /// `$NAME`: what a variable of the environment names.
    Variable(String),
}

/// A path without `..`, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolicPath {
    /// Where it begins.
    pub root: Root,
    /// Below the root; empty only for a variable that names the file itself.
    pub components: Vec<String>,
}

/// Parses the path of a file.
pub fn path(text: &str) -> Result<SymbolicPath, String> {
    let path = parse(text)?;
    if text.contains('*') {
        return Err("a path has no `*`".to_owned());
    }
    Ok(path)
}

/// Parses a pattern: a path in which the last component may have `*`, or be `**`.
pub fn pattern(text: &str) -> Result<SymbolicPath, String> {
    let pattern = parse(text)?;
    let above = pattern
        .components
        .split_last()
        .map_or(&[][..], |(_, it)| it);
    if above.iter().any(|component| component.contains('*')) {
        return Err("only its last component may have `*`".to_owned());
    }
    let last = pattern.components.last().map_or("", String::as_str);
    if last.contains("**") && last != "**" {
        return Err("`**` stands alone at its end".to_owned());
    }
    Ok(pattern)
}

fn parse(text: &str) -> Result<SymbolicPath, String> {
    if text.len() > 4096 {
        return Err("it is longer than 4,096 bytes".to_owned());
    }
    let (root, rest) = if let Some(rest) = text.strip_prefix("~/") {
        (Root::UserHome, Some(rest))
    } else if let Some(rest) = text.strip_prefix("msb:") {
        (Root::MsbHome, Some(rest))
    } else if let Some(rest) = text.strip_prefix('/') {
        (Root::Absolute, Some(rest))
    } else if let Some(rest) = text.strip_prefix('$') {
        let (name, rest) = match rest.split_once('/') {
            Some((name, rest)) => (name, Some(rest)),
            None => (rest, None),
        };
        let valid = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || it == '_');
        if !valid {
            return Err(format!("`${name}` is not a variable name"));
        }
        (Root::Variable(name.to_owned()), rest)
    } else {
        return Err("a path begins with `/`, `~/`, `msb:` or `$NAME`".to_owned());
    };
    let mut components = Vec::new();
    for component in rest.into_iter().flat_map(|rest| rest.split('/')) {
        match component {
            "" => return Err("it has an empty component".to_owned()),
            "." | ".." => return Err(format!("it has the component `{component}`")),
            component if component.chars().any(char::is_control) => {
                return Err("it has a control character".to_owned());
            }
            component => components.push(component.to_owned()),
        }
    }
    Ok(SymbolicPath { root, components })
}

impl SymbolicPath {
    /// Returns whether this pattern covers a path, and how links are treated on the way.
    pub(super) fn covers(&self, path: &Self) -> Option<Links> {
        if self.root != path.root {
            return None;
        }
        let Some((last, above)) = self.components.split_last() else {
            return path.components.is_empty().then_some(Links::Followed);
        };
        let below = path.components.strip_prefix(above)?;
        if last == "**" {
            return (!below.is_empty()).then_some(Links::Inside(above.len()));
        }
        let [name] = below else {
            return None;
        };
        if !last.contains('*') {
            return (last == name).then_some(Links::Followed);
        }
        wildcard::matches(last, Stars::Any, name).then_some(Links::Inside(above.len()))
    }
}

impl fmt::Display for SymbolicPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.components.join("/");
        match &self.root {
            Root::Absolute => write!(formatter, "/{rest}"),
            Root::UserHome => write!(formatter, "~/{rest}"),
            Root::MsbHome => write!(formatter, "msb:{rest}"),
            Root::Variable(name) if rest.is_empty() => write!(formatter, "${name}"),
            Root::Variable(name) => write!(formatter, "${name}/{rest}"),
        }
    }
}
