use super::*;

fn read(text: &str) -> Result<Settings, SettingsError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Settings::read_from(file.path())
}

#[test]
fn limits_are_set_by_their_names_and_other_keys_are_of_others() {
    let settings = read(
        r#"{"profiles": {"limits": []}, "limits": {"layer_bytes": 5, "entries": 6}, "x": null}"#,
    );
    let expected = Limits {
        layer_bytes: 5,
        entries: 6,
        ..Limits::default()
    };
    assert_eq!(settings.unwrap().limits, expected);
}

#[test]
fn the_budget_of_the_store_is_a_number_of_bytes() {
    let settings = read(r#"{"store": {"max_bytes": 5, "other": true}}"#).unwrap();
    assert_eq!(settings.store.max_bytes, Some(5));
    assert_eq!(read(r#"{"store": {}}"#).unwrap().store.max_bytes, None);
    for text in [r#"{"store": {"max_bytes": "5G"}}"#, r#"{"store": []}"#] {
        let error = read(text).unwrap_err();
        assert!(error.to_string().contains("`store"), "{error}");
    }
}

#[test]
fn no_file_and_no_limits_are_the_defaults() {
    let missing = Settings::read_from(Path::new("/nowhere/config.json")).unwrap();
    assert_eq!(missing, Settings::default());
    for text in ["{}", r#"{"limits": {}}"#, r#"{"limits": null}"#] {
        assert_eq!(read(text).unwrap(), Settings::default(), "{text}");
    }
}

#[test]
fn images_are_merged_at_once_if_that_is_set() {
    for (text, expected) in [
        ("{}", false),
        (r#"{"store": {}}"#, false),
        (r#"{"store": {"merge": null}}"#, false),
        (r#"{"store": {"merge": true, "other": 1}}"#, true),
    ] {
        assert_eq!(read(text).unwrap().store.merge, expected, "{text}");
    }
    let error = read(r#"{"store": {"merge": "yes"}}"#).unwrap_err();
    assert!(error.to_string().contains("`store.merge`"), "{error}");
}

#[test]
fn a_value_of_another_type_is_an_error_with_its_key_and_line() {
    let error = read("{\n\"limits\": {\"entries\": \"many\"}}").unwrap_err();
    let SettingsError::Invalid { key, source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(key, "limits.entries");
    assert_eq!(source.line(), 2);
    assert!(matches!(read(" \n"), Err(SettingsError::Empty { .. })));
    for text in [
        "{",
        "[]",
        "{} {}",
        r#"{"limits": {"entries": -1}}"#,
        "\u{feff}{}",
    ] {
        let error = read(text).unwrap_err();
        assert!(
            matches!(error, SettingsError::Invalid { .. }),
            "{text}: {error}"
        );
    }
}

#[test]
fn directories_to_serve_are_one_or_many_and_absolute() {
    let served = |value: &str| {
        let text = format!(r#"{{"store": {{"serve": {{"containerd": {value}}}, "x": 1}}}}"#);
        read(&text).map(|settings| settings.store.serve_containerd)
    };
    assert_eq!(served(r#""/a""#).unwrap(), [PathBuf::from("/a")]);
    assert_eq!(
        served(r#"["/a", "/b"]"#).unwrap(),
        ["/a", "/b"].map(PathBuf::from)
    );
    assert_eq!(served("null").unwrap(), [] as [PathBuf; 0]);
    let error = served(r#""a""#).unwrap_err().to_string();
    assert!(error.contains("`store.serve.containerd`: it is not an absolute path"));
    assert!(served("5").is_err());
}

#[test]
fn a_limit_that_there_is_none_of_is_an_error() {
    let error = read(r#"{"limits": {"entires": 5}}"#).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("unknown limit `entires` in `")
    );
}

#[test]
fn keys_are_shown_without_passwords() {
    for (text, expected) in [
        (
            r#"{"registries": {"auth": {"u:secret@share.example:5000": 5}}}"#,
            "`registries.auth.share.example:5000`",
        ),
        (
            r#"{"registries": {"hosts": {"u:12/secret@h": {}}}}"#,
            "`registries.hosts.h`",
        ),
        (
            r#"{"registries": {"hosts": {"https://u:secret@h": {"insecure": 5}}}}"#,
            "`registries.hosts.https://h.insecure`",
        ),
        (
            r#"{"plugins": {"settings": {"a:1@b": {}}}}"#,
            "`plugins.settings.a:1@b`",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
