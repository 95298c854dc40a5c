//! An output stream: whether it is a terminal, whether it has colours, and which ones.

use std::borrow::Cow;

use console::Style;

/// What is known of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) terminal: bool,
    pub(super) colour: bool,
}

/// The parts that have a colour of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Done,
    Aside,
    Error,
    Warning,
    Hint,
    Heading,
    Directory,
    Link,
    Device,
    Program,
}

impl Stream {
    pub(super) fn new(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            terminal,
            colour: terminal && !refused,
        }
    }

    pub(super) fn paint(self, role: Role, text: &str) -> Cow<'_, str> {
        if !self.colour {
            return Cow::Borrowed(text);
        }
        let style = match role {
            Role::Done | Role::Program => Style::new().green(),
            Role::Aside => Style::new().dim(),
            Role::Error => Style::new().red().bold(),
            Role::Warning | Role::Device => Style::new().yellow(),
            Role::Hint | Role::Link => Style::new().cyan(),
            Role::Heading => Style::new().cyan().bold(),
            Role::Directory => Style::new().blue().bold(),
        };
        // Forced: `console` itself would ask about stdout, whichever stream this is.
        Cow::Owned(style.force_styling(true).apply_to(text).to_string())
    }
}
