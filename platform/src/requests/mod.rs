//! Requests: one call for data each, and what becomes of it.
//!
//! | state | may come from | on the wire |
//! |---|---|---|
//! | queued | (made), failed by the operator's retry, running when it is stopped by a freeze | pending |
//! | running | queued, running (another attempt) | pending |
//! | ready | running | downloading |
//! | failed | queued, running | expired |
//! | cancelled | queued, running, ready | cancelled |
//! | expired | ready | expired |
//!
//! [`RequestState::may_come_from`] is this table; the SQL guards read it, and so does the property test.

mod rows;

use archive::write::Format;
use wire::{AddBody, Checked, DataFormat, Event, EventName, RequestId, RequestStatus};

use crate::apps::AppStatus;
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::grants::{self, Bearer, Need, Shortfall};
use crate::jobs::{self, Job};
use crate::vault::ArchiveRow;
use crate::{Fault, Platform, freezes, pause, webhooks};

pub use rows::{Page, archive_of, by_id, last_download, latest_of_pair, list, page_of_pair};

words! {
    /// Where a request stands.
    RequestState {
        /// Waiting for a worker.
        Queued = "queued",
        /// A worker is at it.
        Running = "running",
        /// The archive can be downloaded.
        Ready = "ready",
        /// Given up; the reason is kept.
        Failed = "failed",
        /// By the app, or with its grant.
        Cancelled = "cancelled",
        /// The archive's time is over.
        Expired = "expired",
    }
}

impl RequestState {
    /// The states from which a request may come into this one.
    pub const fn may_come_from(self) -> &'static [Self] {
        match self {
            Self::Queued => &[Self::Failed, Self::Running],
            Self::Running => &[Self::Queued, Self::Running],
            Self::Ready => &[Self::Running],
            Self::Failed => &[Self::Queued, Self::Running],
            Self::Cancelled => &[Self::Queued, Self::Running, Self::Ready],
            Self::Expired => &[Self::Ready],
        }
    }

    /// Whether an app still waits for it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// One request.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Request {
    /// Below 2^53.
    pub request_id: i64,
    /// By which consent.
    pub grant_id: i64,
    /// Which app asked.
    pub app_id: i64,
    /// For whose data.
    pub person_id: i64,
    /// `json`, `text`, `ndjson` or `csv`.
    pub format: String,
    /// What was asked for, as it was spelt: a JSON list.
    pub categories: String,
    /// Where it stands.
    pub status: RequestState,
    /// The latest attempt; 0 before the first.
    pub attempt: i32,
    /// When it was made.
    pub applied_at: Millis,
    /// When collection began.
    pub collecting_at: Option<Millis>,
    /// When the archive became ready.
    pub ready_at: Option<Millis>,
    /// When the archive's time is over.
    pub expires_at: Option<Millis>,
    /// When it came to its end.
    pub ended_at: Option<Millis>,
    /// Why it failed: a reason code.
    pub failure: Option<String>,
    /// For the operator: what exactly failed. Never data.
    pub failure_detail: Option<String>,
    /// Records from this moment on, where a section knows its time.
    pub since_at: Option<Millis>,
    /// Records before this moment, where a section knows its time.
    pub until_at: Option<Millis>,
    /// Whether a manifest, schemas and a README are wanted in the archive.
    pub documents: bool,
    /// How far it had come when its worker last told, at its end if it came to that: a JSON object, see [`Told`].
    pub progress: Option<String>,
}

/// How far a running request has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Told {
    /// Rows of all sections so far.
    pub rows: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
    /// The same by category, in the order in which they were asked for. A section that belongs to two counts for both.
    pub categories: Vec<ToldCategory>,
}

/// A category's share of [`Told`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ToldCategory {
    /// As the request spells it.
    pub name: String,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far, before compression.
    pub bytes: u64,
}

impl Request {
    /// What was asked for, as it was spelt.
    pub fn categories(&self) -> Result<Vec<String>, Fault> {
        serde_json::from_str(&self.categories).map_err(|_| Fault::Row(format!("the categories of request {}", self.request_id)))
    }

    /// The form of the archive.
    pub fn format(&self) -> Result<Format, Fault> {
        let known = Format::ALL.into_iter().find(|format| stored(*format) == self.format);
        known.ok_or_else(|| Fault::Row(format!("the format of request {}", self.request_id)))
    }

