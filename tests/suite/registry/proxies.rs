//! Proxies from the environment, in front of registries that cannot be reached without.

use std::process::Command;

use crate::authority::Authority;
use crate::docker_registry::Setup;
use crate::env::Run;
use crate::http_proxy::Proxy;
use crate::registry_scene::{Scene, assert_whole, checked};
use crate::socks_proxy::Socks;
use crate::tests;

tests! {
    plain_http_goes_through_the_proxy needs DockerRegistry, Skopeo;
    https_goes_through_a_tunnel needs DockerRegistry, Openssl;
    a_host_of_no_proxy_is_asked_directly needs DockerRegistry, Skopeo;
    this_machine_is_asked_directly needs DockerRegistry, Skopeo;
    a_proxy_that_is_none_is_told needs DockerRegistry;
    a_registry_that_speaks_plain_http_needs_insecure needs DockerRegistry, Skopeo;
    the_password_of_a_proxy_is_sent_and_never_shown needs DockerRegistry, Skopeo;
    a_proxy_that_refuses_is_told needs DockerRegistry;
    a_proxy_that_is_not_there_is_told needs DockerRegistry;
    a_socks_proxy_is_spoken_to needs DockerRegistry, Openssl;
    a_socks_proxy_gets_its_password_and_nobody_else needs DockerRegistry;
    a_variable_that_is_not_used_is_not_looked_at needs DockerRegistry, Skopeo;
    logins_go_through_the_proxy_as_well needs DockerRegistry;
}

/// A host that only the proxies of these tests know.
const HOST: &str = "registry.test:5000";

fn through(scene: &Scene, arguments: &str, variables: &[(&str, &str)]) -> Run {
    let line = format!("pull {arguments} {HOST}/app:1");
    let mut command: Command = scene.env.command(line.split_whitespace());
    command.envs(variables.iter().copied());
    checked(Run::of(&mut command))
}

fn plain_http_goes_through_the_proxy() {
    let scene = Scene::filled();
    let proxy = Proxy::start(&[(HOST, scene.registry.host())]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        through(&scene, "--insecure --force", &[(name, &proxy.url())]).success();
        assert_whole(&scene.env);
    }
    assert_eq!(scene.env.references(), [format!("{HOST}/app:1")]);
    let manifest = format!("GET http://{HOST}/v2/app/manifests/1 HTTP/1.1");
    let times = proxy
        .asked()
        .iter()
        .filter(|line| **line == manifest)
        .count();
    assert_eq!(times, 3, "{:#?}", proxy.asked());
}

fn https_goes_through_a_tunnel() {
    let authority = Authority::new();
    let server = authority.server();
    let scene = Scene::with(&Setup {
        tls: Some(&server),
        ..Setup::default()
    });
    let proxy = Proxy::start(&[(HOST, scene.registry.host())]);
    let arguments = format!("--ca-certs {}", authority.file().display());
    let run = through(&scene, &arguments, &[("HTTPS_PROXY", &proxy.url())]);
    // Nothing was pushed there, and that is what the registry says, so it was reached.
    run.failure(&[HOST, "not found"]);
    let asked = proxy.asked();
    assert!(!asked.is_empty());
    for line in asked {
        assert_eq!(line, format!("CONNECT {HOST} HTTP/1.1"));
    }
}

fn a_host_of_no_proxy_is_asked_directly() {
    let scene = Scene::filled();
    scene.settings(&serde_json::json!({"attempts": 1}));
    let proxy = Proxy::start(&[]);
    let url = proxy.url();
    let (_, port) = scene.registry.host().split_once(':').unwrap();
    // This machine by an address that does not say so.
    let name = format!("0.0.0.0:{port}/app:1");
    let pull = |no_proxy: &str| {
        let mut command = scene.env.command(["pull", "--force", "--insecure", &name]);
        command.env("ALL_PROXY", &url).env("NO_PROXY", no_proxy);
        checked(Run::of(&mut command))
    };
    let with_port = format!("0.0.0.0:{port}");
    for direct in ["0.0.0.0/8", "example.com, 0.0.0.0", &with_port, "*"] {
        pull(direct).success();
    }
    assert_eq!(proxy.asked(), [] as [String; 0]);
    for other in ["10.0.0.0/8", "0.0.0.0:1"] {
        pull(other).failure(&["0.0.0.0", "502"]);
    }
    assert!(!proxy.asked().is_empty());
}

