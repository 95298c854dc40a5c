//! What is sent to a token service, and for whom a token is good.

use std::sync::Arc;

use msb_host::auth::{Cache, Chain, Lookup, Provider};
use msb_host::cancel::Cancel;
use msb_host::credential::{Action, RegistryAuth};
use msb_host::hosts::HostOverrides;
use msb_host::image::PullOptions;
use msb_host::progress::Silent;
use msb_host::registry::ManifestRef;

use super::provider::{Known, answer};
use super::{Scene, told, with};
use crate::faulty::http::{Answer, Request};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::tests;

tests! {
    an_identity_token_is_sent_by_post_and_never_in_an_address;
    a_token_service_that_takes_no_identity_tokens_is_told;
    a_token_service_that_knows_no_get_is_sent_a_form;
    a_registry_token_is_shown_as_it_is;
    several_scopes_are_several_in_an_address_and_one_in_a_form;
    a_registry_has_no_say_in_what_a_token_is_good_for;
    a_token_is_not_used_for_another_account_repository_or_action;
    a_token_service_that_is_busy_is_asked_again;
    a_mirror_is_asked_with_credentials_of_its_own;
    the_challenge_of_the_start_is_used_where_a_repository_names_none;
    a_registry_without_a_start_is_pulled_from;
    layers_that_are_fetched_at_once_ask_a_provider_once;
    an_image_that_is_there_asks_no_provider;
    an_answer_that_is_over_is_asked_for_again_in_the_middle;
}

fn field(request: &Request, name: &str) -> Vec<String> {
    let text = match request.method.as_str() {
        "POST" => String::from_utf8(request.body.clone()).unwrap(),
        _ => request.path.split('?').nth(1).unwrap_or("").to_owned(),
    };
    let plain = |value: &str| {
        let value = value.replace("%3A", ":").replace("%2C", ",");
        let value = value.replace("%28", "(").replace("%29", ")");
        value.replace("%2F", "/").replace('+', " ")
    };
    text.split('&')
        .filter_map(|pair| pair.strip_prefix(&format!("{name}=")))
        .map(plain)
        .collect()
}

fn identity() -> RegistryAuth {
    RegistryAuth::identity_token("secret-refresh")
}

fn an_identity_token_is_sent_by_post_and_never_in_an_address() {
    let scene = Scene::guarded();
    scene
        .pull("app", &PullOptions::default().registry_auth(identity()))
        .unwrap();
    let asked = scene.registry.asked(&On::Token);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].method, "POST");
    assert!(!asked[0].path.contains("secret-"), "{}", asked[0]);
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(field(&asked[0], "grant_type"), ["refresh_token"]);
    assert_eq!(field(&asked[0], "refresh_token"), ["secret-refresh"]);
    assert_eq!(field(&asked[0], "scope"), ["repository:app:pull"]);
    assert_eq!(field(&asked[0], "service"), ["tests"]);
    assert_eq!(field(&asked[0], "client_id"), ["msb"]);
}

fn a_token_service_that_takes_no_identity_tokens_is_told() {
    for status in [404, 405] {
        let scene = Scene::guarded();
        scene
            .registry
            .fault(On::Token, ALWAYS, fault::status(status));
        let options = PullOptions::default().registry_auth(identity());
        let error = scene.pull("app", &options).unwrap_err();
        let text = told(&error);
        assert!(text.contains("it takes no identity tokens"), "{text}");
        // Nowhere else is it tried.
        assert_eq!(scene.registry.asked(&On::Token).len(), 1);
    }
}

fn a_token_service_that_knows_no_get_is_sent_a_form() {
    let scene = Scene::guarded();
    let only_post = Arc::new(
        |request: &Request, answer: Answer| match request.method.as_str() {
            "POST" => answer,
            _ => Answer::error(405, "UNSUPPORTED", "not so"),
        },
    );
    scene.registry.fault(On::Token, ALWAYS, only_post);
    let auth = RegistryAuth::basic("me", "secret-pass");
    scene
        .pull("app", &PullOptions::default().registry_auth(auth))
        .unwrap();
    let asked = scene.registry.asked(&On::Token);
    let form = asked.last().unwrap();
    assert_eq!(field(form, "grant_type"), ["password"]);
    assert_eq!(field(form, "username"), ["me"]);
    assert_eq!(field(form, "password"), ["secret-pass"]);
    assert!(!form.path.contains("secret-"), "{form}");
}

fn a_registry_token_is_shown_as_it_is() {
    let scene = Scene::guarded();
    scene.pull("app", &PullOptions::default()).unwrap();
    let token = scene
        .registry
        .asked(&On::Manifest)
        .last()
        .and_then(|request| Some(request.header("authorization")?.to_owned()))
        .unwrap();
    let token = token.strip_prefix("Bearer ").unwrap();
    let auth = RegistryAuth::registry_token(token);
    scene
        .pull("other", &PullOptions::default().registry_auth(auth))
        .unwrap();
    assert_eq!(scene.registry.asked(&On::Token).len(), 1, "no other token");
}