    /// Where it stands at this moment: an archive whose time is over is gone, whether or not it has been swept up yet.
    pub fn state(&self, now: Millis) -> RequestState {
        match self.status {
            RequestState::Ready if self.expires_at.is_none_or(|end| end <= now) => RequestState::Expired,
            state => state,
        }
    }

    /// How far it has come, as its worker last told.
    pub fn progress(&self) -> Option<Told> {
        self.progress.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }

    /// The wire's word for where it stands. An archive whose time is over is gone, whether or not it has been swept up yet.
    pub fn status(&self, now: Millis) -> RequestStatus {
        match self.status {
            RequestState::Queued | RequestState::Running => RequestStatus::Pending,
            RequestState::Ready if self.expires_at.is_some_and(|end| end > now) => RequestStatus::Downloading,
            RequestState::Ready | RequestState::Failed | RequestState::Expired => RequestStatus::Expired,
            RequestState::Cancelled => RequestStatus::Cancelled,
        }
    }

    /// The answer to check.
    pub fn checked(&self, fields: &[wire::CheckField], now: Millis) -> Result<Checked, Fault> {
        use wire::CheckField as Field;
        let mut answer = Checked::default();
        for field in fields {
            match field {
                Field::RequestId => answer.request_id = RequestId::new(self.request_id),
                Field::ApplyTime => answer.apply_time = Some(self.applied_at.seconds()),
                Field::CollectTime => answer.collect_time = Some(self.collecting_at.map_or(0, Millis::seconds)),
                Field::Status => answer.status = Some(self.status(now)),
                Field::DataFormat => answer.data_format = Some(nearest(self.format()?)),
                Field::Categories => answer.category_selection_list = Some(self.categories()?),
            }
        }
        Ok(answer)
    }
}

/// The word by which a format is stored: the wire's own, where it has one.
fn stored(format: Format) -> &'static str {
    format.on_the_wire().map_or(format.as_str(), DataFormat::as_str)
}

/// What the wire says of a format that it has no word for: clients fail on words that they do not know. The archive is a ZIP all the same.
fn nearest(format: Format) -> DataFormat {
    format.on_the_wire().unwrap_or(match format {
        Format::Json | Format::Ndjson => DataFormat::Json,
        Format::Text | Format::Csv => DataFormat::Text,
    })
}

/// What is asked for, made against the catalogue: categories that exist, and what they need.
#[derive(Clone, Debug)]
pub struct Asked {
    format: Format,
    spelt: Vec<String>,
    /// Canonical names in order, so that two calls for the same are seen to be the same.
    names: Vec<String>,
    needs: Vec<Need>,
    since: Option<Millis>,
    until: Option<Millis>,
    documents: bool,
}

impl Asked {
    /// By the wire. Fails with the name that the catalogue does not know.
    pub fn new(body: AddBody, catalogue: &archive::catalogue::Catalogue) -> Result<Self, String> {
        Self::of(body.categories, body.data_format.into(), catalogue)
    }

    /// By the own API, which knows more formats. Fails with the name that the catalogue does not know.
    pub fn of(spelt: Vec<String>, format: Format, catalogue: &archive::catalogue::Catalogue) -> Result<Self, String> {
        let everything = catalogue.category(archive::catalogue::ALL_DATA).map(|category| category.scope.clone());
        let mut names = Vec::new();
        let mut needs = Vec::new();
        for name in &spelt {
            let Some(category) = catalogue.category(name) else { return Err(name.clone()) };
            names.push(category.name.clone());
            needs.push(Need { family: category.scope.clone(), everything: everything.clone() });
        }
        // `all_data` overrides every other entry (contract 2.2).
        if let (true, Some(family)) = (names.iter().any(|name| name == archive::catalogue::ALL_DATA), &everything) {
            names = vec![archive::catalogue::ALL_DATA.to_owned()];
            needs = vec![Need { family: family.clone(), everything: everything.clone() }];
        }
        names.sort_unstable();
        names.dedup();
        Ok(Self { format, spelt, names, needs, since: None, until: None, documents: false })
    }

