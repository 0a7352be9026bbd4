//! `[mail]`, and what mails say about where they come from.

use std::path::PathBuf;

use serde::Deserialize;

use super::Span;

/// How others reach this installation, and what it is called; filled by the server at its start.
#[derive(Clone, Debug)]
pub struct Site {
    /// Without a slash at the end.
    pub base_url: String,
    /// The operator's name.
    pub brand: String,
}

impl Default for Site {
    fn default() -> Self {
        Self { base_url: "https://portward.example".into(), brand: "Portward".into() }
    }
}

/// `[mail]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// The mail server. Without one, mails are written into the folder.
    pub host: Option<String>,
    /// Its port; 587 with STARTTLS, 465 with TLS from the first byte, 25 without, where none is named.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub tls: MailTls,
    /// A file with further certificates to trust, PEM: of a mail server whose certificate is the operator's own.
    pub ca_file: Option<PathBuf>,
    /// Who signs in to the mail server.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<Secret>,
    /// A file that holds it.
    pub password_file: Option<PathBuf>,
    /// The sender, such as `Clips <no-reply@clips.example>`.
    pub from: String,
    /// How we name ourselves to the mail server; the machine's name where none is given.
    pub hello: Option<String>,
    /// Where mails are written while there is no mail server.
    pub folder: PathBuf,
    /// How long the mail server may take for one step.
    pub timeout: Span,
    /// How long a mail is tried: RFC 5321 4.5.4.1 asks for four to five days.
    pub retry_for: Span,
    /// Mails sent at once by one process.
    pub at_once: u32,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            tls: MailTls::Starttls,
            ca_file: None,
            user: None,
            password: None,
            password_file: None,
            from: "Portward <no-reply@portward.example>".into(),
            hello: None,
            folder: "mail".into(),
            timeout: Span::seconds(60),
            retry_for: Span::days(5),
            at_once: 4,
        }
    }
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// Switched on after the greeting; a server that cannot is refused.
    Starttls,
    /// From the first byte.
    Tls,
    /// Not at all: for a server on the same machine.
    None,
}

/// A setting that logs must not show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
