//! The end of an app. Its credentials die with the row; grants, tokens, requests and archives follow, in as many transactions as they need.

use super::rows;
use super::transfer;
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::{Fault, Platform, applications, grants, organisations};

/// Deletes an app, by its developer. Gives `false` if it was deleted before.
pub async fn delete(platform: &Platform, actor: Actor, app_id: i64) -> Result<bool, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    if rows::hold(&mut tx, app_id).await?.is_none() {
        return Ok(false);
    }
    close(platform, &mut tx, actor, app_id, now).await?;
    tx.commit().await?;
    // What is left by a death here is taken up by the clock.
    end_grants(platform, app_id).await?;
    Ok(true)
}

/// Marks an app as deleted: from the commit on its key is unknown and its tokens open nothing.
pub(crate) async fn close(platform: &Platform, tx: &mut Tx, actor: Actor, app_id: i64, now: Millis) -> Result<(), Fault> {
    for statement in [
        "update apps set deleted_at = $2, webhook_url = null, updated_at = $2 where app_id = $1",
        "update app_approvals set ended_at = $2 where app_id = $1 and ended_at is null",
        "update app_revisions set state = 'recalled', updated_at = $2 where app_id = $1 and state = 'in_review'",
    ] {
        sql!(tx, execute, statement, app_id, now)?;
    }
    for statement in [
        "delete from app_scopes where app_id = $1",
        "delete from app_redirects where app_id = $1",
        "delete from app_secrets where app_id = $1",
        "delete from tokens where app_id = $1 and grant_id is null",
    ] {
        sql!(tx, execute, statement, app_id)?;
    }
    transfer::end(tx, app_id, now).await?;
    organisations::end_invitations_to_app(tx, app_id, now).await?;
    applications::end_of_app(platform, tx, actor, app_id).await?;
    let entry = Entry { app: Some(app_id), ..Entry::new(actor, "app.deleted") };
    entry.write(tx, &platform.random, now).await
}

/// Ends the grants of a deleted app, a thousand at a time.
async fn end_grants(platform: &Platform, app_id: i64) -> Result<u64, Fault> {
    let mut ended = 0;
    loop {
        let mut tx = platform.db.read().await?;
        let some = grants::live_of_app(&mut tx, app_id, 1000).await?;
        drop(tx);
        if some.is_empty() {
            return Ok(ended);
        }
        for grant_id in some {
            let mut tx = platform.db.begin().await?;
            grants::end_with_app(platform, &mut tx, grant_id).await?;
            tx.commit().await?;
            ended += 1;
        }
    }
}

/// Ends the grants of apps whose deletion was cut off.
pub(crate) async fn finish(platform: &Platform) -> Result<u64, Fault> {
    let mut tx = platform.db.read().await?;
    let cut_off = sql!(
        tx,
        values i64,
        "select apps.app_id
         from apps
         where apps.deleted_at is not null
           and exists (select 1 from grants where grants.app_id = apps.app_id and grants.ended_at is null)
         limit 100",
    )?;
    drop(tx);
    let mut ended = 0;
    for app_id in cut_off {
        ended += end_grants(platform, app_id).await?;
    }
    Ok(ended)
}
