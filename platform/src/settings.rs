//! What the operator can set about the rules, with defaults and their reasons. `portward.toml` holds these sections.

mod accounts;
mod applications;
mod apps;
mod freezes;
mod review;
mod tickets;
mod uploads;

mod mail;
mod ownership;
mod provider;

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

pub use accounts::Accounts;
pub use applications::{Applications, TermsFile};
pub use apps::{Apps, Organisations};
pub use freezes::Freezes;
pub use review::{Days, Review, ReviewPreset, Weekend, Zone};
pub use tickets::Tickets;
pub use uploads::Uploads;

use crate::regions;

pub use mail::{Mail, MailTls, Secret, Site};
pub use ownership::Ownership;
pub use provider::{Claims, ClientAuth, Provider, Providers};

/// All of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Lifetimes of tokens.
    pub tokens: Tokens,
    /// Requests and their archives.
    pub requests: Requests,
    /// Whose data may be asked for.
    pub eligibility: Eligibility,
    /// Requests a minute.
    pub quotas: Quotas,
    /// Sign-in of people.
    pub sign_in: SignIn,
    /// Sign-in of developers and staff.
    pub accounts: Accounts,
    /// Groups of developers.
    pub organisations: Organisations,
    /// What developers may say of their apps, and the clock of app review.
    pub apps: Apps,
    /// Review of applications.
    pub review: Review,
    /// How soon support answers.
    pub tickets: Tickets,
    /// The brake.
    pub freezes: Freezes,
    /// Calls to apps.
    pub webhooks: Webhooks,
    /// Proofs that addresses are somebody's.
    pub ownership: Ownership,
    /// The queue.
    pub jobs: Jobs,
    /// How long things are kept.
    pub retention: Retention,
    /// The way out for mail.
    pub mail: Mail,
    /// How others reach us; not set by the operator here, but filled at the start.
    #[serde(skip)]
    pub site: Site,
    /// Files that outsiders hand in.
    pub uploads: Uploads,
    /// The form of applications.
    pub applications: Applications,
}

/// `[tokens]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// Which lifetimes hold where none is named: TikTok's of November 2026, or the older ones.
    pub preset: Preset,
    /// How long an access token lives.
    access: Option<Span>,
    /// How long a refresh token lives.
    refresh: Option<Span>,
    /// How long a code can be exchanged: ten minutes at most (RFC 6749 4.1.2).
    pub code: Span,
    /// How long a replaced refresh token gets the same answer again. None by default: a stolen token must be noticed.
    pub refresh_grace: Span,
    /// Whether a `code_verifier` without a challenge is refused, as RFC 9700 4.8.2 asks. Off, because two widely used clients send one
    /// (`client-rules.md` 15).
    pub strict_verifier: bool,
    /// Failures a minute of one app at the token endpoint beyond which failures are answered 429.
    pub failures_per_minute: u32,
    /// What follows a token's kind, so that it says to which world it belongs: nothing, or `sb.` in the sandbox. Not the operator's to set.
    #[serde(skip)]
    pub mark: &'static str,
}

/// A set of token lifetimes (contract 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Preset {
    /// Access 2 hours, refresh 180 days from each refresh.
    #[serde(rename = "2026-11")]
    November2026,
    /// Access 24 hours, refresh 365 days from consent.
    #[serde(rename = "classic")]
    Classic,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            preset: Preset::November2026,
            access: None,
            refresh: None,
            code: Span::minutes(10),
            refresh_grace: Span::seconds(0),
            strict_verifier: false,
            failures_per_minute: 100,
            mark: "",
        }
    }
}

impl Tokens {
    /// How long an access token lives.
    pub fn access(&self) -> Duration {
        self.access.unwrap_or(if self.preset == Preset::Classic { Span::hours(24) } else { Span::hours(2) }).0
    }

    /// How long a refresh token lives.
    pub fn refresh(&self) -> Duration {
        self.refresh.unwrap_or(if self.preset == Preset::Classic { Span::days(365) } else { Span::days(180) }).0
    }

    /// What a token of a kind begins with: `act.`, or `act.sb.` in the sandbox. What follows holds no point, so neither can be taken for the other.
    pub fn prefix(&self, kind: &str) -> String {
        format!("{kind}.{}", self.mark)
    }
}

impl Tokens {
    /// When a grant given at a time ends by itself: with the classic refresh token, whose clock is the consent's. That of 2026 starts anew with each
    /// refresh, so such a grant lasts until somebody ends it or the app no longer refreshes.
    pub fn grant_ends(&self, given: crate::Millis) -> Option<crate::Millis> {
        (self.preset == Preset::Classic).then(|| given + self.refresh())
    }
}

/// `[requests]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requests {
    /// How long an archive can be downloaded once it is ready: four days (contract 4.4).
    pub kept: Span,
    /// How long an identical call finds the request whose answer was lost (`client-rules.md` 31).
    pub replay: Span,
    /// How many requests an app may have open for one person; 0 is no limit. Calls at once on two grants of one pair may pass it together.
    pub open_limit: u32,
    /// How often an export is tried before its request fails.
    pub attempts: u32,
    /// Whether archives that are asked for on the compatible surface say what they are: manifest, signature, schemas and words for people beside
    /// the data. Off, because clients there may count on one member.
    pub documents: bool,
    /// The level of DEFLATE, 1 to 9: 1 is our own encoder, 2 to 9 are zlib's. 1 costs some 4 % in size against 6 and takes a quarter of the time.
    pub level: u32,
}

impl Default for Requests {
    fn default() -> Self {
        Self { kept: Span::days(4), replay: Span::minutes(10), open_limit: 0, attempts: 5, documents: false, level: 1 }
    }
}