    /// Only what is from `since` on and before `until`, in sections that know their time.
    pub fn between(self, since: Option<Millis>, until: Option<Millis>) -> Self {
        Self { since, until, ..self }
    }

    /// Whether a manifest, schemas and a README are wanted too.
    pub fn documented(self, documents: bool) -> Self {
        Self { documents, ..self }
    }

    fn key(&self) -> String {
        let mut key = format!("{} {}", stored(self.format), self.names.join(","));
        for (word, at) in [("since", self.since), ("until", self.until)] {
            if let Some(at) = at {
                key.push_str(&format!(" {word} {}", at.0));
            }
        }
        if self.documents {
            key.push_str(" documents");
        }
        key
    }
}

/// Why a request was not made.
#[derive(Debug, thiserror::Error)]
pub enum AddRefusal {
    /// The token died meanwhile.
    #[error("The access token is invalid or not found in the request.")]
    Ended,
    /// A single scope was used before.
    #[error("The single-use scope for these categories has been used. Ask the person to authorize it again.")]
    Spent,
    /// Never granted.
    #[error("The user did not authorize the scope required for completing this request.")]
    Missing,
    /// The app may not ask now.
    #[error("This app may not use the data calls now. Its status is shown on its page.")]
    Standing,
    /// A second look is taken at what was asked for: it is frozen, by this name.
    #[error("The operator has stopped exports of `{0}` for the moment. Try again later.")]
    Frozen(String),
    /// The person's region.
    #[error("Data can be requested only for people in the regions that the operator serves.")]
    Region,
    /// Too many open.
    #[error("There are as many open requests for this person as the operator allows ({0}). Wait for one, or cancel it.")]
    OpenLimit(u32),
    /// The same idempotency key was sent with something else.
    #[error("This Idempotency-Key was used for another request. Send a new key.")]
    KeyReused,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for AddRefusal {
    fn from(cause: sqlx::Error) -> Self {
        Self::Fault(cause.into())
    }
}

/// A request of the wire becomes a row, a job and an audit entry, in one transaction (design: the way of a request, 2).
pub async fn add(
    platform: &Platform,
    bearer: &Bearer,
    asked: &Asked,
    idempotency_key: Option<&str>,
) -> Result<RequestId, AddRefusal> {
    let living = freezes::living(platform).await?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    if !grants::touch(&mut tx, bearer.grant_id, now).await? {
        return Err(AddRefusal::Ended);
    }
    let known = match idempotency_key {
        Some(key) => rows::by_idempotency(&mut tx, bearer.grant_id, key).await?,
        None => None,
    };
    let (found, singles) = match known {
        Some((found, category_key)) if category_key == asked.key() => (Some(found), Vec::new()),
        Some(_) => return Err(AddRefusal::KeyReused),
        None => {
            let held = grants::held(&mut tx, bearer.grant_id).await?;
            let usable = crate::apps::usable(&mut tx, bearer.app_id, &held).await?;
            match grants::spend(&usable, &asked.needs) {
                Ok(singles) => (None, singles),
                // The person allowed it; the app is not approved for it any more.
                Err(_) if usable.len() < held.len() && grants::spend(&held, &asked.needs).is_ok() => {
                    return Err(AddRefusal::Standing);
                }
                Err(Shortfall::Missing) => return Err(AddRefusal::Missing),
                Err(Shortfall::Spent) => {
                    let since = now - platform.settings.requests.replay.0;
                    let found = rows::replayed(&mut tx, bearer.grant_id, &asked.key(), since, now).await?;
                    (Some(found.ok_or(AddRefusal::Spent)?), Vec::new())
                }
            }
        }
    };
    if bearer.app_status != AppStatus::Live || living.app(bearer.app_id) {
        return Err(AddRefusal::Standing);
    }
    let eligibility = &platform.settings.eligibility;
    if eligibility.at_add && !eligibility.holds(&bearer.region) {
        return Err(AddRefusal::Region);
    }
    if living.everything() {
        return Err(AddRefusal::Frozen("all data".into()));
    }
    // Who only lost the answer gets it: the request waits for the freeze to end.
    if let Some(found) = found {
        return wire_id(found);
    }
    if let Some(name) = living.data(&platform.catalogue, &asked.spelt) {
        return Err(AddRefusal::Frozen(name.to_owned()));
    }
    let limit = platform.settings.requests.open_limit;
    if limit > 0 && rows::count_open(&mut tx, bearer.app_id, bearer.person_id).await? >= i64::from(limit) {
        return Err(AddRefusal::OpenLimit(limit));
    }
    let request_id = platform.random.id();
    let new = rows::NewRequest {
        request_id,
        bearer,
        format: stored(asked.format),
        categories: serde_json::json!(asked.spelt).to_string(),
        category_key: asked.key(),
        idempotency_key,
        since: asked.since,
        until: asked.until,
        documents: asked.documents,
    };
    rows::insert(&mut tx, new, now).await?;
    if !grants::spend_on(&mut tx, bearer.grant_id, &singles, request_id).await? {
        return Err(Fault::Row(format!("grant {} was locked and changed all the same", bearer.grant_id)).into());
    }
    let is_large = is_large(&mut tx, platform, (bearer.app_id, bearer.person_id), &asked.spelt).await?;
    jobs::enqueue_export(&mut tx, platform, request_id, is_large, 0, now).await?;
    let detail = asked.key();
    entry(Actor::App(bearer.app_id), "request.added", request_id, bearer.grant_id, bearer.app_id, bearer.person_id, &detail)
        .write(&mut tx, &platform.random, now)
        .await?;
    pause::at("before_add_commit").await;
    tx.commit().await?;
    pause::at("after_add_commit").await;
    wire_id(request_id)
}

/// Whether an archive of these categories will be large, by what the latest archives of the same person for the same app came to. Of whom nothing
/// is known is taken for small until the export has grown.
async fn is_large(tx: &mut Tx, platform: &Platform, pair: (i64, i64), categories: &[String]) -> Result<bool, Fault> {
    let earlier = latest_of_pair(tx, pair.0, pair.1, 10).await?;
    let told: Vec<Told> = earlier.iter().filter_map(Request::progress).collect();
    let most = |name: &String| {
        let shares = told.iter().flat_map(|told| &told.categories).filter(|share| share.name == *name);
        shares.map(|share| share.bytes).max().unwrap_or(0)
    };
    let expected = categories.iter().map(most).fold(0, u64::saturating_add);
    Ok(expected >= platform.settings.jobs.heavy_bytes)
}

fn wire_id(id: i64) -> Result<RequestId, AddRefusal> {
    RequestId::new(id).ok_or_else(|| Fault::Row(format!("request id {id}")).into())
}

fn entry<'a>(actor: Actor, action: &'a str, request: i64, grant: i64, app: i64, person: i64, detail: &'a str) -> Entry<'a> {
    Entry {
        app: Some(app),
        person: Some(person),
        grant: Some(grant),
        request: Some(request),
        detail,
        ..Entry::new(actor, action)
    }
}

/// The request, if the token's app and person are its own. Any token of the pair will do, whatever scopes it has left
/// (contract 4).
pub async fn of_bearer(platform: &Platform, bearer: &Bearer, id: RequestId) -> Result<Option<Request>, Fault> {
    let mut tx = platform.db.read().await?;
    let found = by_id(&mut tx, id.get()).await?;
    Ok(found.filter(|request| request.app_id == bearer.app_id && request.person_id == bearer.person_id))
}

/// What came of cancelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is cancelled, now or before.
    Done,
    /// It had come to its end already.
    TooLate,
    /// There is no such request of this app and person.
    Unknown,
}

