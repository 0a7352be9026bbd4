//! Freezes: the brake. One member of staff stops an app, a category, a source or everything at once, with a reason; a second person confirms or
//! lifts it. Nothing is deleted by a freeze and nothing is lifted by the clock: a freeze that nobody looked at in time goes on, and is told to
//! those who can look at it.
//!
//! | frozen | calls | builds | archives and media links |
//! |---|---|---|---|
//! | an app | refused as for an app that is suspended (`client-rules.md` 34) | wait | not sent |
//! | a category | those that ask for data of it, with 503 | those that hold data of it wait | those that hold data of it are not sent |
//! | a source | the same for data that is read from it | the same | the same |
//! | everything | all, with 503 | wait | not sent |

mod living;
mod rows;

use crate::accounts::{self, Role};
use crate::applications::clocks;
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::notices::{self, Notice};
use crate::{Fault, Platform, apps, jobs};

pub use living::{Living, Look, fresh, living};
pub use rows::{by_id, list, of_app};

/// The longest reason, in characters.
pub const REASON_LIMIT: usize = 2000;
/// How often a freeze that nobody looked at is told again.
const TOLD_AGAIN: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// Who can look at a freeze that somebody else made, and is told of it.
pub const SECONDS: [Role; 2] = [Role::Compliance, Role::Administrator];

words! {
    /// What kind of thing a freeze stops.
    What {
        /// One app.
        App = "app",
        /// The data of a category, by whatever category it is asked for.
        Category = "category",
        /// The data that is read from a source.
        Source = "source",
        /// All of it.
        Everything = "everything",
    }
}

words! {
    /// Where a freeze stands.
    State {
        /// One person made it; a second is to look at it.
        Unconfirmed = "unconfirmed",
        /// A second person agrees: it goes on until it is lifted.
        Confirmed = "confirmed",
        /// It is over.
        Lifted = "lifted",
    }
}

/// What is to be stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An app, by its number.
    App(i64),
    /// A category, by its name in the catalogue.
    Category(String),
    /// A source, by its name in the catalogue.
    Source(String),
    /// Everything.
    Everything,
}

impl Target {
    /// Which kind.
    pub const fn what(&self) -> What {
        match self {
            Self::App(_) => What::App,
            Self::Category(_) => What::Category,
            Self::Source(_) => What::Source,
            Self::Everything => What::Everything,
        }
    }

    /// Its one spelling: `app 4711`, `category activity`, `source clips`, `everything`.
    fn key(&self) -> String {
        match self {
            Self::App(app_id) => format!("app {app_id}"),
            Self::Category(name) => format!("category {name}"),
            Self::Source(name) => format!("source {name}"),
            Self::Everything => "everything".into(),
        }
    }
}

/// Whose hand is on the brake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hand {
    /// As the audit names them.
    pub actor: Actor,
    /// The member of staff; none for a command line that named nobody.
    pub account_id: Option<i64>,
}

impl Hand {
    /// A member of staff in the console.
    pub const fn staff(account_id: i64) -> Self {
        Self { actor: Actor::Staff(account_id), account_id: Some(account_id) }
    }

    /// The operator's command line, for a member of staff or for nobody in particular.
    pub const fn operator(account_id: Option<i64>) -> Self {
        Self { actor: Actor::Operator, account_id }
    }
}

/// One freeze.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Freeze {
    /// Ours.
    pub freeze_id: i64,
    /// What kind of thing it stops.
    pub what: What,
    /// Which app, if it is one.
    pub app_id: Option<i64>,
    /// Which category or source; else empty.
    pub name: String,
    /// Why. The developer of a frozen app reads it.
    pub reason: String,
    /// When.
    pub made_at: Millis,
    /// By which member of staff; none for the operator's command line.
    pub made_by: Option<i64>,
    /// By when a second person is to have looked at it.
    pub due_at: Millis,
    /// When those who can were last told that nobody has.
    pub escalated_at: Option<Millis>,
    /// When a second person agreed.
    pub confirmed_at: Option<Millis>,
    /// Who; none for the operator's command line.
    pub confirmed_by: Option<i64>,
    /// When it ended.
    pub lifted_at: Option<Millis>,
    /// By whom; none for the operator's command line.
    pub lifted_by: Option<i64>,
    /// Why it was lifted.
    pub lifted_why: String,
}

