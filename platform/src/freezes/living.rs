//! What is frozen at this moment, cheap enough to be asked at every call: one small set in memory, read anew from the store each second. So a
//! call costs no query of its own, and a freeze made by another process holds here within a second.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archive::catalogue::{ALL_DATA, Catalogue, Section};

use super::{Freeze, What, rows};
use crate::clock::Millis;
use crate::{Fault, Platform};

/// How old what is known may be. Downloads and builds look each second or two, so that all have stopped within five.
const FOR: Duration = Duration::from_secs(1);

/// What is frozen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Living {
    everything: bool,
    apps: BTreeSet<i64>,
    categories: BTreeSet<String>,
    sources: BTreeSet<String>,
}

impl Living {
    fn of(freezes: Vec<Freeze>) -> Self {
        let mut living = Self::default();
        for freeze in freezes {
            match freeze.what {
                What::App => living.apps.extend(freeze.app_id),
                What::Category => drop(living.categories.insert(freeze.name)),
                What::Source => drop(living.sources.insert(freeze.name)),
                What::Everything => living.everything = true,
            }
        }
        living
    }

    /// Whether everything is.
    pub const fn everything(&self) -> bool {
        self.everything
    }

    /// Whether an app is, by itself. What stops everything does not count.
    pub fn app(&self, app_id: i64) -> bool {
        self.apps.contains(&app_id)
    }

    /// The first of these categories whose data is stopped, if any is: the category is frozen, or shares a section with one that is, or a section
    /// of it reads from a frozen source. A freeze of `all_data` stops those who ask for that, and leaves the parts alone.
    pub fn data<'a>(&self, catalogue: &Catalogue, categories: &'a [impl AsRef<str>]) -> Option<&'a str> {
        if self.categories.is_empty() && self.sources.is_empty() {
            return None;
        }
        categories.iter().map(AsRef::as_ref).find(|name| self.stops(catalogue, name))
    }

    fn stops(&self, catalogue: &Catalogue, name: &str) -> bool {
        let named = catalogue.category(name).is_some_and(|category| self.categories.contains(&category.name));
        let shared = |section: &Section| {
            section.categories.iter().any(|of| of != ALL_DATA && self.categories.contains(of)) || self.reads(section)
        };
        named || catalogue.sections_of(&[name]).any(shared)
    }

    /// Whether a section, or what is nested in it or looked up for it, reads from a frozen source.
    fn reads(&self, section: &Section) -> bool {
        section.query.as_ref().is_some_and(|query| self.sources.contains(&query.source))
            || section.nests.iter().any(|nest| self.reads(&nest.section))
            || section.lookups.iter().any(|lookup| self.reads(&lookup.section))
    }

    /// Whether anything of an app's request for these categories is stopped.
    pub fn touches(&self, catalogue: &Catalogue, app_id: i64, categories: &[impl AsRef<str>]) -> bool {
        self.everything || self.app(app_id) || self.data(catalogue, categories).is_some()
    }
}

/// What a process knows of the living freezes, and since when.
#[derive(Clone, Debug, Default)]
pub struct Look {
    held: Arc<Mutex<Held>>,
    /// Of many calls at once one reads.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Held {
    known: Option<(Millis, Arc<Living>)>,
    /// Counts what was done here: a reader that began before an act does not bring back what was so before it.
    acts: u64,
}

impl Look {
    fn recent(&self, now: Millis) -> Option<Arc<Living>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that jumped back makes what is known of no age at all: it is read anew.
        held.known.as_ref().filter(|(at, _)| *at <= now && now.since(*at) < FOR).map(|(_, living)| Arc::clone(living))
    }

    fn acts(&self) -> u64 {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).acts
    }

    fn keep(&self, at: Millis, acts: u64, living: &Arc<Living>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.acts == acts {
            held.known = Some((at, Arc::clone(living)));
        }
    }

    /// Something was done here: the next who asks reads.
    pub(super) fn forget(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.acts += 1;
        held.known = None;
    }
}

/// What is frozen, as it was known at most a second ago. If that cannot be read, the call fails: nothing goes out on a guess.
pub async fn living(platform: &Platform) -> Result<Arc<Living>, Fault> {
    if let Some(living) = platform.freezes.recent(platform.now()) {
        return Ok(living);
    }
    let _one = platform.freezes.reading.lock().await;
    match platform.freezes.recent(platform.now()) {
        Some(living) => Ok(living),
        None => fresh(platform).await,
    }
}

/// What is frozen, as the store has it now.
pub async fn fresh(platform: &Platform) -> Result<Arc<Living>, Fault> {
    let (at, acts) = (platform.now(), platform.freezes.acts());
    let mut tx = platform.db.read().await?;
    let living = Arc::new(Living::of(rows::living(&mut tx).await?));
    platform.freezes.keep(at, acts, &living);
    Ok(living)
}
