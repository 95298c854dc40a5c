//! Compiling a component that takes its time.

use super::*;
use crate::cancel::Cancel;
use crate::home::Home;
use crate::plugin::test_components::{component_of, module, section};
use crate::progress::{Progress, Silent};

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
    component_of(&section(1, &module(FUNCTIONS, &body))).into()
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
            &large(),
            Origin::Author,
            PluginBudget::FORMAT,
            &call_context,
        )
    };
    let later = cancel.clone();
    let user = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
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
