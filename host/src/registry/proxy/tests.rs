use super::*;

fn proxies(variables: &[(&str, &str)]) -> Proxies {
    let find = |name: &str| {
        let mut variables = variables.iter();
        let (_, value) = variables.find(|(key, _)| *key == name)?;
        Some((*value).to_owned())
    };
    Proxies::of(find)
}

fn found(variables: &[(&str, &str)], url: &str) -> Result<Option<ProxyServer>, ProxyError> {
    proxies(variables).find(&url.parse().unwrap())
}

fn proxy_of(variables: &[(&str, &str)], url: &str) -> Option<String> {
    let server = found(variables, url).unwrap()?;
    Some(server.url.to_string())
}

#[test]
fn each_scheme_has_its_proxy_and_capitals_go_first() {
    let variables = [
        ("http_proxy", "http://small:1"),
        ("HTTP_PROXY", "http://plain:1"),
        ("ALL_PROXY", "any:3128"),
    ];
    let plain = proxy_of(&variables, "http://a.example/");
    assert_eq!(plain.as_deref(), Some("http://plain:1/"));
    let secure = proxy_of(&variables, "https://a.example/");
    assert_eq!(secure.as_deref(), Some("http://any:3128/"));
    assert_eq!(proxy_of(&variables[..2], "https://a.example/"), None);
    assert_eq!(proxy_of(&[("HTTP_PROXY", "  ")], "http://a.example/"), None);
}

#[test]
fn exceptions_are_domains_addresses_and_networks_with_or_without_a_port() {
    for (exceptions, url, is_direct) in [
        ("example.com", "https://example.com/", true),
        ("example.com", "https://r.EXAMPLE.com:5000/", true),
        (".example.com", "https://r.example.com/", true),
        ("*.example.com", "https://r.example.com/", true),
        ("example.com", "https://notexample.com/", false),
        ("example.com:5000", "https://example.com:5000/", true),
        ("example.com:443", "https://example.com/", true),
        ("example.com:5000", "https://example.com/", false),
        ("other.com, 10.0.0.0/8", "http://10.1.2.3:80/", true),
        ("10.0.0.0/8", "http://11.1.2.3/", false),
        ("10.1.2.3:81", "http://10.1.2.3:80/", false),
        ("fd00::/8", "http://[fd12::1]/", true),
        ("[fd12::1]:80", "http://[fd12::1]/", true),
        ("0.0.0.0/0", "http://10.1.2.3/", true),
        ("*", "http://10.1.2.3/", true),
        ("", "http://10.1.2.3/", false),
        ("10.0.0.0/99, :, a:b", "http://10.1.2.3/", false),
    ] {
        let variables = [("ALL_PROXY", "http://proxy:1"), ("no_proxy", exceptions)];
        let found = proxy_of(&variables, url);
        assert_eq!(found.is_none(), is_direct, "{exceptions} {url}");
    }
}

#[test]
fn this_machine_is_asked_directly_whatever_the_variables_say() {
    for url in [
        "http://localhost:5000",
        "https://127.0.0.1",
        "http://[::1]:5000",
    ] {
        for proxy in ["http://proxy:1", "nonsense://", "://"] {
            assert_eq!(proxy_of(&[("ALL_PROXY", proxy)], url), None);
        }
    }
    let variables = [("HTTPS_PROXY", "nonsense://"), ("NO_PROXY", "a.example")];
    assert_eq!(proxy_of(&variables, "https://a.example"), None);
    assert_eq!(proxy_of(&variables, "http://b.example"), None);
    assert!(found(&variables, "https://b.example").is_err());
}

#[test]
fn a_proxy_may_speak_http_or_socks_and_need_not_say_which() {
    for (text, url) in [
        ("proxy:3128", "http://proxy:3128/"),
        ("u:p@proxy:3128", "http://u:p@proxy:3128/"),
        ("HTTPS://proxy", "https://proxy/"),
        ("socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1080"),
        ("socks5h://u:p@proxy", "socks5h://u:p@proxy"),
        ("socks://proxy:1080/", "socks5h://proxy:1080/"),
        ("socks4://proxy:1", "socks4://proxy:1"),
        ("socks4a://proxy:1", "socks4a://proxy:1"),
    ] {
        let variables = [("all_proxy", text)];
        let found = proxy_of(&variables, "https://a.example");
        assert_eq!(found.as_deref(), Some(url), "{text}");
    }
}

#[test]
fn a_variable_is_called_as_the_user_spells_it_and_no_password_is_shown() {
    for text in [
        "http://",
        "quic://u:secret@h:1",
        "http://u:secret@h:x",
        "socks5://",
    ] {
        let error = found(&[("https_proxy", text)], "https://a.example").unwrap_err();
        let words = error.to_string();
        assert!(words.starts_with("https_proxy is not the address of a proxy: "));
        assert!(!format!("{words} {error:?}").contains("secret"), "{text}");
    }
    let variables = [("https_proxy", "http://u:secret@h:1")];
    let server = found(&variables, "https://a.example").unwrap().unwrap();
    assert_eq!(server.to_string(), "http://h:1");
    assert_eq!(server.variable(), "https_proxy");
    let debug = format!("{server:?} {:?}", proxies(&variables));
    assert!(!debug.contains("secret"), "{debug}");
}
