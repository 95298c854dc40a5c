//! Compiling a component that takes its time.

use super::*;
use crate::progress::{Progress, Silent};
use crate::store::Home;

/// Functions of the large component, and multiplications in each.
const FUNCTIONS: usize = 3_000;
const STEPS: usize = 300;

/// Returns a component of one core module that is not small.
fn large() -> Bytes {
    let mut body = vec![0];
    for step in 0..STEPS {
        // local.get 0, i32.const, i32.mul, local.set 0
        body.extend([
            0x20,
            0,
            0x41,
            u8::try_from(step % 60).unwrap(),
            0x6c,
            0x21,
            0,
        ]);
    }
    body.extend([0x20, 0, 0x0b]);
    let body = [length(body.len()), body].concat();
    let count = length(FUNCTIONS);
    let sections = [
        section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]),
        section(3, &[count.clone(), vec![0; FUNCTIONS]].concat()),
        section(10, &[count, body.repeat(FUNCTIONS)].concat()),
    ];
    let module = [&b"\0asm\x01\0\0\0"[..], &sections.concat()].concat();
    [&b"\0asm\x0d\0\x01\0"[..], &section(1, &module)]
        .concat()
        .into()
}

fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    [&[id], &length(contents.len())[..], contents].concat()
}

/// Returns a number in LEB128.
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

#[test]
fn a_user_who_does_not_want_to_wait_for_the_compiler_need_not() {
    let home = tempfile::tempdir().unwrap();
    let home = Home::at(home.path());
    let runtime = Runtime::new(&home);
    let engine = runtime.engine().unwrap();
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let cancel = Cancel::default();
    let call_context = CallContext {
        plugin: &"large".into(),
        progress: &progress,
        cancel: &cancel,
    };
    let compile = || {
        Component::compile(
            &runtime,
            engine,
            large(),
            PluginBudget::FORMAT,
            &call_context,
        )
    };
    let later = cancel.clone();
    let user = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        later.cancel();
    });
    let failure = compile().err().unwrap();
    assert!(
        matches!(failure, Failure::Stopped(Stopped::Cancelled(_))),
        "{failure}"
    );
    // The answer was there before the compiler had anything to keep.
    let kept = walkdir::WalkDir::new(home.plugin_cache())
        .into_iter()
        .filter(|file| {
            let name = file.as_ref().unwrap().file_name().to_string_lossy();
            name.ends_with(".compiled")
        });
    assert_eq!(kept.count(), 0);
    user.join().unwrap();
}
