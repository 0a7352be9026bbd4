//! The portal of the demonstration: an organisation with apps in every state, others beside it, and a queue worth looking at.
//!
//! Everything is done by the functions behind the pages, in the order in which it would happen; only the clock is another: a second [`Platform`]
//! on the same store lives through the last weeks. What it asks of other people's sites is answered from memory.

mod cast;
mod story;
mod words;

use std::sync::Arc;

use ::platform::properties::Sites;
use ::platform::{Clock, Platform, accounts};
use archive::catalogue::Catalogue;

use crate::config::Config;
use crate::state;

pub(super) use cast::{Cast, PASSWORD};

/// Seeds the portal unless it was before; gives who can sign in.
pub(super) async fn seed(config: &Config, gateway: &Platform) -> anyhow::Result<Cast> {
    let cast = Cast::default();
    let db = &gateway.db;
    let known = accounts::by_email(&mut db.read().await?, accounts::AccountKind::Developer, cast::DEVELOPER).await?;
    if known.is_some() {
        return Ok(cast);
    }
    let now = Clock::System.now();
    let clock = Clock::at(now - story::LENGTH);
    let built = state::open_platform_with(config, db.clone(), Catalogue::clone(&gateway.catalogue)).await?;
    let sites = Sites::from_memory(&built.settings.ownership)?;
    let past = Arc::new(Platform { clock, sites, ..built });
    story::tell(&past, now).await?;
    Ok(cast)
}
