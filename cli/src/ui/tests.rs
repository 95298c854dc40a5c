use super::*;

fn ui(colour: bool) -> Ui {
    let stream = Stream {
        terminal: colour,
        colour,
    };
    Ui {
        level: None,
        quiet: false,
        form: ProgressForm::Auto,
        is_brief: false,
        stdout: stream,
        stderr: stream,
    }
}

#[test]
fn an_error_is_followed_by_its_causes_and_then_by_hints() {
    let error = CommandError::new("could not read `a`")
        .because(&io::Error::other("it broke"))
        .hint("mend it");
    assert_eq!(
        ui(false).rendered(&error),
        "error: could not read `a`\n  caused by: it broke\nhint: mend it\n"
    );
}

#[test]
fn nothing_in_an_error_reaches_the_terminal_as_a_command() {
    let hostile = "\u{1b}[2J\u{202e}\nerror: forged";
    let error = CommandError::new(hostile)
        .because(&io::Error::other(format!("{hostile} again")))
        .hint(hostile);
    let text = ui(false).rendered(&error);
    assert_eq!(text.lines().count(), 3, "{text:?}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
}

#[test]
fn only_labels_are_coloured() {
    let error = CommandError::new("lost");
    let text = ui(true).rendered(&error);
    assert!(text.starts_with("\u{1b}["), "{text:?}");
    assert!(text.ends_with(" lost\n"), "{text:?}");
}

#[test]
fn a_closed_output_is_no_message() {
    assert_eq!(ui(false).rendered(&CommandError::OutputClosed), "");
}

#[test]
fn quiet_takes_the_right_to_draw() {
    assert!(ui(true).quiet(true).animation().is_none());
    assert!(ui(false).animation().is_none());
}
