//! URL properties: addresses whose ownership is proved by a DNS TXT record or a signature file (contract 1.6).
//!
//! A verified domain covers every URL on it and below it; a verified prefix every URL under it. Labels and path segments are compared whole:
//! `evil-example.com` is not below `example.com`, and `/application` is not under `/app`.

mod look;
mod prove;
mod rows;
mod sites;
mod value;

use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::{Fault, Platform};

pub use look::{Link, Looked};
pub use rows::list;
pub use sites::Sites;
pub use value::BadValue;

words! {
    /// How ownership is proved.
    Kind {
        /// A TXT record of a domain.
        Domain = "domain",
        /// A file under a URL.
        Prefix = "prefix",
    }
}

words! {
    /// What stood in the way of a proof.
    Problem {
        /// The name servers know no such domain.
        NoDomain = "no_domain",
        /// The domain has no record of ours.
        NoRecord = "no_record",
        /// It has one, with another value.
        OtherRecord = "other_record",
        /// The name servers did not answer, or not usefully.
        NoAnswer = "no_answer",
        /// The file was answered with another status than 200.
        NotThere = "not_there",
        /// What was answered is a web page.
        WebPage = "web_page",
        /// What was answered is something else than the line.
        OtherContent = "other_content",
        /// What was answered is longer than any such file.
        TooLong = "too_long",
        /// It took too long.
        TooSlow = "too_slow",
        /// The server leads elsewhere.
        Elsewhere = "elsewhere",
        /// The host is not on the public Internet.
        NotPublic = "not_public",
        /// No connection, or no valid certificate.
        NoConnection = "no_connection",
    }
}

/// An address, and how far its proof is.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Property {
    /// Ours.
    pub property_id: i64,
    /// Whose: an organisation or an account.
    pub owner_id: i64,
    /// How it is proved.
    pub kind: Kind,
    /// The domain in lower case and ASCII, or the URL with a slash at its end.
    pub value: String,
    /// The 32 characters that only its owner was told.
    pub token: String,
    /// When it was added.
    pub created_at: Millis,
    /// When it was first proved.
    pub verified_at: Option<Millis>,
    /// When it was last looked at.
    pub checked_at: Option<Millis>,
    /// What was found at the last look; none if it was as it should be.
    pub problem: Option<String>,
}

/// What was found, with its details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub problem: Problem,
    /// The status, the address it leads to, or the beginning of what was answered; may be empty. An outsider's text.
    pub detail: String,
}

impl Found {
    fn new(problem: Problem, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        Self { problem, detail: detail.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect() }
    }

    fn text(&self) -> String {
        format!("{} {}", self.problem, self.detail)
    }

    fn parse(text: &str) -> Option<Self> {
        let (word, detail) = text.split_once(' ').unwrap_or((text, ""));
        Some(Self { problem: Problem::parse(word)?, detail: detail.to_owned() })
    }
}

impl Property {
    /// The line that stands in the record and in the file.
    pub fn line(&self, platform: &Platform) -> String {
        format!("{}-developers-site-verification={}", platform.settings.ownership.word, self.token)
    }

    /// The name of the file.
    pub fn file_name(&self, platform: &Platform) -> String {
        format!("{}{}.txt", platform.settings.ownership.word, self.token)
    }

    /// Where the file belongs; of a prefix only.
    pub fn file_url(&self, platform: &Platform) -> Option<String> {
        (self.kind == Kind::Prefix).then(|| format!("{}{}", self.value, self.file_name(platform)))
    }

