//! The keys that sign archives' manifests: made when one is first needed, rotated by the operator. Public keys are published and kept for ever, because
//! archives outlive the keys that signed them; the secret of a key that signs no more is deleted.

mod rows;

use archive::sign::{PublicKey, PublishedKey, Signer};
use zeroize::Zeroizing;

use crate::{Db, Fault, Millis, Platform, World, audit};

/// A key, as the store has it.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct SigningKey {
    /// What it is called: the thumbprint of RFC 7638.
    pub kid: String,
    /// Its 32 bytes.
    pub public_key: Vec<u8>,
    /// The secret, while it signs.
    sealed: Option<Vec<u8>>,
    /// Since when it signs.
    pub since: Millis,
    /// Until when it did.
    pub until: Option<Millis>,
}

impl SigningKey {
    /// As it is published.
    pub fn published(&self, world: World) -> Result<PublishedKey, Fault> {
        let key = PublicKey::from_bytes(&self.public_key).ok_or_else(|| Fault::Row("a public key".into()))?;
        Ok(PublishedKey::new(key, Some(self.since.to_string()), self.until.map(|until| until.to_string()), world.as_str()))
    }
}

/// The path at which the public keys are published.
pub const PUBLISHED_AT: &str = "/.well-known/portward-keys.json";

fn purpose(kid: &str) -> String {
    format!("signing {kid}")
}

/// What others verify with, the newest first.
pub async fn published(platform: &Platform) -> Result<Vec<PublishedKey>, Fault> {
    published_in(&platform.db, platform.world).await
}

/// The same of a store whose platform is not open.
pub async fn published_in(db: &Db, world: World) -> Result<Vec<PublishedKey>, Fault> {
    let keys = rows::all(&mut db.read().await?).await?;
    keys.iter().map(|key| key.published(world)).collect()
}

/// Who signs now; made if nobody does.
pub async fn signer(platform: &Platform) -> Result<Signer, Fault> {
    let mut tx = platform.db.begin().await?;
    let found = match rows::current(&mut tx).await? {
        Some(found) => found,
        None => {
            let key = new(platform)?;
            rows::add(&mut tx, &key).await?;
            // Of two that made one at the same time, the first one's holds.
            rows::current(&mut tx).await?.ok_or_else(|| Fault::Row("no key that signs".into()))?
        }
    };
    tx.commit().await?;
    let sealed = found.sealed.ok_or_else(|| Fault::Row("a key that signs, without its secret".into()))?;
    let secret = platform.keys.unseal(&purpose(&found.kid), &sealed)?;
    let secret: [u8; 32] = secret.as_slice().try_into().map_err(|_| Fault::Row("a signing key's secret".into()))?;
    Ok(Signer::new(&Zeroizing::new(secret)))
}

fn new(platform: &Platform) -> Result<SigningKey, Fault> {
    let secret = Zeroizing::new(platform.random.bytes::<32>());
    let signer = Signer::new(&secret);
    let kid = signer.public().kid();
    let sealed = platform.keys.seal(&purpose(&kid), &*secret)?;
    let public_key = signer.public().to_bytes().to_vec();
    Ok(SigningKey { kid, public_key, sealed: Some(sealed), since: platform.now(), until: None })
}

/// Has another key sign from now on. Gives its name; of two rotations at once, both give that of the first.
pub async fn rotate(platform: &Platform, actor: audit::Actor) -> Result<String, Fault> {
    let now = platform.now();
    let key = new(platform)?;
    let mut tx = platform.db.begin().await?;
    rows::retire(&mut tx, now).await?;
    let added = rows::add(&mut tx, &key).await?;
    let current = rows::current(&mut tx).await?.ok_or_else(|| Fault::Row("no key that signs".into()))?;
    if added {
        audit::Entry::new(actor, "signing.rotated").write(&mut tx, &platform.random, now).await?;
    }
    tx.commit().await?;
    Ok(current.kid)
}

/// Seals the secret anew if it was not sealed by the newest key; gives how many that were.
pub(crate) async fn reseal(platform: &Platform) -> Result<u64, Fault> {
    let mut tx = platform.db.begin().await?;
    let mut done = 0;
    if let Some(SigningKey { kid, sealed: Some(old), .. }) = rows::current(&mut tx).await?
        && !platform.keys.is_current(&old)
    {
        let secret = platform.keys.unseal(&purpose(&kid), &old)?;
        let sealed = platform.keys.seal(&purpose(&kid), &secret)?;
        rows::reseal(&mut tx, &kid, old, sealed).await?;
        done = 1;
    }
    tx.commit().await?;
    Ok(done)
}
