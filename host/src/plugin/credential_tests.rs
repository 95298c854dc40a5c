//! The limits of a provider against a real component that breaks them on purpose.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;

use crate::auth::ProviderError;
use crate::context::Context;
use crate::credential::{Outcome, RegistryAuth};
use crate::plugin::test_bench::{Bench, TIGHT, chain, request};
use crate::plugin::{Failure, PluginBudget, PluginError, Stopped};

#[test]
fn a_misbehaving_provider_is_stopped_and_named_with_the_reason() {
    let bench = Bench::new(&[]);
    let hurried = bench.provider(&["clock"], TIGHT);
    // On a busy machine the others may take as long.
    let patient = bench.provider(
        &["clock"],
        PluginBudget {
            compute: Duration::from_mins(1),
            ..TIGHT
        },
    );
    for (what, words) in [
        ("panic", "a panic on purpose"),
        ("panic", "panics_in_a_function_with_a_name"),
        ("trap", "unreachable"),
        ("loop", "it computed for longer than its 0.8 s"),
        ("allocate", "it asked for more than its 32 MiB of memory"),
        ("recurse", "call stack exhausted"),
        ("flood", "it called the host more than 10000 times"),
        ("hoard", "it held on to more than 16 MiB of secrets"),
        ("huge", "it gave more than its 1 MiB in one answer or call"),
        (
            "huge-in",
            "it gave more than its 1 MiB in one answer or call",
        ),
        ("escape", "the user name has a control character"),
        ("long-name", "the user name is longer than 1024 bytes"),
        ("two-lines", "the token has a control character"),
        ("colon", "the user name has a colon"),
        ("not-text", "the password is not UTF-8"),
        ("no-time", "18446744073709551615 is not a time"),
    ] {
        let provider = if what == "loop" { &hurried } else { &patient };
        let error = provider
            .get(&request(what, ""), &bench.context())
            .unwrap_err();
        let chain = chain(&error);
        assert!(
            chain.starts_with("plugin `rogue` 6.6.6 "),
            "{what}: {chain}"
        );
        assert!(chain.contains(words), "{what}: {chain}");
        assert!(!chain.contains("secret\r\n"), "{what}: {chain}");
        // It is of use again at once, in a fresh instance.
        patient.get(&request("good", ""), &bench.context()).unwrap();
    }
    let provider = bench.provider(&[], PluginBudget::CREDENTIAL);
    let error = provider.list(&bench.context()).unwrap_err();
    assert!(chain(&error).contains("it lists more than 10000 registries"));
}

#[test]
fn a_limit_is_named_with_the_setting_that_raises_it() {
    let bench = Bench::new(&[]);
    for (what, setting) in [
        ("loop", "plugins.limits.rogue.compute_secs"),
        ("allocate", "plugins.limits.rogue.memory_mib"),
        ("flood", "plugins.limits.rogue.host_calls"),
    ] {
        let provider = bench.provider(&[], TIGHT);
        let error = provider
            .get(&request(what, ""), &bench.context())
            .unwrap_err();
        let error = plugin_error(error);
        assert_eq!(error.setting().as_deref(), Some(setting));
        assert!(error.to_string().contains(setting), "{error}");
    }
}

#[test]
fn a_provider_is_stopped_at_its_limit_and_not_when_what_it_waits_for_ends() {
    let bench = Bench::new(&[]);
    bench.helper("slow", "exec sleep 60");
    let limits = PluginBudget {
        compute: Duration::from_millis(300),
        wall: Some(Duration::from_millis(300)),
        ..TIGHT
    };
    let provider = bench.provider(&["helper=slow"], limits);
    // Compiled by now.
    provider
        .get(&request("good", ""), &bench.context())
        .unwrap();
    for (what, argument) in [("loop", ""), ("helper", "slow")] {
        let started = Instant::now();
        provider
            .get(&request(what, argument), &bench.context())
            .unwrap_err();
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "{what}: {took:?}");
    }
}