    /// What was found at the last look, if it was not as it should be.
    pub fn found(&self) -> Option<Found> {
        self.problem.as_deref().and_then(Found::parse)
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is no domain or URL whose ownership can be proved.
    #[error(transparent)]
    Value(#[from] BadValue),
    /// The owner has it already.
    #[error("this address is in your list already")]
    There,
    /// There are too many.
    #[error("there are {0} addresses in your list already, which is the most there can be: remove one first")]
    Full(u32),
    /// The owner has no such property.
    #[error("there is no such address in your list")]
    Unknown,
    /// Asked too often.
    #[error("too many checks within a short time: wait {} minutes, then try again", .0.as_secs().div_ceil(60).max(1))]
    Often(std::time::Duration),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for Refusal {
    fn from(cause: sqlx::Error) -> Self {
        Self::Fault(cause.into())
    }
}

/// Adds an address to an owner's list, with a token of its own.
pub async fn add(platform: &Platform, actor: Actor, owner_id: i64, kind: Kind, value: &str) -> Result<Property, Refusal> {
    let value = match kind {
        Kind::Domain => value::domain(value)?,
        Kind::Prefix => value::prefix(value, |host| platform.sites.may_be_plain(host))?,
    };
    let now = platform.now();
    let property = Property {
        property_id: platform.random.id(),
        owner_id,
        kind,
        value,
        token: platform.random.secret(32),
        created_at: now,
        verified_at: None,
        checked_at: None,
        problem: None,
    };
    let most = platform.settings.ownership.most;
    let mut tx = platform.db.begin().await?;
    if rows::count(&mut tx, owner_id).await? >= i64::from(most) {
        return Err(Refusal::Full(most));
    }
    if !rows::insert(&mut tx, &property).await? {
        return Err(Refusal::There);
    }
    record(platform, &mut tx, actor, &property, "property.added").await?;
    tx.commit().await?;
    Ok(property)
}

/// Looks whether the proof is there. A property that was proved stays so if it is not; [`Property::problem`] tells.
pub async fn verify(platform: &Platform, actor: Actor, owner_id: i64, property_id: i64) -> Result<Property, Refusal> {
    let mut tx = platform.db.read().await?;
    let property = rows::by_id(&mut tx, property_id).await?.filter(|property| property.owner_id == owner_id);
    drop(tx);
    let property = property.ok_or(Refusal::Unknown)?;
    let attempt = platform.sites.begin(owner_id, platform.now()).map_err(Refusal::Often)?;
    let found = prove::prove(platform, &property).await;
    if found.is_ok() {
        attempt.succeeded();
    }
    settle(platform, actor, property, found).await
}

/// Looks at a property again, for checks by the clock: whoever calls decides what a lost proof means. `None` if it is gone.
pub async fn recheck(platform: &Platform, property_id: i64) -> Result<Option<Property>, Fault> {
    let Some(property) = rows::by_id(&mut platform.db.read().await?, property_id).await? else { return Ok(None) };
    let found = prove::prove(platform, &property).await;
    match settle(platform, Actor::System, property, found).await {
        Ok(property) => Ok(Some(property)),
        Err(Refusal::Fault(fault)) => Err(fault),
        Err(_) => Ok(None),
    }
}

async fn settle(platform: &Platform, actor: Actor, property: Property, found: Result<(), Found>) -> Result<Property, Refusal> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let problem = found.err().map(|found| found.text());
    // It may have been removed while we looked.
    let after = rows::checked(&mut tx, property.property_id, now, problem).await?.ok_or(Refusal::Unknown)?;
    if property.verified_at.is_none() && after.verified_at.is_some() {
        record(platform, &mut tx, actor, &after, "property.verified").await?;
    } else if property.problem.is_none() && after.problem.is_some() && after.verified_at.is_some() {
        record(platform, &mut tx, actor, &after, "property.proof_lost").await?;
    }
    tx.commit().await?;
    tracing::info!(
        property_id = after.property_id,
        problem = after.found().map(|found| found.problem.as_str()),
        "ownership looked at"
    );
    Ok(after)
}

/// Takes an address out of an owner's list; `false` if it was not in it.
pub async fn remove(platform: &Platform, actor: Actor, owner_id: i64, property_id: i64) -> Result<bool, Fault> {
    let mut tx = platform.db.begin().await?;
    let Some(property) = rows::delete(&mut tx, owner_id, property_id).await? else { return Ok(false) };
    record(platform, &mut tx, actor, &property, "property.removed").await?;
    tx.commit().await?;
    Ok(true)
}

async fn record(platform: &Platform, tx: &mut Tx, actor: Actor, property: &Property, action: &str) -> Result<(), Fault> {
    let entry = Entry { about: Some(property.property_id), detail: property.kind.as_str(), ..Entry::new(actor, action) };
    entry.write(tx, &platform.random, platform.now()).await
}

/// Whether a URL is on or below an address that the owner has proved.
pub async fn covers(tx: &mut Tx, owner_id: i64, url: &str) -> Result<bool, Fault> {
    let Some(url) = value::read(url) else { return Ok(false) };
    let proved = list(tx, owner_id).await?;
    Ok(proved.iter().filter(|property| property.verified_at.is_some()).any(|property| property.covers(&url)))
}

impl Property {
    fn covers(&self, url: &url::Url) -> bool {
        match self.kind {
            Kind::Domain => value::is_on_or_below(url, &self.value),
            Kind::Prefix => value::is_under(url, &self.value),
        }
    }
}

/// Fetches a page of somebody's site and says what is on it.
pub async fn look(platform: &Platform, url: &str) -> Looked {
    look::look(&platform.sites, url).await
}
