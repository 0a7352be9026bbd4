//! Editions: the contents of a catalogue, frozen, and what is different between two of them.
//!
//! The promise to readers: whoever passes over keys that they do not know can read every later edition until one breaks it, and that one is told in
//! advance. So a section, a field, an alias or a category may be added at any time; nothing that is there may be taken away, be renamed or become
//! something else.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::contents::{CategoryContents, Contents, FieldContents, SectionContents, Type};
use super::dictionary::inline;

/// A difference between two editions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Whether it breaks a reader of the edition before.
    pub breaking: bool,
    /// The category, or the section by its path and perhaps the field.
    pub at: String,
    /// What is different, as a sentence.
    pub what: String,
}

/// A frozen edition, as its file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edition {
    /// The form of the file: 1.
    pub format: u32,
    /// Its name.
    pub edition: String,
    /// The day on which it was frozen.
    #[serde(serialize_with = "write_day", deserialize_with = "read_day")]
    pub published: Date,
    /// The day from which it holds, if that was said.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_some_day",
        deserialize_with = "read_some_day"
    )]
    pub holds_from: Option<Date>,
    /// The edition before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What is different from the edition before it.
    pub changes: Vec<Change>,
    /// What it holds.
    pub contents: Contents,
}

fn write_day<S: Serializer>(day: &Date, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(day)
}

fn read_day<'de, D: Deserializer<'de>>(from: D) -> Result<Date, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::custom(format!("\"{text}\" is no day: write 2026-01-31")))
}

fn write_some_day<S: Serializer>(day: &Option<Date>, to: S) -> Result<S::Ok, S::Error> {
    match day {
        Some(day) => write_day(day, to),
        None => to.serialize_none(),
    }
}

fn read_some_day<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Date>, D::Error> {
    read_day(from).map(Some)
}

/// The form of an edition's file.
const FORMAT: u32 = 1;

/// Why an edition cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what was published under its name.
    #[error(
        "the catalogue is not what was published as edition {edition}, and what is published stays as it is: give it another `edition`"
    )]
    Frozen {
        /// The name.
        edition: String,
        /// What is different.
        changes: Vec<Change>,
    },
    /// It breaks readers, and no day was said.
    #[error(
        "edition {edition} breaks readers of edition {before}: say with --from DATE from when it holds, so that they can prepare"
    )]
    Breaking {
        /// The new name.
        edition: String,
        /// The name before.
        before: String,
        /// What is different.
        changes: Vec<Change>,
    },
    /// The day is in the past.
    #[error("--from {from} is in the past: name a day that readers can prepare for, {today} or later")]
    Past {
        /// The day.
        from: Date,
        /// Today.
        today: Date,
    },
    /// The name is no good as a file's.
    #[error("the edition \"{edition}\" cannot be the name of a file: {why}")]
    Name {
        /// The name.
        edition: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The files do not follow one another.
    #[error("{0}")]
    Chain(String),
}

/// The editions that were published, the first one first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Editions(Vec<Edition>);

impl Editions {
    /// Puts editions in their order.
    pub fn in_order(found: Vec<Edition>) -> Result<Self, Refusal> {
        let chain = |what: String| Err(Refusal::Chain(what));
        if let Some(strange) = found.iter().find(|edition| edition.format != FORMAT) {
            return chain(format!(
                "edition {} has the form {}, which this version does not know",
                strange.edition, strange.format
            ));
        }
        if let Some(strange) = found.iter().find(|edition| edition.edition != edition.contents.edition) {
            return chain(format!("the file of edition {} holds edition {}", strange.edition, strange.contents.edition));
        }
        let mut by_before: BTreeMap<Option<String>, Edition> = BTreeMap::new();
        let count = found.len();
        for edition in found {
            let before = edition.after.clone();
            if let Some(twin) = by_before.insert(before.clone(), edition) {
                let before = before.map_or("nothing".to_owned(), |before| format!("edition {before}"));
                return chain(format!("two editions follow {before}, one of them {}", twin.edition));
            }
        }
        let mut order: Vec<Edition> = Vec::with_capacity(count);
        while let Some(next) = by_before.remove(&order.last().map(|edition| edition.edition.clone())) {
            order.push(next);
        }
        match by_before.into_values().next() {
            None => Ok(Self(order)),
            Some(lost) => {
                chain(format!("edition {} follows edition {}, which is not there", lost.edition, lost.after.unwrap_or_default()))
            }
        }
    }