/// `[eligibility]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Eligibility {
    /// ISO 3166 codes of the regions whose people may have their data exported; empty means all.
    pub regions: Vec<String>,
    /// Whether others are refused at consent.
    pub at_consent: bool,
    /// Whether others are refused at add.
    pub at_add: bool,
}

impl Default for Eligibility {
    fn default() -> Self {
        Self { regions: regions::EEA_AND_UK.iter().map(|code| (*code).to_owned()).collect(), at_consent: true, at_add: true }
    }
}

impl Eligibility {
    /// Whether people of a region are eligible.
    pub fn holds(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|code| code.eq_ignore_ascii_case(region))
    }
}

/// `[quotas]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Requests in any sliding minute, per app and request type (contract 5).
    pub per_minute: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { per_minute: 1000 }
    }
}

/// `[sign_in]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignIn {
    /// How long a session lasts.
    pub session: Span,
    /// Failures of one account within the window after which it must wait.
    pub failures_per_account: u32,
    /// Failures from one address within the window after which it must wait.
    pub failures_per_address: u32,
    /// The window.
    pub window: Span,
    /// How lately somebody must have proved who they are to be asked about categories that the catalogue marks as sensitive.
    pub fresh: Span,
}

impl Default for SignIn {
    fn default() -> Self {
        Self {
            session: Span::hours(12),
            failures_per_account: 10,
            failures_per_address: 50,
            window: Span::minutes(15),
            fresh: Span::minutes(10),
        }
    }
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// How long a delivery is tried (contract 7).
    pub retry_for: Span,
    /// How long a receiver may take to answer.
    pub timeout: Span,
    /// Addresses (`10.1.0.0/16`, `127.0.0.1`) and host names that may be called although they are not on the public Internet, plain http included.
    pub allow: Vec<String>,
    /// Test events that one app may ask for within the window.
    pub tests: u32,
    /// Presses of *Send again* that one app may make within the window.
    pub replays: u32,
    /// The window.
    pub test_window: Span,
    /// How long every call may fail before calls are stopped and the developer is told.
    pub stop_after: Span,
    /// How long before its end an archive is told to be expiring.
    pub expiring: Span,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            retry_for: Span::hours(72),
            timeout: Span::seconds(15),
            allow: Vec::new(),
            tests: 10,
            replays: 60,
            test_window: Span::minutes(15),
            stop_after: Span::hours(5 * 24),
            expiring: Span::hours(24),
        }
    }
}

/// `[jobs]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    /// How long a worker that has gone silent keeps its job. Renewed at a third of it.
    pub lease: Span,
    /// How often the queue is looked at when nothing was heard.
    pub poll: Span,
    /// Archives built at once by one process, large ones not counted.
    pub exports: u32,
    /// Large archives built at once by one process, beside the others; of every source's connections one is left to those.
    pub heavy_exports: u32,
    /// An archive is large when it holds so many bytes before compression,
    pub heavy_bytes: u64,
    /// or when it has taken so long.
    pub heavy_after: Span,
    /// Webhook calls made at once by one process.
    pub deliveries: u32,
    /// How long running jobs may go on after a request to stop; then they are handed back.
    pub stop_within: Span,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            lease: Span::seconds(60),
            poll: Span::seconds(2),
            exports: 2,
            heavy_exports: 2,
            heavy_bytes: 64 << 20,
            heavy_after: Span::seconds(5),
            deliveries: 8,
            stop_within: Span::seconds(20),
        }
    }
}

/// `[retention]`: how long each is kept after its end.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Requests: long enough for a yearly audit.
    pub requests: Span,
    /// Ended grants and their tokens, unless a kept request names them.
    pub grants: Span,
    /// Deliveries.
    pub deliveries: Span,
    /// Mails: to whom and when; what they said is erased when they are sent.
    pub notices: Span,
    /// Tickets, after they were closed.
    pub tickets: Span,
    /// Jobs that were given up.
    pub dead_jobs: Span,
    /// The audit record.
    pub audit: Span,
    /// Calls and downloads: long enough to look into a complaint.
    pub access: Span,
    /// Objects in the vault that no archive names: what a killed worker left. Long enough for any archive that is just being put.
    pub orphans: Span,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            requests: Span::days(400),
            grants: Span::days(400),
            deliveries: Span::days(30),
            notices: Span::days(90),
            tickets: Span::days(2 * 365),
            dead_jobs: Span::days(30),
            audit: Span::days(3 * 365),
            access: Span::days(180),
            orphans: Span::hours(1),
        }
    }
}

/// A length of time, written `90 s`, `10 min`, `2 h` or `4 d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }
    /// So many minutes.
    pub const fn minutes(count: u64) -> Self {
        Self::seconds(count * 60)
    }
    /// So many hours.
    pub const fn hours(count: u64) -> Self {
        Self::minutes(count * 60)
    }
    /// So many days of 24 hours.
    pub const fn days(count: u64) -> Self {
        Self::hours(count * 24)
    }

    /// Reads a whole number and a unit: ms, s, min, h or d.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let count: u64 = text[..digits].parse().ok()?;
        let millis: u64 = match text[digits..].trim() {
            "ms" => 1,
            "s" => 1000,
            "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(count.checked_mul(millis)?)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is not a length of time: write a whole number and ms, s, min, h or d, such as \"90 s\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_nonsense_is_refused() {
        assert_eq!(Span::parse("90 s"), Some(Span::seconds(90)));
        assert_eq!(Span::parse("4d"), Some(Span::days(4)));
        for nonsense in ["", "4", "d", "-4 d", "1.5 h", "4 weeks", "99999999999999999999 d", "18446744073709551615 d"] {
            assert_eq!(Span::parse(nonsense), None, "{nonsense}");
        }
    }
}
