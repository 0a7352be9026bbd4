//! The catalogue's page and its feed.

use std::collections::BTreeMap;

use archive::catalogue::{ALL_DATA, Section, Sensitivity};
use askama::Template;
use platform::Millis;
use platform::editions::{self, Edition};
use wire::UserField;

use super::{CATALOGUE, FEED, Live, sample_path};
use crate::demo::tell;
use crate::pages::frame::Frame;
use crate::pages::moment;
use crate::pages::parts::Icon;
use crate::pages::view::{Moment, counted};
use crate::state::State;

/// What can be exported.
#[derive(Template)]
#[template(path = "portal/catalogue.html")]
pub(super) struct CataloguePage {
    shell: Frame,
    edition: String,
    families: Vec<Family>,
    user_info: Vec<(&'static str, &'static str, String)>,
    /// Path and size of the sample archive.
    sample: Option<(String, String)>,
    /// How many people's archives a size is told from.
    people: usize,
    editions: Vec<EditionView>,
}

/// A pair of scopes and the categories that it opens.
struct Family {
    scope: String,
    id: String,
    sensitive: bool,
    categories: Vec<CategoryView>,
}

struct CategoryView {
    name: String,
    aliases: String,
    title: String,
    text: String,
    /// Sections by their root, each with its columns.
    roots: Vec<(String, Vec<(String, String)>)>,
    /// "8 sections".
    sections: String,
    everything: bool,
    size: Option<(String, String)>,
}

/// An edition as the page and the feed tell it.
pub(super) struct EditionView {
    edition: String,
    since: Moment,
    changes: Vec<String>,
    sample: Option<String>,
}

impl EditionView {
    fn new(edition: &Edition, served: &str) -> Self {
        let has_sample = edition.has_sample || edition.edition == served;
        Self {
            edition: edition.edition.clone(),
            since: Moment::day(moment(edition.since)),
            changes: edition.changes.clone(),
            sample: has_sample.then(|| sample_path(&edition.edition)),
        }
    }
}

pub(super) fn page(state: &State, shell: Frame, live: &Live, sample: Option<&[u8]>) -> CataloguePage {
    let catalogue = &state.platform.catalogue;
    let mut families: Vec<Family> = Vec::new();
    for category in catalogue.categories() {
        let everything = category.name == ALL_DATA;
        let sections: Vec<&Section> = catalogue.sections_of(&[&category.name]).collect();
        let size = live.sizes.iter().find(|sizes| sizes.category == category.name);
        let view = CategoryView {
            name: category.name.clone(),
            aliases: category.aliases.join(", "),
            title: category.title.best("en").to_owned(),
            text: category.text.best("en").to_owned(),
            roots: by_root(&sections),
            sections: counted(sections.len(), "section", "sections"),
            everything,
            size: size.map(|sizes| (tell::size(sizes.median), tell::size(sizes.ninetieth))),
        };
        let sensitive = category.sensitivity == Sensitivity::Sensitive;
        match families.iter_mut().find(|family| family.scope == category.scope) {
            Some(family) => {
                family.sensitive |= sensitive;
                family.categories.push(view);
            }
            None => families.push(Family {
                scope: category.scope.clone(),
                id: category.scope.replace('.', "-"),
                sensitive,
                categories: vec![view],
            }),
        }
    }
    let edition = catalogue.edition.clone();
    CataloguePage {
        shell,
        families,
        user_info: user_info(),
        sample: sample.map(|bytes| (sample_path(&edition), tell::size(u64::try_from(bytes.len()).unwrap_or(0)))),
        people: editions::PEOPLE,
        editions: live.editions.iter().map(|known| EditionView::new(known, &edition)).collect(),
        edition,
    }
}

/// Sections by the first piece of their path, in the archive's order; each with the rest of its path and its fields.
fn by_root(sections: &[&Section]) -> Vec<(String, Vec<(String, String)>)> {
    let mut roots: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for section in sections {
        let Some((root, rest)) = section.path.split_first() else { continue };
        let line = (rest.join(" / "), section.columns().join(", "));
        match roots.iter_mut().find(|(held, _)| held == root) {
            Some((_, lines)) => lines.push(line),
            None => roots.push((root.clone(), vec![line])),
        }
    }
    roots
}

/// The scopes of user info, what they say to a person, and their fields.
fn user_info() -> Vec<(&'static str, &'static str, String)> {
    let mut scopes: BTreeMap<&'static str, Vec<&'static str>> = BTreeMap::new();
    for field in UserField::ALL {
        scopes.entry(field.scope).or_default().push(field.name);
    }
    let words = |scope: &str| match scope {
        "user.info.basic" => "Who somebody is to your app: a stable identifier, a name to show, a picture. Every app has it.",
        "user.info.profile" => "What stands on their public profile.",
        "user.info.stats" => "Counts: followers, following, likes, posts.",
        _ => "",
    };
    scopes.into_iter().map(|(scope, fields)| (scope, words(scope), fields.join(", "))).collect()
}

/// The editions, for feed readers.
#[derive(Template)]
#[template(path = "portal/feed.xml")]
pub(super) struct Feed {
    title: String,
    base_url: String,
    updated: String,
    entries: Vec<EditionView>,
}

pub(super) fn feed(state: &State, live: &Live) -> Feed {
    let served = &state.platform.catalogue.edition;
    let updated = live.editions.first().map_or(Millis(0), |edition| edition.since);
    Feed {
        title: format!("Data that can be exported from {}", state.brand.name),
        base_url: state.base_url.clone(),
        updated: moment(updated).to_string(),
        entries: live.editions.iter().map(|edition| EditionView::new(edition, served)).collect(),
    }
}
