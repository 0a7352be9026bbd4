//! What the clock does to applications: it tells, it reminds, it gives back. It never approves and never refuses.

use std::time::Duration;

use super::{Application, Event, Happened, State, clocks, questions, review, rows};
use crate::accounts::Role;
use crate::audit::Actor;
use crate::db::sql;
use crate::notices::{self, Notice};
use crate::{Fault, Platform};

/// Drafts that nobody went on with for so long are given up; the answers stay to be copied.
const DRAFTS: Duration = Duration::from_secs(365 * 24 * 3600);
/// How many are looked at in one go.
const PIECE: i64 = 100;

/// Everything that is due, once.
pub(crate) async fn keep(platform: &Platform) -> Result<(), Fault> {
    let escalated = escalate(platform).await?;
    let (reminded, unanswered) = questions::keep(platform).await?;
    let uncorrected = give_back(platform).await?;
    let expired = expire_drafts(platform).await?;
    let late = late(platform).await?;
    metrics::gauge!("portward_applications_late").set(f64::from(u32::try_from(late).unwrap_or(u32::MAX)));
    metrics::counter!("portward_applications_escalated_total").increment(escalated);
    if escalated + reminded + unanswered + uncorrected + expired > 0 {
        tracing::info!(escalated, reminded, unanswered, uncorrected, expired, "clocks of applications");
    }
    Ok(())
}

/// How many wait for staff beyond their limit.
async fn late(platform: &Platform) -> Result<i64, Fault> {
    let mut tx = platform.db.read().await?;
    Ok(sql!(
        tx,
        value i64,
        "select count(*) from applications where ended_at is null and stopped_at is null and due_at <= $1",
        platform.now(),
    )?)
}

/// Missed limits are told: to the applicant, to the administrators, in the timeline. Once each.
async fn escalate(platform: &Platform) -> Result<u64, Fault> {
    let now = platform.now();
    let mut count = 0;
    loop {
        let mut tx = platform.db.read().await?;
        let missed = sql!(
            tx,
            all Application,
            "select * from applications
             where ended_at is null and stopped_at is null and escalated_at is null and due_at <= $1
             order by due_at, application_id
             limit $2",
            now,
            PIECE,
        )?;
        drop(tx);
        let before = count;
        for application in missed {
            count += u64::from(tell(platform, &application).await?);
        }
        if count == before {
            return Ok(count);
        }
    }
}

async fn tell(platform: &Platform, before: &Application) -> Result<bool, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let after = Application { escalated_at: Some(now), ..before.clone() };
    // Somebody acted on it in between: the next round looks again.
    let Some(after) = rows::store(&mut tx, before, after, now).await? else { return Ok(false) };
    Event { visible: true, ..Event::new(after.application_id, Actor::System, Happened::Escalated) }
        .write(platform, &mut tx, after.app_id)
        .await?;
    let due = clocks::in_words(after.due_at.unwrap_or(now), &platform.settings.review.calendar());
    let app = review::app_name(&mut tx, after.app_id).await?;
    let (reference, path) = (after.reference(), review::portal_path(after.application_id));
    review::to_applicant(platform, &mut tx, &after, Notice::DecisionLate { app, reference, due: due.clone(), path }).await?;
    for (_, _, email) in review::staff_with(&mut tx, Role::Administrator).await? {
        let (reference, path) = (after.reference(), review::console_path(after.application_id));
        let notice = Notice::Escalated { reference, due: due.clone(), path };
        notices::send(platform, &mut tx, &email, Some(after.application_id), notice).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Corrections that nobody handed in. (Questions that nobody answered are given back with their reminders.)
async fn give_back(platform: &Platform) -> Result<u64, Fault> {
    let mut tx = platform.db.read().await?;
    let over = sql!(
        tx,
        values i64,
        "select application_id from applications where ended_at is null and stopped_at is not null and answer_due_at <= $1",
        platform.now(),
    )?;
    drop(tx);
    let mut count = 0;
    for application_id in over {
        count += u64::from(questions::give_back(platform, application_id).await?);
    }
    Ok(count)
}

async fn expire_drafts(platform: &Platform) -> Result<u64, Fault> {
    let now = platform.now();
    let mut tx = platform.db.read().await?;
    let old = sql!(
        tx,
        all Application,
        "select * from applications where ended_at is null and due_at is null and updated_at <= $1 limit $2",
        now - DRAFTS,
        PIECE,
    )?;
    drop(tx);
    let mut count = 0;
    for before in old {
        let mut tx = platform.db.begin().await?;
        let mut after = before.clone();
        after.shift(platform, State::Expired, now);
        let event = Event { visible: true, ..Event::new(before.application_id, Actor::System, Happened::Expired) };
        if let Some(after) = rows::store(&mut tx, &before, after, now).await? {
            Event { moved: Some((before.state, after.state)), ..event }.write(platform, &mut tx, after.app_id).await?;
            tx.commit().await?;
            count += 1;
        }
    }
    Ok(count)
}
