//! How the demo speaks: numbered steps, facts in columns and a bar, with colour on a terminal and plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const CYAN: &str = "1;36";

/// The teller. A reader that has gone away (`demo | head`) does not end the demo.
pub(crate) struct Tell {
    out: Box<dyn Write + Send>,
    /// The reader is a terminal: bars move.
    live: bool,
    colour: bool,
    step: u32,
}

impl Tell {
    /// Speaks to standard output.
    pub(crate) fn stdout() -> Self {
        let live = std::io::stdout().is_terminal();
        // https://no-color.org: set and not empty means no colour.
        let colour = live && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { out: Box::new(std::io::stdout()), live, colour, step: 0 }
    }

    /// Speaks plainly into anything.
    #[cfg(test)]
    pub(crate) fn plain(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), live: false, colour: false, step: 0 }
    }

    /// Whether the reader is a terminal.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// The line above everything.
    pub(crate) fn title(&mut self, text: &str) {
        let text = self.paint(BOLD, text);
        self.line(&text);
    }

    /// The next step of the story, numbered.
    pub(crate) fn step(&mut self, text: &str) {
        self.step += 1;
        let mut rest = text.chars();
        let text: String = rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect();
        let (number, text) = (self.paint(CYAN, &self.step.to_string()), self.paint(BOLD, &text));
        self.line(&format!("\n{number}  {text}"));
    }

    /// A call as it goes over the wire, and what came of it.
    pub(crate) fn call(&mut self, call: &str, result: &str) {
        let call = self.paint(DIM, call);
        self.line(&format!("   {call}  → {result}"));
    }

    /// Something worth knowing, in the column under the others.
    pub(crate) fn fact(&mut self, name: &str, value: &str) {
        self.line(&format!("   {name:<15} {value}"));
    }

    /// The same, for what was verified.
    pub(crate) fn good(&mut self, name: &str, value: &str) {
        let value = self.paint(GREEN, value);
        self.fact(name, &value);
    }

    /// Some lines, indented.
    pub(crate) fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.line(format!("   {line}").trim_end());
        }
    }

    /// A line as it is.
    pub(crate) fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    /// A bar for a number of things, or a spinner when nobody knows how many. Invisible where nothing can move.
    pub(crate) fn bar(&self, of: Option<u64>) -> ProgressBar {
        let target = if self.live { ProgressDrawTarget::stdout() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(of, target);
        let (bright, dim) = if self.colour { (".cyan", ":.dim") } else { ("", "") };
        let template = match of {
            Some(_) => format!("   {{bar:36{bright}}} {{percent:>3}} %  {{msg{dim}}}"),
            None => format!("   {{spinner:{bright}}} {{msg{dim}}}"),
        };
        // The templates above are ours; a mistake in one shows the plain bar.
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("━━╌"));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size for reading: `999 B`, `12.3 MB`. Decimal, as file managers and the benchmarks count.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let exact = bytes as f64;
    match units.into_iter().find(|(unit, _)| exact >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", exact / unit),
        None => format!("{bytes} B"),
    }
}

/// A span for reading: `2 hours`, `180 days`; the largest unit that divides it.
pub(crate) fn span(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0).unwrap_or((1, "second"));
    let count = seconds / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// The beginning of a secret, enough to recognise it by.
pub(crate) fn clipped(secret: &str) -> String {
    let start: String = secret.chars().take(12).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_reading() {
        let numbers = [0, 999, 1_000, 12_345, 999_999, 1_000_000].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345", "999,999", "1,000,000"]);
        assert_eq!([999, 1_500, 12_345_678, 3_000_000_000].map(size), ["999 B", "1.5 kB", "12.3 MB", "3.0 GB"]);
        assert_eq!([7_200, 15_552_000, 3_600, 90, 61].map(span), ["2 hours", "180 days", "1 hour", "90 seconds", "61 seconds"]);
    }
}
