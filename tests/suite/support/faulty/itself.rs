//! That the registry of the tests is one, and that its faults are what they say: seen by others.

use std::process::Command;

use super::route::On;
use super::{ALWAYS, Registry, fault};
use crate::archive::{Image, gzip, sha256};
use crate::env::TestEnv;
use crate::tests;
use crate::tools::run;

tests! {
    skopeo_copies_an_image_that_needs_a_token_and_is_redirected needs Skopeo;
    faults_are_what_they_say needs Curl;
}

fn image() -> Image {
    let noise = crate::pull::faults::noise(7, 300_000);
    Image::new(
        "app:1",
        &["etc/\netc/hosts = here", &format!("data = {noise}")],
    )
    .compressed(gzip)
}

fn skopeo_copies_an_image_that_needs_a_token_and_is_redirected() {
    let env = TestEnv::new();
    let (registry, cdn) = (Registry::start(), Registry::start());
    registry.put_image("app", "1", &image());
    registry.require_token(&cdn);
    registry.redirect_blobs(&cdn, 1);
    run(Command::new("skopeo")
        .args(["copy", "--src-tls-verify=false"])
        .arg(format!("docker://{}/app:1", registry.host()))
        .arg(format!("dir:{}", env.path("copy").display())));
    let layer = &image().layers[1];
    let copied = env.path("copy").join(crate::archive::hex(&sha256(layer)));
    assert_eq!(&std::fs::read(copied).unwrap(), layer);
    assert_eq!(cdn.asked(&On::Token).len(), 1);
    let log = registry.log();
    assert!(log.contains("authorization: Bearer secret-token-"), "{log}");
    assert_eq!(cdn.asked(&On::Blobs).len(), 3, "{}", cdn.log());
}

fn faults_are_what_they_say() {
    let registry = Registry::start();
    let blob = registry.put_blob(&image().layers[1]);
    let url = registry.url(&format!("/v2/app/blobs/{blob}"));
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-D-", "-o/dev/null", "--max-time", "20"]);
        let output = command.args(arguments).arg(&url).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    };
    let on = On::Blob(blob.clone());
    for (fault, arguments, words) in [
        (fault::status(503), "", "HTTP/1.1 503"),
        (fault::close_after(1000), "", "transfer closed with"),
        (fault::reset_after(1000), "", "curl: (56)"),
        (fault::stall_after(1000), "-m1", "timed out"),
        (fault::lying_length(9), "", "transfer closed with 9 bytes"),
        (fault::no_length(), "", "Transfer-Encoding: chunked"),
        (fault::no_end(), "", "curl: (18)"),
        (fault::ignored_range(), "-r9-", "HTTP/1.1 200"),
        (
            fault::content_range("bytes 0-8/9"),
            "-r9-",
            "Content-Range: bytes 0-8/9",
        ),
        (fault::too_many_requests("1"), "", "Retry-After: 1"),
        (fault::redirect("/elsewhere"), "", "Location: /elsewhere"),
    ] {
        registry.fault(on.clone(), 1, fault);
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let seen = curl(&arguments);
        assert!(seen.contains(words), "no {words:?} in {seen}");
        assert!(curl(&[]).contains("HTTP/1.1 200"), "it healed");
    }
    registry.fault(on, ALWAYS, fault::status(500));
    assert!(curl(&[]).contains("HTTP/1.1 500"));
    assert!(curl(&[]).contains("HTTP/1.1 500"));
    registry.heal();
    let seen = curl(&["-r290000-"]);
    assert!(seen.contains("HTTP/1.1 206"), "{seen}");
}
