use super::*;

fn environment(grants: &[&str], scenario: Scenario) -> (tempfile::TempDir, FakeEnvironment) {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("PLAIN".to_owned(), "value".to_owned())].into();
    let own = vec![OwnFile::parse("~/own.json", "{{registry}} {{secret}}").unwrap()];
    let answers = vec![OwnAnswer::parse("https://a.example/x", "{{registry}}").unwrap()];
    let environment =
        FakeEnvironment::open(&folder.path().join("root"), &variables, own, answers).unwrap();
    let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
    let home = folder.path().join("msb");
    environment
        .set(scenario, "ghcr.io", &grants, &home)
        .unwrap();
    (folder, environment)
}

#[test]
fn every_file_that_is_granted_is_there_below_the_stage() {
    let grants = [
        "files=/etc/token",
        "files=~/.vault/*",
        "files=$KIT_DIR/auth.json",
        "files=$KIT_FILE",
        "files=msb:secrets/registries/*",
    ];
    let (folder, environment) = environment(&grants, Scenario::Token);
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
    let token = format!("{CANARY}\n");
    for path in [
        "root/etc/token",
        "root/home/user/.vault/ghcr.io",
        "root/home/user/.vault/kit-secret",
        "root/places/KIT_DIR/auth.json",
        "root/places/KIT_FILE",
        "msb/secrets/registries/kit-secret",
    ] {
        assert_eq!(read(path), token, "{path}");
    }
    assert_eq!(read("root/home/user/own.json"), format!("ghcr.io {CANARY}"));
    let place = environment.variable("KIT_FILE").unwrap();
    assert_eq!(fs::read_to_string(place).unwrap(), token);
}

#[test]
fn a_variable_is_what_the_author_says_or_the_canary() {
    let (_folder, environment) = environment(&[], Scenario::Token);
    assert_eq!(environment.variable("PLAIN").unwrap(), "value");
    assert_eq!(environment.variable("PATH").unwrap(), CANARY);
    assert!(environment.take_found().contains(&Capability::Env));
    let (_folder, bare) = self::environment(&[], Scenario::Bare);
    assert_eq!(bare.variable("PATH"), None);
    assert!(bare.take_found().is_empty());
}

#[test]
fn a_helper_gives_lists_and_forgets_what_it_was_given() {
    let (_folder, environment) = environment(&[], Scenario::Bare);
    let say = |operation: &str, input: &str| {
        let said = environment.helper("pass", operation, input.as_bytes());
        (
            said.success,
            String::from_utf8(said.stdout.to_vec()).unwrap(),
        )
    };
    assert!(!say("get", "ghcr.io").0);
    let login = r#"{"ServerURL":"ghcr.io","Username":"ann","Secret":"x"}"#;
    assert!(say("store", login).0);
    assert_eq!(say("get", "ghcr.io\n"), (true, login.to_owned()));
    assert_eq!(say("list", "").1, r#"{"ghcr.io":"ann"}"#);
    assert!(say("erase", "ghcr.io").0);
    assert!(!say("erase", "ghcr.io").0);
}

#[test]
fn an_item_is_kept_for_the_one_account() {
    let (_folder, environment) = environment(&[], Scenario::Bare);
    let text = Zeroizing::new("text".to_owned());
    assert!(!environment.keep_item("s", "a", Some(text.clone())));
    assert_eq!(environment.item("s", "a"), Some(text));
    assert_eq!(environment.item("s", "b"), None);
    assert!(environment.keep_item("s", "a", None));
    assert_eq!(environment.item("s", "a"), None);
}

#[test]
fn every_address_leads_to_the_server_of_the_stage() {
    let (_folder, environment) = environment(&[], Scenario::Documents);
    let url = "https://vault.example.com:8200/v1/x?y=z".parse().unwrap();
    let here = FakeSystem::server(&environment, &url);
    assert_eq!(here.scheme(), "http");
    assert_eq!(here.host_str(), Some("127.0.0.1"));
    assert_eq!((here.path(), here.query()), ("/v1/x", Some("y=z")));
}
