//! Data that comes one after the other: lines, or the values of a JSON array.
//!
//! Owns that nothing is collected first, however much comes, and that few writes are made.

use std::mem;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::error::CommandError;
use crate::json;
use crate::ui::Ui;

/// Bytes that are written at a time.
const CHUNK: usize = 64 << 10;

/// What is being printed. Clones print to the same place.
#[derive(Clone, Debug)]
pub(crate) struct Listing(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    ui: Ui,
    form: Form,
    text: String,
    failed: Option<CommandError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    /// Of a JSON array: whether it has a value.
    Array(bool),
}

impl Listing {
    /// Starts lines.
    pub(crate) fn lines(ui: Ui) -> Self {
        Self::new(ui, Form::Lines, "")
    }

    /// Starts the values of a JSON array.
    pub(crate) fn array(ui: Ui) -> Self {
        Self::new(ui, Form::Array(false), "[")
    }

    fn new(ui: Ui, form: Form, text: &str) -> Self {
        Self(Arc::new(Mutex::new(State {
            ui,
            form,
            text: text.to_owned(),
            failed: None,
        })))
    }

    /// Adds a line, which is safe to print. Breaks when it cannot be written.
    pub(crate) fn line(&self, line: &str) -> ControlFlow<()> {
        self.add(|state| {
            state.text.extend([line, "\n"]);
            Ok(())
        })
    }

    /// Adds a value to the array. Breaks when it cannot be written.
    pub(crate) fn value(&self, value: &impl Serialize) -> ControlFlow<()> {
        self.add(|state| {
            let text = json::pretty(value)
                .map_err(|error| CommandError::new("could not write JSON").because(&error))?;
            state.text.push_str(match state.form {
                Form::Array(true) => ",\n",
                _ => "\n",
            });
            state.form = Form::Array(true);
            let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
            state.text.push_str(&lines.join("\n"));
            Ok(())
        })
    }

    /// Writes what is left.
    pub(crate) fn finish(&self) -> Result<(), CommandError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.failed.take() {
            return Err(error);
        }
        match state.form {
            Form::Lines => {}
            Form::Array(false) => state.text.push_str("]\n"),
            Form::Array(true) => state.text.push_str("\n]\n"),
        }
        let text = mem::take(&mut state.text);
        state.ui.data(&text)
    }

    fn add(&self, add: impl FnOnce(&mut State) -> Result<(), CommandError>) -> ControlFlow<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut added = add(&mut state);
        if added.is_ok() && state.text.len() >= CHUNK {
            let text = mem::take(&mut state.text);
            added = state.ui.data(&text);
        }
        match added {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                state.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}