/// The app cancels: pending and ready ones go, a ready one's archive with it; the single stays spent (`client-rules.md` 32, 33).
pub async fn cancel(platform: &Platform, bearer: &Bearer, id: RequestId) -> Result<Cancelled, Fault> {
    let Some(request) = of_bearer(platform, bearer, id).await? else { return Ok(Cancelled::Unknown) };
    let now = platform.now();
    if request.status(now) == RequestStatus::Cancelled {
        return Ok(Cancelled::Done);
    }
    if request.status(now) == RequestStatus::Expired {
        return Ok(Cancelled::TooLate);
    }
    let mut tx = platform.db.begin().await?;
    let done = cancel_one(platform, &mut tx, Actor::App(bearer.app_id), &request, now).await?;
    let now_cancelled = done || by_id(&mut tx, request.request_id).await?.is_some_and(|r| r.status == RequestState::Cancelled);
    tx.commit().await?;
    Ok(if now_cancelled { Cancelled::Done } else { Cancelled::TooLate })
}

/// Cancels whatever of a grant is open or ready.
pub(crate) async fn cancel_of_grant(
    platform: &Platform,
    tx: &mut Tx,
    actor: Actor,
    grant_id: i64,
    now: Millis,
) -> Result<(), Fault> {
    for request in rows::cancellable_of_grant(tx, grant_id).await? {
        cancel_one(platform, tx, actor, &request, now).await?;
    }
    Ok(())
}

