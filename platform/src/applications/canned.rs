//! Texts that reviewers start from, by decision code: a data file that the operator can replace (`review.canned_texts`). It is read when it is
//! needed, so that a change holds at once.

use serde::Deserialize;
use toml::Spanned;

use super::codes;
use crate::toml_file::{self, BadLines, Lines};
use crate::{Fault, Platform};

/// One text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canned {
    /// For which: a decision code, `QUESTION`, `CONDITIONS` or `APPROVED`.
    pub code: String,
    /// Under which name it is offered.
    pub title: String,
    /// The text. What is in `[brackets]` is to be replaced.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    text: Vec<Read>,
}

/// One text with its places in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    code: Spanned<String>,
    title: String,
    text: Spanned<String>,
}

/// What a text can be for besides the codes of refusals.
pub const OTHERS: &[&str] = &["QUESTION", "CONDITIONS", "APPROVED"];

const OURS: &str = include_str!("canned.toml");

/// Reads a file of texts.
pub fn parse(text: &str) -> Result<Vec<Canned>, BadLines> {
    let file: File = toml_file::read(text)?;
    let mut lines = Lines::new(text);
    let mut texts = Vec::with_capacity(file.text.len());
    for Read { code, title, text } in file.text {
        if codes::find(code.get_ref()).is_none() && !OTHERS.contains(&code.get_ref().as_str()) {
            let message = format!("{:?} is no decision code, and none of {}", code.get_ref(), OTHERS.join(", "));
            lines.wrong(code.span().start, message);
        }
        if let Err(why) = super::review::tidy(text.get_ref()) {
            lines.wrong(text.span().start, format!("{title}: {why}"));
        }
        texts.push(Canned { code: code.into_inner(), title, text: text.into_inner() });
    }
    lines.settle(texts)
}

/// The texts that hold: the operator's file, or those that come along.
pub async fn texts(platform: &Platform) -> Result<Vec<Canned>, Fault> {
    let text = match &platform.settings.review.canned_texts {
        Some(file) => tokio::fs::read_to_string(file).await?,
        None => OURS.to_owned(),
    };
    parse(&text).map_err(|fault| Fault::Setting(format!("review.canned_texts: {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_text_to_start_from() {
        let texts = parse(OURS).unwrap();
        for code in codes::CODES.iter().filter(|code| !code.needs_text()).map(|code| code.code).chain(OTHERS.iter().copied()) {
            assert!(texts.iter().any(|text| text.code == code), "{code} has none");
        }
    }

    #[test]
    fn a_file_with_an_unknown_code_is_refused_by_name() {
        let fault = parse(
            "[[text]]\ncode = 'NO_SUCH'\ntitle = 'x'\ntext = 'y'\n\n[[text]]\ncode = 'QUESTION'\ntitle = 'z'\ntext = \"\\u0007\"",
        )
        .unwrap_err();
        let told = fault.to_string();
        assert!(told.starts_with("line 2: \"NO_SUCH\" is no decision code") && told.contains("\nline 9: z: "), "{told}");
        let shape = parse("# ours\n[[text]]\ncode = 'QUESTION'\ntitel = 'x'\ntext = 'y'").unwrap_err().to_string();
        assert!(shape.starts_with("line 4: unknown field `titel`"), "{shape}");
    }
}
