//! Against a server in memory.

use std::cell::RefCell;
use std::rc::Rc;

use msb_plugin::fake::{Asked, FakeSystem, bytes_of};
use msb_plugin::system::{Refusal, Response};

use super::*;

const SETTINGS: &str = r#"{"registries":{"registry.example.com":{
    "device_endpoint":"https://id.example.com/device","token_endpoint":"https://id.example.com/token",
    "client_id":"msb cli","scope":"a b","username":"oauth2"}}}"#;
const CODE: &str = r#"{"device_code":"dev/1","user_code":"WDJB-MJHT",
    "verification_uri":"https://id.example.com/page","expires_in":600,"interval":7}"#;
const TOKENS: &str = r#"{"access_token":"acc-1","refresh_token":"ref/1","expires_in":3600}"#;

fn response(status: u16, body: &str) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: body.into(),
    }
}

/// A server that answers at the token endpoint as it is told, one answer after the other.
fn system(answers: Vec<(u16, String)>) -> (FakeSystem, Rc<RefCell<Vec<Asked>>>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let (noted, answers) = (Rc::clone(&asked), RefCell::new(answers.into_iter()));
    let system = FakeSystem::new()
        .settings(SETTINGS)
        .now(1_000)
        .server(move |request: &Asked| {
            noted.borrow_mut().push(request.clone());
            if request.url.ends_with("/device") {
                return Ok(response(200, CODE));
            }
            match answers.borrow_mut().next() {
                Some((0, _)) | None => Err(Refusal::Unavailable("no answer".to_owned())),
                Some((status, body)) => Ok(response(status, &body)),
            }
        });
    (system, asked)
}

fn error(code: &str) -> (u16, String) {
    (400, format!(r#"{{"error":"{code}"}}"#))
}

fn tokens() -> (u16, String) {
    (200, TOKENS.to_owned())
}

fn log_in(system: &FakeSystem) -> Result<Answer, Error> {
    DeviceLogin::get(system, &Request::login("registry.example.com"))
}

fn pull(system: &FakeSystem) -> Result<Answer, Error> {
    DeviceLogin::get(system, &Request::pull("registry.example.com"))
}

fn password(answer: &Answer) -> String {
    let Credential::Basic(name, password) = &answer.credential else {
        panic!("no password");
    };
    assert_eq!(name, "oauth2");
    String::from_utf8(bytes_of(password)).unwrap()
}

fn waits(system: &FakeSystem) -> Vec<String> {
    let calls = system.calls().into_iter();
    calls
        .filter(|call| call.starts_with("prompt wait"))
        .collect()
}

#[test]
fn the_user_enters_a_code_and_is_waited_for_as_the_server_wants() {
    let answers = vec![
        error("authorization_pending"),
        error("slow_down"),
        (0, String::new()),
        tokens(),
    ];
    let (system, asked) = system(answers);
    let answer = log_in(&system).unwrap();
    assert_eq!(password(&answer), "acc-1");
    let shown = &system.shown()[0];
    assert_eq!(shown.url.as_deref(), Some("https://id.example.com/page"));
    assert_eq!(shown.code.as_deref(), Some("WDJB-MJHT"));
    // Slower where it is told so, and twice as slow after silence.
    let waited = [
        "prompt wait 7",
        "prompt wait 7",
        "prompt wait 12",
        "prompt wait 24",
    ];
    assert_eq!(waits(&system), waited);
    assert_eq!(answer.cache, Cache::Until(1_000 + 50 + 3_600));
    let asked = asked.borrow();
    assert_eq!(asked[0].body, b"client_id=msb%20cli&scope=a%20b");
    let form = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=msb%20cli\
                &device_code=dev%2F1";
    assert_eq!(String::from_utf8_lossy(&asked[1].body), form);
    // Then a pull talks to no one.
    assert_eq!(password(&pull(&system).unwrap()), "acc-1");
    assert_eq!((asked.len(), system.shown().len()), (5, 1));
}

#[test]
fn a_login_that_comes_to_nothing_says_why() {
    for (code, words) in [
        ("access_denied", "refused in the browser"),
        ("expired_token", "not entered in time"),
        ("invalid_client", "(invalid_client)"),
    ] {
        let (system, _) = system(vec![error(code)]);
        let error = log_in(&system).unwrap_err();
        assert!(error.message().contains(words), "{error:?}");
        assert!(matches!(pull(&system), Err(Error::NotFound)));
    }
    // No wait is without end.
    let (system, _) = system(vec![error("authorization_pending"); 1_000]);
    let error = log_in(&system).unwrap_err();
    assert!(error.message().contains("not entered in time"), "{error:?}");
    assert_eq!(waits(&system).len(), 600_usize.div_ceil(7));
}

#[test]
fn a_token_that_has_ended_is_refreshed_without_a_word() {
    let next = (
        200,
        r#"{"access_token":"acc-2","expires_in":3600}"#.to_owned(),
    );
    let (system, asked) = system(vec![tokens(), next.clone(), next, error("invalid_grant")]);
    log_in(&system).unwrap();
    let system = system.now(10_000);
    assert_eq!(password(&pull(&system).unwrap()), "acc-2");
    let form = "grant_type=refresh_token&client_id=msb%20cli&refresh_token=ref%2F1";
    assert_eq!(String::from_utf8_lossy(&asked.borrow()[2].body), form);
    // What the registry refuses is not given again.
    let again = Request {
        attempt: 2,
        ..Request::pull("registry.example.com")
    };
    assert_eq!(
        password(&DeviceLogin::get(&system, &again).unwrap()),
        "acc-2"
    );
    // In the end the server wants to see the user.
    let error = DeviceLogin::get(&system, &again).unwrap_err();
    let Error::Denied(problem) = error else {
        panic!("{error:?}");
    };
    let hint = problem.hint.unwrap();
    assert_eq!(
        hint,
        "log in with `msb registry login registry.example.com`"
    );
    assert!(matches!(pull(&system), Err(Error::NotFound)));
    assert_eq!(system.shown().len(), 1);
}

#[test]
fn a_logout_forgets_all_of_it() {
    let (system, _) = system(vec![tokens()]);
    let request = Request::pull("registry.example.com");
    assert!(matches!(
        DeviceLogin::erase(&system, &request),
        Err(Error::NotFound)
    ));
    log_in(&system).unwrap();
    DeviceLogin::erase(&system, &request).unwrap();
    assert!(matches!(pull(&system), Err(Error::NotFound)));
    let other = Request::login("ghcr.io");
    assert!(matches!(
        DeviceLogin::get(&system, &other),
        Err(Error::NotMine)
    ));
}
