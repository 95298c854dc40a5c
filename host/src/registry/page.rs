//! Web pages where something else was wanted: portals of hotels, logins of proxies, block pages.

use super::body::shortened;

/// The bytes that are looked at.
pub(super) const LOOKED_AT: usize = 8 << 10;
/// The most characters of a title.
const MAX_TITLE: usize = 100;

/// Returns what a page is called, or its first words; empty where it has none. `None` where the
/// bytes are not a page. Untrusted text.
pub(super) fn title(content_type: Option<&str>, bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let is_html = content_type.is_some_and(is_html);
    let begins = |word: &str| {
        let start = text.get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let is_page = begins("<!doctype html") || begins("<html") || (is_html && begins("<"));
    is_page.then(|| {
        let words = element(text, "title")
            .filter(|title| !title.trim().is_empty())
            .map_or_else(|| without_tags(text), str::to_owned);
        let line: Vec<&str> = words.split_whitespace().collect();
        shortened(&line.join(" "), MAX_TITLE)
    })
}

/// Returns whether a `Content-Type` is that of a page.
pub(super) fn is_html(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
}

/// Returns what is between the tags of the first element of a name.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    // Of ASCII alone, so that positions stay the same.
    let lower = text.to_ascii_lowercase();
    let open = lower.find(&format!("<{name}"))?;
    let begin = open + lower.get(open..)?.find('>')? + 1;
    let end = lower.get(begin..)?.find(&format!("</{name}"))?;
    text.get(begin..begin + end)
}

/// Returns the text outside of tags, scripts and styles.
fn without_tags(text: &str) -> String {
    let mut rest = text;
    let mut words = String::new();
    while let Some((before, tag)) = rest.split_once('<') {
        words.push_str(before);
        words.push(' ');
        let name = tag.get(..6).unwrap_or_default().to_ascii_lowercase();
        let hidden = ["script", "style"]
            .into_iter()
            .find(|it| name.starts_with(it));
        let tag = match hidden {
            Some(it) => {
                let end = tag.to_ascii_lowercase().find(&format!("</{it}"));
                end.and_then(|end| tag.get(end + 2..)).unwrap_or_default()
            }
            None => tag,
        };
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
    }
    words.push_str(rest);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_and_called_by_its_title() {
        let html = Some("text/html; charset=utf-8");
        for (content_type, text, expected) in [
            (
                html,
                "<html><head><title>\n Hotel\n Wi-Fi </title>",
                Some("Hotel Wi-Fi"),
            ),
            (
                None,
                "\u{feff}\n<!DOCTYPE HTML><TITLE lang=x>Sign in</TITLE>",
                Some("Sign in"),
            ),
            (
                html,
                "<p>Log in <b>first</b></p><script>x<y</script>",
                Some("Log in first"),
            ),
            (html, "<html></html>", Some("")),
            (html, "<title>open", Some("open")),
            (html, "true", None),
            (html, "", None),
            (html, r#"{"schemaVersion": 2}"#, None),
            (None, "<?xml version='1.0'?>", None),
            (Some("application/json"), "<Error/>", None),
        ] {
            let found = title(content_type, text.as_bytes());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_long_page_is_called_by_few_words() {
        let text = format!("<html>{}", "<p>sorry é</p>\n".repeat(9000));
        let found = title(None, text.as_bytes()).unwrap_or_default();
        assert_eq!(found.chars().count(), MAX_TITLE + 1);
    }
}
