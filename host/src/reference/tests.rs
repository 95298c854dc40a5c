use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn every_spelling_of_a_name_has_one_normal_form() {
    for (text, canonical, familiar) in [
        ("python", "docker.io/library/python:latest", "python:latest"),
        (
            "docker.io/python",
            "docker.io/library/python:latest",
            "python:latest",
        ),
        (
            "index.docker.io/library/python:latest",
            "docker.io/library/python:latest",
            "python:latest",
        ),
        ("org/app:v1", "docker.io/org/app:v1", "org/app:v1"),
        (
            "docker.io/library/a/b",
            "docker.io/library/a/b:latest",
            "library/a/b:latest",
        ),
        (
            "ghcr.io/my-org/my-image:v1",
            "ghcr.io/my-org/my-image:v1",
            "ghcr.io/my-org/my-image:v1",
        ),
        ("GHCR.io/a/b", "ghcr.io/a/b:latest", "ghcr.io/a/b:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("host:5000/x", "host:5000/x:latest", "host:5000/x:latest"),
        ("[::1]:5000/x:1", "[::1]:5000/x:1", "[::1]:5000/x:1"),
        ("LocalHost/x", "localhost/x:latest", "localhost/x:latest"),
        (
            "docker.io/a.b/c",
            "docker.io/a.b/c:latest",
            "docker.io/a.b/c:latest",
        ),
        (
            "docker.io/localhost/c",
            "docker.io/localhost/c:latest",
            "docker.io/localhost/c:latest",
        ),
        (
            "a__b/c-d.e_f",
            "docker.io/a__b/c-d.e_f:latest",
            "a__b/c-d.e_f:latest",
        ),
    ] {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.canonical(), canonical, "{text}");
        assert_eq!(reference.familiar(), familiar, "{text}");
        assert_eq!(
            reference.canonical().parse::<Reference>().unwrap(),
            reference
        );
        assert_eq!(
            reference.familiar().parse::<Reference>().unwrap(),
            reference
        );
    }
}

#[test]
fn a_digest_stands_beside_a_tag_and_takes_the_place_of_the_default_one() {
    let both: Reference = format!("python:3@{DIGEST}").parse().unwrap();
    assert_eq!(both.tag(), Some("3"));
    assert_eq!(both.digest().unwrap().to_string(), DIGEST);
    let pinned: Reference = format!("python@{DIGEST}").parse().unwrap();
    assert_eq!(pinned.tag(), None);
    assert_eq!(
        pinned.canonical(),
        format!("docker.io/library/python@{DIGEST}")
    );
}

#[test]
fn texts_that_are_no_references_are_refused_with_the_reason() {
    for (text, reason) in [
        ("", "no name"),
        (":tag", "single separators"),
        ("Python", "upper-case"),
        ("docker.io/Org/app", "upper-case"),
        ("Org/app", "upper-case"),
        ("host:+5/app", "not a host name"),
        ("a//b", "single separators"),
        ("-a", "single separators"),
        ("a..b", "single separators"),
        ("a:", "the tag"),
        ("a:-b", "the tag"),
        ("host:port/a", "not a host name"),
        ("[::1/a", "not a host name"),
        ("a b", "a space"),
        (&"e".repeat(64), "image ID"),
        (&"a/".repeat(200), "single separators"),
        (&format!("a{}", "/b".repeat(130)), "255 bytes"),
    ] {
        let error = text.parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    assert!("a@sha256:12".parse::<Reference>().is_err());
}

proptest::proptest! {
    #[test]
    fn what_is_a_reference_reads_the_same_in_every_form(
        text in "(([a-zA-Z.]{1,4}|localhost|docker\\.io|library|\\[::1\\])(:[0-9]{1,4})?/)?[a-z0-9._/-]{1,8}(:[a-zA-Z0-9.]{1,3})?"
    ) {
        if let Ok(reference) = text.parse::<Reference>() {
            assert_eq!(reference.canonical().parse::<Reference>().unwrap(), reference);
            assert_eq!(reference.familiar().parse::<Reference>().unwrap(), reference);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<Reference>();
    }
}
