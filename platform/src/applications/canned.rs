//! Texts that reviewers start from, by decision code: a data file that the operator can replace (`review.canned_texts`). It is read when it is
//! needed, so that a change holds at once.

use serde::Deserialize;

use super::codes;
use crate::{Fault, Platform};

/// One text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
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
    text: Vec<Canned>,
}

/// What a text can be for besides the codes of refusals.
pub const OTHERS: &[&str] = &["QUESTION", "CONDITIONS", "APPROVED"];

const OURS: &str = include_str!("canned.toml");

/// Reads a file of texts.
pub fn parse(text: &str) -> Result<Vec<Canned>, String> {
    let file: File = toml::from_str(text).map_err(|fault| fault.to_string())?;
    for canned in &file.text {
        if codes::find(&canned.code).is_none() && !OTHERS.contains(&canned.code.as_str()) {
            return Err(format!("{:?} is no decision code, and none of {}", canned.code, OTHERS.join(", ")));
        }
        super::review::tidy(&canned.text).map_err(|why| format!("{}: {why}", canned.title))?;
    }
    Ok(file.text)
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
        let fault = parse("[[text]]\ncode = 'NO_SUCH'\ntitle = 'x'\ntext = 'y'").unwrap_err();
        assert!(fault.contains("NO_SUCH"), "{fault}");
    }
}
