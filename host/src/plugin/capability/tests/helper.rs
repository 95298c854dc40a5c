//! The capability `helper`, with programs of odd behaviour.

use std::path::Path;
use std::time::{Duration, Instant};

use super::login;
use crate::auth::ProviderError;
use crate::plugin::PluginBudget;
use crate::plugin::test_bench::{Bench, request};

const ANSWER: &str = r#"echo '{"ServerURL":"ghcr.io","Username":"me","Secret":"s3cret"}'"#;

#[test]
fn helpers_are_denied_by_default_and_outside_of_the_name() {
    let bench = Bench::new(&[]);
    bench.helper("pass", ANSWER);
    bench.helper("other", "touch \"$0.ran\"");
    bench.is_denied(&[], "helper", "pass", "helper=pass");
    bench.is_denied(&["helper=pass"], "helper", "other", "helper=other");
    bench.is_denied(&["helper=pass"], "helper-store", "other", "helper=other");
    bench.is_denied(&["helper=pass"], "helper-list", "other", "helper=other");
    assert!(
        !bench
            .home
            .path()
            .join("bin/docker-credential-other.ran")
            .exists()
    );
    for grant in ["helper=pass", "helper=*", "helper=p*"] {
        let answer = bench.get(&[grant], "helper", "pass");
        assert_eq!(login(answer), ("me".to_owned(), "s3cret".to_owned()));
    }
}

#[test]
fn a_helper_gets_the_server_without_a_newline_and_the_operation_as_argument() {
    let bench = Bench::new(&[]);
    bench.helper(
        "echo",
        "cat > \"$0.in\"; printf %s \"$*\" > \"$0.args\"; exit 1",
    );
    let kept = |end: &str| {
        let path = bench
            .home
            .path()
            .join(format!("bin/docker-credential-echo.{end}"));
        std::fs::read_to_string(path).unwrap()
    };
    bench.get(&["helper=echo"], "helper", "echo").unwrap_err();
    assert_eq!(
        (kept("args"), kept("in")),
        ("get".to_owned(), "ghcr.io".to_owned())
    );
    bench
        .get(&["helper=echo"], "helper-store", "echo")
        .unwrap_err();
    assert_eq!(kept("args"), "store");
    assert_eq!(
        kept("in"),
        r#"{"ServerURL":"ghcr.io","Username":"user","Secret":"secret"}"#
    );
    bench.helper("lists", r#"echo '{"ghcr.io":"me"}'"#);
    let words = bench.words(&["helper=*"], "helper-list", "lists");
    assert_eq!(words, r#"[("ghcr.io", "me")]"#);
}

#[test]
fn a_helper_without_an_answer_is_told_from_one_that_fails() {
    let bench = Bench::new(&[]);
    let ask = |script: &str| {
        bench.helper("odd", script);
        bench.get(&["helper=*"], "helper", "odd").unwrap_err()
    };
    for script in [
        "echo 'credentials not found in native keychain'; exit 1",
        "echo 'Credentials not found in native keychain.'; exit 1",
        r#"echo '{"Username":"","Secret":""}'"#,
        r#"echo '{"ServerURL":"ghcr.io"}'"#,
    ] {
        let error = ask(script);
        assert!(
            matches!(error, ProviderError::NotFound),
            "{script}: {error}"
        );
    }
    for (script, words) in [
        (
            "echo 'the vault is sealed'; exit 1",
            "failed: `docker-credential-odd` failed: the vault is sealed",
        ),
        ("echo 'no such luck' >&2; exit 3", "failed: no such luck"),
        (
            "echo s3cret-garbage; echo why >&2",
            "is not the JSON of its protocol: why",
        ),
        ("kill -9 $$", "failed: `docker-credential-odd` failed"),
        ("head -c 2000000 /dev/zero", "said more than 1 MiB"),
    ] {
        let said = ask(script).to_string();
        assert!(said.contains(words), "{script}: {said}");
        assert!(!said.contains("s3cret"), "{script}: {said}");
    }
    let said = bench.words(&["helper=*"], "helper", "missing");
    assert_eq!(
        said,
        "unavailable: `docker-credential-missing` is not in PATH"
    );
}

#[test]
fn a_helper_that_hangs_is_killed_with_all_that_it_has_started() {
    let bench = Bench::new(&[]);
    bench.helper("hang", "sleep 300 & echo $! > \"$0.pid\"; wait");
    let limits = PluginBudget {
        wall: Some(Duration::from_secs(2)),
        ..PluginBudget::CREDENTIAL
    };
    let error = bench
        .provider(&["helper=hang"], limits)
        .get(&request("helper", "hang"), &bench.context())
        .unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains("`docker-credential-hang` did not answer within"),
        "{words}"
    );
    let pid = std::fs::read_to_string(bench.home.path().join("bin/docker-credential-hang.pid"));
    let stat = Path::new("/proc").join(pid.unwrap().trim()).join("stat");
    let until = Instant::now() + Duration::from_secs(10);
    // Dead, if perhaps not buried yet.
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < until, "its child lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_helper_that_does_not_read_or_leaves_children_does_not_hold_us_up() {
    let bench = Bench::new(&[]);
    bench.helper("deaf", &format!("exec < /dev/null; {ANSWER}"));
    let answer = bench.get(&["helper=*"], "helper", "deaf");
    assert_eq!(login(answer).0, "me");
    // As one that starts an agent: it may hold the pipe as long as it lives, and it lives on.
    let parent = format!("sleep 20 & echo $! > \"$0.pid\"; {ANSWER}");
    bench.helper("parent", &parent);
    let begin = Instant::now();
    let answer = bench.get(&["helper=*"], "helper", "parent");
    assert_eq!(login(answer).0, "me");
    assert!(begin.elapsed() < Duration::from_secs(10));
    let pid = bench.home.path().join("bin/docker-credential-parent.pid");
    let pid = std::fs::read_to_string(pid).unwrap();
    let stat = Path::new("/proc").join(pid.trim()).join("stat");
    assert!(std::fs::read_to_string(stat).is_ok_and(|stat| !stat.contains(") Z ")));
    let killed = std::process::Command::new("kill").arg(pid.trim()).status();
    assert!(killed.unwrap().success());
}
