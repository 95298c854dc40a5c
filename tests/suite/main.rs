//! msb as its users see it: the binary, real engines, the kernel.
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

mod adopt;
mod amplification;
mod archive;
mod archive_forms;
mod auth;
mod bad_input;
mod catalogue;
mod chains;
mod commands;
mod compiled;
mod compressed;
mod concurrency;
mod digests;
mod disk;
mod docs;
mod documents;
mod engine;
mod env;
mod examples;
mod export;
mod faults;
mod faulty;
mod finding_the_way;
mod fixtures;
mod full_disk;
mod growth;
mod guest;
mod hints;
mod home;
mod incumbent;
mod indexes;
mod inside;
mod interrupts;
mod judges;
mod merged;
mod mount;
mod mounts;
mod naming;
mod odd_archives;
mod outputs;
mod partial_loads;
mod plugins;
mod random_operations;
mod references;
mod registry;
mod resources;
mod round_trip;
mod sandboxes;
mod save_output;
mod scale;
mod scripts;
mod serve;
mod serve_microsandbox;
mod settings;
mod terminal;
mod tools;
mod truth;
mod verify;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use tools::Tool;

/// How long each test took, for the list of the slowest.
static TOOK: Mutex<Vec<(Duration, &str)>> = Mutex::new(Vec::new());
/// Tests in that list.
const SLOWEST: usize = 20;

/// Tests that `cargo xtask test --quick` leaves out, since they take long: they run other people's
/// compilers, wait for what never answers, make images of millions of bytes, or try a great many inputs.
const LONG: [&str; 31] = [
    "amplification::",
    "auth::commands",
    "auth::desk",
    "auth::logins",
    "auth::stages",
    "catalogue::",
    "compiled::",
    "docs::advice",
    "documents::",
    "examples::",
    "faults::",
    "fixtures::",
    "full_disk::",
    "growth::",
    "guest::",
    "hints::",
    "home::",
    "incumbent::",
    "interrupts::",
    "outputs::",
    "plugins::conformance",
    "plugins::guide",
    "plugins::hostile",
    "plugins::languages",
    "plugins::rootfs",
    "plugins::scaffold",
    "registry::",
    "resources::",
    "scale::",
    "truth::",
    "verify::",
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
    // Some only wait for a clock; one more than there are processors keeps these at work.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(processors + 1);
    let strict = std::env::var_os("MSB_TEST_NO_SKIP").is_some();
    let quick = std::env::var_os("MSB_TEST_QUICK").is_some();
    let tests = [
        adopt::tests(),
        amplification::tests(),
        auth::all(),
        catalogue::tests(),
        commands::tests(),
        compiled::tests(),
        compressed::tests(),
        chains::tests(),
        references::tests(),
        registry::all(),
        bad_input::tests(),
        odd_archives::tests(),
        outputs::tests(),
        partial_loads::tests(),
        indexes::tests(),
        incumbent::program().map_or_else(Vec::new, |_| incumbent::tests()),
        archive_forms::tests(),
        save_output::tests(),
        sandboxes::tests(),
        concurrency::tests(),
        digests::tests(),
        disk::tests(),
        docs::tests(),
        documents::all(),
        examples::all(),
        export::tests(),
        inside::tests(),
        mounts::tests(),
        serve::tests(),
        serve_microsandbox::all(),
        faults::all(),
        hints::all(),
        docs::advice::tests(),
        docs::deeds::tests(),
        docs::hour::tests(),
        docs::modules::tests(),
        docs::names::tests(),
        plugins::all(),
        random_operations::tests(),
        faulty::itself::tests(),
        finding_the_way::tests(),
        fixtures::tests(),
        growth::tests(),
        guest::tests(),
        interrupts::tests(),
        judges::tests(),
        merged::tests(),
        naming::tests(),
        full_disk::tests(),
        home::tests(),
        resources::tests(),
        round_trip::tests(),
        terminal::tests(),
        scale::tests(),
        scripts::tests(),
        settings::tests(),
        truth::tests(),
        truth::found::tests(),
        truth::handmade::tests(),
        truth::random::tests(),
        verify::tests(),
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
    env::compiled::remove();
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