async fn cancel_one(platform: &Platform, tx: &mut Tx, actor: Actor, request: &Request, now: Millis) -> Result<bool, Fault> {
    if !rows::shift(tx, request.request_id, RequestState::Cancelled, now).await? {
        return Ok(false);
    }
    drop_archive(platform, tx, request.request_id, now).await?;
    jobs::forget(tx, &Job::Export { request_id: request.request_id }).await?;
    about(actor, "request.cancelled", request, "").write(tx, &platform.random, now).await?;
    announce(platform, tx, request, EventName::DownloadCancelled, &[]).await?;
    Ok(true)
}

fn about<'a>(actor: Actor, action: &'a str, request: &Request, detail: &'a str) -> Entry<'a> {
    entry(actor, action, request.request_id, request.grant_id, request.app_id, request.person_id, detail)
}

/// Tells the app what became of a request, with `more` in the content of the event.
async fn announce(
    platform: &Platform,
    tx: &mut Tx,
    request: &Request,
    event: EventName,
    more: &[(&str, serde_json::Value)],
) -> Result<(), Fault> {
    let Some(id) = RequestId::new(request.request_id) else { return Ok(()) };
    let open_id = grants::by_id(tx, request.grant_id).await?.map(|grant| grant.open_id).unwrap_or_default();
    webhooks::enqueue(platform, tx, request.app_id, platform.now(), |client_key, seconds| {
        Event::about_download(event, client_key, seconds, &open_id, id, more)
    })
    .await
}

/// Tells apps that ask for it of archives that will soon be gone, each once.
pub(crate) async fn tell_expiring(platform: &Platform) -> Result<(), Fault> {
    let now = platform.now();
    loop {
        let mut tx = platform.db.read().await?;
        let soon = rows::expiring(&mut tx, now, now + platform.settings.webhooks.expiring.0).await?;
        drop(tx);
        if soon.is_empty() {
            return Ok(());
        }
        for request in soon {
            let mut tx = platform.db.begin().await?;
            if rows::expiring_told(&mut tx, request.request_id).await? {
                let until = request.expires_at.map_or(0, Millis::seconds);
                let more = [("expires_at", until.into())];
                announce(platform, &mut tx, &request, EventName::DownloadExpiring, &more).await?;
            }
            tx.commit().await?;
        }
    }
}

/// Deletes the key row, and with it the archive; the object follows by its own job.
async fn drop_archive(platform: &Platform, tx: &mut Tx, request_id: i64, now: Millis) -> Result<(), Fault> {
    if let Some(object) = rows::delete_archive(tx, request_id).await? {
        jobs::enqueue(tx, platform, Job::DeleteObject { object }, now).await?;
    }
    Ok(())
}

/// An export begins: gives the request, unless it is no longer wanted or a later attempt has begun.
pub(crate) async fn begin(platform: &Platform, request_id: i64, attempt: i32) -> Result<Option<Request>, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    if !rows::begin(&mut tx, request_id, attempt, now).await? {
        return Ok(None);
    }
    let request = by_id(&mut tx, request_id).await?;
    tx.commit().await?;
    Ok(request)
}

/// Whether an attempt may go on.
pub(crate) async fn is_wanted(platform: &Platform, request_id: i64, attempt: i32) -> Result<bool, Fault> {
    let mut tx = platform.db.read().await?;
    let found = by_id(&mut tx, request_id).await?;
    Ok(found.is_some_and(|request| request.status == RequestState::Running && request.attempt == attempt))
}

