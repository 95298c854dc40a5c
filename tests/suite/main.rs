//! msb as its users see it: the binary, real engines, the kernel.
//!
//! A directory has the tests of one command or module; `support` has what they are made with.
//!
//! Each test says which tools it needs. Where one is missing the test is listed as ignored, with a
//! line that says so; with `MSB_TEST_NO_SKIP=1` it fails instead. `MSB_TEST_QUICK=1` leaves out those
//! that take long.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and says what it was"
)]

mod auth;
mod cli;
mod disks;
mod docs;
mod documents;
mod export;
mod guest;
mod hints;
mod images;
mod library;
mod load;
mod microsandbox;
mod mounts;
mod oracle;
mod plugins;
mod pull;
mod registry;
mod save;
mod scale;
mod serve;
mod store;
mod support;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use support::{
    archive, authority, compiled, docker_registry, engine, env, faulty, http_proxy, mount,
    registry_scene, relay, socks_proxy, token_service, tools,
};
use tools::Tool;

/// How long each test took, for the list of the slowest.
static TOOK: Mutex<Vec<(Duration, &str)>> = Mutex::new(Vec::new());
/// Tests in that list.
const SLOWEST: usize = 20;

/// Tests that `cargo xtask test --quick` leaves out, since they take long: they run other people's
/// compilers, wait for what never answers, make images of millions of bytes, or try a great many inputs.
const LONG: [&str; 41] = [
    "auth::commands",
    "auth::login",
    "auth::other_tools",
    "auth::roles::a_provider_in_python",
    "auth::roles::a_wish_of_a_provider",
    "auth::sources",
    "cli::interrupts::",
    "disks::compressed::",
    "docs::advice",
    "documents::",
    "guest::",
    "hints::",
    "images::verify::",
    "library::",
    "load::amplification::",
    "load::engine_outputs::",
    "load::resources::",
    "microsandbox::adopt::",
    "microsandbox::incumbent::",
    "oracle::fixtures::",
    "oracle::truth::",
    "plugins::bombs::",
    "plugins::compiled::",
    "plugins::conformance",
    "plugins::device_login::",
    "plugins::examples::",
    "plugins::guide",
    "plugins::hostile",
    "plugins::languages",
    "plugins::rootfs",
    "plugins::scaffold",
    "pull::",
    "registry::",
    "save::round_trip::",
    "scale::growth::",
    "scale::layers::",
    "serve::microsandbox::failures::",
    "store::catalogue::",
    "store::full_disk::",
    "store::home::",
    "store::random_operations::",
];

/// A test and what it needs.
struct Test {
    name: &'static str,
    needs: &'static [Tool],
    run: fn(),
}

macro_rules! tests {
    ($($name:ident $(needs $($tool:ident),+)?;)*) => {
        pub(crate) fn tests() -> Vec<crate::Test> {
            vec![$(crate::Test {
                name: concat!(module_path!(), "::", stringify!($name)),
                needs: &[$($(crate::tools::Tool::$tool),+)?],
                run: $name,
            }),*]
        }
    };
}
use tests;

fn main() {
    let mut arguments = Arguments::from_args();
    // Some only wait for a clock or a disk; twice as many as there are processors keep these at work.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(processors * 2);
    let strict = std::env::var_os("MSB_TEST_NO_SKIP").is_some();
    let quick = std::env::var_os("MSB_TEST_QUICK").is_some();
    let tests = [
        auth::all(),
        cli::all(),
        disks::all(),
        docs::all(),
        documents::all(),
        export::tests(),
        guest::tests(),
        hints::all(),
        images::all(),
        library::tests(),
        load::all(),
        microsandbox::all(),
        mounts::all(),
        oracle::all(),
        plugins::all(),
        pull::all(),
        registry::all(),
        save::all(),
        scale::all(),
        serve::all(),
        store::all(),
        faulty::itself::tests(),
    ];
    let trials = tests
        .into_iter()
        .flatten()
        .map(|test| {
            let missing: Vec<&Tool> = test.needs.iter().filter(|tool| !tool.is_there()).collect();
            let name = test.name.trim_start_matches("suite::");
            let left_out = quick && LONG.iter().any(|it| name.starts_with(it));
            if !missing.is_empty() && !left_out {
                eprintln!("SKIPPED {name}: this machine has no {missing:?}");
            }
            let skip = !missing.is_empty() && !strict;
            let missing = format!("{missing:?}");
            let run = test.run;
            Trial::test(name, move || {
                if missing != "[]" {
                    return Err(format!("this machine has no {missing}").into());
                }
                let started = Instant::now();
                run();
                let mut took = TOOK.lock().unwrap_or_else(PoisonError::into_inner);
                took.push((started.elapsed(), name));
                Ok(())
            })
            .with_ignored_flag(skip || left_out)
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    engine::stop_docker();
    compiled::remove();
    show_slowest();
    conclusion.exit();
}

/// Says which tests took longest, where there were enough of them to ask.
fn show_slowest() {
    let mut took = TOOK.lock().unwrap_or_else(PoisonError::into_inner);
    if took.len() < 2 * SLOWEST {
        return;
    }
    took.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let all: Duration = took.iter().map(|(time, _)| *time).sum();
    eprintln!(
        "\nslowest of {} tests ({} s in all):",
        took.len(),
        all.as_secs()
    );
    for (time, name) in took.iter().take(SLOWEST) {
        eprintln!("{:7.1} s  {name}", time.as_secs_f64());
    }
}
