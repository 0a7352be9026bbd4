//! The rules and their rows: who may ask, who agreed, what was asked; the store and its migrations.
//!
//! Nothing here knows HTTP or pages. Each room holds one noun: `mod.rs` its types and rules, `rows.rs` its SQL. Whole operations
//! take the [`Platform`], which holds time, randomness and the store as values; a test builds one by hand.

pub mod access_log;
pub mod accounts;
pub mod applications;
pub mod apps;
pub mod audit;
pub mod clock;
pub mod db;
pub mod editions;
pub mod export;
pub mod failures;
pub mod forms;
pub mod freezes;
pub mod grants;
pub mod ids;
pub mod jobs;
pub mod keys;
pub mod links;
pub mod media;
pub mod notices;
pub mod organisations;
pub mod people;
pub mod properties;
pub mod provider;
pub mod quotas;
pub mod regions;
pub mod requests;
pub mod services;
pub mod settings;
pub mod signing;
pub mod tickets;
pub mod toml_file;
pub mod uploads;
pub mod vault;
pub mod webhooks;

mod housekeeping;
mod password;
mod pause;

use std::path::PathBuf;
use std::sync::Arc;

pub use clock::{Clock, Millis};
pub use db::Db;
pub use ids::Random;
pub use settings::Settings;

/// The two worlds behind one address: they share code, and nothing that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum World {
    /// The operator's own.
    #[default]
    Production,
    /// Made-up people, for apps that nobody has reviewed yet.
    Sandbox,
}

impl World {
    /// As metrics and the log name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }
}

/// Everything that operations need, built once.
pub struct Platform {
    /// Which world it serves.
    pub world: World,
    /// The metadata store.
    pub db: Db,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// What seals client secrets and the keys of archives.
    pub keys: keys::Keys,
    /// Where archives lie.
    pub vault: vault::Vault,
    /// What can be exported.
    pub catalogue: Arc<archive::catalogue::Catalogue>,
    /// The operator's databases.
    pub sources: Arc<archive::source::Sources>,
    /// Requests a minute.
    pub quotas: quotas::Quotas,
    /// What the operator has set.
    pub settings: Settings,
    /// The way out to apps' webhook addresses.
    pub outbound: webhooks::Outbound,
    /// How often apps may test those addresses.
    pub trials: webhooks::Trials,
    /// The way to outsiders' sites, to see whose they are.
    pub sites: properties::Sites,
    /// The way out for mail.
    pub mail: notices::Mail,
    /// Where archives are put together. Nothing in it has a name for longer than it takes to open it.
    pub scratch: PathBuf,
    /// How far the exports running in this process have come.
    pub progress: export::Running,
    /// What is frozen, as this process knows it.
    pub freezes: freezes::Look,
    /// Calls that wait to be written down.
    pub access: access_log::AccessLog,
    /// What reads the PDFs that outsiders hand in.
    pub inspector: uploads::Inspector,
    /// The forms of applications.
    pub forms: forms::Forms,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").field("db", &self.db).finish_non_exhaustive()
    }
}

impl Platform {
    /// The time.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Puts a new key in front of the key file and seals everything anew under it. Gives how many values were sealed anew.
    pub async fn rotate_keys(&self, actor: audit::Actor) -> Result<u64, Fault> {
        let now = self.now();
        let _alone = self.keys.lock()?;
        // First under the key that is newest so far: an earlier rotation may have been cut off, and old keys are dropped below.
        apps::reseal(self).await?;
        vault::reseal(self).await?;
        uploads::reseal(self).await?;
        notices::reseal(self).await?;
        accounts::reseal(self).await?;
        grants::reseal(self).await?;
        signing::reseal(self).await?;
        self.keys.rotate(now)?;
        let sealed =
            apps::reseal(self).await? + vault::reseal(self).await? + uploads::reseal(self).await? + notices::reseal(self).await?;
        let sealed = sealed + accounts::reseal(self).await? + grants::reseal(self).await? + signing::reseal(self).await?;
        let mut tx = self.db.begin().await?;
        audit::Entry::new(actor, "keys.rotated").write(&mut tx, &self.random, now).await?;
        tx.commit().await?;
        Ok(sealed)
    }
}

/// A fault of ours or of what we stand on. Its text is for the log, never for an answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The metadata store.
    #[error("metadata store: {0}")]
    Db(#[from] sqlx::Error),
    /// The key file.
    #[error(transparent)]
    Keys(#[from] keys::KeyError),
    /// The vault.
    #[error("vault: {0}")]
    Vault(#[from] object_store::Error),
    /// A file.
    #[error("file: {0}")]
    File(#[from] std::io::Error),
    /// A row that says what it cannot say.
    #[error("the store holds a value that cannot be read: {0}")]
    Row(String),
    /// A person who was deleted while they were about to act.
    #[error("person {0} was deleted")]
    Gone(i64),
    /// A setting that cannot be so.
    #[error("{0}")]
    Setting(String),
    /// Hashing a password.
    #[error("password: {0}")]
    Password(String),
}
