//! The page that comes out.

use std::path::PathBuf;

use anyhow::Context;

use crate::{How, clock, machine};

pub(crate) struct Report {
    text: String,
}

impl Report {
    pub(crate) fn new(how: &How) -> Self {
        let command = std::env::args().skip(1).fold("bench/run".to_owned(), |command, arg| command + " " + &arg);
        let text = format!(
            "# What was measured\n\n\
             Written by `{command}` on {}. {}. {}.\n\n\
             Each round runs every contender once, in turn, on the same data; numbers are medians of {} rounds, and ratios are \
             medians of the rounds' ratios. Compare ratios, not absolute numbers: those belong to the machine.\n",
            clock::today(),
            machine::machine(),
            machine::versions(),
            how.rounds(),
        );
        println!("{text}");
        Self { text }
    }

    pub(crate) fn section(&mut self, text: String) {
        println!("{text}");
        self.text.push('\n');
        self.text.push_str(&text);
    }

    pub(crate) fn finish(self, out: Option<PathBuf>) -> anyhow::Result<()> {
        if let Some(out) = out {
            std::fs::write(&out, self.text).with_context(|| format!("cannot write {}", out.display()))?;
            println!("written to {}", out.display());
        }
        Ok(())
    }
}
