//! The habits of this repository, as `cargo xtask <name>`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal of a developer"
)]

mod authors;
mod bench;
mod command;
mod compiler;
mod component;
mod debian;
mod demo;
mod dependencies;
mod digest;
mod dist;
mod faults;
mod fuzz;
mod guests;
mod incumbent;
mod kernel;
mod link;
mod packages;
mod setup;
#[path = "../../host/kit/build/sources.rs"]
mod sources;
mod test;
mod toolchain;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  setup   Find what building needs, or install it
  guests  Compile the plugins that ship with msb
  authors Install what builds plugins in JavaScript, Python and C, for the tests
  kernel  Fetch the Linux that virtual machines of the tests boot
  demo    Show msb at work, from nothing (`demo [ARCHIVE]`)
  test    Run all checks (`--quick` for the fast part)
  dependencies  Check licences, sources and use of the dependencies
  packages  Package the crates, and check that all of msb is inside
  dist    Build and pack what people install (`dist [--target TRIPLE] [--out DIR]`)
  bench   Measure (`bench load`, `pull`, `save`, `plugins`, `list` or `growth`)
  faults  Let calls fail and kill it (`faults [COMMAND…] [--minutes N] [--points N] [--at EIO:N]`)
  incumbent  Use one home with msb and with microsandbox, in both orders
  fuzz    Feed it random bytes (`fuzz [TARGET…] [--seconds N | --runs N]`)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let result = match name.as_str() {
        "setup" => setup::ensure().map(|_| ()),
        "guests" => guests::build().map(|_| ()),
        "authors" => authors::ensure(),
        "kernel" => kernel::ensure(),
        "demo" => demo::run_all(rest),
        "test" => test::run_all(rest),
        "dependencies" => command::root().and_then(|root| dependencies::check(&root)),
        "packages" => command::root().and_then(|root| packages::check(&root)),
        "dist" => dist::run_all(rest),
        "bench" => bench::run_all(rest),
        "faults" => faults::run_all(rest),
        "fuzz" => fuzz::run_all(rest),
        "incumbent" => incumbent::run_all(),
        // For cargo, not for people.
        "link" => link::link(rest),
        // For cargo as well, and in place of the compiler.
        program if fuzz::is_compiler() => fuzz::instrument(program, rest),
        program if compiler::is_meant(program) => compiler::compile(program, rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("there is no command `{name}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error}");
            ExitCode::FAILURE
        }
    }
}