impl Freeze {
    /// Where it stands.
    pub const fn state(&self) -> State {
        match (self.lifted_at, self.confirmed_at) {
            (Some(_), _) => State::Lifted,
            (None, Some(_)) => State::Confirmed,
            (None, None) => State::Unconfirmed,
        }
    }

    /// Whether a second person should have looked at it by now.
    pub fn is_late(&self, now: Millis) -> bool {
        self.state() == State::Unconfirmed && self.due_at < now
    }

    /// Whether this hand is another than the one that made it.
    pub fn is_second(&self, hand: Hand) -> bool {
        self.made_by != hand.account_id
    }
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The words are missing, or too many.
    #[error("say why, in 1 to {REASON_LIMIT} characters")]
    Reason,
    /// There is nothing of that name.
    #[error("there is no such {0}")]
    Nothing(What),
    /// It is frozen already.
    #[error("it is frozen already, by freeze {0}")]
    Already(i64),
    /// There is no such freeze.
    #[error("there is no freeze of that number")]
    Unknown,
    /// The same hand again.
    #[error("a second person confirms or lifts a freeze, not the one who made it")]
    SamePerson,
    /// It was confirmed or lifted before.
    #[error("the freeze is {0} already")]
    Moved(State),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for Refusal {
    fn from(cause: sqlx::Error) -> Self {
        Self::Fault(cause.into())
    }
}

fn tidy(reason: &str) -> Result<String, Refusal> {
    let reason = reason.replace("\r\n", "\n").trim().to_owned();
    let fits = !reason.is_empty() && reason.chars().count() <= REASON_LIMIT && !reason.contains('\0');
    if fits { Ok(reason) } else { Err(Refusal::Reason) }
}

/// Pulls the brake. It holds in this process at once, and in every other within a second.
pub async fn make(platform: &Platform, hand: Hand, target: &Target, reason: &str) -> Result<Freeze, Refusal> {
    let reason = tidy(reason)?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let (app_id, name) = match target {
        Target::App(app_id) => {
            let app = apps::by_id(&mut tx, *app_id).await?.filter(|app| app.deleted_at.is_none());
            (Some(app.ok_or(Refusal::Nothing(What::App))?.app_id), String::new())
        }
        Target::Category(name) => {
            let category = platform.catalogue.category(name).ok_or(Refusal::Nothing(What::Category))?;
            (None, category.name.clone())
        }
        Target::Source(name) => {
            let source = platform.catalogue.source(name).ok_or(Refusal::Nothing(What::Source))?;
            (None, source.name.clone())
        }
        Target::Everything => (None, String::new()),
    };
    // An alias and the name it stands for are one.
    let key = if target.what() == What::Category { Target::Category(name.clone()).key() } else { target.key() };
    let freeze = Freeze {
        freeze_id: platform.random.id(),
        what: target.what(),
        app_id,
        name,
        reason,
        made_at: now,
        made_by: hand.account_id,
        due_at: clocks::due(now, platform.settings.freezes.confirm, &platform.settings.review.calendar()),
        escalated_at: None,
        confirmed_at: None,
        confirmed_by: None,
        lifted_at: None,
        lifted_by: None,
        lifted_why: String::new(),
    };
    if !rows::insert(&mut tx, &freeze, &key).await? {
        let other = rows::living_of(&mut tx, &key).await?.unwrap_or_default();
        return Err(Refusal::Already(other));
    }
    record(platform, &mut tx, hand, &freeze, "freeze.made", &key).await?;
    tell_of_new(platform, &mut tx, hand, &freeze).await?;
    tx.commit().await?;
    platform.freezes.forget();
    tracing::warn!(freeze_id = freeze.freeze_id, what = key, "frozen");
    Ok(freeze)
}

/// A second person agrees: the freeze goes on until somebody lifts it.
pub async fn confirm(platform: &Platform, hand: Hand, freeze_id: i64) -> Result<Freeze, Refusal> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let before = by_id(&mut tx, freeze_id).await?.ok_or(Refusal::Unknown)?;
    if !before.is_second(hand) {
        return Err(Refusal::SamePerson);
    }
    if before.state() != State::Unconfirmed || !rows::confirm(&mut tx, freeze_id, hand.account_id, now).await? {
        let moved = by_id(&mut tx, freeze_id).await?.map_or(State::Lifted, |freeze| freeze.state());
        return Err(Refusal::Moved(moved));
    }
    record(platform, &mut tx, hand, &before, "freeze.confirmed", "").await?;
    let after = by_id(&mut tx, freeze_id).await?.ok_or(Refusal::Unknown)?;
    tx.commit().await?;
    Ok(after)
}

