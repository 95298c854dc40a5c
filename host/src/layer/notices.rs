//! What the user may want to know of a layer that was converted all the same.

use std::collections::BTreeMap;

use super::error::lossy;

/// More different notices than these tell nobody anything.
const MOST: usize = 100;

/// Notices in the making: each once, with the first path that it is about.
#[derive(Debug, Default)]
pub(super) struct Notices {
    by_text: BTreeMap<String, (String, u64)>,
}

impl Notices {
    pub(super) fn add(&mut self, path: &[u8], text: String) {
        if let Some((_, more)) = self.by_text.get_mut(&text) {
            *more += 1;
        } else if self.by_text.len() < MOST {
            self.by_text.insert(text, (lossy(path), 0));
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
        notices.add(b"a", "odd".to_owned());
        notices.add(b"b", "strange".to_owned());
        notices.add(b"c", "odd".to_owned());
        assert_eq!(notices.finish(), ["`a` and 1 more: odd", "`b`: strange"]);
    }

    #[test]
    fn a_flood_of_notices_ends() {
        let mut notices = Notices::default();
        for number in 0..2 * MOST {
            notices.add(b"a", number.to_string());
        }
        assert_eq!(notices.finish().len(), MOST);
    }
}
