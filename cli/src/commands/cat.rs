//! `msb image cat`

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;

use crate::commands;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::stdout;
use crate::ui::Ui;

/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;

/// Write a file of an image to standard output.
///
/// Symbolic links are followed as for a process whose root is the image: none leads out of it. On a
/// terminal, only text is shown, with everything that a terminal would obey spelled out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image cat alpine /etc/os-release
  msb image cat alpine /bin/busybox > busybox")]
pub(crate) struct Args {
    /// The image: a reference, a digest, or the first digits of one.
    #[arg(value_name = "REF")]
    reference: String,
    /// The file in the image.
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    if stdout::was_closed() {
        return Err(CommandError::closed_stdout());
    }
    let msb = commands::open()?;
    let mut file = msb.open_file(&args.reference, &args.path).run()?;
    let is_terminal = io::stdout().is_terminal();
    let mut buffer = vec![0; BUFFER];
    let mut rest = Vec::new();
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => {
                let message = format!("could not read `{}`", args.path.display());
                return Err(CommandError::new(message).because(&error));
            }
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        if !is_terminal {
            write(bytes)?;
            continue;
        }
        if bytes.contains(&0) {
            let message = format!(
                "`{}` is not text, and standard output is a terminal, which it would garble",
                args.path.display()
            );
            return Err(
                CommandError::new(message).hint("redirect it: `msb image cat IMAGE PATH > FILE`")
            );
        }
        rest.extend_from_slice(bytes);
        let text = text(&mut rest, false);
        ui.data(&text)?;
    }
    let text = text(&mut rest, true);
    ui.data(&text)
}

/// Takes the text off the front of bytes, with what a terminal would obey spelled out, apart from line
/// ends and tabs. A character that is cut stays, unless these are the last bytes.
fn text(bytes: &mut Vec<u8>, is_last: bool) -> String {
    let mut shown = String::with_capacity(bytes.len());
    let mut cut = 0;
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(['\n', '\t']) {
            let (line, end) = rest.split_at(at);
            shown.extend([&escaped(line), end.get(..1).unwrap_or_default()]);
            rest = end.get(1..).unwrap_or_default();
        }
        shown.push_str(&escaped(rest));
        let is_cut = !is_last && cut + chunk.valid().len() + chunk.invalid().len() == bytes.len();
        cut += chunk.valid().len();
        if is_cut {
            break;
        }
        if !chunk.invalid().is_empty() {
            shown.push('\u{fffd}');
        }
        cut += chunk.invalid().len();
    }
    bytes.drain(..cut);
    shown
}

fn write(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CommandError::OutputClosed,
        _ => CommandError::new("could not write to standard output").because(&error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_on_a_terminal_is_not_obeyed_and_characters_are_not_cut() {
        let mut bytes = "a\tü\u{1b}[2J\n".as_bytes().to_vec();
        bytes.extend(b"\xff\xc3");
        assert_eq!(text(&mut bytes, false), "a\tü\\u{1b}[2J\n\u{fffd}");
        assert_eq!(bytes, b"\xc3");
        bytes.extend(b"\xbc!");
        assert_eq!(text(&mut bytes, true), "ü!");
        assert!(bytes.is_empty());
        let mut bytes = b"x\xc3".to_vec();
        assert_eq!(text(&mut bytes, true), "x\u{fffd}");
    }
}
