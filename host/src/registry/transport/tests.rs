use super::*;
use crate::hosts::fixtures::{CERTIFICATE, KEY};
use crate::hosts::{ConfigPaths, HostOverrides};
use crate::settings::Settings;

/// Returns the connections of `r.example` for a user who has set something for two other hosts:
/// one in our settings and one in `certs.d`. Both want a client certificate.
fn transport(folder: &std::path::Path) -> Transport {
    let certs_d = folder.join("etc/containers/certs.d/shared.example");
    std::fs::create_dir_all(&certs_d).unwrap();
    std::fs::write(certs_d.join("client.cert"), CERTIFICATE).unwrap();
    std::fs::write(certs_d.join("client.key"), KEY).unwrap();
    std::fs::write(folder.join("own.pem"), [CERTIFICATE, KEY].concat()).unwrap();
    let settings = folder.join("config.json");
    let text = r#"{"registries": {"hosts": {
            "own.example:5000": {"client_cert": "own.pem", "tls_verify": false}
        }}}"#;
    std::fs::write(&settings, text).unwrap();
    let paths = ConfigPaths {
        home: None,
        etc: folder.join("etc"),
        registries_conf: None,
    };
    let settings = Settings::read_from(&settings).unwrap();
    let hosts = settings.hosts_at(&HostOverrides::default(), paths).unwrap();
    let mut tls = hosts.tls("r.example").unwrap();
    tls.identity = hosts.tls("shared.example").unwrap().identity;
    Transport::new(&Arc::new(hosts), Arc::new(tls), "r.example")
}

#[test]
fn servers_for_which_nothing_is_set_share_one_client() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path());
    let ask = |text: &str, side| transport.connection(&text.parse().unwrap(), side).unwrap();
    for number in 0..1000 {
        ask(&format!("https://n{number}.example/x"), Side::Elsewhere);
        ask(&format!("https://t{number}.example/x"), Side::TokenService);
    }
    assert_eq!(transport.clients.lock().unwrap().len(), 1);
    ask("https://r.example/v2/", Side::Registry);
    ask("https://shared.example/x", Side::Elsewhere);
    let own = ask("https://own.example:5000/x", Side::Elsewhere);
    assert!(
        own.notices
            .concat()
            .contains("own.example:5000 is not verified")
    );
    let plain = ask("http://own.example:5000/x", Side::Elsewhere);
    assert!(plain.notices.is_empty());
    assert_eq!(transport.clients.lock().unwrap().len(), 4);
}

#[test]
fn a_client_certificate_is_for_the_registry_and_its_token_service() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path());
    let shows = |side, name: Option<&str>| {
        let key = (side, name.map(str::to_owned), None);
        transport.tls_of(&key).unwrap().identity.is_some()
    };
    assert!(shows(Side::Registry, None));
    for name in ["shared.example", "own.example:5000"] {
        assert!(shows(Side::TokenService, Some(name)));
        assert!(!shows(Side::Elsewhere, Some(name)));
    }
    assert!(!shows(Side::Elsewhere, None));
}
