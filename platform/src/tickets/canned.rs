//! Texts that staff start an answer from, by topic: a data file that the operator can replace (`tickets.canned_texts`). It is read when it is
//! needed, so that a change holds at once.

use serde::Deserialize;

use super::Topic;
use crate::{Fault, Platform};

/// One text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
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
    text: Vec<Canned>,
}

const OURS: &str = include_str!("canned.toml");

/// Reads a file of texts.
pub(super) fn parse(text: &str) -> Result<Vec<Canned>, String> {
    let file: File = toml::from_str(text).map_err(|fault| fault.to_string())?;
    for canned in &file.text {
        if let Some(topic) = &canned.topic
            && Topic::parse(topic).is_none()
        {
            let known: Vec<&str> = Topic::ALL.iter().map(|topic| topic.as_str()).collect();
            return Err(format!("{topic:?} is no topic; they are {}", known.join(", ")));
        }
        super::acts::tidy(&canned.text, super::acts::LONGEST_TEXT).map_err(|why| format!("{}: {why}", canned.title))?;
    }
    Ok(file.text)
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
