//! What the command line prints, asks and ends with, whatever the command.

pub(crate) mod commands;
mod finding_the_way;
mod interrupts;
pub(crate) mod scripts;
mod settings;
pub(crate) mod terminal;

/// Returns the tests of this directory.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        commands::all(),
        finding_the_way::tests(),
        interrupts::tests(),
        scripts::tests(),
        settings::tests(),
        terminal::tests(),
    ];
    tests.into_iter().flatten().collect()
}