    /// All of them, the first one first.
    pub fn all(&self) -> &[Edition] {
        &self.0
    }

    /// The last one.
    pub fn last(&self) -> Option<&Edition> {
        self.0.last()
    }

    /// The edition of this name.
    pub fn get(&self, name: &str) -> Option<&Edition> {
        self.0.iter().find(|edition| edition.edition == name)
    }

    /// The edition to be written for these contents, or nothing if they are published already.
    pub fn publish(&self, contents: Contents, from: Option<Date>, today: Date) -> Result<Option<Edition>, Refusal> {
        let name = contents.edition.clone();
        if let Some(known) = self.get(&name) {
            let changes = changes(&known.contents, &contents);
            if !changes.is_empty() {
                return Err(Refusal::Frozen { edition: name, changes });
            }
            return match from {
                // Saying the same again is fine; another day would be another promise.
                Some(from) if known.holds_from != Some(from) => Err(Refusal::Chain(format!(
                    "edition {name} is published{}, and that stays as it is: give the catalogue another `edition`",
                    known.holds_from.map_or(String::new(), |day| format!(" and holds from {day}"))
                ))),
                _ => Ok(None),
            };
        }
        if let Some(why) = super::rules::unsafe_file_name(&name).or(name.starts_with('.').then_some("it begins with a dot")) {
            return Err(Refusal::Name { edition: name, why });
        }
        if let Some(twin) = self.0.iter().find(|known| known.edition.to_lowercase() == name.to_lowercase()) {
            return Err(Refusal::Chain(format!("editions {name} and {} differ only by case", twin.edition)));
        }
        if let Some(from) = from.filter(|from| *from < today) {
            return Err(Refusal::Past { from, today });
        }
        let changes = self.last().map_or(Vec::new(), |last| changes(&last.contents, &contents));
        if let Some(last) = self.last().filter(|_| from.is_none() && changes.iter().any(|change| change.breaking)) {
            return Err(Refusal::Breaking { edition: name, before: last.edition.clone(), changes });
        }
        let after = self.last().map(|last| last.edition.clone());
        Ok(Some(Edition { format: FORMAT, edition: name, published: today, holds_from: from, after, changes, contents }))
    }

    /// With one more at the end.
    pub fn with(mut self, edition: Edition) -> Self {
        self.0.push(edition);
        self
    }

    /// The changelog, the last edition first.
    pub fn changelog(&self) -> String {
        let mut text =
            "# Editions\n\nWhat archives hold, edition by edition. Written by `portward catalog publish`.\n".to_owned();
        for edition in self.0.iter().rev() {
            text.push_str(&format!("\n## {}\n\nPublished on {}", inline(&edition.edition), edition.published));
            match edition.holds_from {
                Some(day) => text.push_str(&format!("; holds from {day}.\n\n")),
                None => text.push_str(".\n\n"),
            }
            if edition.after.is_none() {
                let (categories, sections) = (edition.contents.categories.len(), edition.contents.sections.len());
                text.push_str(&format!("The first edition. Categories: {categories}; sections: {sections}.\n"));
            } else if edition.changes.is_empty() {
                text.push_str("Nothing that readers see has changed.\n");
            }
            for change in &edition.changes {
                let mark = if change.breaking { "**Breaking.** " } else { "" };
                text.push_str(&format!("- {mark}{}: {}\n", inline(&change.at), inline(&change.what)));
            }
        }
        text
    }
}