#[test]
fn a_running_provider_ends_when_the_user_asks() {
    let bench = Bench::new(&[]);
    bench.helper("slow", "exec sleep 60");
    let provider = bench.provider(&["helper=slow"], PluginBudget::CREDENTIAL);
    for (what, argument) in [("loop", ""), ("helper", "slow")] {
        let cancel = crate::cancel::Cancel::default();
        let context = Context {
            cancel: cancel.clone(),
            ..bench.context()
        };
        let later = cancel.clone();
        let waker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            later.cancel();
        });
        let error = provider
            .get(&request(what, argument), &context)
            .unwrap_err();
        assert!(
            matches!(error, ProviderError::Cancelled(_)),
            "{what}: {error:?}"
        );
        waker.join().unwrap();
    }
}

#[test]
fn time_spent_waiting_for_the_host_is_not_time_of_the_guest() {
    let bench = Bench::new(&[]);
    bench.helper(
        "patient",
        "sleep 1; echo '{\"Username\":\"u\",\"Secret\":\"s\"}'",
    );
    let limits = PluginBudget {
        compute: Duration::from_millis(500),
        wall: Some(Duration::from_secs(30)),
        ..TIGHT
    };
    let provider = bench.provider(&["helper=patient"], limits);
    provider
        .get(&request("helper", "patient"), &bench.context())
        .unwrap();
}

#[test]
fn secrets_pass_through_in_both_directions_and_are_not_printed() {
    let bench = Bench::new(&[]);
    let provider = bench.provider(&[], PluginBudget::CREDENTIAL);
    let answer = provider
        .get(&request("good", ""), &bench.context())
        .unwrap();
    assert!(!format!("{answer:?}{provider:?}").contains("secret\""));
    let RegistryAuth::Basic { username, password } = answer.credential else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (username.as_str(), password.expose_secret()),
        ("user", "secret")
    );

    let credential = RegistryAuth::Basic {
        username: "user".to_owned(),
        password: "hunter2".to_owned().into(),
    };
    let error = provider
        .store(&request("ghcr.io", ""), &credential, &bench.context())
        .unwrap_err();
    // Its length is all that the guest could see.
    assert_eq!(error.to_string(), "ghcr.io user 7");
    let error = provider
        .report(&request("ghcr.io", ""), Outcome::Accepted, &bench.context())
        .unwrap_err();
    assert!(matches!(error, ProviderError::Unsupported));
    let error = provider
        .erase(&request("ghcr.io", ""), &bench.context())
        .unwrap_err();
    assert!(matches!(error, ProviderError::NotFound));
}

#[test]
fn a_file_that_was_changed_behind_our_back_is_not_run() {
    let bench = Bench::new(&[]);
    let path = bench.write("plugin.wasm", b"not what was installed", 0o600);
    let digest = crate::digest::Digest::of(b"what was installed");
    let bytes = crate::plugin::ComponentBytes::File { path, digest };
    let failure = bytes.read().unwrap_err();
    assert!(matches!(failure, Failure::Changed { .. }), "{failure}");
    assert!(failure.to_string().contains("plugin.wasm"), "{failure}");
}

#[test]
fn a_wall_that_is_over_while_the_guest_computes_is_met() {
    let bench = Bench::new(&[]);
    let limits = PluginBudget {
        compute: Duration::from_mins(1),
        wall: Some(Duration::from_millis(200)),
        ..TIGHT
    };
    let error = bench
        .provider(&[], limits)
        .get(&request("loop", ""), &bench.context())
        .unwrap_err();
    let error = plugin_error(error);
    assert!(matches!(
        &*error.failure,
        Failure::Stopped(Stopped::Wall(_))
    ));
}

/// Returns the error of a plugin that did not answer at all.
fn plugin_error(error: ProviderError) -> PluginError {
    let ProviderError::Broken(error) = error else {
        panic!("{error:?}");
    };
    *error.downcast().unwrap()
}