/// Whether a request may be worked at, or its archive be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is in the way.
    Free,
    /// Its app, its data or everything is frozen.
    Frozen,
    /// Its app is not live: suspended or revoked, or before review again.
    NotLive,
    /// It is gone: withdrawn, cancelled, expired, another attempt's, or its app was deleted.
    Gone,
}

/// How a request that an app may once have asked for stands to what is stopped.
async fn standing(platform: &Platform, found: Option<rows::OfApp>, living: &freezes::Living) -> Result<Standing, Fault> {
    let Some(found) = found else { return Ok(Standing::Gone) };
    let categories: Vec<String> =
        serde_json::from_str(&found.categories).map_err(|_| Fault::Row("the categories of a request".into()))?;
    Ok(if found.app_status != AppStatus::Live {
        Standing::NotLive
    } else if living.touches(&platform.catalogue, found.app_id, &categories) {
        Standing::Frozen
    } else {
        Standing::Free
    })
}

/// Whether an export may begin or go on, in this attempt. None is named before it begins.
pub(crate) async fn may_build(platform: &Platform, request_id: i64, attempt: Option<i32>) -> Result<Standing, Fault> {
    // Looked at in the store each time: of builds there are few.
    let living = freezes::fresh(platform).await?;
    let mut tx = platform.db.read().await?;
    let found = rows::building(&mut tx, request_id, attempt).await?;
    drop(tx);
    standing(platform, found, &living).await
}

/// A build was stopped by what is frozen or suspended: its request waits, as the app sees it no other than before.
pub(crate) async fn wait(tx: &mut Tx, request_id: i64, attempt: i32) -> Result<(), Fault> {
    rows::wait(tx, request_id, attempt).await
}

/// The worker tells how far it is. What an attempt says that is no longer the one changes nothing.
pub(crate) async fn tell(platform: &Platform, request_id: i64, attempt: i32, told: &Told) -> Result<(), Fault> {
    let text = serde_json::to_string(told).map_err(|_| Fault::Row(format!("the progress of request {request_id}")))?;
    let mut tx = platform.db.begin().await?;
    rows::tell(&mut tx, request_id, attempt, text).await?;
    tx.commit().await?;
    Ok(())
}

/// The archive is in the vault: the request becomes ready, if this attempt is still the one. `false` means the object is nobody's.
pub(crate) async fn finish(
    platform: &Platform,
    request: &Request,
    archive: &ArchiveRow,
    told: Option<&Told>,
) -> Result<bool, Fault> {
    let told = told.map(serde_json::to_string).transpose();
    let told = told.map_err(|_| Fault::Row(format!("the progress of request {}", request.request_id)))?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let expires_at = now + platform.settings.requests.kept.0;
    if !rows::finish(&mut tx, request.request_id, archive.attempt, now, expires_at, told).await? {
        return Ok(false);
    }
    rows::insert_archive(&mut tx, archive).await?;
    announce(platform, &mut tx, request, EventName::DownloadReady, &[]).await?;
    let detail = format!("{} bytes", archive.size);
    about(Actor::System, "request.ready", request, &detail).write(&mut tx, &platform.random, now).await?;
    pause::at("before_ready_commit").await;
    tx.commit().await?;
    pause::at("after_ready_commit").await;
    Ok(true)
}

