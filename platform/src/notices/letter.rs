//! A mail from its words to its bytes. The words are blocks, written once; two templates make a text and a page of them.

use std::time::{Duration, UNIX_EPOCH};

use askama::Template;
use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, MultiPartKind, SinglePart};
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::Fault;
use crate::clock::Millis;
use crate::settings::Site;

/// Lines of the text are at most this long, addresses aside.
const WIDTH: usize = 76;

/// What a mail says, before it is made a text and a page.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) subject: String,
    pub(super) blocks: Vec<Block>,
    /// Why they get it.
    pub(super) why: &'static str,
}

/// A piece of a mail.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// A heading.
    Heading(String),
    /// What somebody else wrote.
    Quote(String),
    /// Names and values.
    Facts(Vec<(&'static str, String)>),
    /// A list.
    Points(Vec<String>),
    /// What to press, and the address spelled out.
    Action(&'static str, String),
}

/// A mail as it lies sealed in its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// For those who read plain text.
    pub text: String,
    /// The same as a page.
    pub html: String,
}

#[derive(Template)]
#[template(path = "notices/mail.html")]
struct Html<'a> {
    letter: &'a Letter,
    site: &'a Site,
}

#[derive(Template)]
#[template(path = "notices/mail.txt", escape = "none")]
struct Text<'a> {
    letter: &'a Letter,
    site: &'a Site,
}

impl Text<'_> {
    fn wrapped(&self, text: &str) -> String {
        wrap(text, "", "")
    }

    fn quoted(&self, text: &str) -> String {
        wrap(text, "> ", "> ")
    }

    fn point(&self, text: &str) -> String {
        wrap(text, "- ", "  ")
    }

    fn fact(&self, label: &str, value: &str) -> String {
        wrap(&format!("{label}: {value}"), "", "  ")
    }

    fn underline(&self, text: &str) -> String {
        "-".repeat(text.chars().count())
    }
}

pub(super) fn render(letter: &Letter, site: &Site) -> Result<Rendered, Fault> {
    let fault = |fault: askama::Error| Fault::Row(format!("a mail cannot be rendered: {fault}"));
    Ok(Rendered {
        subject: letter.subject.clone(),
        text: Text { letter, site }.render().map_err(fault)?,
        html: Html { letter, site }.render().map_err(fault)?,
    })
}

/// Breaks lines at spaces. The first line of all begins with `first`, the others with `rest`; words longer than a line stay whole.
fn wrap(text: &str, first: &str, rest: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let lead = |lines: &[String]| if lines.is_empty() { first } else { rest }.to_owned();
        let mut line = lead(&lines);
        let mut empty = true;
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(line);
                line = lead(&lines);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// A rendered mail with what its headers need.
#[derive(Debug)]
pub(super) struct Posted<'a> {
    pub(super) notice_id: i64,
    pub(super) kind: Kind,
    pub(super) to: &'a str,
    /// When what it tells of happened: the same at each attempt, as the Message-ID is.
    pub(super) at: Millis,
    pub(super) site: &'a Site,
    pub(super) rendered: &'a Rendered,
}

/// Why a mail cannot be written, for good.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    #[error("the recipient's address is none that mail can go to")]
    Address,
    #[error("the mail cannot be put together")]
    Parts,
}

impl Posted<'_> {
    /// The same for every attempt at one notice; the domain is the one under which we are reached.
    pub(super) fn message_id(&self) -> String {
        let host = url::Url::parse(&self.site.base_url).ok().and_then(|url| url.host_str().map(ToOwned::to_owned));
        format!("<{}.{}@{}>", self.kind, self.notice_id, host.as_deref().unwrap_or("portward.invalid"))
    }

    /// The whole mail. It is the same, byte for byte, at each attempt.
    pub(super) fn message(&self, from: &Mailbox) -> Result<Message, Unwritable> {
        let address = self.to.parse::<lettre::Address>().map_err(|_| Unwritable::Address)?;
        let parts = MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            .boundary(format!("portward-{}", self.notice_id))
            .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(self.rendered.text.clone()))
            .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(self.rendered.html.clone()));
        let since = Duration::from_millis(u64::try_from(self.at.0).unwrap_or(0));
        Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, address))
            .subject(&self.rendered.subject)
            .date(UNIX_EPOCH + since)
            .message_id(Some(self.message_id()))
            // No vacation note is to answer it (RFC 3834), and mailing lists are not to take it.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()))
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("X-Auto-Response-Suppress"), "All".into()))
            .multipart(parts)
            .map_err(|_| Unwritable::Parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_keep_their_lead() {
        let long = "word ".repeat(40);
        let wrapped = wrap(&long, "- ", "  ");
        assert!(wrapped.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(wrapped.starts_with("- word") && wrapped.lines().skip(1).all(|line| line.starts_with("  word")));
        assert_eq!(wrap("a\n\nb", "> ", "> "), "> a\n>\n> b");
        let url = format!("https://clips.example/{}", "x".repeat(100));
        assert_eq!(wrap(&format!("see {url} now"), "", ""), format!("see\n{url}\nnow"));
    }
}