/// A second person ends the freeze. What waited goes on at once.
pub async fn lift(platform: &Platform, hand: Hand, freeze_id: i64, why: &str) -> Result<Freeze, Refusal> {
    let why = tidy(why)?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let before = by_id(&mut tx, freeze_id).await?.ok_or(Refusal::Unknown)?;
    if !before.is_second(hand) {
        return Err(Refusal::SamePerson);
    }
    if !rows::lift(&mut tx, freeze_id, hand.account_id, &why, now).await? {
        return Err(Refusal::Moved(State::Lifted));
    }
    record(platform, &mut tx, hand, &before, "freeze.lifted", "").await?;
    jobs::wake_held(&mut tx, now).await?;
    if let Some(app_id) = before.app_id
        && let Some(app) = apps::by_id(&mut tx, app_id).await?
    {
        for email in apps::people_of(&mut tx, &app).await? {
            let path = format!("/developers/apps/{app_id}");
            let told = Notice::AppThawed { app: app.name.clone(), why: why.clone(), path };
            notices::send(platform, &mut tx, &email, Some(app_id), told).await?;
        }
    }
    if let Some(maker) = before.made_by
        && let Some(account) = accounts::by_id(&mut tx, maker).await?.filter(|account| account.disabled_at.is_none())
    {
        let told = Notice::FreezeLifted { what: named(&mut tx, &before).await?, why, path: console_path(freeze_id) };
        notices::send(platform, &mut tx, &account.email, Some(freeze_id), told).await?;
    }
    let after = by_id(&mut tx, freeze_id).await?.ok_or(Refusal::Unknown)?;
    tx.commit().await?;
    platform.freezes.forget();
    tracing::warn!(freeze_id, "a freeze was lifted");
    Ok(after)
}

async fn record(platform: &Platform, tx: &mut Tx, hand: Hand, freeze: &Freeze, action: &str, detail: &str) -> Result<(), Fault> {
    // The command line acts for somebody, or for nobody in particular: both are told apart from an act in the console.
    let for_whom = match (hand.actor, hand.account_id) {
        (Actor::Operator, Some(account_id)) => format!("{detail} for staff {account_id}"),
        _ => detail.to_owned(),
    };
    let entry = Entry { app: freeze.app_id, about: Some(freeze.freeze_id), ..Entry::new(hand.actor, action) };
    Entry { detail: for_whom.trim(), ..entry }.write(tx, &platform.random, platform.now()).await
}

fn console_path(freeze_id: i64) -> String {
    format!("/console/freezes/{freeze_id}")
}

/// What a freeze stops, in words for staff.
pub async fn named(tx: &mut Tx, freeze: &Freeze) -> Result<String, Fault> {
    Ok(match freeze.what {
        What::App => {
            let app = apps::by_id(tx, freeze.app_id.unwrap_or_default()).await?;
            format!("the app {}", app.map(|app| app.name).unwrap_or_default())
        }
        What::Category => format!("the category {}", freeze.name),
        What::Source => format!("the source {}", freeze.name),
        What::Everything => "everything".into(),
    })
}

