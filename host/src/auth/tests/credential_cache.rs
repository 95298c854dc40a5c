//! How long an answer is used again, and what for.

use std::time::{Duration, SystemTime};

use super::*;
use crate::credential::{Action, Outcome};

#[test]
fn many_who_ask_at_once_are_answered_by_one_question() {
    let scene = TestContext::new();
    let docker = Arc::new(Fake::answering("docker-config").slow());
    let chain = chain(&[&docker], &BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let resolution = chain.ask(&login_query(), &scene.context()).unwrap();
                assert_eq!(who(&resolution), Some("docker-config"));
            });
        }
    });
    assert_eq!(docker.times(), 1);
}

#[test]
fn an_answer_is_used_again_as_far_as_it_reaches_and_as_long_as_it_lives() {
    let now = SystemTime::now();
    let hour = Duration::from_hours(1);
    for (cache, extent, same, other) in [
        (Cache::Session, CredentialExtent::Registry, 1, 1),
        (Cache::Session, CredentialExtent::Repository, 1, 2),
        (Cache::Never, CredentialExtent::Registry, 2, 3),
        (Cache::Until(now + hour), CredentialExtent::Registry, 1, 1),
        (Cache::Until(now - hour), CredentialExtent::Registry, 2, 3),
        (
            Cache::Until(now + Duration::from_secs(30)),
            CredentialExtent::Registry,
            2,
            3,
        ),
    ] {
        let scene = TestContext::new();
        let fake = Arc::new(Fake::new("docker-config", move |_| {
            Ok(Answer {
                cache,
                extent,
                ..answer("docker-config")
            })
        }));
        let chain = chain(&[&fake], &BTreeMap::new());
        let ask = |repository: &str| {
            let query = CredentialRequest {
                repository: Some(repository.to_owned()),
                ..login_query()
            };
            chain.ask(&query, &scene.context()).unwrap();
        };
        ask("app");
        ask("app");
        assert_eq!(fake.times(), same, "{cache:?} {extent:?}");
        ask("other");
        assert_eq!(fake.times(), other, "{cache:?} {extent:?}");
    }
}

#[test]
fn an_answer_for_reading_is_none_for_writing() {
    let scene = TestContext::new();
    let fake = Arc::new(Fake::answering("docker-config"));
    let chain = chain(&[&fake], &BTreeMap::new());
    chain.ask(&login_query(), &scene.context()).unwrap();
    let push = CredentialRequest {
        action: Action::Push,
        ..login_query()
    };
    chain.ask(&push, &scene.context()).unwrap();
    assert_eq!(fake.times(), 2);
}

#[test]
fn a_refused_answer_is_reported_and_not_used_again() {
    let scene = TestContext::new();
    let fake = Arc::new(Fake::answering("docker-config"));
    let chain = chain(&[&fake], &BTreeMap::new());
    let resolution = chain.ask(&login_query(), &scene.context()).unwrap();
    let from = resolution.from.clone().unwrap();
    chain.report(&login_query(), &from, Outcome::Rejected, &scene.context());
    assert_eq!(*fake.reports.lock().unwrap(), [Outcome::Rejected]);
    chain.ask(&login_query(), &scene.context()).unwrap();
    assert_eq!(fake.times(), 2);
}