/// The repository by another word for its kind, and what nobody has asked for.
const DEMANDED: &str = "repository(plugin):app:pull repository:app:pull,push,delete \
                        repository:private/secret:pull registry:catalog:* *";

/// Makes a registry demand more than reading, once.
fn demanding(scene: &Scene) {
    let realm = scene.registry.url("/token");
    let challenge = format!(
        r#"Bearer realm="{realm}",service="tests",scope="{DEMANDED}",error="insufficient_scope""#
    );
    let refusal = Answer::error(401, "UNAUTHORIZED", "more");
    let refusal = refusal.with("WWW-Authenticate", &challenge);
    scene
        .registry
        .fault(On::Manifest, 1, fault::instead(refusal.clone()));
    scene
        .registry
        .fault(On::ManifestHead, 1, fault::instead(refusal));
}

fn several_scopes_are_several_in_an_address_and_one_in_a_form() {
    let scopes = ["repository(plugin):app:pull", "repository:app:pull"];
    let scene = Scene::guarded();
    demanding(&scene);
    scene.pull("app", &PullOptions::default()).unwrap();
    let asked = scene.registry.asked(&On::Token);
    assert_eq!(field(asked.last().unwrap(), "scope"), scopes);

    let scene = Scene::guarded();
    demanding(&scene);
    scene
        .pull("app", &PullOptions::default().registry_auth(identity()))
        .unwrap();
    let asked = scene.registry.asked(&On::Token);
    assert_eq!(field(asked.last().unwrap(), "scope"), [scopes.join(" ")]);
}

fn a_registry_has_no_say_in_what_a_token_is_good_for() {
    let scene = Scene::guarded();
    demanding(&scene);
    scene.pull("app", &PullOptions::default()).unwrap();
    let asked = scene.registry.asked(&On::Token);
    assert_eq!(asked.len(), 2, "{}", scene.registry.log());
    assert_eq!(field(&asked[0], "scope"), ["repository:app:pull"]);
    // Nor has one that names a scope at once.
    let scene = Scene::new();
    let realm = scene.registry.url("/token");
    let challenge = format!(
        r#"Bearer realm="{realm}",service="tests",scope="{DEMANDED}",error="insufficient_scope""#
    );
    scene
        .registry
        .challenge(&[&challenge], Some(&scene.registry));
    scene.pull("app", &PullOptions::default()).unwrap();
    for request in scene.registry.asked(&On::Token) {
        for scope in field(&request, "scope") {
            assert!(scope.ends_with(":app:pull"), "{request}");
        }
    }
}

fn a_token_is_not_used_for_another_account_repository_or_action() {
    let scene = Scene::guarded();
    let count = || scene.registry.asked(&On::Token).len();
    let as_user = |name: &str, password: &str| {
        let auth = RegistryAuth::basic(name, password);
        PullOptions {
            force: true,
            ..PullOptions::default().registry_auth(auth)
        }
    };
    scene.pull("app", &as_user("one", "secret-1")).unwrap();
    assert_eq!(count(), 1);
    scene.pull("app", &as_user("one", "secret-1")).unwrap();
    assert_eq!(count(), 1, "the same again");
    scene.pull("app", &as_user("two", "secret-1")).unwrap();
    assert_eq!(count(), 2, "another name");
    scene.pull("app", &as_user("one", "secret-2")).unwrap();
    assert_eq!(count(), 3, "another password");
    let nobody = PullOptions {
        force: true,
        ..PullOptions::default()
    };
    scene.pull("app", &nobody).unwrap();
    assert_eq!(count(), 4, "nobody");
    scene.pull("other", &as_user("one", "secret-1")).unwrap();
    assert_eq!(count(), 5, "another repository");
    let lookup = Lookup::new(Arc::new(Chain::default()), Arc::new(Silent)).with(
        scene.registry.host(),
        RegistryAuth::basic("one", "secret-1"),
    );
    let reference = format!("{}/app:1", scene.registry.host()).parse().unwrap();
    let repository = scene
        .client
        .repository(&reference, Action::Push, Arc::new(lookup))
        .unwrap();
    repository
        .manifest(ManifestRef::Tag("1"), 1 << 20, &|_| {}, &Cancel::default())
        .unwrap();
    assert_eq!(count(), 6, "writing");
    let asked = scene.registry.asked(&On::Token);
    assert_eq!(field(&asked[5], "scope"), ["repository:app:pull,push"]);
    assert_eq!(field(&asked[0], "account"), ["one"]);
}

fn a_token_service_that_is_busy_is_asked_again() {
    let scene = Scene::guarded();
    scene
        .registry
        .fault(On::Token, 1, fault::too_many_requests("0"));
    scene.pull("app", &PullOptions::default()).unwrap();
    assert_eq!(scene.registry.asked(&On::Token).len(), 2);
}

