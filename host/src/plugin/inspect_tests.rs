//! What is not a plugin, in plain words; what is one, with all that it could use.

use super::*;
use crate::home::Home;
use crate::plugin::PluginMetadata;
use crate::plugin::test_bench::component;
use crate::progress::Silent;

/// A core module that imports `proc_exit` of WASI preview 1.
const PREVIEW1: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\
    \x02\x24\x01\x16wasi_snapshot_preview1\x09proc_exit\0\0";

fn inspect(bytes: &[u8]) -> Result<Inspection, crate::plugin::PluginError> {
    let home = tempfile::tempdir().unwrap();
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    Runtime::new(&Home::at(home.path())).inspect("new", bytes, &progress, &Cancel::default())
}

fn component_of(imports: &[&str], exports: &[&str]) -> Outside {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Outside {
        imports: owned(imports),
        exports: owned(exports),
        code: true,
        metadata: PluginMetadata::default(),
    }
}

#[test]
fn what_is_no_component_is_refused_with_what_it_is() {
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, words) in [
        (&b""[..], "an empty file"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"\x7fELF", "a program of this system"),
        (b"(component)", "the text form"),
        (b"<!doctype html>", "perhaps an error page"),
        (b"\x89PNG", "something else"),
        (&tar, "a tar archive"),
        (b"\0asm", "it is damaged"),
        (
            b"\0asm\x01\0\0\0",
            "it is a core module and not a component",
        ),
        (PREVIEW1, "a core module for WASI preview 1"),
        (b"\0asm\x0d\0\x01\0", "it is a package of interfaces (WIT)"),
    ] {
        let error = inspect(bytes).unwrap_err();
        let Failure::Unusable(text) = &*error.failure else {
            panic!("{error:?}");
        };
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_component_of_another_world_or_api_is_refused_with_what_it_was_built_for() {
    for (imports, exports, words) in [
        (
            &[][..],
            &["wasi:cli/run@0.2.0"][..],
            &[
                "it exports `wasi:cli/run@0.2.0`",
                "`msb:plugin/archive@0.1.1`",
            ][..],
        ),
        (
            &["msb:plugin/log@0.2.0"],
            &["msb:plugin/archive@0.2.0"],
            &[
                "it was built for msb:plugin@0.2.0",
                "this msb offers msb:plugin@0.1.1",
            ],
        ),
        (
            &["msb:plugin/telepathy@0.3.1"],
            &["msb:plugin/archive@0.1.0"],
            &["built for msb:plugin@0.3.1 (`telepathy`)"],
        ),
        (
            &[],
            &["msb:plugin/archive@0.1.0", "msb:plugin/credentials@0.1.0"],
            &["at once; build two components"],
        ),
        (
            &[],
            &["a", "b", "c", "d", "e", "f"],
            &["`a`, `b`, `c`, `d`, 2 more"],
        ),
    ] {
        let Err(Failure::Mismatch(text) | Failure::TooNew(text)) =
            world(&component_of(imports, exports))
        else {
            panic!("{exports:?}");
        };
        for words in words {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}

#[test]
fn a_later_wasi_is_refused_and_an_earlier_one_is_taken() {
    let of = |wasi| {
        component_of(
            &["msb:plugin/log@0.1.1", wasi],
            &["msb:plugin/archive@0.1.0"],
        )
    };
    for wasi in [
        "wasi:random/random@0.3.0",
        "wasi:cli/run@0.3.0-rc-2026-03",
        "wasi:io/poll@1.0.0",
    ] {
        let error = world(&of(wasi)).unwrap_err();
        assert!(matches!(error, Failure::NewerWasi(_)), "{wasi}: {error}");
    }
    for wasi in [
        "wasi:random/random@0.2.0",
        "wasi:random/random@0.2.11",
        "wasi:logging/logging",
    ] {
        world(&of(wasi)).unwrap();
    }
}

#[test]
fn a_later_version_of_the_same_api_is_taken() {
    let found = world(&component_of(
        &["msb:plugin/log@0.1.4"],
        &["msb:plugin/credentials@0.1.9", "init"],
    ));
    assert_eq!(found.unwrap(), (World::Credential, "0.1.9".to_owned()));
}

#[test]
fn an_inspection_tells_what_a_provider_could_use_and_asks_for() {
    let inspection = inspect(&component("misbehaving-credentials")).unwrap();
    let PluginKind::Credential(description) = &inspection.kind else {
        panic!("{inspection:?}");
    };
    assert_eq!(description.name, "misbehaving-credentials");
    assert_eq!(inspection.api, API);
    assert_eq!(inspection.capabilities, Capability::ALL);
    assert!(!inspection.wasi);
    let needs: Vec<String> = inspection
        .needs
        .iter()
        .map(|need| format!("{}: {}", need.grant, need.reason))
        .collect();
    assert_eq!(needs, ["env=MISBEHAVING_*: to see what is there"]);
    assert!(
        inspection
            .imports
            .contains(&"msb:plugin/env@0.1.1".to_owned())
    );
}

#[test]
fn an_inspection_of_a_format_tells_that_it_wants_nothing() {
    let bytes = component("docker-archive");
    let inspection = inspect(&bytes).unwrap();
    assert!(matches!(inspection.kind, PluginKind::Format(_)));
    assert!(inspection.capabilities.is_empty() && inspection.needs.is_empty());
    assert_eq!(inspection.size, bytes.len() as u64);
    assert_eq!(inspection.digest, Digest::of(&bytes));
    assert_eq!(inspection.metadata.name.as_deref(), Some("docker-archive"));
    assert!(inspection.metadata.version.is_some());
    assert!(inspection.metadata.licenses.is_some());
}

/// Returns a section of plain text.
fn section(name: &str, text: &str) -> Vec<u8> {
    let length = |bytes: &str| u8::try_from(bytes.len()).unwrap();
    let mut bytes = vec![0, 1 + length(name) + length(text), length(name)];
    bytes.extend([name, text].concat().bytes());
    bytes
}

/// Returns a component with a module in it that has this section.
fn around_module(section: &[u8]) -> Vec<u8> {
    let module = [b"\0asm\x01\0\0\0", section].concat();
    let head = [
        &b"\0asm\x0d\0\x01\0\x01"[..],
        &[u8::try_from(module.len()).unwrap()],
    ];
    [&head.concat()[..], &module].concat()
}

#[test]
fn what_an_author_says_stands_in_the_component_or_else_in_its_first_module() {
    let version = |bytes: &[u8]| outside(bytes).unwrap().metadata.version;
    let mut bytes = around_module(&section("version", "1.2.3"));
    assert_eq!(version(&bytes).as_deref(), Some("1.2.3"));
    bytes.extend(section("version", "2.0.0"));
    assert_eq!(version(&bytes).as_deref(), Some("2.0.0"));

    let mut second = around_module(&[]);
    second.extend(&around_module(&section("version", "1.2.3"))[8..]);
    assert_eq!(version(&second), None);
}

#[test]
fn a_component_that_is_cut_off_anywhere_is_refused() {
    let bytes = component("docker-archive");
    for part in 1..20 {
        inspect(&bytes[..bytes.len() * part / 20]).unwrap_err();
    }
}
