//! Descriptions and requests, step by step.

use super::{Action, Description, Operations, Request};
use crate::Attributes;
use crate::system::Need;

impl Description {
    /// Returns the description of a provider that does `get`, for no registry yet.
    pub fn new(name: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            operations: Operations::empty(),
            registries: Vec::new(),
            needs: Vec::new(),
            attributes: Attributes::new(),
        }
    }

    /// Adds operations.
    #[must_use]
    #[allow(clippy::assign_op_pattern, reason = "the generated flags have no `|=`")]
    pub fn operations(mut self, operations: Operations) -> Self {
        self.operations = self.operations | operations;
        self
    }

    /// Adds a pattern of registries.
    #[must_use]
    pub fn registry(mut self, pattern: impl Into<String>) -> Self {
        self.registries.push(pattern.into());
        self
    }

    /// Adds an attribute: see `wit/credentials.wit` for those that there are.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// Says that the provider can log users in by talking to them.
    #[must_use]
    pub fn logs_in(self) -> Self {
        self.attribute("login", "interactive")
    }

    /// Adds a permission that the provider asks for.
    #[must_use]
    pub fn need(mut self, capability: &str, scope: Option<&str>, reason: &str) -> Self {
        self.needs.push(Need {
            capability: capability.to_owned(),
            scope: scope.map(str::to_owned),
            reason: reason.to_owned(),
        });
        self
    }
}

impl Request {
    /// Returns the first question of a pull from a registry.
    pub fn pull(registry: impl Into<String>) -> Self {
        Self {
            registry: registry.into(),
            repository: None,
            action: Action::Pull,
            challenges: Vec::new(),
            username: None,
            attempt: 1,
            attributes: Attributes::new(),
        }
    }

    /// Returns the question of `msb registry login`, at which the user waits to be logged in.
    pub fn login(registry: impl Into<String>) -> Self {
        Self {
            action: Action::Login,
            attributes: vec![("interactive".to_owned(), "yes".to_owned())],
            ..Self::pull(registry)
        }
    }

    /// Returns whether the user waits to be logged in: `Prompt` may be used.
    pub fn is_interactive(&self) -> bool {
        let mut attributes = self.attributes.iter();
        attributes.any(|(key, value)| key == "interactive" && value == "yes")
    }

    /// Names the repository.
    #[must_use]
    pub fn repository(mut self, repository: impl Into<String>) -> Self {
        self.repository = Some(repository.into());
        self
    }

    /// Names the user who is wanted.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }
}