/// Those who can look at it, and the developers of a frozen app, learn of it with it.
async fn tell_of_new(platform: &Platform, tx: &mut Tx, hand: Hand, freeze: &Freeze) -> Result<(), Fault> {
    let due = clocks::in_words(freeze.due_at, &platform.settings.review.calendar());
    if let Some(app_id) = freeze.app_id
        && let Some(app) = apps::by_id(tx, app_id).await?
    {
        for email in apps::people_of(tx, &app).await? {
            let path = format!("/developers/apps/{app_id}");
            let told = Notice::AppFrozen { app: app.name.clone(), reason: freeze.reason.clone(), due: due.clone(), path };
            notices::send(platform, tx, &email, Some(app_id), told).await?;
        }
    }
    let what = named(tx, freeze).await?;
    for (account_id, email) in seconds(tx).await? {
        if Some(account_id) != hand.account_id {
            let (what, reason, due) = (what.clone(), freeze.reason.clone(), due.clone());
            let told = Notice::FreezeMade { what, reason, due, path: console_path(freeze.freeze_id) };
            notices::send(platform, tx, &email, Some(freeze.freeze_id), told).await?;
        }
    }
    Ok(())
}

/// Everybody who could be the second person.
async fn seconds(tx: &mut Tx) -> Result<Vec<(i64, String)>, Fault> {
    let mut found: Vec<(i64, String)> = Vec::new();
    for role in SECONDS {
        for account in accounts::with_role(tx, role).await? {
            if !found.iter().any(|(known, _)| *known == account.account_id) {
                found.push((account.account_id, account.email));
            }
        }
    }
    Ok(found)
}

/// What the clock does: it tells of freezes that nobody looked at, and each day again. It lifts none: what was thought dangerous enough to stop
/// does not start because nobody had time.
pub(crate) async fn escalate(platform: &Platform) -> Result<(), Fault> {
    let now = platform.now();
    let mut tx = platform.db.read().await?;
    let late = rows::late(&mut tx, now, now - TOLD_AGAIN).await?;
    let (living, overdue) = rows::count(&mut tx, now).await?;
    drop(tx);
    let world = platform.world.as_str();
    metrics::gauge!("portward_freezes", "world" => world).set(f64::from(u32::try_from(living).unwrap_or(u32::MAX)));
    metrics::gauge!("portward_freezes_late", "world" => world).set(f64::from(u32::try_from(overdue).unwrap_or(u32::MAX)));
    for freeze in late {
        let mut tx = platform.db.begin().await?;
        // Of two workers one tells.
        if !rows::escalate(&mut tx, &freeze, now).await? {
            continue;
        }
        let due = clocks::in_words(freeze.due_at, &platform.settings.review.calendar());
        let what = named(&mut tx, &freeze).await?;
        for (account_id, email) in seconds(&mut tx).await? {
            if Some(account_id) != freeze.made_by {
                let (what, due) = (what.clone(), due.clone());
                let told = Notice::FreezeLate { what, due, path: console_path(freeze.freeze_id) };
                notices::send(platform, &mut tx, &email, Some(freeze.freeze_id), told).await?;
            }
        }
        if let (None, Some(app_id)) = (freeze.escalated_at, freeze.app_id)
            && let Some(app) = apps::by_id(&mut tx, app_id).await?
        {
            for email in apps::people_of(&mut tx, &app).await? {
                let told =
                    Notice::AppFreezeLate { app: app.name.clone(), due: due.clone(), path: format!("/developers/apps/{app_id}") };
                notices::send(platform, &mut tx, &email, Some(app_id), told).await?;
            }
        }
        let entry = Entry { app: freeze.app_id, about: Some(freeze.freeze_id), ..Entry::new(Actor::System, "freeze.late") };
        entry.write(&mut tx, &platform.random, now).await?;
        tx.commit().await?;
        tracing::error!(freeze_id = freeze.freeze_id, "nobody has confirmed or lifted a freeze in time; it goes on");
    }
    Ok(())
}
