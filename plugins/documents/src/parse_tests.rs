//! Tests of reading, on the documents that readers differ about.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;
use crate::{CONFIG, CONFIG_DETAILS};

const SHAPE: Shape = Shape::Record(&[
    ("mediaType", Shape::Text),
    ("size", Shape::Number),
    ("layers", Shape::List(&Shape::Text)),
    ("labels", Shape::Map(&Shape::Text)),
    ("rest", Shape::Any),
    ("there", Shape::Presence),
    (
        "perhaps",
        Shape::Perhaps(&Shape::Record(&[("key", Shape::Any)])),
    ),
    ("kind", Shape::Text),
]);

fn read(text: &str) -> Value {
    value(text.as_bytes(), &SHAPE).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, words: &[&str]) {
    let text = text.as_ref();
    let error = value(text, &SHAPE).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "{}: {error}", text.escape_ascii());
    }
}

#[test]
fn a_key_in_another_case_is_the_field() {
    for key in [
        "layers",
        "Layers",
        "LAYERS",
        "layer\u{17f}",
        r"\u006cayers",
        r"layer\u017f",
    ] {
        let text = format!(r#"{{"{key}": ["a"]}}"#);
        assert_eq!(read(&text), json!({"layers": ["a"]}), "{text}");
    }
    assert_eq!(
        read("{\"\u{212a}ind\": \"x\", \"MEDIATYPE\": \"y\"}"),
        json!({"kind": "x", "mediaType": "y"})
    );
}

#[test]
fn a_field_that_occurs_twice_is_refused() {
    for (one, other) in [
        ("layers", "layers"),
        ("layers", "Layers"),
        ("LAYERS", "layers"),
        ("Layers", "lAYERS"),
        ("layers", "layer\\u017f"),
        ("layer\u{17f}", "layers"),
        ("kind", "\u{212a}ind"),
        ("layers", r"\u006cayers"),
        // A field that is not read here is read elsewhere.
        ("subject", "Subject"),
    ] {
        let value = if one == "kind" { "\"x\"" } else { "[\"x\"]" };
        for [first, second] in [[value, value], ["null", value], [value, "null"]] {
            let text = format!(r#"{{"{one}": {first}, "size": 1, "{other}": {second}}}"#);
            refused(&text, &["readers differ", "the document", "line 1"]);
        }
    }
    refused(
        r#"{"perhaps": {"key": 1, "KEY": 2}}"#,
        &["`key`", "`KEY`", "`perhaps`"],
    );
    refused(r#"{"perhaps": {"x": 1, "x": 2}}"#, &["`x` occurs twice"]);
}

#[test]
fn keys_of_the_authors_choosing_differ_in_case() {
    assert_eq!(
        read(r#"{"labels": {"A": "1", "a": "2"}, "rest": {"B": 1, "b": {"c": 0, "C": 0}}}"#),
        json!({"labels": {"A": "1", "a": "2"}, "rest": {"B": 1, "b": {"c": 0, "C": 0}}})
    );
    read(r#"{"unknown": {"A": 1, "a": 2}}"#);
}

#[test]
fn equal_keys_are_refused_wherever_they_are() {
    for text in [
        r#"{"labels": {"a": "1", "b": "2", "a": "3"}}"#,
        r#"{"rest": [{"x": {"a": 1, "\u0061": 2}}]}"#,
        r#"{"unknown": [[{"a": 1, "a": 2}]]}"#,
        r#"{"there": {"a": 1, "a": 2}}"#,
        r#"{"perhaps": [{"a": 1, "a": 2}]}"#,
    ] {
        refused(text, &["the key `a` occurs twice"]);
    }
    // Go sees the same key in both.
    refused(
        b"{\"unknown\": {\"a\xff\": 1, \"a\xfe\": 2}}",
        &["occurs twice"],
    );
    refused(
        r#"{"unknown": {"\ud800": 1, "\udbff": 2}}"#,
        &["occurs twice"],
    );
}

#[test]
fn null_is_absent() {
    assert_eq!(
        read(r#"{"layers": null, "size": null, "there": null, "rest": null}"#),
        json!({})
    );
    assert_eq!(
        read(r#"{"layers": [null], "labels": {"a": null}}"#),
        json!({"layers": [""], "labels": {"a": ""}})
    );
}

#[test]
fn a_value_of_another_kind_is_refused_where_it_is() {
    for (text, words) in [
        (r#"{"layers": {}}"#, ["`layers` is an object", "a list"]),
        (r#"{"layers": ["a", 7]}"#, ["item 1 of `layers`", "a text"]),
        (r#"{"labels": []}"#, ["`labels` is a list", "an object"]),
        (r#"{"mediaType": {"a": 1}}"#, ["`mediaType`", "a text"]),
        (r#"{"size": "1"}"#, ["`size`", "a whole number"]),
        (r#"{"size": 1.0}"#, ["`size`", "a whole number"]),
        (r#"{"size": 1e0}"#, ["`size`", "a whole number"]),
        (
            r#"{"size": 9223372036854775808}"#,
            ["`size`", "a whole number"],
        ),
        ("[]", ["the document is a list", "an object"]),
        ("null", ["the document is null", "an object"]),
        ("7", ["the document", "an object"]),
    ] {
        refused(text, &words);
    }
    assert_eq!(
        read(r#"{"size": -1, "perhaps": 7, "there": [0]}"#),
        json!({"size": -1, "there": true})
    );
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        "{",
        "{} {}",
        "{}x",
        "\u{feff}{}",
        r#"{"a": 01}"#,
        "{'a': 1}",
        "{\"a\": \"\n\"}",
        r#"{"a": NaN}"#,
        r#"{"a": 1,}"#,
        r#"{"a": "\x"}"#,
    ] {
        refused(text, &[]);
    }
    let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(200), "]".repeat(200));
    refused(&deep, &["recursion limit"]);
    assert_eq!(read(" {} \n"), json!({}));
}

#[test]
fn bytes_that_are_no_text_are_read_as_go_reads_them() {
    let bytes = b"{\"mediaType\": \"a\xffb\", \"rest\": \"\\ud800\"}";
    assert_eq!(
        value(bytes, &SHAPE).unwrap(),
        json!({"mediaType": "a\u{fffd}b", "rest": "\u{fffd}"})
    );
    refused(b"{\"mediaType\": \xff\"a\"}", &["line 1"]);
}

#[test]
fn a_configuration_is_one_thing_for_all_readers() {
    for text in [
        r#"{"rootfs": {}, "RootFS": {}}"#,
        r#"{"rootfs": {"diff_ids": [], "Diff_IDs": []}}"#,
        r#"{"variant": "v7", "Variant": "v6"}"#,
        r#"{"config": {"Env": [], "env": []}}"#,
        r#"{"config": {"Healthcheck": {"Test": [], "test": []}}}"#,
        r#"{"history": [{"created_by": "a", "Created_By": "b"}]}"#,
        r#"{"config": {"Labels": {"a": "1", "a": "2"}}}"#,
    ] {
        value(text.as_bytes(), &CONFIG).unwrap_err();
        value(text.as_bytes(), &CONFIG_DETAILS).unwrap_err();
    }
    let text = r#"{"OS": "linux", "RootFS": {"DIFF_IDS": ["x"]}, "Config": {"cmd": ["run"],
        "labels": {"A": "1", "a": "2"}, "exposedports": {"80/tcp": {}, "80/TCP": {}}}}"#;
    assert_eq!(
        value(text.as_bytes(), &CONFIG_DETAILS).unwrap()["config"],
        json!({"Cmd": ["run"], "Labels": {"A": "1", "a": "2"},
            "ExposedPorts": {"80/tcp": {}, "80/TCP": {}}})
    );
    let config: crate::Config = parse(text.as_bytes(), &CONFIG).unwrap();
    assert_eq!(
        (&*config.os, &*config.rootfs.diff_ids),
        ("linux", &["x".to_owned()][..])
    );
}