/// An export is given up: the request fails with a reason, and what it spent returns to the grant (`client-rules.md` 32).
pub(crate) async fn fail(platform: &Platform, request_id: i64, attempt: i32, reason: &str, detail: &str) -> Result<bool, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    if !rows::fail(&mut tx, request_id, attempt, reason, detail, now).await? {
        return Ok(false);
    }
    grants::give_back(&mut tx, request_id).await?;
    if let Some(request) = by_id(&mut tx, request_id).await? {
        about(Actor::System, "request.failed", &request, reason).write(&mut tx, &platform.random, now).await?;
        announce(platform, &mut tx, &request, EventName::DownloadFailed, &[]).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Why a request was not taken up again.
#[derive(Debug, thiserror::Error)]
pub enum RetryRefusal {
    /// There is none of that number.
    #[error("there is no request {0}")]
    Unknown(i64),
    /// It did not fail.
    #[error("request {0} is {1}; only failed ones can be retried")]
    NotFailed(i64, RequestState),
    /// The consent is over, or the single that came back was spent on another request.
    #[error("request {0} cannot be retried: its grant has ended, or the single scope that returned to it was used since")]
    NotGranted(i64),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The operator takes a failed request up again.
pub async fn retry(platform: &Platform, request_id: i64) -> Result<(), RetryRefusal> {
    let now = platform.now();
    let mut tx = platform.db.begin().await.map_err(Fault::from)?;
    let request = by_id(&mut tx, request_id).await?.ok_or(RetryRefusal::Unknown(request_id))?;
    if request.status != RequestState::Failed {
        return Err(RetryRefusal::NotFailed(request_id, request.status));
    }
    if !grants::touch(&mut tx, request.grant_id, now).await? {
        return Err(RetryRefusal::NotGranted(request_id));
    }
    let asked = Asked::of(request.categories()?, request.format()?, &platform.catalogue)
        .map_err(|_| RetryRefusal::NotGranted(request_id))?;
    let held = grants::held(&mut tx, request.grant_id).await?;
    let singles = grants::spend(&held, &asked.needs).map_err(|_| RetryRefusal::NotGranted(request_id))?;
    if !grants::spend_on(&mut tx, request.grant_id, &singles, request_id).await? || !rows::requeue(&mut tx, request_id).await? {
        return Err(RetryRefusal::NotGranted(request_id));
    }
    // A worker that was killed between failing the request and burying its job has left that behind.
    jobs::forget(&mut tx, &Job::Export { request_id }).await?;
    let is_large = is_large(&mut tx, platform, (request.app_id, request.person_id), &request.categories()?).await?;
    jobs::enqueue_export(&mut tx, platform, request_id, is_large, request.attempt, now).await?;
    about(Actor::Operator, "request.retried", &request, "").write(&mut tx, &platform.random, now).await?;
    tx.commit().await.map_err(Fault::from)?;
    Ok(())
}

/// Notes a download, and gives what is needed to read the archive.
pub async fn begin_download(
    platform: &Platform,
    bearer: &Bearer,
    request: &Request,
    detail: &str,
) -> Result<Option<ArchiveRow>, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let Some(archive) = archive_of(&mut tx, request.request_id).await? else { return Ok(None) };
    about(Actor::App(bearer.app_id), "archive.downloaded", request, detail).write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(Some(archive))
}

/// Whether an archive may be read: looked at before, and again while a download runs.
pub async fn may_read(platform: &Platform, request_id: i64) -> Result<Standing, Fault> {
    let living = freezes::living(platform).await?;
    let mut tx = platform.db.read().await?;
    let found = rows::readable(&mut tx, request_id).await?;
    drop(tx);
    standing(platform, found, &living).await
}

/// Ends the archives whose time is over. Gives how many there were.
pub(crate) async fn expire(platform: &Platform) -> Result<u64, Fault> {
    let now = platform.now();
    let living = freezes::fresh(platform).await?;
    let mut count = 0;
    loop {
        let mut tx = platform.db.read().await?;
        let over = rows::expired(&mut tx, now).await?;
        drop(tx);
        if over.is_empty() {
            return Ok(count);
        }
        for request in over {
            // Each by itself: no call waits for a crowd of locks.
            let mut tx = platform.db.begin().await?;
            if rows::shift(&mut tx, request.request_id, RequestState::Expired, now).await? {
                // An archive whose time ran out while nobody could fetch it was none: what it spent returns.
                if living.touches(&platform.catalogue, request.app_id, &request.categories()?) {
                    grants::give_back(&mut tx, request.request_id).await?;
                }
                drop_archive(platform, &mut tx, request.request_id, now).await?;
                about(Actor::System, "request.expired", &request, "").write(&mut tx, &platform.random, now).await?;
                announce(platform, &mut tx, &request, EventName::DownloadExpired, &[]).await?;
                count += 1;
            }
            tx.commit().await?;
        }
    }
}

/// Forgets requests that ended longer ago than they are kept.
pub(crate) async fn forget(platform: &Platform) -> Result<u64, Fault> {
    let mut tx = platform.db.begin().await?;
    let gone = rows::forget(&mut tx, platform.now() - platform.settings.retention.requests.0).await?;
    tx.commit().await?;
    Ok(gone)
}