/// What is different in the later contents.
pub fn changes(before: &Contents, after: &Contents) -> Vec<Change> {
    let mut told = Told(Vec::new());
    let archive = "the archive";
    told.same(archive, "the document's name", &before.document, &after.document);
    told.same(archive, "the folder of TXT archives", &before.text_root, &after.text_root);
    for (name, was) in &before.categories {
        let at = format!("category {name}");
        match after.categories.get(name) {
            None => told.breaking(&at, "It is gone."),
            Some(is) => category(&at, was, is, &mut told),
        }
    }
    for (name, is) in after.categories.iter().filter(|(name, _)| !before.categories.contains_key(*name)) {
        told.fine(&format!("category {name}"), format!("It is new, and is asked for by {}.", is.scope));
    }
    for was in &before.sections {
        match after.sections.iter().find(|section| section.path == was.path) {
            None => told.breaking(&was.name(), "It is gone."),
            Some(is) => section(was, is, &mut told),
        }
    }
    for is in after.sections.iter().filter(|section| before.sections.iter().all(|was| was.path != section.path)) {
        let within = if is.categories.is_empty() { super::ALL_DATA.to_owned() } else { is.categories.join(", ") };
        told.fine(&is.name(), format!("It is new, in {within}."));
    }
    let paths = |of: &Contents| of.sections.iter().map(|section| section.path.clone()).collect::<Vec<_>>();
    if in_another_order(&paths(before), &paths(after)) {
        told.fine(archive, "Its sections come in another order.");
    }
    told.0
}

/// Whether what two lists have in common stands in another order.
fn in_another_order<T: PartialEq>(was: &[T], is: &[T]) -> bool {
    let of_both = is.iter().filter(|item| was.contains(item));
    !was.iter().filter(|item| is.contains(item)).eq(of_both)
}

struct Told(Vec<Change>);

impl Told {
    fn tell(&mut self, breaking: bool, at: &str, what: impl Into<String>) {
        self.0.push(Change { breaking, at: at.to_owned(), what: what.into() });
    }

    fn breaking(&mut self, at: &str, what: impl Into<String>) {
        self.tell(true, at, what);
    }

    fn fine(&mut self, at: &str, what: impl Into<String>) {
        self.tell(false, at, what);
    }

    /// What must not become something else.
    fn same(&mut self, at: &str, what: &str, was: &str, is: &str) {
        if was != is {
            self.breaking(at, format!("{} is {is} now; it was {was}.", capital(what)));
        }
    }

