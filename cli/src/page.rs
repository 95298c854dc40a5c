//! Pages of keys and values for people.
//!
//! Owns their form, and that nothing in them is obeyed by a terminal.

use std::borrow::Cow;

use crate::escape::escaped;

/// Text in the making; every line of it is safe to print.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    section: Option<String>,
    indent: &'static str,
    width: usize,
}

impl Page {
    /// Starts a page, the values of which begin at a column.
    pub(crate) fn new(width: usize) -> Self {
        Self {
            text: String::new(),
            section: None,
            indent: "",
            width,
        }
    }

    /// Starts a section, the lines of which are indented. Without any it is left out.
    pub(crate) fn section(&mut self, title: &str) {
        self.section = Some(title.to_owned());
    }

    /// Adds a key and its value, unless that is empty.
    pub(crate) fn pair(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.open_section();
            let width = self.width.saturating_sub(self.indent.len());
            self.line(&format!("{:<width$}{value}", format!("{key}:")));
        }
    }

    /// Adds a key and its values line by line, unless there are none.
    pub(crate) fn list<'a>(&mut self, key: &str, values: impl Iterator<Item = Cow<'a, str>>) {
        let mut values = values.peekable();
        if values.peek().is_some() {
            self.line(&format!("{key}:"));
            for value in values {
                self.line(&format!("  {value}"));
            }
        }
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: &str) {
        self.open_section();
        self.text.extend([self.indent, &escaped(line), "\n"]);
    }

    /// Returns the lines so far.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn open_section(&mut self) {
        if let Some(title) = self.section.take() {
            self.text.extend(["\n", &escaped(&title), "\n"]);
            self.indent = "  ";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_line_up_sections_are_indented_and_what_is_empty_is_left_out() {
        let mut page = Page::new(16);
        page.pair("Key", "value");
        page.pair("None", "");
        page.section("Section");
        page.pair("Other", "\u{1b}[2J\n");
        page.list("Nothing", std::iter::empty());
        page.list("Some", ["a".into(), "b".into()].into_iter());
        page.section("Empty");
        page.section("Last");
        page.line("c");
        assert_eq!(
            page.into_text(),
            "Key:            value\n\
             \n\
             Section\n\
             \u{20} Other:        \\u{1b}[2J\\n\n\
             \u{20} Some:\n\
             \u{20}   a\n\
             \u{20}   b\n\
             \n\
             Last\n\
             \u{20} c\n"
        );
    }
}
