//! The limits of the runtime against a real component that breaks them on purpose.

use std::io;
use std::sync::{Arc, Mutex};

use super::test_bench::{TIGHT, chain, component};
use super::*;
use crate::archive::{
    ArchiveEntry, ArchiveEntryKind, ArchiveError, ArchiveSource, Index, TarOutput,
};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::home::Home;
use crate::progress::{Event, LogLevel, Progress, Silent};

/// An archive of a single empty entry.
#[derive(Debug)]
pub(super) struct OneEntry(Index);

impl OneEntry {
    pub(super) fn named(path: &str) -> Arc<dyn ArchiveSource> {
        let mut index = Index::default();
        let entry = ArchiveEntry {
            path: path.into(),
            kind: ArchiveEntryKind::File,
            size: 0,
            target: None,
        };
        index.push(entry, 1).unwrap();
        Arc::new(Self(index))
    }
}

impl ArchiveSource for OneEntry {
    fn index(&self) -> &Index {
        &self.0
    }

    fn readable(&self, number: u32) -> bool {
        number == 0
    }

    fn digest(&self, _number: u32) -> Option<&Digest> {
        None
    }

    fn read(&self, number: u32, _: u64, _: u32) -> Result<Vec<u8>, ArchiveError> {
        let path = &self.0.entries()[0].path;
        match number {
            0 if path.ends_with("-passed") => Err(ArchiveError::Consumed {
                path: path.to_string(),
                reason: "it is too large to be kept",
            }),
            0 => Ok(Vec::new()),
            number => Err(ArchiveError::NoSuchEntry { number }),
        }
    }

    fn open(&self, _number: u32) -> Result<Box<dyn io::Read + Send>, ArchiveError> {
        Ok(Box::new(io::empty()))
    }
}

/// Keeps what a plugin logs.
#[derive(Default)]
struct Lines(Mutex<Vec<(LogLevel, String)>>);

impl Progress for Lines {
    fn report(&self, event: Event<'_>) {
        if let Event::PluginLog { level, message, .. } = event {
            self.0.lock().unwrap().push((level, message.to_owned()));
        }
    }
}

struct Bench {
    _home: tempfile::TempDir,
    formats: Formats,
    progress: Arc<dyn Progress>,
    cancel: Cancel,
}

impl Bench {
    fn new(progress: Arc<dyn Progress>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut formats = Formats::builtin(&Home::at(home.path()));
        let cancel = Cancel::default();
        formats
            .add(
                "misbehaving",
                component("misbehaving"),
                TIGHT,
                &progress,
                &cancel,
            )
            .unwrap();
        Self {
            _home: home,
            formats,
            progress,
            cancel,
        }
    }

    /// Returns the whole chain of the error that the plugin's misbehaviour ends in.
    fn misbehave(&self, how: &str) -> (FormatError, String) {
        let error = self
            .formats
            .read(&OneEntry::named(how), &self.progress, &self.cancel)
            .unwrap_err();
        let chain = chain(&error);
        (error, chain)
    }
}

fn silent() -> Arc<dyn Progress> {
    Arc::new(Silent)
}

#[test]
fn an_error_that_nobody_would_read_to_its_end_is_cut() {
    let long = super::bindings::msb::plugin::types::Error::Malformed("ä".repeat(1 << 20));
    let cut = super::Refusal::from(long).to_string();
    assert_eq!(cut, "ä".repeat(2048));
}

#[test]
fn the_note_of_each_builtin_format_is_what_the_plugin_says_of_itself() {
    let home = tempfile::tempdir().unwrap();
    for package in super::builtin::packages() {
        let PluginKind::Format(noted) = &package.kind else {
            continue;
        };
        let mut formats = Formats::builtin(&Home::at(home.path()));
        let said = formats
            .add(
                &package.name,
                package.component.read().unwrap().to_vec(),
                PluginBudget::FORMAT,
                &silent(),
                &Cancel::default(),
            )
            .unwrap();
        assert_eq!(noted, said);
    }
}

#[test]
fn the_note_of_each_builtin_provider_is_what_the_plugin_says_of_itself() {
    let home = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(&Home::at(home.path()));
    let mut noted = 0;
    for package in super::builtin::packages() {
        let bytes = package.component.read().unwrap();
        let inspection = runtime
            .inspect(&package.name, &bytes, &silent(), &Cancel::default())
            .unwrap();
        let (PluginKind::Credential(said), PluginKind::Credential(ours)) =
            (&inspection.kind, &package.kind)
        else {
            continue;
        };
        noted += 1;
        assert_eq!(
            (&said.name, &said.title, said.operations, &said.registries),
            (&ours.name, &ours.title, ours.operations, &ours.registries)
        );
        assert_eq!((said.tier, said.reads), (ours.tier, ours.reads));
        let asked: Grants = said.needs.iter().map(|need| need.grant.clone()).collect();
        assert_eq!(asked, package.grants, "{}", package.name);
        // It has no permission of an interface that it does not even import.
        for grant in package.grants.iter() {
            assert!(
                inspection.capabilities.contains(&grant.capability()),
                "{}: {grant}",
                package.name
            );
        }
        assert!(!inspection.wasi);
    }
    assert_eq!(noted, 4);
}

