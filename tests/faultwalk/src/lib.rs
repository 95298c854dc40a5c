//! Runs a command, counts the calls by which all of its threads touch files below some folders, and
//! lets one of them fail, or kills the command in front of it. The kernel asks about each call
//! (seccomp user notification), so that raw system calls are seen as well. Linux only.
//!
//! Knows nothing of msb: the program beside it does.

#![cfg(target_os = "linux")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "the kernel hands arguments over as words; only so many bits of each have a meaning"
)]

mod calls;
mod notify;
mod walk;

pub use calls::{CALLS, Call, Fault, Kind};
pub use walk::{Plan, Walked, run};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::*;

    /// Runs a line of shell in a folder of its own.
    fn shell(line: &str, plan: Plan) -> (Walked, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().canonicalize().unwrap();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .current_dir(&place)
            .stdin(Stdio::null());
        (run(&mut command, &[place], plan).unwrap(), folder)
    }

    #[test]
    fn calls_below_the_folder_are_counted_and_no_others() {
        let (walked, folder) = shell("echo one > a; echo two >> a; mkdir b", Plan::Count);
        assert!(walked.output.status.success(), "{walked:?}");
        assert_eq!(
            std::fs::read(folder.path().join("a")).unwrap(),
            b"one\ntwo\n"
        );
        let count = |wanted| walked.kinds.iter().filter(|kind| **kind == wanted).count();
        assert_eq!(
            (count(Kind::Open), count(Kind::Write)),
            (2, 2),
            "{walked:?}"
        );
        let (walked, _) = shell("cat /etc/passwd > /dev/null", Plan::Count);
        assert!(!walked.kinds.contains(&Kind::Open), "{walked:?}");
    }

    #[test]
    fn the_call_that_was_chosen_fails() {
        let line = "echo one > a; echo two > b";
        let (walked, folder) = shell(line, Plan::Fail(Fault::Enospc, 3));
        assert!(walked.hit.as_deref().unwrap().ends_with("/b"), "{walked:?}");
        assert!(!folder.path().join("b").exists());
        let said = String::from_utf8_lossy(&walked.output.stderr).into_owned();
        assert!(said.contains("No space left"), "{said}");
        let (walked, _) = shell(line, Plan::Fail(Fault::Enospc, 100));
        assert_eq!(walked.hit, None);
    }

    #[test]
    fn a_kill_comes_in_front_of_the_call() {
        let line = "echo one > a; echo two > b";
        let (whole, _) = shell(line, Plan::Count);
        let write = whole.kinds.iter().position(|kind| *kind == Kind::Write);
        let (walked, folder) = shell(line, Plan::Kill(write.unwrap() + 1));
        assert!(
            walked.hit.as_deref().unwrap().starts_with("write of "),
            "{walked:?}"
        );
        assert!(!walked.output.status.success());
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"");
        assert!(!folder.path().join("b").exists());
    }

    #[test]
    fn a_command_that_is_not_there_is_an_error() {
        let mut command = Command::new("/nowhere/command");
        command.stdin(Stdio::null());
        let error = run(&mut command, &[PathBuf::from("/")], Plan::Count).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
}