    /// What may be said where nothing was, and must not become something else or be taken away.
    fn kept(&mut self, at: &str, what: &str, was: Option<&str>, is: Option<&str>) {
        match (was, is) {
            (Some(was), Some(is)) => self.same(at, what, was, is),
            (Some(was), None) => self.breaking(at, format!("{} is not there any more; it was {was}.", capital(what))),
            (None, Some(is)) => self.fine(at, format!("{} is {is}.", capital(what))),
            (None, None) => {}
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn category(at: &str, was: &CategoryContents, is: &CategoryContents, told: &mut Told) {
    told.same(at, "its scope", &was.scope, &is.scope);
    for alias in was.aliases.iter().filter(|alias| !is.aliases.contains(alias)) {
        told.breaking(at, format!("Its other name {alias} is gone."));
    }
    for alias in is.aliases.iter().filter(|alias| !was.aliases.contains(alias)) {
        told.fine(at, format!("It has the other name {alias}."));
    }
    if was.title != is.title || was.text != is.text {
        told.fine(at, "It is described in other words.");
    }
    match (was.sensitive, is.sensitive) {
        (false, true) => told.fine(at, "It is sensitive now."),
        (true, false) => told.fine(at, "It is no longer sensitive."),
        _ => {}
    }
}

fn section(was: &SectionContents, is: &SectionContents, told: &mut Told) {
    let at = was.name();
    for category in was.categories.iter().filter(|category| !is.categories.contains(category)) {
        told.breaking(&at, format!("It is no longer in {category}."));
    }
    for category in is.categories.iter().filter(|category| !was.categories.contains(category)) {
        told.fine(&at, format!("It is in {category} too."));
    }
    told.kept(&at, "its TXT file", was.text.as_deref(), is.text.as_deref());
    told.same(&at, "its file in NDJSON and CSV", &was.file, &is.file);
    if was.shape != is.shape {
        // What its rows are says nothing any more.
        return told.same(&at, "its shape", &was.shape, &is.shape);
    }
    told.same(&at, "what stands for no rows", &was.empty, &is.empty);
    if was.constant != is.constant {
        told.breaking(&at, "It is another constant.");
    }
    if let (Some(was), Some(is)) = (&was.key, &is.key) {
        told.same(&at, "the field of its keys", &was.name, &is.name);
        if was.rule != is.rule || (was.stable.is_none() && is.stable.is_some()) {
            told.breaking(&at, "Its keys are written by another rule.");
        }
    }
    match (was.ranged, is.ranged) {
        (true, false) => told.breaking(&at, "A request's since and until no longer hold for it."),
        (false, true) => told.fine(&at, "A request's since and until hold for it."),
        _ => {}
    }
    if let ("value", [was], [is]) = (was.shape.as_str(), was.fields.as_slice(), is.fields.as_slice()) {
        // A value is named by its place, not by its column.
        return field(&at, was, is, told);
    }
    fields(&at, &was.fields, &is.fields, told);
    opened(&at, was.open, is.open, told);
}

fn opened(at: &str, was: bool, is: bool, told: &mut Told) {
    match (was, is) {
        (false, true) => told.fine(at, "Its rows may have fields that are not declared."),
        (true, false) => told.fine(at, "All fields of its rows are declared."),
        _ => {}
    }
}

fn fields(at: &str, was: &[FieldContents], is: &[FieldContents], told: &mut Told) {
    for before in was {
        let at = format!("{at} / {}", before.name);
        match is.iter().find(|field| field.name == before.name) {
            None => told.breaking(&at, "It is gone."),
            Some(now) => field(&at, before, now, told),
        }
    }
    let names = |of: &[FieldContents]| of.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    if in_another_order(&names(was), &names(is)) {
        told.fine(at, "Its fields come in another order.");
    }
    for new in is.iter().filter(|field| was.iter().all(|before| before.name != field.name)) {
        told.fine(&format!("{at} / {}", new.name), format!("It is new, and is {}.", new.kind.as_str()));
    }
}

fn field(at: &str, was: &FieldContents, is: &FieldContents, told: &mut Told) {
    // Whoever was told nothing of its type can be told now.
    let unsaid = was.kind == Type::Any && !was.declared;
    if !unsaid {
        told.same(at, "its type", was.kind.as_str(), is.kind.as_str());
    } else if is.kind != Type::Any {
        told.fine(at, format!("Its type is said: {}.", is.kind.as_str()));
    }
    match (was.declared, is.declared) {
        (true, false) => told.breaking(at, "It is no longer declared."),
        (false, true) => told.fine(at, "It is declared."),
        _ => {}
    }
    if was.kind == is.kind {
        told.kept(at, "how its times are written", was.written.as_deref(), is.written.as_deref());
    }
    told.same(at, "its key in TXT", was.label.as_deref().unwrap_or(&was.name), is.label.as_deref().unwrap_or(&is.name));
    told.same(at, "its rule", was.rule.as_deref().unwrap_or("keep"), is.rule.as_deref().unwrap_or("keep"));
    match (&was.stable, &is.stable) {
        (None, Some(stable)) if was.rule == is.rule => {
            told.breaking(at, format!("Its pseudonyms are the same within one {stable} only."))
        }
        (Some(_), None) if was.rule == is.rule => told.fine(at, "Its pseudonyms are the same in all archives of a grant."),
        _ => {}
    }
    told.kept(at, "its format", was.format.as_deref(), is.format.as_deref());
    if (&was.whose, &was.meaning, &was.origin) != (&is.whose, &is.meaning, &is.origin) {
        told.fine(at, "It is described in other words.");
    }
    fields(at, &was.fields, &is.fields, told);
    opened(at, was.open, is.open, told);
}