#[test]
fn a_misbehaving_plugin_is_stopped_and_named_with_the_reason() {
    let bench = Bench::new(silent());
    for (how, words) in [
        ("panic", "a panic on purpose"),
        ("panic", "panics_in_a_function_with_a_name"),
        ("trap", "unreachable"),
        ("loop", "it computed for longer than its 0.8 s"),
        ("allocate", "it asked for more than its 32 MiB of memory"),
        ("recurse", "call stack exhausted"),
        ("flood", "it called the host more than 10000 times"),
        ("out-of-range", "entry 4000000000 of an archive with 1"),
        ("bad-digest", "is not a digest"),
        ("huge", "it gave more than its 1 MiB in one answer or call"),
        (
            "huge-in",
            "it gave more than its 1 MiB in one answer or call",
        ),
        // Escaped where it is printed.
        ("escape", "\u{1b}[2Jall is well"),
        ("no-output", "there is no output in this operation"),
        ("past-the-end", "0 bytes, then Some(Error::Missing"),
    ] {
        let (_, chain) = bench.misbehave(how);
        assert!(chain.contains("plugin `misbehaving`"), "{how}: {chain}");
        assert!(chain.contains(words), "{how}: {chain}");
    }
}

#[test]
fn a_loop_is_stopped_for_its_time() {
    let bench = Bench::new(silent());
    let (error, _) = bench.misbehave("loop");
    let FormatError::Plugin(error) = error else {
        panic!("{error:?}");
    };
    assert!(matches!(
        &*error.failure,
        Failure::Stopped(Stopped::Time(_))
    ));
}

#[test]
fn a_running_plugin_ends_when_the_user_asks() {
    let bench = Bench::new(silent());
    bench.cancel.cancel();
    let (error, _) = bench.misbehave("loop");
    let FormatError::Plugin(error) = error else {
        panic!("{error:?}");
    };
    assert!(matches!(
        &*error.failure,
        Failure::Stopped(Stopped::Cancelled(_))
    ));
}

#[test]
fn a_plugin_that_chatters_is_cut_short() {
    let lines = Arc::new(Lines::default());
    let bench = Bench::new(Arc::clone(&lines) as Arc<dyn Progress>);
    bench.misbehave("chatter");
    let lines = lines.0.lock().unwrap();
    assert_eq!(lines.len(), 1000);
    assert!(lines.iter().all(|(_, line)| line.len() <= 4096));
}

#[test]
fn paths_that_leave_the_archive_or_repeat_are_not_written() {
    let bench = Bench::new(silent());
    let output = TarOutput::new(
        "test".to_owned(),
        Box::new(io::sink()),
        Vec::new(),
        silent(),
        Cancel::default(),
    );
    bench
        .formats
        .write(
            "misbehaving",
            &[],
            Box::new(output),
            &bench.progress,
            &bench.cancel,
        )
        .unwrap();
}

#[test]
fn a_format_that_nobody_writes_is_refused_with_those_that_are() {
    let home = tempfile::tempdir().unwrap();
    let formats = Formats::builtin(&Home::at(home.path()));
    let error = formats.check_writes("tarball").unwrap_err();
    let FormatError::NoSuchFormat { offered, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(offered, ["docker", "oci"]);
}

#[test]
fn looking_at_the_formats_starts_no_engine() {
    let home = tempfile::tempdir().unwrap();
    let formats = Formats::builtin(&Home::at(home.path()));
    assert_eq!(formats.descriptions().count(), 2);
    assert!(!Home::at(home.path()).plugin_cache().exists());
}

#[test]
fn bytes_that_are_no_component_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut formats = Formats::builtin(&Home::at(home.path()));
    for bytes in [&b"not wasm"[..], b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"] {
        let error = formats
            .add(
                "broken",
                bytes.to_vec(),
                TIGHT,
                &silent(),
                &Cancel::default(),
            )
            .unwrap_err();
        assert!(matches!(error, FormatError::Plugin(_)), "{error}");
    }
}

#[test]
fn a_damaged_cache_of_compiled_code_is_compiled_again() {
    let home = tempfile::tempdir().unwrap();
    let at = Home::at(home.path());
    let source = OneEntry::named("nothing");
    let ask = || {
        let formats = Formats::builtin(&at);
        formats.read(&source, &silent(), &Cancel::default())
    };
    assert!(matches!(ask(), Err(FormatError::Unrecognised { .. })));
    let mut damaged = 0;
    for file in walkdir::WalkDir::new(at.plugin_cache()) {
        let file = file.unwrap();
        if file.file_type().is_file() {
            std::fs::write(file.path(), b"garbage").unwrap();
            damaged += 1;
        }
    }
    assert!(damaged >= 2, "{damaged} files in the cache");
    assert!(matches!(ask(), Err(FormatError::Unrecognised { .. })));
}
