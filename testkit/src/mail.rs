//! Mail that was put into a folder, one `.eml` file each, read as a mail program reads it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mail_parser::MessageParser;

/// A folder that mail is put into.
#[derive(Debug, Clone)]
pub struct Mailbox(PathBuf);

/// One mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Whom it is for.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its words.
    pub text: String,
    /// The same as a page.
    pub html: String,
    /// Its `Message-ID`.
    pub id: String,
    /// In milliseconds since the epoch: when its file was written.
    pub at: u128,
}

impl Mailbox {
    /// A folder, which may not be there yet.
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// All mail, the oldest first.
    pub fn all(&self) -> Vec<Mail> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut mails: Vec<Mail> = entries
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "eml"))
            .filter_map(|entry| {
                let at = entry.metadata().ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
                Some(Mail { at, ..Mail::read(&std::fs::read(entry.path()).ok()?)? })
            })
            .collect();
        mails.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        mails
    }

    /// Mail for an address, the oldest first.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        self.all().into_iter().filter(|mail| mail.to.eq_ignore_ascii_case(address)).collect()
    }

    /// The newest mail for an address whose subject or text holds the words; waits for it.
    ///
    /// # Panics
    /// When none comes within twenty seconds.
    pub async fn wait_for(&self, address: &str, words: &str) -> Mail {
        for _ in 0..200 {
            let found = self.to(address).into_iter().rev().find(|mail| mail.subject.contains(words) || mail.text.contains(words));
            if let Some(mail) = found {
                return mail;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let there: Vec<_> = self.all().into_iter().map(|mail| format!("{}: {}", mail.to, mail.subject)).collect();
        panic!("no mail to {address} with {words:?} in {}; there are {there:#?}", self.0.display());
    }
}

impl Mail {
    /// Reads a mail as it travels.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let message = MessageParser::default().parse(bytes)?;
        Some(Self {
            to: message.to()?.first()?.address()?.to_owned(),
            subject: message.subject().unwrap_or_default().to_owned(),
            text: message.body_text(0).unwrap_or_default().into_owned(),
            html: message.body_html(0).unwrap_or_default().into_owned(),
            id: message.message_id().unwrap_or_default().to_owned(),
            at: 0,
        })
    }

    /// The first link in its words whose path holds a part; path and query only.
    ///
    /// # Panics
    /// When there is none.
    pub fn link(&self, part: &str) -> String {
        let links =
            self.text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>')).filter(|word| word.starts_with("http"));
        let found = links.filter_map(|word| url::Url::parse(word).ok()).find(|url| url.path().contains(part));
        let Some(url) = found else { panic!("no link with {part:?} in the mail {:?}:\n{}", self.subject, self.text) };
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }
}
