//! The chain over the audit record: sealing, cutting what retention lets go, and verifying.
//!
//! Each sealed entry has a place and a value, SHA-256 over the value before it and the entry itself with its place. The row `audit_head` holds the last
//! place, and the anchor: the place and value of the last entry that retention cut, from which verification starts.
//!
//! Who can write the store can make the whole chain anew. That is why each head is logged: [`verify`] compares heads that were kept elsewhere.

use sha2::{Digest, Sha256};

use super::rows::{self, Row};
use super::{Actor, Entry, hash_detail};
use crate::clock::Millis;
use crate::{Fault, Platform};

/// How many entries are sealed in one transaction: few enough that nobody waits long for SQLite's one writer.
const SEALED_AT_ONCE: i64 = 500;
/// How many entries are deleted in one transaction.
const CUT_AT_ONCE: i64 = 2000;
/// How many entries are held in memory while they are verified.
const PAGE: i64 = 1000;

/// Where the chain ends, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub(super) struct Head {
    pub(super) position: i64,
    pub(super) chain: Vec<u8>,
    pub(super) anchor_position: i64,
    pub(super) anchor_chain: Vec<u8>,
}

/// The value before the first entry.
fn beginning() -> Vec<u8> {
    Sha256::digest("portward audit 1").to_vec()
}

/// The value of an entry at a place. Every field is told apart from its neighbours: numbers have eight bytes, texts their length before them, and
/// what may be absent a byte that says whether it is.
fn link(previous: &[u8], position: i64, row: &Row) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut bytes = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    bytes(previous);
    for number in [
        Some(position),
        Some(row.audit_id),
        Some(row.at.0),
        row.app_id,
        row.person_id,
        row.grant_id,
        row.request_id,
        row.about_id,
    ] {
        match number {
            Some(number) => bytes(&number.to_be_bytes()),
            None => bytes(&[]),
        }
    }
    for text in [&row.actor, &row.action, &row.detail] {
        bytes(text.as_bytes());
    }
    bytes(row.detail_hash.as_deref().unwrap_or_default());
    hash.finalize().to_vec()
}

/// Gives every entry that has none its place in the chain; gives how many there were. Several processes may do so at once: the head is held by one.
pub async fn seal(platform: &Platform) -> Result<u64, Fault> {
    let mut sealed = 0;
    loop {
        let mut tx = platform.db.begin().await?;
        // Before the head is held, so that a quiet minute writes nothing.
        if rows::unsealed(&mut tx, 1).await?.is_empty() {
            return Ok(sealed);
        }
        let head = rows::hold_head(&mut tx, &beginning()).await?;
        let entries = rows::unsealed(&mut tx, SEALED_AT_ONCE).await?;
        let (mut position, mut chain) = (head.position, head.chain);
        for row in &entries {
            position += 1;
            chain = link(&chain, position, row);
            if !rows::place(&mut tx, row.audit_id, position, &chain).await? {
                return Err(Fault::Row(format!(
                    "audit entry {} was sealed by somebody who does not hold the head",
                    row.audit_id
                )));
            }
        }
        if !rows::move_head(&mut tx, head.position, position, &chain).await? {
            return Err(Fault::Row("the audit's head moved while it was held".into()));
        }
        tx.commit().await?;
        if entries.is_empty() {
            return Ok(sealed);
        }
        sealed += u64::try_from(entries.len()).unwrap_or(0);
        tracing::info!(target: "portward::audit", position, chain = hex::encode(&chain), entries = entries.len(), "audit sealed");
    }
}

/// Deletes the sealed entries that are at least so old and have no younger one before them, and keeps the anchor. Gives how many there were.
pub async fn cut(platform: &Platform, before: Millis) -> Result<u64, Fault> {
    let mut deleted = 0;
    loop {
        let mut tx = platform.db.begin().await?;
        let head = rows::hold_head(&mut tx, &beginning()).await?;
        let most = head.position.min(head.anchor_position.saturating_add(CUT_AT_ONCE));
        let upto = rows::old_until(&mut tx, head.anchor_position, most, before).await?;
        let Some((upto, chain)) = rows::last_until(&mut tx, head.anchor_position, upto).await? else {
            if deleted > 0 {
                let detail = format!("up to place {}", head.anchor_position);
                Entry { detail: &detail, ..Entry::new(Actor::System, "audit.cut") }
                    .write(&mut tx, &platform.random, platform.now())
                    .await?;
                tx.commit().await?;
            }
            return Ok(deleted);
        };
        let gone = rows::delete_until(&mut tx, upto).await?;
        if !rows::move_anchor(&mut tx, head.anchor_position, upto, &chain).await? {
            return Err(Fault::Row("the audit's anchor moved while the head was held".into()));
        }
        tx.commit().await?;
        let expected = u64::try_from(upto - head.anchor_position).unwrap_or(0);
        if gone < expected {
            tracing::error!(
                from = head.anchor_position + 1,
                upto,
                missing = expected - gone,
                "entries of the audit were missing when it was cut"
            );
        }
        deleted += gone;
        tracing::info!(target: "portward::audit", position = upto, chain = hex::encode(&chain), "audit cut");
    }
}

/// A head that was kept elsewhere, such as in a log: that place had that value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHead {
    /// The place.
    pub position: i64,
    /// The value, in hexadecimal digits.
    pub chain: String,
}

