//! Small data files of operators: what is wrong in one is told by line.

use std::fmt;

use serde::de::DeserializeOwned;

/// What is wrong in a file, each with its line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BadLines(Vec<(usize, String)>);

impl fmt::Display for BadLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (line, message)) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n" };
            write!(f, "{gap}line {line}: {message}")?;
        }
        Ok(())
    }
}

/// Collects what is wrong in a text.
pub(crate) struct Lines<'a> {
    text: &'a str,
    bad: Vec<(usize, String)>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, bad: Vec::new() }
    }

    /// Something is wrong at that byte.
    pub(crate) fn wrong(&mut self, at: usize, message: impl Into<String>) {
        self.bad.push((line(self.text, at), message.into()));
    }

    /// The value, unless something was wrong.
    pub(crate) fn settle<T>(self, value: T) -> Result<T, BadLines> {
        if self.bad.is_empty() { Ok(value) } else { Err(BadLines(self.bad)) }
    }
}

/// Reads a file by its shape.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, BadLines> {
    toml::from_str(text).map_err(|fault| {
        let at = fault.span().map_or(0, |span| span.start);
        BadLines(vec![(line(text, at), fault.message().to_owned())])
    })
}

/// The line of a byte, counted from 1.
fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}
