//! `config.json`: what it changes, and what is said of one that is broken.

use crate::archive::Image;
use crate::env::TestEnv;
use crate::tests;

tests! {
    limits_of_the_settings_are_kept;
    settings_that_are_broken_are_told_and_nothing_is_done;
    every_limit_is_documented;
}

fn with_settings(text: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write_settings(text);
    env.write("in.tar", &Image::new("app:1", &["a = 1\nb = 2"]).docker());
    env
}

fn limits_of_the_settings_are_kept() {
    let env = with_settings(r#"{"profiles": {"x": 1}, "limits": {"entries": 1}}"#);
    env.msb("load -i in.tar").failure(&[
        "it has more than 1 entries (limit `entries`)",
        r#"hint: if this is intended, raise the limit in config.json: {"limits": {"entries": NUMBER}}"#,
    ]);
    env.assert_clean();
    let other = env.write("other.json", br#"{"limits": {"entries": 2}}"#);
    let mut command = env.command(["load", "-i", "in.tar"]);
    command.env("MSB_CONFIG_PATH", other);
    crate::env::Run::of(&mut command).success();
}

fn settings_that_are_broken_are_told_and_nothing_is_done() {
    for (text, words) in [
        (
            "{\"limits\":\n{\"entries\": true}}",
            ["`limits.entries`", "line 2 column"],
        ),
        (
            r#"{"limits": {"entires": 2}}"#,
            ["unknown limit `entires`", "hint: limits are layer_bytes, "],
        ),
        ("{", ["not valid", "hint: fix the file"]),
    ] {
        let env = with_settings(text);
        env.msb("load -i in.tar").failure(&words);
        env.assert_clean();
    }
}

fn every_limit_is_documented() {
    let text = include_str!("../../../docs/store.md");
    for limit in msb_host::limits::Limit::ALL {
        let row = format!("\n| `{}` | ", limit.name());
        assert!(text.contains(&row), "{}", limit.name());
    }
}
