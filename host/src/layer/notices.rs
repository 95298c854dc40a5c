//! What the user may want to know of a layer that was converted all the same.

use std::collections::BTreeMap;

use super::error::lossy;

/// More different notices than these help no one.
const MOST: usize = 100;

/// Notices in the making: each once, with the first path that it is about.
#[derive(Debug, Default)]
pub(super) struct Notices {
    by_text: BTreeMap<String, (String, u64)>,
}

impl Notices {
    pub(super) fn add(&mut self, path: &[u8], text: &str) {
        self.add_at(|| path, text);
    }

    /// Adds a notice about a path that it takes work to find.
    pub(super) fn add_at<P: AsRef<[u8]>>(&mut self, path: impl FnOnce() -> P, text: &str) {
        if let Some((_, more)) = self.by_text.get_mut(text) {
            *more += 1;
        } else if self.by_text.len() < MOST {
            let path = lossy(path().as_ref());
            self.by_text.insert(text.to_owned(), (path, 0));
        }
    }

    /// Returns a line for each. They hold untrusted text.
    pub(super) fn finish(self) -> Vec<String> {
        self.by_text
            .into_iter()
            .map(|(text, (path, more))| match more {
                0 => format!("`{path}`: {text}"),
                more => format!("`{path}` and {more} more: {text}"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_many_paths_is_said_once() {
        let mut notices = Notices::default();
        notices.add(b"a", "odd");
        notices.add(b"b", "strange");
        notices.add(b"c", "odd");
        assert_eq!(notices.finish(), ["`a` and 1 more: odd", "`b`: strange"]);
    }

    #[test]
    fn a_flood_of_notices_ends() {
        let mut notices = Notices::default();
        for number in 0..2 * MOST {
            notices.add(b"a", &number.to_string());
        }
        assert_eq!(notices.finish().len(), MOST);
    }
}
