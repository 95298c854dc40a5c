//! JSON as text in which one value changes and everything else stays as it is.
//!
//! Works on text that a parser has accepted; where things are is all that is looked for.

use std::ops::Range;

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// A key and its value in an object: where they are.
struct Member {
    key: String,
    start: usize,
    value: Range<usize>,
}

/// Returns the text with a value set.
///
/// # Errors
/// How many of the keys lead to something that is not an object.
pub(super) fn set(text: &str, keys: &[&str], value: &Value) -> Result<String, usize> {
    let mut object = root(text);
    for (depth, key) in keys.iter().enumerate() {
        let members = members(text, &object);
        let rest = keys.get(depth + 1..).unwrap_or_default();
        let style = Style::of(text);
        let Some(member) = members.iter().rev().find(|member| member.key == *key) else {
            let new = nested(rest, value);
            return Ok(insert(text, &object, &members, key, &new, &style));
        };
        let is_object = text[member.value.clone()].starts_with('{');
        if rest.is_empty() || &text[member.value.clone()] == "null" {
            let indent = style.indent_before(text, member.start);
            let new = style.render(&nested(rest, value), indent);
            return Ok(replaced(text, member.value.clone(), &new));
        }
        if !is_object {
            return Err(depth + 1);
        }
        object = member.value.clone();
    }
    Err(0)
}

/// Returns the text without a value, if there is one.
pub(super) fn remove(text: &str, keys: &[&str]) -> Option<String> {
    let (last, parents) = keys.split_last()?;
    let object = find(text, parents)?;
    let members = members(text, &object);
    let number = members.iter().rposition(|member| member.key == *last)?;
    let end = members[number].value.end;
    let gone = match (number.checked_sub(1), members.get(number + 1)) {
        (Some(before), _) => members[before].value.end..end,
        (None, Some(after)) => members[number].start..after.start,
        (None, None) => object.start + 1..object.end - 1,
    };
    Some(replaced(text, gone, ""))
}

/// Returns the text without an object that has nothing in it, if it has nothing.
pub(super) fn remove_if_empty(text: &str, keys: &[&str]) -> Option<String> {
    let object = find(text, keys)?;
    members(text, &object)
        .is_empty()
        .then(|| remove(text, keys))?
}

/// How a text is laid out.
struct Style {
    /// What one level is indented by; nothing where all is on one line.
    unit: Option<String>,
    newline: &'static str,
}

impl Style {
    fn of(text: &str) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let unit = text.lines().skip(1).find_map(|line| {
            let rest = line.trim_start_matches([' ', '\t']);
            let indent = line.len() - rest.len();
            (indent > 0 && rest.starts_with('"')).then(|| line[..indent].to_owned())
        });
        let is_one_line = !text.trim_end().contains('\n') && text.trim() != "{}";
        Self {
            unit: unit.or((!is_one_line).then(|| "  ".to_owned())),
            newline,
        }
    }

    /// Returns the indentation of the line of something, if it is the first on its line.
    fn indent_before<'a>(&self, text: &'a str, at: usize) -> Option<&'a str> {
        self.unit.as_ref()?;
        let line = &text[text[..at].rfind('\n')? + 1..at];
        line.trim().is_empty().then_some(line)
    }

    /// Returns a value as it is written behind a key with this indentation.
    fn render(&self, value: &Value, indent: Option<&str>) -> String {
        let (Some(unit), Some(indent)) = (&self.unit, indent) else {
            return value.to_string();
        };
        let mut bytes = Vec::new();
        let formatter = PrettyFormatter::with_indent(unit.as_bytes());
        // Writing to memory does not fail.
        let _ = value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.replace('\n', &format!("{}{indent}", self.newline))
    }
}

/// Returns the text with a new member at the end of an object.
fn insert(
    text: &str,
    object: &Range<usize>,
    members: &[Member],
    key: &str,
    value: &Value,
    style: &Style,
) -> String {
    let key = Value::from(key).to_string();
    let Some(last) = members.last() else {
        let outer = indent_of_line(text, object.start);
        let new = match &style.unit {
            None => format!("{{{key}:{value}}}"),
            Some(unit) => {
                let inner = format!("{outer}{unit}");
                let value = style.render(value, Some(&inner));
                let newline = style.newline;
                format!("{{{newline}{inner}{key}: {value}{newline}{outer}}}")
            }
        };
        return replaced(text, object.clone(), &new);
    };
    let new = match style.indent_before(text, last.start) {
        Some(indent) => {
            let value = style.render(value, Some(indent));
            format!(",{}{indent}{key}: {value}", style.newline)
        }
        None => format!(",{key}:{value}"),
    };
    replaced(text, last.value.end..last.value.end, &new)
}

