//! Whose signatures count.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use archive::sign::{KeySet, PublicKey, PublishedKey};
use clap::Args;
use serde::Deserialize;

/// More than all keys of an operator's lifetime.
const MOST: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, Default, Args)]
pub(super) struct WhichKeys {
    /// The operator's public keys: the address at which they are published (https://.../.well-known/portward-keys.json), that file saved, or what
    /// `portward admin --json signing list` says
    #[arg(long, value_name = "URL-OR-FILE")]
    keys: Option<String>,
    /// A public key of the operator's, in base64; repeat for more
    #[arg(long = "key", value_name = "BASE64")]
    key: Vec<String>,
}

/// What a file of keys may hold.
#[derive(Deserialize)]
#[serde(untagged)]
enum KeyFile {
    /// As they are published.
    Published(KeySet),
    /// As `portward admin --json signing list` has them.
    Listed(Vec<Listed>),
}

#[derive(Deserialize)]
struct Listed {
    kid: String,
    key: String,
    from: Option<String>,
    until: Option<String>,
    world: Option<String>,
}

impl Listed {
    fn published(self) -> anyhow::Result<PublishedKey> {
        let Self { kid, key, from, until, world } = self;
        let read = PublicKey::from_base64(&key).filter(|key| key.kid() == kid);
        let read = read.with_context(|| format!("the key {kid} is not what its name says"))?;
        Ok(PublishedKey::new(read, from, until, world.as_deref().unwrap_or("production")))
    }
}

/// The keys, with what is known of them.
pub(super) struct Keys {
    pub(super) keys: Vec<PublicKey>,
    published: Vec<PublishedKey>,
}

impl Keys {
    /// What was published of a key.
    pub(super) fn published(&self, kid: &str) -> Option<&PublishedKey> {
        self.published.iter().find(|key| key.kid == kid)
    }
}

impl WhichKeys {
    pub(super) async fn read(&self) -> anyhow::Result<Keys> {
        let mut keys = Vec::new();
        for text in &self.key {
            keys.push(PublicKey::from_base64(text).with_context(|| format!("`{text}` is no Ed25519 key in base64"))?);
        }
        let mut published = Vec::new();
        if let Some(from) = &self.keys {
            let text = if from.starts_with("https://") || from.starts_with("http://") {
                fetch(from).await.with_context(|| format!("the keys cannot be fetched from {from}"))?
            } else {
                std::fs::read(from).with_context(|| format!("{from} cannot be read"))?
            };
            let published_keys = match serde_json::from_slice(&text).with_context(|| format!("{from} holds no keys"))? {
                KeyFile::Published(set) => set.keys,
                KeyFile::Listed(listed) => listed.into_iter().map(Listed::published).collect::<anyhow::Result<_>>()?,
            };
            for key in published_keys {
                match key.key() {
                    Some(read) => keys.push(read),
                    // Others' keys may stand beside ours.
                    None if key.kty != "OKP" || key.crv != "Ed25519" => continue,
                    None => bail!("{from}: the key {} is not what its name says", key.kid),
                }
                published.push(key);
            }
            ensure!(!keys.is_empty(), "{from} holds no keys");
        }
        Ok(Keys { keys, published })
    }
}

async fn fetch(address: &str) -> anyhow::Result<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "the address is given by whoever runs the command")]
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let mut answer = client.get(address).send().await?.error_for_status()?;
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        ensure!(bytes.len() + piece.len() <= MOST, "the answer is too long");
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