fn this_machine_is_asked_directly() {
    let scene = Scene::filled();
    let proxy = Proxy::start(&[]);
    let name = scene.name("app:1");
    let mut command = scene.env.command(["pull", &name]);
    command.env("ALL_PROXY", proxy.url());
    checked(Run::of(&mut command)).success();
    assert_eq!(proxy.asked(), [] as [String; 0]);
}

fn a_proxy_that_is_none_is_told() {
    let scene = Scene::new();
    for (variable, url) in [
        ("HTTPS_PROXY", "http://"),
        ("https_proxy", "quic://user:secret-pass@127.0.0.1:1"),
    ] {
        let run = through(&scene, "", &[(variable, url)]);
        let words = format!("{variable} is not the address of a proxy");
        let hint =
            format!("hint: correct `{variable}` or unset it, or add registry.test to `NO_PROXY`");
        run.failure(&[HOST, &words, &hint]);
        // What is advised helps: the host is then looked for, and is not known.
        let variables = [(variable, url), ("NO_PROXY", "registry.test")];
        let run = through(&scene, "", &variables).failure(&["could not connect"]);
        assert!(!run.stderr.contains("proxy"), "{run:#?}");
    }
}

fn a_socks_proxy_is_spoken_to() {
    let authority = Authority::new();
    let server = authority.server();
    let scene = Scene::with(&Setup {
        tls: Some(&server),
        ..Setup::default()
    });
    let plain = Scene::new();
    let arguments = format!("--ca-certs {}", authority.file().display());
    for scheme in ["socks5", "socks5h", "socks", "SOCKS5"] {
        let proxy = Socks::start(&[(HOST, scene.registry.host())], None);
        let url = format!("{scheme}://{}", proxy.host());
        for variable in ["https_proxy", "ALL_PROXY"] {
            // Nothing was pushed there, and that is what the registry says, so it was reached.
            through(&scene, &arguments, &[(variable, &url)]).failure(&[HOST, "not found"]);
        }
        // The name is looked up by the proxy.
        assert!(!proxy.asked().is_empty());
        assert!(proxy.asked().iter().all(|asked| asked == HOST));
        let proxy = Socks::start(&[(HOST, plain.registry.host())], None);
        let url = format!("{scheme}://{}", proxy.host());
        through(&plain, "--insecure", &[("http_proxy", &url)]).failure(&[HOST, "not found"]);
        assert_eq!(proxy.asked()[0], HOST);
    }
}

fn a_socks_proxy_gets_its_password_and_nobody_else() {
    let scene = Scene::new();
    let login = Some(("user", "secret-pass"));
    let proxy = Socks::start(&[(HOST, scene.registry.host())], login);
    let with = |password: &str| {
        let url = format!("socks5://user:{password}@{}", proxy.host());
        through(&scene, "--insecure", &[("ALL_PROXY", &url)])
    };
    with("secret-pass").failure(&[HOST, "not found"]);
    with("secret-wrong").failure(&[HOST, "ALL_PROXY", &proxy.host()]);
}

