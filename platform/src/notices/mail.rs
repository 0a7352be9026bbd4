//! The ways out for mail: a mail server; a folder, for trying out; memory, for tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lettre::message::Mailbox;

use super::letter::Posted;
use super::smtp::Smtp;
use crate::settings;

/// Where mails go.
#[derive(Clone, Debug)]
pub enum Mail {
    /// To a mail server.
    Smtp(Smtp),
    /// Into a folder, a file each; they go no further.
    Folder(PathBuf),
    /// Into memory.
    Memory(Outbox),
}

/// Settings by which no mail can be sent.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The sender.
    #[error("mail.from {0:?} is not a sender: write one such as \"Clips <no-reply@clips.example>\"")]
    From(String),
    /// A user without a password, or the other way about.
    #[error("mail.user and mail.password (or mail.password_file) are needed together")]
    Half,
    /// A password over a connection that anybody can read.
    #[error("mail.tls = \"none\" would send mail.password in the open to {0}: use \"starttls\" or \"tls\"")]
    Open(String),
    /// A file that cannot be read.
    #[error("{key} {path}: {cause}")]
    File {
        /// Which setting.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A certificate that cannot be used.
    #[error("mail.ca_file {0} is not a PEM file of certificates")]
    Certificate(PathBuf),
    /// TLS cannot be set up.
    #[error("TLS for mail cannot be set up: {0}")]
    Tls(String),
}

/// Why a mail was not sent now. Its text names no address.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It may work later.
    #[error("{0}")]
    Temporary(String),
    /// It never will.
    #[error("{0}")]
    Permanent(String),
}

impl Mail {
    /// As the settings say; relative paths begin at a folder.
    pub fn open(settings: &settings::Mail, folder: &Path) -> Result<Self, OpenError> {
        match &settings.host {
            Some(host) => Smtp::open(settings, host, folder).map(Self::Smtp),
            None => Ok(Self::Folder(folder.join(&settings.folder))),
        }
    }

    /// Hands a mail over. After `Ok` it is the other side's.
    pub(super) async fn send(&self, letter: &Posted<'_>) -> Result<(), Failure> {
        match self {
            Self::Smtp(smtp) => smtp.send(letter).await,
            Self::Folder(folder) => put(folder, letter).await,
            Self::Memory(outbox) => outbox.send(letter),
        }
    }

    /// Whether mails go to people.
    pub fn is_real(&self) -> bool {
        matches!(self, Self::Smtp(_))
    }
}

/// Writes a mail into the folder. The name is the notice's own, so that a second attempt writes over the first.
async fn put(folder: &Path, letter: &Posted<'_>) -> Result<(), Failure> {
    let sender = sender(&letter.site.brand);
    let message = letter.message(&sender).map_err(|fault| Failure::Permanent(fault.to_string()))?;
    let name = format!("{:013}-{}-{}.eml", letter.at.0, letter.kind, letter.notice_id);
    let (folder, bytes) = (folder.to_owned(), message.formatted());
    let written = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        // A reader sees a whole mail or none.
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        std::io::Write::write_all(&mut file, &bytes)?;
        file.persist(folder.join(name)).map_err(|lost| lost.error)?;
        Ok::<_, std::io::Error>(())
    });
    match written.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fault)) => Err(Failure::Temporary(format!("mail.folder: {fault}"))),
        Err(fault) => Err(Failure::Temporary(fault.to_string())),
    }
}

/// Who mails in the folder and in memory are from.
fn sender(brand: &str) -> Mailbox {
    Mailbox::new(Some(super::clean::line(brand)), lettre::Address::new_dangerous("no-reply", "portward.example"))
}

/// Mails kept in memory, and troubles to be had on demand.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    sent: Vec<Sent>,
    trouble: Option<Trouble>,
    tried: u32,
}

/// A mail that was sent into memory.
#[derive(Clone, Debug)]
pub struct Sent {
    /// To whom.
    pub to: String,
    /// Which mail.
    pub kind: super::Kind,
    /// What it says.
    pub rendered: super::Rendered,
    /// By which mailboxes know it again.
    pub message_id: String,
    /// The whole mail.
    pub bytes: Vec<u8>,
}

impl Sent {
    /// The first address in its text that begins with a path, as a path.
    pub fn link(&self, path: &str) -> Option<String> {
        let at = self.rendered.text.find(path)?;
        self.rendered.text.get(at..)?.split_whitespace().next().map(ToOwned::to_owned)
    }
}

/// What an outbox does instead of taking a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server is not there, or says "later".
    Later,
    /// The server says "never".
    Never,
    /// The server takes it, and the connection breaks before it says so.
    Lost,
}

impl Outbox {
    /// What was sent, the oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.shelf().sent.clone()
    }

    /// What was sent to an address, the oldest first.
    pub fn to(&self, address: &str) -> Vec<Sent> {
        self.shelf().sent.iter().filter(|sent| sent.to == address).cloned().collect()
    }

    /// How often a mail was handed over, in vain or not.
    pub fn tried(&self) -> u32 {
        self.shelf().tried
    }

    /// What is to be done with the next mails.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        self.shelf().trouble = trouble;
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, letter: &Posted<'_>) -> Result<(), Failure> {
        let message = letter.message(&sender(&letter.site.brand)).map_err(|fault| Failure::Permanent(fault.to_string()))?;
        let mut shelf = self.shelf();
        shelf.tried += 1;
        match shelf.trouble {
            Some(Trouble::Later) => Err(Failure::Temporary("the mail server is not there".into())),
            Some(Trouble::Never) => Err(Failure::Permanent("the mail server answered 550".into())),
            trouble => {
                shelf.sent.push(Sent {
                    to: letter.to.to_owned(),
                    kind: letter.kind,
                    rendered: letter.rendered.clone(),
                    message_id: letter.message_id(),
                    bytes: message.formatted(),
                });
                if trouble.is_none() { Ok(()) } else { Err(Failure::Temporary("the connection broke".into())) }
            }
        }
    }
}
