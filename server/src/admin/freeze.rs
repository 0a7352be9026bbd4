//! `portward admin freeze`: the brake from the command line.

use anyhow::Context;
use clap::{Args, Subcommand};
use platform::accounts::{self, AccountKind, Role};
use platform::freezes::{self, Freeze, Hand, Target};
use platform::{Millis, Platform, apps};
use serde_json::{Value, json};

/// Freezes that `list` shows at most.
const LISTED: i64 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum FreezeVerb {
    /// Freeze an app: its calls are refused, its requests wait, its archives are not sent
    App {
        /// Its client key
        client_key: String,
        #[command(flatten)]
        act: Reasoned,
    },
    /// Freeze the data of a category
    Category {
        /// Its name in the catalogue
        name: String,
        #[command(flatten)]
        act: Reasoned,
    },
    /// Freeze the data that is read from a source
    Source {
        /// Its name in the catalogue
        name: String,
        #[command(flatten)]
        act: Reasoned,
    },
    /// Freeze everything
    Everything {
        #[command(flatten)]
        act: Reasoned,
    },
    /// List freezes: those that wait for a second person first
    List {
        /// Those that were lifted
        #[arg(long)]
        lifted: bool,
    },
    /// Show a freeze
    Show {
        /// Its number
        freeze_id: i64,
    },
    /// Confirm a freeze that somebody else made: it goes on until it is lifted
    Confirm {
        /// Its number
        freeze_id: i64,
        /// Who confirms: the address of a member of staff
        #[arg(long)]
        by: Option<String>,
    },
    /// Lift a freeze that somebody else made: what waited goes on
    Lift {
        /// Its number
        freeze_id: i64,
        #[command(flatten)]
        act: Reasoned,
    },
}

#[derive(Debug, Args)]
pub(super) struct Reasoned {
    /// Why. The developer of a frozen app reads it
    #[arg(long)]
    reason: String,
    /// Who does it: the address of a member of staff. Without it, the operator
    #[arg(long)]
    by: Option<String>,
}

pub(super) async fn freeze(platform: &Platform, verb: FreezeVerb) -> anyhow::Result<Value> {
    let freeze = match verb {
        FreezeVerb::App { client_key, act } => {
            let mut tx = platform.db.read().await?;
            let app = apps::by_client_key(&mut tx, &client_key).await?.context("there is no app with that client key")?;
            drop(tx);
            make(platform, Target::App(app.app_id), act).await?
        }
        FreezeVerb::Category { name, act } => make(platform, Target::Category(name), act).await?,
        FreezeVerb::Source { name, act } => make(platform, Target::Source(name), act).await?,
        FreezeVerb::Everything { act } => make(platform, Target::Everything, act).await?,
        FreezeVerb::List { lifted } => {
            let mut tx = platform.db.read().await?;
            let found = freezes::list(&mut tx, lifted, Millis(i64::MAX), LISTED).await?;
            drop(tx);
            let mut told = Vec::new();
            for freeze in &found {
                told.push(value(platform, freeze).await?);
            }
            return Ok(Value::Array(told));
        }
        FreezeVerb::Show { freeze_id } => {
            let mut tx = platform.db.read().await?;
            freezes::by_id(&mut tx, freeze_id).await?.context("there is no freeze of that number")?
        }
        FreezeVerb::Confirm { freeze_id, by } => freezes::confirm(platform, second(platform, by).await?, freeze_id).await?,
        FreezeVerb::Lift { freeze_id, act } => {
            freezes::lift(platform, second(platform, act.by).await?, freeze_id, &act.reason).await?
        }
    };
    value(platform, &freeze).await
}

async fn make(platform: &Platform, target: Target, act: Reasoned) -> anyhow::Result<Freeze> {
    let (hand, _) = hand(platform, act.by).await?;
    Ok(freezes::make(platform, hand, &target, &act.reason).await?)
}

/// Whose hand it is: any member of staff's, or the operator's.
async fn hand(platform: &Platform, by: Option<String>) -> anyhow::Result<(Hand, Vec<Role>)> {
    let Some(email) = by else { return Ok((Hand::operator(None), Vec::new())) };
    let mut tx = platform.db.read().await?;
    let account = accounts::by_email(&mut tx, AccountKind::Staff, &email).await?;
    let account =
        account.filter(|account| account.disabled_at.is_none()).context("there is no member of staff with that address")?;
    let roles = accounts::roles(&mut tx, account.account_id).await?;
    Ok((Hand::operator(Some(account.account_id)), roles))
}

/// The same, of somebody who may be the second person.
async fn second(platform: &Platform, by: Option<String>) -> anyhow::Result<Hand> {
    let (hand, roles) = hand(platform, by).await?;
    let may = hand.account_id.is_none() || roles.iter().any(|role| freezes::SECONDS.contains(role));
    anyhow::ensure!(may, "who confirms or lifts a freeze has the role compliance or administrator");
    Ok(hand)
}

async fn value(platform: &Platform, freeze: &Freeze) -> anyhow::Result<Value> {
    let mut tx = platform.db.read().await?;
    let stops = freezes::named(&mut tx, freeze).await?;
    let mut who = Vec::new();
    for account_id in [freeze.made_by, freeze.confirmed_by, freeze.lifted_by] {
        who.push(match account_id {
            Some(account_id) => accounts::by_id(&mut tx, account_id).await?.map(|account| account.email),
            None => None,
        });
    }
    let by =
        |at: Option<Millis>, place: usize| at.map(|_| who.get(place).cloned().flatten().unwrap_or_else(|| "operator".into()));
    Ok(json!({
        "freeze_id": freeze.freeze_id.to_string(),
        "state": freeze.state().as_str(),
        "late": freeze.is_late(platform.now()),
        "stops": stops,
        "reason": freeze.reason,
        "made_at": freeze.made_at.to_string(),
        "made_by": by(Some(freeze.made_at), 0),
        "due_at": freeze.due_at.to_string(),
        "confirmed_at": freeze.confirmed_at.map(|at| at.to_string()),
        "confirmed_by": by(freeze.confirmed_at, 1),
        "lifted_at": freeze.lifted_at.map(|at| at.to_string()),
        "lifted_by": by(freeze.lifted_at, 2),
        "lifted_why": freeze.lifted_why,
    }))
}