fn a_variable_that_is_not_used_is_not_looked_at() {
    let scene = Scene::filled();
    let name = scene.name("app:1");
    for (variable, value) in [
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("https_proxy", "nonsense://"),
        ("HTTP_PROXY", "://"),
    ] {
        let mut command = scene.env.command(["pull", "--force", &name]);
        checked(Run::of(command.env(variable, value))).success();
    }
    // The one for HTTPS does not matter to plain HTTP.
    let proxy = Proxy::start(&[(HOST, scene.registry.host())]);
    let variables = [
        ("HTTPS_PROXY", "nonsense://"),
        ("HTTP_PROXY", &*proxy.url()),
    ];
    through(&scene, "--insecure", &variables).success();
    // An address needs no scheme.
    let variables = [("http_proxy", &*proxy.host())];
    through(&scene, "--insecure --force", &variables).success();
}

fn logins_go_through_the_proxy_as_well() {
    let scene = Scene::new();
    let proxy = Socks::start(&[(HOST, scene.registry.host())], None);
    let line = format!("registry login {HOST} -u me --password-stdin --store file --insecure");
    let login = |url: &str| {
        let mut command = scene.env.command(line.split_whitespace());
        command.env("ALL_PROXY", url);
        checked(Run::with_input(&mut command, b"secret-pass\n"))
    };
    login(&format!("socks5://{}", proxy.host())).success();
    assert_eq!(proxy.asked()[0], HOST);
    login("socks5://127.0.0.1:1").failure(&["socks5h://127.0.0.1:1", "ALL_PROXY"]);
}

fn a_registry_that_speaks_plain_http_needs_insecure() {
    let scene = Scene::filled();
    let proxy = Proxy::start(&[(HOST, scene.registry.host())]);
    let variables = [("ALL_PROXY", &*proxy.url())];
    through(&scene, "", &variables).failure(&[HOST, "HTTPS", "hint: ", "--insecure"]);
    assert!(
        proxy
            .asked()
            .iter()
            .all(|line| line.starts_with("CONNECT "))
    );
    scene.env.assert_clean();
    let host = serde_json::json!({"hosts": {HOST: {"insecure": true}}});
    scene.settings(&host);
    through(&scene, "", &variables).success();
}

fn the_password_of_a_proxy_is_sent_and_never_shown() {
    let scene = Scene::filled();
    // `user:secret-pass`
    let wanted = "Basic dXNlcjpzZWNyZXQtcGFzcw==";
    let proxy = Proxy::guarded(&[(HOST, scene.registry.host())], Some(wanted));
    let with = |password: &str| {
        let url = format!("http://user:{password}@{}", proxy.host());
        let run = through(&scene, "--insecure", &[("HTTP_PROXY", &url)]);
        let plain = through(&scene, "", &[("HTTPS_PROXY", &url)]);
        (run, plain)
    };
    let (run, _) = with("secret-pass");
    run.success();
    scene.env.msb("image prune -y").success();
    // That neither shows a password has been looked at.
    let (run, tunnel) = with("secret-wrong");
    run.failure(&["407"]);
    tunnel.failure(&["proxy"]);
}

fn a_proxy_that_refuses_is_told() {
    let scene = Scene::new();
    scene.settings(&serde_json::json!({"attempts": 2}));
    let proxy = Proxy::start(&[]);
    let variables = [("ALL_PROXY", &*proxy.url())];
    through(&scene, "", &variables).failure(&[HOST, "proxy"]);
    through(&scene, "--insecure", &variables).failure(&[HOST, "502"]);
}

fn a_proxy_that_is_not_there_is_told() {
    let scene = Scene::new();
    scene.settings(&serde_json::json!({"attempts": 2}));
    let variables = [("ALL_PROXY", "http://127.0.0.1:1")];
    through(&scene, "", &variables).failure(&[
        HOST,
        "through the proxy http://127.0.0.1:1 (variable `ALL_PROXY`)",
        "hint: check that the proxy is there; else correct or unset `ALL_PROXY`",
    ]);
    let variables = [("https_proxy", "http://user:secret-pass@127.0.0.1:1")];
    through(&scene, "", &variables).failure(&["http://127.0.0.1:1", "`https_proxy`"]);
}
