//! The capability `files`.

use std::os::unix::fs::symlink;

use super::password;
use crate::auth::{Answer, ProviderError};
use crate::plugin::test_bench::Bench;

fn read(bench: &Bench, grant: &str, path: &str) -> Result<Answer, ProviderError> {
    bench.get(&[grant], "files", path)
}

#[test]
fn files_are_denied_by_default_and_outside_of_the_pattern() {
    let bench = Bench::new(&[]);
    bench.write("user/token", b"t0ken\n", 0o600);
    bench.write("user/other", b"other", 0o600);
    bench.is_denied(&[], "files", "~/token", "'files=~/token'");
    bench.is_denied(&["files=~/token"], "files", "~/other", "'files=~/other'");
    bench.is_denied(&["files=~/*"], "files", "~/a/b", "'files=~/a/b'");
    bench.is_denied(&["files=/etc/*"], "files", "~/token", "'files=~/token'");
    assert_eq!(password(read(&bench, "files=~/token", "~/token")), "t0ken");
    assert_eq!(password(read(&bench, "files=~/*", "~/token")), "t0ken");
}

#[test]
fn files_are_found_from_each_root() {
    let bench = Bench::new(&[("WHERE", "/nowhere"), ("RELATIVE", "a/b"), ("EMPTY", "")]);
    bench.write("msb/secrets/registries/ghcr", b"s3cret", 0o600);
    let home = bench.home.path().display();
    for (grant, path) in [
        (
            "files=msb:secrets/registries/*".to_owned(),
            "msb:secrets/registries/ghcr".to_owned(),
        ),
        (
            format!("files={home}/msb/**"),
            format!("{home}/msb/secrets/registries/ghcr"),
        ),
        (
            "files=$HOME/**".to_owned(),
            "$HOME/../msb/secrets/registries/ghcr".to_owned(),
        ),
    ] {
        let answer = read(&bench, &grant, &path);
        if path.contains("..") {
            let words = answer.unwrap_err().to_string();
            assert!(words.starts_with("invalid: "), "{words}");
        } else {
            assert_eq!(password(answer), "s3cret", "{path}");
        }
    }
    for path in [
        "$WHERE/x",
        "$EMPTY/x",
        "$UNSET/x",
        "~/missing",
        "~/missing/x",
    ] {
        let error = read(&bench, &format!("files={path}"), path).unwrap_err();
        assert!(
            matches!(error, ProviderError::NotFound),
            "{path}: {error:?}"
        );
    }
    let words = bench.words(&["files=$RELATIVE/x"], "files", "$RELATIVE/x");
    assert!(words.contains("not set to an absolute path"), "{words}");
}

#[test]
fn a_link_leads_out_of_a_directory_only_where_its_file_was_granted_by_name() {
    let bench = Bench::new(&[]);
    let outside = bench.write("outside", b"outside", 0o600);
    bench.write("user/in/real", b"inside", 0o600);
    let folder = bench.home.path().join("user/in");
    symlink(&outside, folder.join("out")).unwrap();
    symlink("real", folder.join("near")).unwrap();
    symlink("..", folder.join("up")).unwrap();
    symlink("loop", folder.join("loop")).unwrap();
    assert_eq!(
        password(read(&bench, "files=~/in/near", "~/in/near")),
        "inside"
    );
    assert_eq!(
        password(read(&bench, "files=~/in/*", "~/in/near")),
        "inside"
    );
    assert_eq!(
        password(read(&bench, "files=~/in/out", "~/in/out")),
        "outside"
    );
    for (grant, path) in [
        ("files=~/in/*", "~/in/out"),
        ("files=~/in/**", "~/in/out"),
        ("files=~/in/**", "~/in/up/../outside"),
        ("files=~/in/*", "~/in/up"),
        ("files=~/in/*", "~/in/loop"),
    ] {
        let words = bench.words(&[grant], "files", path);
        assert!(
            words.starts_with("invalid: ") || words.starts_with("failed: "),
            "{path}: {words}"
        );
    }
}

#[test]
fn what_is_no_plain_file_or_too_large_is_refused() {
    let bench = Bench::new(&[]);
    std::fs::create_dir(bench.home.path().join("user/folder")).unwrap();
    let pipe = bench.home.path().join("user/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    bench.write("user/large", &vec![b'x'; (1 << 20) + 1], 0o600);
    for (path, words) in [
        ("~/folder", "is not a file"),
        ("~/pipe", "is not a file"),
        ("~/large", "is larger than 1 MiB"),
        ("/dev/zero", "is not a file"),
    ] {
        let said = bench.words(&["files=~/*", "files=/dev/zero"], "files", path);
        assert!(said.contains(words), "{path}: {said}");
    }
}

#[test]
fn a_plugin_hears_whose_a_file_is_and_who_else_may_read_it() {
    let bench = Bench::new(&[]);
    bench.write("user/private", b"x", 0o600);
    bench.write("user/open", b"x", 0o644);
    for (path, private) in [("~/private", true), ("~/open", false)] {
        let answer = read(&bench, "files=~/*", path).unwrap();
        assert_eq!(answer.source, Some(format!("owned true private {private}")));
    }
}
