//! Components that are made to be costly to compile: refused before the user is asked, within 10 s
//! of the processor's time and 512 MiB.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::{component, place};
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    what_takes_too_long_to_compile_is_refused_in_time;
    what_takes_too_much_memory_to_compile_is_refused_before_it_has_it;
    what_is_large_costs_no_more_than_it_may;
    what_has_too_many_parts_is_not_compiled_at_all;
    what_takes_long_is_compiled_with_more_time_as_advised;
    an_update_to_a_bomb_leaves_the_old_one;
    what_is_ordinary_is_compiled_once_and_kept;
}

/// What a process that compiles may have: its memory, and the pages of msb itself.
const MEMORY: u64 = (512 + 160) << 20;
/// What it may compute, and msb besides.
const COMPUTE: Duration = Duration::from_secs(12);

/// What a command has cost, with the processes that it has started.
struct Cost {
    run: Run,
    memory: u64,
    compute: Duration,
}

/// Runs msb and looks at it and at its processes until it ends.
fn watched(env: &TestEnv, line: &str) -> Cost {
    // A shell tells the time of all that it has waited for.
    let script = "\"$0\" \"$@\"; code=$?; times | tail -n 1; exit $code";
    let mut shell = env.shell(script, line.split(' '));
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = shell.spawn().unwrap();
    let pid = child.id();
    let ended = std::thread::spawn(move || child.wait_with_output().unwrap());
    let mut memory = 0;
    while !ended.is_finished() {
        memory = memory.max(tree(pid).into_iter().map(peak).max().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = ended.join().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let times = stdout.lines().last().unwrap().split_whitespace();
    let compute = times.map(seconds).sum();
    let run = Run {
        code: output.status.code(),
        stdout: String::new(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    Cost {
        run,
        memory,
        compute,
    }
}

/// Reads `1m2.345s`.
fn seconds(text: &str) -> Duration {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m').unwrap();
    let minutes: f64 = minutes.parse().unwrap();
    Duration::from_secs_f64(minutes * 60.0 + seconds.parse::<f64>().unwrap())
}

/// Returns a process and all that come from it.
fn tree(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children"));
        let children = children.unwrap_or_default();
        pids.extend(
            children
                .split_whitespace()
                .filter_map(|child| child.parse().ok())
                .flat_map(tree),
        );
    }
    pids
}

/// Returns the most memory that a process has had.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    [&[id], &length(contents.len())[..], contents].concat()
}

fn length(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

/// Returns a module of functions that all have this body.
fn module(functions: usize, body: &[u8]) -> Vec<u8> {
    let body = [length(body.len()), body.to_vec()].concat();
    let count = length(functions);
    let sections = [
        section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]),
        section(3, &[count.clone(), vec![0; functions]].concat()),
        section(10, &[count, body.repeat(functions)].concat()),
    ];
    [&b"\0asm\x01\0\0\0"[..], &sections.concat()].concat()
}

/// Returns a body of loops within one another, each of which changes as many variables.
fn loops(depth: usize) -> Vec<u8> {
    let mut body = [vec![1], length(depth), vec![0x7f]].concat();
    for number in 0..depth {
        body.extend([0x03, 0x40]);
        for step in 0..depth {
            let local = length(1 + (number + step) % depth);
            body.extend([&[0x20][..], &local, &[0x41, 1, 0x6a, 0x21], &local].concat());
        }
    }
    for _ in 0..depth {
        body.extend([0x20, 0, 0x0d, 0, 0x0b]);
    }
    body.extend([0x20, 0, 0x0b]);
    body
}

/// Returns a body that multiplies as often as this.
fn products(steps: usize) -> Vec<u8> {
    let mut body = vec![0];
    for step in 0..steps {
        let factor = u8::try_from(step % 60).unwrap();
        body.extend([0x20, 0, 0x41, factor, 0x6c, 0x21, 0]);
    }
    body.extend([0x20, 0, 0x0b]);
    body
}

/// Returns components within one another.
fn nested(depth: usize) -> Vec<u8> {
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    let mut component = EMPTY.to_vec();
    for _ in 0..depth {
        component = [EMPTY, &section(4, &component)].concat();
    }
    component
}

/// Puts a plugin that is one in all else behind a bomb.
fn plant(env: &TestEnv, bomb: &[u8]) -> PathBuf {
    let plugin = std::fs::read(component("image-json")).unwrap();
    env.write("bomb.wasm", &[&plugin[..], bomb].concat())
}

/// Asserts that an installation is refused for this reason, at a price that anyone can pay.
#[track_caller]
fn is_refused(bomb: &[u8], words: &[&str]) {
    let env = TestEnv::new();
    let path = plant(&env, bomb);
    let cost = watched(&env, &format!("plugin install {} --yes", path.display()));
    let run = cost.run.failure(words);
    assert!(cost.memory < MEMORY, "{} bytes: {run:#?}", cost.memory);
    assert!(cost.compute < COMPUTE, "{:?}: {run:#?}", cost.compute);
    let rows = env.json("plugin ls --format json");
    let is_ours = |row: &Value| row["builtin"] == true;
    assert!(rows.as_array().unwrap().iter().all(is_ours), "{rows}");
}

fn what_takes_too_long_to_compile_is_refused_in_time() {
    // 270 KB: 85 s without a bound.
    is_refused(
        &section(1, &module(1, &loops(400))),
        &[
            "plugin `bomb` cannot be used",
            "compiling it takes more than 10 s of the processor's time",
            "hint: it bundles a language such as Python, or was made to waste time",
        ],
    );
}

fn what_takes_too_much_memory_to_compile_is_refused_before_it_has_it() {
    // 28 MB: 22 s and 2 GB without a bound. The time alone would stop it before.
    let env = TestEnv::new();
    give_time(&env, 120);
    let path = plant(&env, &section(1, &module(60_000, &products(64))));
    let cost = watched(&env, &format!("plugin install {} --yes", path.display()));
    let run = cost.run.failure(&[
        "plugin `bomb` cannot be used",
        "compiling it takes more than 512 MiB of memory",
        "hint: do not use it: it was made to waste memory",
    ]);
    assert!(cost.memory < MEMORY, "{} bytes: {run:#?}", cost.memory);
}

fn what_is_large_costs_no_more_than_it_may() {
    // 7 MB: 5.5 s and 1.7 GB without a bound; 28 MB: 22 s and 2 GB.
    for steps in [16, 64] {
        is_bounded(&section(1, &module(60_000, &products(steps))));
    }
}

fn is_bounded(bomb: &[u8]) {
    let env = TestEnv::new();
    let path = plant(&env, bomb);
    let cost = watched(&env, &format!("plugin install {} --yes", path.display()));
    assert!(
        cost.memory < MEMORY,
        "{} bytes: {:#?}",
        cost.memory,
        cost.run
    );
    assert!(
        cost.compute < COMPUTE,
        "{:?}: {:#?}",
        cost.compute,
        cost.run
    );
}

fn what_has_too_many_parts_is_not_compiled_at_all() {
    const NOTHING: &[u8] = &[0, 0x20, 0, 0x0b];
    for (bomb, words) in [
        // Each 5 GB and more without a bound.
        (
            section(1, &module(1_000_000, NOTHING)),
            "it has more than 65536 functions",
        ),
        (
            section(4, &nested(8_000)),
            "it has more than 32 nested modules and components",
        ),
        (
            section(4, &nested(0)).repeat(20_000),
            "it has more than 1000 modules and components",
        ),
        (
            section(1, &module(1, &products(400_000))),
            "it has more than 2097152 bytes in one function",
        ),
    ] {
        is_refused(&bomb, &[words]);
    }
}

fn what_takes_long_is_compiled_with_more_time_as_advised() {
    let env = TestEnv::new();
    let path = plant(&env, &section(1, &module(1, &loops(220))));
    let install = format!("plugin install {} --yes", path.display());
    give_time(&env, 1);
    env.msb(&install).failure(&[
        "compiling it takes more than 1 s of the processor's time",
        "{\"plugins\": {\"limits\": {\"bomb\": {\"compile_secs\": 60}}}}",
    ]);
    give_time(&env, 60);
    env.msb(&install).success();
}

fn give_time(env: &TestEnv, seconds: u32) {
    let limits = json!({"bomb": {"compile_secs": seconds}});
    let settings = json!({"plugins": {"limits": limits}}).to_string();
    env.write_settings(settings);
}

fn an_update_to_a_bomb_leaves_the_old_one() {
    let env = TestEnv::new();
    let path = place(&env, "image-json", "bomb.wasm");
    env.msb(&format!("plugin install {}", path.display()))
        .success();
    let before = super::lock(&env);
    plant(&env, &section(1, &module(1, &loops(400))));
    // Other tests wait for the whole time that there is without these settings.
    env.write_settings(json!({"plugins": {"limits": {"bomb": {"compile_secs": 2}}}}));
    for line in ["plugin update bomb --yes", "plugin update --check"] {
        let cost = watched(&env, line);
        cost.run.failure(&["compiling it takes more than "]);
        assert!(cost.memory < MEMORY && cost.compute < COMPUTE);
    }
    assert_eq!(super::lock(&env), before);
    let run = watched(&env, &format!("plugin test {}", path.display()));
    assert!(run.memory < MEMORY, "{}", run.memory);
    run.run.failure(&[]);
}

fn what_is_ordinary_is_compiled_once_and_kept() {
    let env = TestEnv::untouched();
    let path = component("image-json");
    env.msb(&format!("plugin install {}", path.display()))
        .success();
    let files = || {
        let files = std::fs::read_dir(env.home().join("cache/plugins")).unwrap();
        let mut files: Vec<_> = files
            .map(|file| {
                let file = file.unwrap();
                (file.path(), file.metadata().unwrap().modified().unwrap())
            })
            .filter(|(path, _)| path.extension().is_some_and(|it| it == "compiled"))
            .collect();
        files.sort();
        files
    };
    let before = files();
    assert_eq!(before.len(), 1, "{before:?}");
    let archive = env.write("x.tar", &[0; 1024]);
    env.msb(&format!("load -i {}", archive.display()))
        .failure(&["image-json"]);
    assert!(files().contains(&before[0]), "{:?}", files());
}
