//! Carrying a mail to the mail server. A mail that the server may have taken and may not have (the connection broke after the text) is sent
//! again with the same Message-ID, by which mailboxes know it; any other is sent once.

use std::time::Duration;

use super::letter::{self, Rendered};
use super::{mail, rows};
use crate::clock::Millis;
use crate::jobs::Outcome;
use crate::{Fault, Platform, pause};

/// The pauses between attempts, in seconds; the last is repeated until the time is over. A server that comes back finds every mail within the last.
const PAUSES: [u64; 6] = [2, 5, 15, 60, 300, 900];

/// What a mail's content is sealed for.
pub(super) fn purpose(notice_id: i64) -> String {
    format!("notice {notice_id}")
}

/// One attempt.
pub(crate) async fn deliver(platform: &Platform, notice_id: i64) -> Result<Outcome, Fault> {
    let open = rows::open(&mut platform.db.read().await?, notice_id).await?;
    let Some(notice) = open else { return Ok(Outcome::Done) };
    let content = platform.keys.unseal(&purpose(notice_id), &notice.sealed)?;
    let rendered: Rendered = serde_json::from_slice(&content).map_err(|fault| Fault::Row(fault.to_string()))?;
    let letter = letter::Posted {
        notice_id,
        kind: notice.kind,
        to: &notice.recipient,
        at: notice.created_at,
        site: &platform.settings.site,
        rendered: &rendered,
    };
    let outcome = platform.mail.send(&letter).await;
    pause::at("mailed").await;
    let now = platform.now();
    let kind = notice.kind.as_str();
    let failure = match outcome {
        Ok(()) => {
            let mut tx = platform.db.begin().await?;
            rows::sent(&mut tx, notice_id, now).await?;
            tx.commit().await?;
            tracing::info!(notice_id, kind, "mail sent");
            metrics::counter!("portward_mails_total", "result" => "sent").increment(1);
            return Ok(Outcome::Done);
        }
        Err(failure) => failure,
    };
    let pause = after(platform, notice.attempts);
    let permanent = matches!(failure, mail::Failure::Permanent(_));
    let error = failure.to_string();
    if permanent || now + pause > notice.created_at + platform.settings.mail.retry_for.0 {
        let mut tx = platform.db.begin().await?;
        rows::given_up(&mut tx, notice_id, &error, now).await?;
        tx.commit().await?;
        // Not a dead job: what it would send is erased.
        tracing::error!(notice_id, kind, error, attempts = notice.attempts + 1, "mail given up");
        metrics::counter!("portward_mails_total", "result" => "given_up").increment(1);
        return Ok(Outcome::Done);
    }
    let mut tx = platform.db.begin().await?;
    rows::failed(&mut tx, notice_id, &error).await?;
    tx.commit().await?;
    metrics::counter!("portward_mails_total", "result" => "failed").increment(1);
    Ok(Outcome::Retry { reason: "mail_failed".into(), detail: error, after: Some(pause) })
}

/// How long to wait after so many failed attempts; up to a quarter more by chance, so that mails do not all come back at once.
fn after(platform: &Platform, attempts: i32) -> Duration {
    let pause = PAUSES.get(usize::try_from(attempts).unwrap_or(0)).or(PAUSES.last()).copied().unwrap_or(60);
    let chance = u32::from(platform.random.bytes::<1>()[0]);
    Duration::from_secs(pause) + Duration::from_secs(pause) * chance / 1024
}

/// Forgets mails that were sent or given up before a time.
pub(crate) async fn forget(platform: &Platform, before: Millis) -> Result<u64, Fault> {
    let mut tx = platform.db.begin().await?;
    let forgotten = rows::forget(&mut tx, before).await?;
    tx.commit().await?;
    Ok(forgotten)
}

/// Seals every content anew that was not sealed by the newest key; gives how many.
pub(crate) async fn reseal(platform: &Platform) -> Result<u64, Fault> {
    let (mut done, mut last) = (0, 0);
    loop {
        let mut tx = platform.db.begin().await?;
        let batch = rows::all_sealed(&mut tx, last).await?;
        let Some(end) = batch.last() else { return Ok(done) };
        last = end.notice_id;
        for row in batch.iter().filter(|row| !platform.keys.is_current(&row.sealed)) {
            let purpose = purpose(row.notice_id);
            let value = platform.keys.unseal(&purpose, &row.sealed)?;
            rows::set_sealed(&mut tx, row.notice_id, platform.keys.seal(&purpose, &value)?).await?;
            done += 1;
        }
        tx.commit().await?;
    }
}
