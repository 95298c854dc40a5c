//! What is said of a process that compiles, by how it ends; and programs that are none.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::plugin::test_components::{component_of, loops, module, section};

/// Compiles with a shell script as the process.
fn compile(script: &str) -> Result<Vec<u8>, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("compiler");
    // Another process writes it: while one of ours has it open for writing, it cannot be run.
    let written = Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\n%s\n' \"$2\" > \"$1\"", "sh"])
        .args([path.as_os_str(), script.as_ref()])
        .status();
    assert!(written.unwrap().success());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bytes = component_of(&section(1, &module(1, &loops(3)))).into();
    let structure = Structure::default();
    in_process(&path, bytes, structure, COMPUTE, &Cancel::default())
}

#[test]
fn how_the_process_ends_says_what_became_of_it() {
    assert_eq!(compile("cat > /dev/null; printf code").unwrap(), b"code");
    for (script, words) in [
        (
            "echo it is odd; exit 3",
            "it is not a usable WebAssembly component: it is odd",
        ),
        ("exit 4", "compiling it takes more than 512 MiB of memory"),
        (
            "kill -KILL $$",
            "compiling it takes more than 512 MiB of memory",
        ),
        (
            "echo memory allocation of 5 bytes failed >&2; kill -ABRT $$",
            "compiling it takes more than 512 MiB of memory",
        ),
        (
            "kill -XCPU $$",
            "compiling it takes more than 10 s of the processor's time",
        ),
        (
            "echo oh >&2; kill -SEGV $$",
            "the compiler has failed at it (signal 11): oh",
        ),
    ] {
        let failure = compile(script).unwrap_err();
        assert!(failure.to_string().contains(words), "{script}: {failure}");
    }
    let failure = compile("echo what >&2; exit 2").unwrap_err();
    assert!(matches!(&failure, Failure::Compiler(source) if source.to_string().contains("what")));
}

#[test]
fn a_program_that_is_not_there_is_an_error_of_its_own() {
    let nowhere = Path::new("/nowhere/msb");
    let failure = in_process(
        nowhere,
        Bytes::new(),
        Structure::default(),
        COMPUTE,
        &Cancel::default(),
    );
    assert!(matches!(failure, Err(Failure::Compiler(_))));
}

#[test]
fn whoever_does_not_want_to_wait_for_the_process_need_not() {
    let cancel = Cancel::default();
    cancel.cancel();
    let started = Instant::now();
    let failure = in_process(
        Path::new("/bin/sleep"),
        Bytes::new(),
        Structure::default(),
        COMPUTE,
        &cancel,
    );
    assert!(matches!(failure, Err(Failure::Stopped(_))));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_thread_that_takes_too_long_is_not_waited_for() {
    let engine = crate::plugin::engine::start().unwrap();
    let bytes = component_of(&section(1, &module(1, &loops(150)))).into();
    let limit = Some(Duration::from_millis(1));
    let failure = in_thread(&engine, bytes, limit, &Cancel::default());
    assert!(matches!(
        failure,
        Err(Failure::Compiling(CompileLimit::Wall(_)))
    ));
}

#[test]
fn only_its_own_argument_makes_a_program_a_compiler() {
    let asked = |arguments: &[&str]| super::asked(arguments.iter().map(OsString::from));
    for other in [
        &[][..],
        &["load", ARGUMENT],
        &[ARGUMENT],
        &[ARGUMENT, "x"],
        &[ARGUMENT, "10", "x"],
    ] {
        assert_eq!(asked(other), None, "{other:?}");
    }
    let compute = Duration::from_secs(10);
    for (arguments, quickly) in [
        (&[ARGUMENT, "10"][..], false),
        (&[ARGUMENT, "10", QUICKLY], true),
    ] {
        assert_eq!(asked(arguments), Some(Asked { compute, quickly }));
    }
}