fn a_mirror_is_asked_with_credentials_of_its_own() {
    let (env, mirror, registry) = (
        crate::env::TestEnv::new(),
        Registry::start(),
        Registry::start(),
    );
    for server in [&mirror, &registry] {
        server.challenge(&[r#"Basic realm="x""#], None);
    }
    let image = crate::archive::Image::new("", &["a = 1"]);
    mirror.put_image("app", "1", &image);
    mirror.accept_password("bWlycm9yOnNlY3JldC1t");
    let settings = serde_json::json!({"registries": {"hosts": {
        registry.host(): {"mirrors": [format!("http://{}", mirror.host())]}
    }}});
    let file = env.write("config.json", settings.to_string().as_bytes());
    let settings = msb_host::settings::Settings::read_from(&file).unwrap();
    let hosts = settings.hosts(&HostOverrides::default()).unwrap();
    let client = msb_host::registry::Client::new(hosts, settings.registries.retry).unwrap();
    let mirror_host = mirror.host();
    let known = Known::saying("third-party", move |request| {
        if request.registry == mirror_host {
            return Ok(answer(RegistryAuth::basic("mirror", "secret-m")));
        }
        Ok(answer(RegistryAuth::basic("registry", "secret-r")))
    });
    let options = with(&[&known]);
    let home = msb_host::home::Home::at(env.home());
    msb_host::image::pull(
        &msb_host::store::Store::open(&home).unwrap(),
        &Arc::new(client),
        &format!("{}/app:1", registry.host()).parse().unwrap(),
        &options.registry_auth(RegistryAuth::basic("given", "secret-g")),
        &msb_host::Context::default(),
    )
    .unwrap();
    for request in mirror.requests() {
        let sent = request.header("authorization");
        assert!(
            [None, Some("Basic bWlycm9yOnNlY3JldC1t")].contains(&sent),
            "{request}"
        );
    }
    assert!(registry.requests().is_empty(), "{}", registry.log());
}

fn the_challenge_of_the_start_is_used_where_a_repository_names_none() {
    let scene = Scene::new();
    let realm = scene.registry.url("/token");
    let challenge = format!(r#"Bearer realm="{realm}",service="tests""#);
    scene
        .registry
        .challenge(&[&challenge], Some(&scene.registry));
    let bare = Arc::new(|_: &Request, answer: Answer| answer.without("WWW-Authenticate"));
    scene
        .registry
        .fault_of_refusals(On::ManifestHead, bare.clone());
    scene.registry.fault_of_refusals(On::Manifest, bare);
    scene.pull("app", &PullOptions::default()).unwrap();
    assert_eq!(scene.registry.asked(&On::Token).len(), 1);
}

fn a_registry_without_a_start_is_pulled_from() {
    let scene = Scene::guarded();
    let gone = Answer::error(404, "UNSUPPORTED", "nothing here");
    scene.registry.fault(On::Ping, ALWAYS, fault::instead(gone));
    scene.pull("app", &PullOptions::default()).unwrap();
}

fn layers_that_are_fetched_at_once_ask_a_provider_once() {
    let scene = Scene::guarded();
    let layers: Vec<String> = (0..8).map(|number| format!("file{number} = x")).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let image = crate::archive::Image::new("", &layers);
    scene.registry.put_image("many", "1", &image);
    let known = Known::having("third-party", RegistryAuth::basic("me", "secret-pass"));
    scene.pull_with("many", &known).unwrap();
    assert_eq!(known.times(), 1);
    assert_eq!(scene.registry.asked(&On::Token).len(), 1);
}

fn an_image_that_is_there_asks_no_provider() {
    let scene = Scene::guarded();
    let known = Known::having("third-party", RegistryAuth::basic("me", "secret-pass"));
    scene.pull_with("app", &known).unwrap();
    let again = Known::having("third-party", RegistryAuth::basic("me", "secret-pass"));
    assert!(scene.pull_with("app", &again).unwrap().already_present);
    assert_eq!(again.times(), 0);
}

fn an_answer_that_is_over_is_asked_for_again_in_the_middle() {
    let scene = Scene::new();
    scene.registry.challenge(&[r#"Basic realm="x""#], None);
    // me:secret-2
    scene.registry.accept_password("bWU6c2VjcmV0LTI=");
    let count = std::sync::atomic::AtomicUsize::new(0);
    let known = Known::saying("third-party", move |request| {
        let number = 1 + count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(request.attempt, u32::try_from(number).unwrap());
        Ok(msb_host::auth::Answer {
            cache: Cache::Never,
            ..answer(RegistryAuth::basic("me", format!("secret-{number}")))
        })
    });
    scene.pull_with("app", &known).unwrap();
    assert_eq!(known.name(), "third-party");
    assert_eq!(known.times(), 2, "once more, with the new password");
}
