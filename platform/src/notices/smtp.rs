//! The mail server. One connection a mail; each step has its time. Refusals before the recipient is named are ours or the server's (a password,
//! a sender, "try later"), so the mail stays; a refusal of the recipient or of the mail itself is for good.

use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};

use super::letter::Posted;
use super::mail::{Failure, OpenError};
use crate::settings::{self, MailTls};

/// A way to a mail server.
#[derive(Clone)]
pub struct Smtp {
    host: String,
    port: u16,
    mode: MailTls,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    from: Mailbox,
    hello: ClientId,
    timeout: Duration,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl std::fmt::Display for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Where in the talk a step stands.
#[derive(Clone, Copy)]
enum Step {
    /// Before the recipient was named.
    Ours,
    /// About the recipient or the mail.
    Theirs,
}

impl Smtp {
    pub(super) fn open(settings: &settings::Mail, host: &str, folder: &Path) -> Result<Self, OpenError> {
        let read = |key: &'static str, path: &Path| {
            let path = folder.join(path);
            std::fs::read(&path).map_err(|cause| OpenError::File { key, path, cause })
        };
        let from = settings.from.parse::<Mailbox>().map_err(|_| OpenError::From(settings.from.clone()))?;
        let password = match (&settings.password_file, &settings.password) {
            (Some(file), _) => {
                let held = read("mail.password_file", file)?;
                Some(String::from_utf8_lossy(&held).trim_end_matches(['\r', '\n']).to_owned())
            }
            (None, given) => given.as_ref().map(|given| given.0.clone()),
        };
        let credentials = match (settings.user.clone(), password) {
            (Some(user), Some(password)) => Some(Credentials::new(user, password)),
            (None, None) => None,
            _ => return Err(OpenError::Half),
        };
        let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if settings.tls == MailTls::None && credentials.is_some() && !local {
            return Err(OpenError::Open(host.to_owned()));
        }
        let tls = if settings.tls == MailTls::None {
            None
        } else {
            let mut builder = TlsParameters::builder(host.to_owned());
            if let Some(file) = &settings.ca_file {
                let bad = || OpenError::Certificate(folder.join(file));
                let pem = read("mail.ca_file", file)?;
                let text = String::from_utf8(pem).map_err(|_| bad())?;
                let mut any = false;
                for one in
                    text.split_inclusive("-----END CERTIFICATE-----").filter(|one| one.contains("-----BEGIN CERTIFICATE-----"))
                {
                    builder = builder.add_root_certificate(Certificate::from_pem(one.as_bytes()).map_err(|_| bad())?);
                    any = true;
                }
                if !any {
                    return Err(bad());
                }
            }
            Some(builder.build().map_err(|fault| OpenError::Tls(fault.to_string()))?)
        };
        let usual = match settings.tls {
            MailTls::Starttls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        };
        Ok(Self {
            host: host.to_owned(),
            port: settings.port.unwrap_or(usual),
            mode: settings.tls,
            tls,
            credentials,
            from,
            hello: settings.hello.clone().map_or_else(ClientId::default, ClientId::Domain),
            timeout: settings.timeout.0,
        })
    }

    /// Whether the server answers and lets us in; for `portward check`.
    pub async fn check(&self) -> Result<(), String> {
        let mut connection = self.connect().await.map_err(|failure| failure.to_string())?;
        let _ = tokio::time::timeout(Duration::from_secs(5), connection.quit()).await;
        Ok(())
    }

    pub(super) async fn send(&self, letter: &Posted<'_>) -> Result<(), Failure> {
        let message = letter.message(&self.from).map_err(|fault| Failure::Permanent(fault.to_string()))?;
        let bytes = message.formatted();
        let mut connection = self.connect().await?;
        let sent = self.hand_over(&mut connection, message.envelope(), &bytes).await;
        // The mail is the server's as soon as it said so; how the talk ends changes nothing.
        let _ = tokio::time::timeout(Duration::from_secs(5), connection.quit()).await;
        sent
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let outer = self.tls.clone().filter(|_| self.mode == MailTls::Tls);
        let connect =
            AsyncSmtpConnection::connect_tokio1((self.host.as_str(), self.port), Some(self.timeout), &self.hello, outer, None);
        let mut connection = self.step("connection", Step::Ours, self.timeout, connect).await?;
        if let Some(tls) = self.tls.clone().filter(|_| self.mode == MailTls::Starttls) {
            if !connection.can_starttls() {
                return Err(Failure::Temporary("the mail server does not offer STARTTLS".into()));
            }
            self.step("STARTTLS", Step::Ours, self.timeout, connection.starttls(tls, &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            let ways = [Mechanism::Plain, Mechanism::Login];
            self.step("AUTH", Step::Ours, self.timeout, connection.auth(&ways, credentials)).await?;
        }
        Ok(connection)
    }

    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &lettre::address::Envelope,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let mut parameters = Vec::new();
        let named = envelope.to().iter().chain(envelope.from());
        if !named.into_iter().all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Failure::Permanent("the mail server takes no addresses beyond ASCII".into()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = Mail::new(envelope.from().cloned(), parameters);
        self.step("MAIL FROM", Step::Ours, self.timeout, connection.command(from)).await?;
        for to in envelope.to() {
            self.step("RCPT TO", Step::Theirs, self.timeout, connection.command(Rcpt::new(to.clone(), vec![]))).await?;
        }
        self.step("DATA", Step::Theirs, self.timeout, connection.command(Data)).await?;
        // Servers look a mail over before they answer: RFC 5321 4.5.3.2.6 gives them ten times as long as for other steps. To hang up earlier
        // would send it twice.
        self.step("the mail", Step::Theirs, self.timeout * 10, connection.message(bytes)).await.map(drop)
    }

    async fn step<T>(
        &self,
        what: &str,
        step: Step,
        within: Duration,
        done: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(within, done).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failure(what, step, &error)),
            Err(_) => Err(Failure::Temporary(format!("{what}: the mail server took too long"))),
        }
    }
}

/// What went wrong, without the server's own words where they may name somebody.
fn failure(what: &str, step: Step, error: &Error) -> Failure {
    match error.status() {
        Some(code) => {
            let told = format!("{what}: the mail server answered {code}");
            if error.is_permanent() && matches!(step, Step::Theirs) { Failure::Permanent(told) } else { Failure::Temporary(told) }
        }
        None => {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_else(|| error.to_string());
            Failure::Temporary(format!("{what}: {}", if cause.contains('@') { "connection error" } else { &cause }))
        }
    }
}
