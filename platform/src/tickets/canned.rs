//! Texts that staff start an answer from, by topic: a data file that the operator can replace (`tickets.canned_texts`). It is read when it is
//! needed, so that a change holds at once.

use serde::Deserialize;
use toml::Spanned;

use super::Topic;
use crate::toml_file::{self, BadLines, Lines};
use crate::{Fault, Platform};

/// One text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canned {
    /// For which topic; without one, for all.
    topic: Option<String>,
    /// Under which name it is offered.
    pub title: String,
    /// The text. What is in `[brackets]` is to be replaced.
    pub text: String,
}

impl Canned {
    /// Whether it is offered on tickets about that.
    pub fn fits(&self, topic: Topic) -> bool {
        self.topic.as_deref().is_none_or(|held| held == topic.as_str())
    }
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
    topic: Option<Spanned<String>>,
    title: String,
    text: Spanned<String>,
}

const OURS: &str = include_str!("canned.toml");

/// Reads a file of texts.
pub fn parse(text: &str) -> Result<Vec<Canned>, BadLines> {
    let file: File = toml_file::read(text)?;
    let mut lines = Lines::new(text);
    let mut texts = Vec::with_capacity(file.text.len());
    for Read { topic, title, text } in file.text {
        if let Some(topic) = &topic
            && Topic::parse(topic.get_ref()).is_none()
        {
            let known: Vec<&str> = Topic::ALL.iter().map(|topic| topic.as_str()).collect();
            lines.wrong(topic.span().start, format!("{:?} is no topic; they are {}", topic.get_ref(), known.join(", ")));
        }
        if let Err(why) = super::acts::tidy(text.get_ref(), super::acts::LONGEST_TEXT) {
            lines.wrong(text.span().start, format!("{title}: {why}"));
        }
        texts.push(Canned { topic: topic.map(Spanned::into_inner), title, text: text.into_inner() });
    }
    lines.settle(texts)
}

/// The texts that are offered about a topic: the operator's, or those that come along.
pub async fn texts(platform: &Platform, topic: Topic) -> Result<Vec<Canned>, Fault> {
    let text = match &platform.settings.tickets.canned_texts {
        Some(file) => tokio::fs::read_to_string(file).await?,
        None => OURS.to_owned(),
    };
    let all = parse(&text).map_err(|fault| Fault::Setting(format!("tickets.canned_texts: {fault}")))?;
    Ok(all.into_iter().filter(|canned| canned.fits(topic)).collect())
}
