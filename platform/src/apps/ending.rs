//! The end of an app: deleted by its developer, or revoked by the operator. The credentials of a deleted one die with the row; grants, tokens, requests and archives follow, in as many transactions as they need.

use super::{App, rows, transfer};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::grants::EndCause;
use crate::notices::{self, Notice};
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
    end_grants(platform, app_id, EndCause::AppDeleted).await?;
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

/// What follows a revocation, after its commit: nothing of the app is answered any more, and now its grants, tokens, open requests and archives go.
pub(super) async fn follow_revocation(platform: &Platform, app_id: i64) -> Result<u64, Fault> {
    end_grants(platform, app_id, EndCause::AppRevoked).await
}

/// What goes with a revocation: the app's own tokens, and word to its developers.
pub(super) async fn stop(platform: &Platform, tx: &mut Tx, app: &App, revoked: bool) -> Result<(), Fault> {
    if revoked {
        sql!(tx, execute, "delete from tokens where app_id = $1 and grant_id is null", app.app_id)?;
    }
    for email in rows::people_of(tx, app).await? {
        let path = format!("/developers/apps/{}", app.app_id);
        let notice = Notice::AppStopped { app: app.name.clone(), revoked, path };
        notices::send(platform, tx, &email, Some(app.app_id), notice).await?;
    }
    Ok(())
}

/// Ends the grants of an app, those of a thousand people at a time.
async fn end_grants(platform: &Platform, app_id: i64, cause: EndCause) -> Result<u64, Fault> {
    let mut ended = 0;
    loop {
        let mut tx = platform.db.read().await?;
        let Some(app) = rows::by_id(&mut tx, app_id).await? else { return Ok(ended) };
        let some = grants::live_of_app(&mut tx, app_id, 1000).await?;
        drop(tx);
        if some.is_empty() {
            return Ok(ended);
        }
        for person_id in some {
            let mut tx = platform.db.begin().await?;
            grants::end_with_app(platform, &mut tx, &app, person_id, cause).await?;
            tx.commit().await?;
            ended += 1;
        }
    }
}

/// Ends the grants of apps whose deletion or revocation was cut off, and of consents that were just being given then.
pub(crate) async fn finish(platform: &Platform) -> Result<u64, Fault> {
    let mut tx = platform.db.read().await?;
    let cut_off = sql!(
        tx,
        all(i64, Option<Millis>),
        "select apps.app_id, apps.deleted_at
         from apps
         where (apps.deleted_at is not null or apps.status = 'revoked')
           and exists (select 1 from grants where grants.app_id = apps.app_id and grants.ended_at is null)
         limit 100",
    )?;
    drop(tx);
    let mut ended = 0;
    for (app_id, deleted_at) in cut_off {
        let cause = if deleted_at.is_some() { EndCause::AppDeleted } else { EndCause::AppRevoked };
        ended += end_grants(platform, app_id, cause).await?;
    }
    Ok(ended)
}