/// Returns the white space that the line of something begins with.
fn indent_of_line(text: &str, at: usize) -> &str {
    let line = &text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

fn nested(keys: &[&str], value: &Value) -> Value {
    keys.iter().rev().fold(value.clone(), |value, key| {
        Value::Object([((*key).to_owned(), value)].into_iter().collect())
    })
}

fn replaced(text: &str, range: Range<usize>, new: &str) -> String {
    [&text[..range.start], new, &text[range.end..]].concat()
}

fn root(text: &str) -> Range<usize> {
    let start = text.find('{').unwrap_or(0);
    start..value_end(text.as_bytes(), start)
}

fn find(text: &str, keys: &[&str]) -> Option<Range<usize>> {
    let mut object = root(text);
    for key in keys {
        let members = members(text, &object);
        let member = members
            .into_iter()
            .rev()
            .find(|member| member.key == *key)?;
        object = member.value;
    }
    text[object.clone()].starts_with('{').then_some(object)
}

fn members(text: &str, object: &Range<usize>) -> Vec<Member> {
    let bytes = text.as_bytes();
    let mut members = Vec::new();
    let mut at = object.start + 1;
    loop {
        at = skip(bytes, at, |byte| byte.is_ascii_whitespace() || byte == b',');
        if at >= object.end - 1 {
            return members;
        }
        let start = at;
        at = value_end(bytes, start);
        let key = serde_json::from_str(&text[start..at]).unwrap_or_default();
        at = skip(bytes, at, |byte| byte.is_ascii_whitespace() || byte == b':');
        let end = value_end(bytes, at);
        members.push(Member {
            key,
            start,
            value: at..end,
        });
        at = end;
    }
}

/// Returns where a value ends that begins here.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => {
                let is_plain = |byte: u8| !b"\"{}[]".contains(&byte);
                let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
                at = match depth {
                    0 => skip(bytes, at, is_word).max(at + 1),
                    _ => skip(bytes, at, is_plain),
                };
            }
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn skip(bytes: &[u8], start: usize, is_skipped: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let length = rest.iter().position(|byte| !is_skipped(*byte));
    start + length.unwrap_or(rest.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    /// An order and a layout that no program would choose.
    const ODD: &str = "{\n\t\"z\": [1,2,  {\"a\":\"}\\\"\"}],\n\t\"registries\": {\n\t\t\"hosts\": \
                       {\"h\": {\"insecure\": true}},\n\t\t\"big\": 12345678901234567890123\n\t},\n\
                       \t\"a\": 1.50\n}";

    #[test]
    fn a_new_value_comes_last_in_its_object_and_all_else_stays() {
        let text = set(ODD, &["registries", "auth", "h"], &json!({"u": "x"})).unwrap();
        let expected = ODD.replace(
            "123\n\t},",
            "123,\n\t\t\"auth\": {\n\t\t\t\"h\": {\n\t\t\t\t\"u\": \"x\"\n\t\t\t}\n\t\t}\n\t},",
        );
        assert_eq!(text, expected);
        assert_eq!(remove(&text, &["registries", "auth"]).unwrap(), ODD);
    }

    #[test]
    fn a_value_is_replaced_where_it_is() {
        let text = set(ODD, &["z"], &json!(null)).unwrap();
        assert!(
            text.starts_with("{\n\t\"z\": null,\n\t\"registries\": {\n"),
            "{text}"
        );
        let text = set(&text, &["z", "y"], &json!(1)).unwrap();
        assert!(
            text.starts_with("{\n\t\"z\": {\n\t\t\"y\": 1\n\t},\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_on_one_line_stays_on_one_line() {
        let text = r#"{"x":{"y":1}}"#;
        let text = set(text, &["x", "z", "w"], &json!("é")).unwrap();
        assert_eq!(text, r#"{"x":{"y":1,"z":{"w":"é"}}}"#);
        let inner = set(ODD, &["registries", "hosts", "i"], &json!({})).unwrap();
        assert!(
            inner.contains("{\"h\": {\"insecure\": true},\"i\":{}}"),
            "{inner}"
        );
    }

    #[test]
    fn the_first_the_last_and_the_only_member_can_be_removed() {
        let text = "{\n  \"a\": 1,\n  \"b\": {\"c\": 2},\n  \"d\": 3\n}\n";
        assert_eq!(
            remove(text, &["a"]).unwrap(),
            "{\n  \"b\": {\"c\": 2},\n  \"d\": 3\n}\n"
        );
        assert_eq!(
            remove(text, &["d"]).unwrap(),
            "{\n  \"a\": 1,\n  \"b\": {\"c\": 2}\n}\n"
        );
        let empty = remove(text, &["b", "c"]).unwrap();
        assert_eq!(empty, "{\n  \"a\": 1,\n  \"b\": {},\n  \"d\": 3\n}\n");
        assert!(remove_if_empty(text, &["b"]).is_none());
        assert_eq!(
            remove_if_empty(&empty, &["b"]).unwrap(),
            "{\n  \"a\": 1,\n  \"d\": 3\n}\n"
        );
        assert!(remove(text, &["x"]).is_none());
        assert!(remove(text, &["a", "x"]).is_none());
    }

    #[test]
    fn line_ends_of_windows_stay() {
        let text = set("{\r\n  \"a\": 1\r\n}\r\n", &["b", "c"], &json!(2)).unwrap();
        assert_eq!(
            text,
            "{\r\n  \"a\": 1,\r\n  \"b\": {\r\n    \"c\": 2\r\n  }\r\n}\r\n"
        );
    }

    #[test]
    fn keys_are_compared_by_what_they_mean_and_the_last_of_two_counts() {
        let text = r#"{"k\u0065y": 1, "key": {"a": 1}}"#;
        assert_eq!(
            set(text, &["key", "a"], &json!(2)).unwrap(),
            r#"{"k\u0065y": 1, "key": {"a": 2}}"#
        );
    }
}
