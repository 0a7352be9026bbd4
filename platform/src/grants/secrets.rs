//! What pseudonyms of a grant are made with: a secret of its own, so that an app sees one person under one name in all of its archives, and two
//! apps see two. It is made when it is first needed, outlives a change of keys, and goes with the grant.

use zeroize::Zeroizing;

use super::rows;
use crate::{Fault, Platform};

fn purpose(grant_id: i64) -> String {
    format!("pseudonyms {grant_id}")
}

/// The secret of a grant.
pub(crate) async fn pseudonym_secret(platform: &Platform, grant_id: i64) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let mut tx = platform.db.begin().await?;
    if rows::pseudonym_secret(&mut tx, grant_id).await?.is_none() {
        let secret = Zeroizing::new(platform.random.bytes::<32>());
        let sealed = platform.keys.seal(&purpose(grant_id), &*secret)?;
        rows::set_pseudonym_secret(&mut tx, grant_id, None, sealed).await?;
    }
    // Of two that made one at the same time, the first one's holds.
    let sealed =
        rows::pseudonym_secret(&mut tx, grant_id).await?.ok_or_else(|| Fault::Row("a grant without its secret".into()))?;
    tx.commit().await?;
    let bytes = platform.keys.unseal(&purpose(grant_id), &sealed)?;
    let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| Fault::Row("a grant's secret".into()))?;
    Ok(Zeroizing::new(bytes))
}

/// Seals every secret anew that was not sealed by the newest key; gives how many.
pub(crate) async fn reseal(platform: &Platform) -> Result<u64, Fault> {
    let (mut done, mut last) = (0, 0);
    loop {
        let mut tx = platform.db.begin().await?;
        let batch = rows::all_pseudonym_secrets(&mut tx, last).await?;
        let Some(end) = batch.last() else { return Ok(done) };
        last = end.grant_id;
        for row in batch.iter().filter(|row| !platform.keys.is_current(&row.pseudonyms_sealed)) {
            let secret = platform.keys.unseal(&purpose(row.grant_id), &row.pseudonyms_sealed)?;
            let sealed = platform.keys.seal(&purpose(row.grant_id), &secret)?;
            rows::set_pseudonym_secret(&mut tx, row.grant_id, Some(row.pseudonyms_sealed.clone()), sealed).await?;
            done += 1;
        }
        tx.commit().await?;
    }
}