/// What is not as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The entry is not the one that was sealed at that place: its content was altered, or it was moved there.
    #[error("entry {audit_id} at place {position} is not what was sealed there: it was altered or moved")]
    Altered {
        /// Its place.
        position: i64,
        /// Its number.
        audit_id: i64,
    },
    /// What was kept aside is not what the entry's hash is of.
    #[error("the personal detail kept aside for entry {audit_id} at place {position} was altered")]
    Detail {
        /// Its place.
        position: i64,
        /// Its number.
        audit_id: i64,
    },
    /// Entries were taken out.
    #[error("entries are missing: places {from} to {to}")]
    Missing {
        /// The first place.
        from: i64,
        /// The last place.
        to: i64,
    },
    /// An entry stands where nothing was sealed yet.
    #[error("entry {audit_id} claims place {position}, which was never sealed")]
    Beyond {
        /// Its place.
        position: i64,
        /// Its number.
        audit_id: i64,
    },
    /// The row that says where the chain ends is gone or does not fit the last entry.
    #[error("the head does not fit the chain, which ends at place {position}")]
    Head {
        /// The last place there is.
        position: i64,
    },
    /// The chain is not the one whose head was kept: it was made anew.
    #[error("at place {position} the chain is not the one whose head was kept elsewhere")]
    OtherChain {
        /// The place of that head.
        position: i64,
    },
}

/// What verification saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The place from which the chain is there: what was before it, retention cut.
    pub anchor: i64,
    /// How many sealed entries were looked at.
    pub sealed: u64,
    /// How many are not sealed yet, and so are protected by nothing.
    pub unsealed: u64,
    /// How many findings there were.
    pub findings: u64,
    /// Heads given to compare with that lie before the anchor, where nothing is left to compare.
    pub too_old: u64,
    /// The place of the last entry, and its value.
    pub head: KnownHead,
}

impl Default for KnownHead {
    fn default() -> Self {
        Self { position: 0, chain: hex::encode(beginning()) }
    }
}

/// Goes over the whole chain in the memory of one page, and tells of everything that is not as it was sealed. Calls go on meanwhile.
pub async fn verify(platform: &Platform, known: &[KnownHead], tell: impl FnMut(Finding)) -> Result<Report, Fault> {
    let mut tx = platform.db.read().await?;
    let head = rows::head(&mut tx).await?;
    let mut walk = Walk { known, tell, report: Report::default(), at: (0, beginning()), trusted: true };
    let Some(head) = head else {
        if let Some((position, _)) = rows::first_after(&mut tx, 0).await? {
            walk.found(Finding::Head { position });
        }
        walk.report.unsealed = u64::try_from(rows::count_unsealed(&mut tx).await?).unwrap_or(0);
        return Ok(walk.report);
    };
    walk.at = (head.anchor_position, head.anchor_chain);
    walk.report.anchor = head.anchor_position;
    walk.report.too_old = known.iter().filter(|known| known.position < head.anchor_position).count().try_into().unwrap_or(0);
    walk.compare(head.anchor_position);
    while walk.at.0 < head.position {
        let page = rows::sealed(&mut tx, walk.at.0, head.position, PAGE).await?;
        // Retention may have cut under our hands: what is gone before its new anchor is not missing.
        if page.first().and_then(|row| row.position) != Some(walk.at.0 + 1)
            && let Some(now) = rows::head(&mut tx).await?
            && now.anchor_position > walk.at.0
        {
            walk.at = (now.anchor_position, now.anchor_chain);
            walk.trusted = true;
            continue;
        }
        if page.is_empty() {
            walk.found(Finding::Missing { from: walk.at.0 + 1, to: head.position });
            break;
        }
        for row in page {
            walk.step(row);
        }
    }
    if walk.at.0 == head.position && walk.at.1 != head.chain {
        walk.found(Finding::Head { position: head.position });
    }
    let last = rows::head(&mut tx).await?.map_or(head.position, |head| head.position);
    for missing in known.iter().filter(|known| known.position > last) {
        walk.found(Finding::Missing { from: last + 1, to: missing.position });
    }
    if let Some((position, audit_id)) = rows::first_after(&mut tx, last).await? {
        walk.found(Finding::Beyond { position, audit_id });
    }
    walk.report.unsealed = u64::try_from(rows::count_unsealed(&mut tx).await?).unwrap_or(0);
    walk.report.head = KnownHead { position: walk.at.0, chain: hex::encode(&walk.at.1) };
    Ok(walk.report)
}

struct Walk<'a, F> {
    known: &'a [KnownHead],
    tell: F,
    report: Report,
    /// The last place that was looked at, and its value as it stands in the store.
    at: (i64, Vec<u8>),
    /// Whether the value is known: not after a gap.
    trusted: bool,
}

impl<F: FnMut(Finding)> Walk<'_, F> {
    fn found(&mut self, finding: Finding) {
        self.report.findings += 1;
        (self.tell)(finding);
    }

    fn step(&mut self, row: Row) {
        let (position, audit_id) = (row.position.unwrap_or_default(), row.audit_id);
        if position != self.at.0 + 1 {
            self.found(Finding::Missing { from: self.at.0 + 1, to: position - 1 });
            self.trusted = false;
        }
        let stored = row.chain.clone().unwrap_or_default();
        if self.trusted && link(&self.at.1, position, &row) != stored {
            self.found(Finding::Altered { position, audit_id });
        }
        if let (Some(salt), Some(kept)) = (&row.salt, &row.kept)
            && row.detail_hash.as_deref() != Some(&hash_detail(salt, kept))
        {
            self.found(Finding::Detail { position, audit_id });
        }
        self.report.sealed += 1;
        // The stored value is what the next one was sealed upon, so one altered entry does not make all the later ones look so.
        (self.at, self.trusted) = ((position, stored), true);
        self.compare(position);
    }

    /// With the heads that were kept elsewhere.
    fn compare(&mut self, position: i64) {
        let chain = hex::encode(&self.at.1);
        let other = self.known.iter().any(|known| known.position == position && !known.chain.eq_ignore_ascii_case(&chain));
        if other {
            self.found(Finding::OtherChain { position });
        }
    }
}
