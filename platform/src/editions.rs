//! The editions of the catalogue: what each held, and what changed from one to the next. They are the changelog that developers read.

use std::collections::BTreeMap;

use archive::catalogue::{ALL_DATA, Catalogue, Sensitivity};
use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::db::sql;
use crate::{Db, Fault, Platform};

/// An edition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Its name.
    pub edition: String,
    /// Since when it is served.
    pub since: Millis,
    /// What changed with it, in sentences.
    pub changes: Vec<String>,
    /// Whether there is a made-up archive of it.
    pub has_sample: bool,
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    edition: String,
    since: Millis,
    number: i32,
    contents: String,
    changes: String,
    has_sample: bool,
}

impl From<Row> for Edition {
    fn from(row: Row) -> Self {
        let changes = serde_json::from_str(&row.changes).unwrap_or_default();
        Self { edition: row.edition, since: row.since, changes, has_sample: row.has_sample }
    }
}

/// What an edition holds, as far as developers see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    categories: BTreeMap<String, CategoryContents>,
    /// By path: the categories that take it besides `all_data`, and its columns.
    sections: BTreeMap<String, SectionContents>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct CategoryContents {
    scope: String,
    title: String,
    text: String,
    sensitive: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SectionContents {
    categories: Vec<String>,
    columns: Vec<String>,
}

impl Contents {
    fn of(catalogue: &Catalogue) -> Self {
        let categories = catalogue.categories().iter().map(|category| {
            let contents = CategoryContents {
                scope: category.scope.clone(),
                title: category.title.best("en").to_owned(),
                text: category.text.best("en").to_owned(),
                sensitive: category.sensitivity == Sensitivity::Sensitive,
            };
            (category.name.clone(), contents)
        });
        let sections = catalogue.sections().iter().map(|section| {
            (section.name(), SectionContents { categories: section.categories.clone(), columns: section.columns() })
        });
        Self { categories: categories.collect(), sections: sections.collect() }
    }

    /// What is different in a later one, in sentences.
    fn changes(&self, later: &Self) -> Vec<String> {
        let mut told = Vec::new();
        for (name, now) in &later.categories {
            let Some(before) = self.categories.get(name) else {
                told.push(format!("New category {name} (“{}”), asked for by {}.", now.title, now.scope));
                continue;
            };
            if before.scope != now.scope {
                told.push(format!("Category {name} is asked for by {} instead of {}.", now.scope, before.scope));
            }
            if before.title != now.title || before.text != now.text {
                told.push(format!("Category {name} is described in other words."));
            }
            match (before.sensitive, now.sensitive) {
                (false, true) => told.push(format!("Category {name} is sensitive now: two reviewers decide.")),
                (true, false) => told.push(format!("Category {name} is no longer sensitive.")),
                _ => {}
            }
        }
        for name in self.categories.keys().filter(|name| !later.categories.contains_key(*name)) {
            told.push(format!("Category {name} is gone."));
        }
        for (path, now) in &later.sections {
            let Some(before) = self.sections.get(path) else {
                told.push(format!("New section {path}, in {}.", listed(&now.categories)));
                continue;
            };
            if before.categories != now.categories {
                told.push(format!(
                    "Section {path} is in {} now; it was in {}.",
                    listed(&now.categories),
                    listed(&before.categories)
                ));
            }
            let only = |of: &[String], not: &[String]| {
                of.iter().filter(|name| !not.contains(name)).cloned().collect::<Vec<_>>().join(", ")
            };
            let (new, gone) = (only(&now.columns, &before.columns), only(&before.columns, &now.columns));
            if !new.is_empty() {
                told.push(format!("Section {path} has more fields: {new}."));
            }
            if !gone.is_empty() {
                told.push(format!("Section {path} no longer has: {gone}."));
            }
        }
        for path in self.sections.keys().filter(|path| !later.sections.contains_key(*path)) {
            told.push(format!("Section {path} is gone."));
        }
        told
    }
}

fn listed(categories: &[String]) -> String {
    if categories.is_empty() { ALL_DATA.to_owned() } else { format!("{} and {ALL_DATA}", categories.join(", ")) }
}

/// Writes down the edition that is served, if it is a new one. Called at the start; several processes may do so at once.
pub async fn record(platform: &Platform) -> Result<(), Fault> {
    let catalogue = &platform.catalogue;
    let contents = Contents::of(catalogue);
    let mut tx = platform.db.begin().await?;
    let statement = "select edition, since, number, contents, changes, sample is not null as has_sample
         from catalogue_editions
         order by number desc
         limit 1";
    let last = sql!(tx, optional Row, statement)?;
    let known = sql!(tx, found String, "select contents from catalogue_editions where edition = $1", catalogue.edition.clone())?;
    let text = serde_json::to_string(&contents).map_err(|fault| Fault::Row(fault.to_string()))?;
    if let Some(known) = known {
        if known != text {
            tracing::warn!(
                edition = catalogue.edition,
                "the catalogue has changed under the name of an edition that is published: give it another `edition`, so that developers are told"
            );
        }
        return Ok(());
    }
    let changes = match &last {
        None => vec![format!(
            "The first edition that is published here: {} categories, {} sections.",
            contents.categories.len(),
            contents.sections.len()
        )],
        Some(row) => {
            let before: Contents = serde_json::from_str(&row.contents).unwrap_or_default();
            let changes = before.changes(&contents);
            if changes.is_empty() { vec!["Nothing that developers see has changed.".to_owned()] } else { changes }
        }
    };
    let number = last.map_or(1, |row| row.number + 1);
    let changes = serde_json::to_string(&changes).map_err(|fault| Fault::Row(fault.to_string()))?;
    let new = sql!(
        tx,
        execute,
        "insert into catalogue_editions (edition, since, number, contents, changes) values ($1, $2, $3, $4, $5) on conflict do nothing",
        catalogue.edition.clone(),
        platform.now(),
        number,
        text,
        changes,
    )?;
    tx.commit().await?;
    if new == 1 {
        tracing::info!(edition = catalogue.edition, "a new edition of the catalogue is published");
    }
    Ok(())
}

/// How a catalogue differs from the edition that was published last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The edition that was published last.
    pub edition: String,
    /// What is different, in sentences.
    pub changes: Vec<String>,
}

/// Compares a catalogue with what was published last. `None` when nothing was.
pub async fn drift(db: &Db, catalogue: &Catalogue) -> Result<Option<Drift>, Fault> {
    let mut tx = db.read().await?;
    let statement = "select edition, since, number, contents, changes, sample is not null as has_sample
         from catalogue_editions
         order by number desc
         limit 1";
    let Some(last) = sql!(tx, optional Row, statement)? else { return Ok(None) };
    let before: Contents = serde_json::from_str(&last.contents).unwrap_or_default();
    Ok(Some(Drift { edition: last.edition, changes: before.changes(&Contents::of(catalogue)) }))
}

/// All editions, newest first.
pub async fn list(platform: &Platform) -> Result<Vec<Edition>, Fault> {
    let mut tx = platform.db.read().await?;
    let statement = "select edition, since, number, contents, changes, sample is not null as has_sample
         from catalogue_editions
         order by number desc
         limit 200";
    let rows = sql!(tx, all Row, statement)?;
    Ok(rows.into_iter().map(Edition::from).collect())
}

/// The made-up archive of an edition.
pub async fn sample(platform: &Platform, edition: &str) -> Result<Option<Vec<u8>>, Fault> {
    if edition.contains('\0') {
        return Ok(None);
    }
    let mut tx = platform.db.read().await?;
    let statement = "select sample from catalogue_editions where edition = $1 and sample is not null";
    Ok(sql!(tx, found Vec<u8>, statement, edition.to_owned())?)
}

/// Keeps the made-up archive of the edition that is served.
pub async fn keep_sample(platform: &Platform, sample: &[u8]) -> Result<(), Fault> {
    let mut tx = platform.db.begin().await?;
    let statement = "update catalogue_editions set sample = $2 where edition = $1 and sample is null";
    sql!(tx, execute, statement, platform.catalogue.edition.clone(), sample.to_vec())?;
    tx.commit().await?;
    Ok(())
}

/// How large archives of a category alone were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The category.
    pub category: String,
    /// Half of them were at most so large, in bytes.
    pub median: u64,
    /// Nine of ten were at most so large.
    pub ninetieth: u64,
}

/// Below so many people nothing is told of the sizes of their archives.
pub const PEOPLE: usize = 20;

/// The sizes of real archives by category, where at least [`PEOPLE`] people had one, to one significant digit.
pub async fn sizes(platform: &Platform) -> Result<Vec<Sizes>, Fault> {
    let mut tx = platform.db.read().await?;
    let rows = sql!(
        tx,
        all(String, i64, i64),
        "select r.category_key, r.person_id, a.size
         from archives a join requests r on r.request_id = a.request_id
         order by a.created_at desc
         limit 5000",
    )?;
    let mut by_category: BTreeMap<String, BTreeMap<i64, i64>> = BTreeMap::new();
    for (categories, person, size) in rows {
        // The latest of each person, so that nobody weighs more than another.
        // As JSON, of one category: what the sample is of, too.
        let Some(category) = categories.strip_prefix("json ") else { continue };
        by_category.entry(category.to_owned()).or_default().entry(person).or_insert(size);
    }
    let known = |category: &String| platform.catalogue.category(category).is_some();
    let told = by_category.into_iter().filter(|(category, people)| known(category) && people.len() >= PEOPLE);
    Ok(told
        .filter_map(|(category, people)| {
            let mut sizes: Vec<u64> = people.into_values().map(|size| u64::try_from(size).unwrap_or(0)).collect();
            sizes.sort_unstable();
            let at = |share: usize| sizes.get((sizes.len() * share).div_ceil(100).saturating_sub(1)).copied().map(rounded);
            Some(Sizes { category, median: at(50)?, ninetieth: at(90)? })
        })
        .collect())
}

/// To one significant digit, upwards.
fn rounded(size: u64) -> u64 {
    let unit = 10_u64.pow(size.max(1).ilog10());
    size.div_ceil(unit).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_to_one_digit() {
        let told: Vec<u64> = [0, 1, 9, 10, 11, 1234, 98_765].map(rounded).into();
        assert_eq!(told, [0, 1, 9, 10, 20, 2000, 100_000]);
    }

    #[test]
    fn changes_are_told_in_sentences() {
        let category = |text: &str, sensitive| CategoryContents {
            scope: "portability.activity".into(),
            title: "Activity".into(),
            text: text.into(),
            sensitive,
        };
        let section = |columns: &[&str]| SectionContents {
            categories: vec!["activity".into()],
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        };
        let mut before = Contents::default();
        before.categories.insert("activity".into(), category("a", false));
        before.categories.insert("old".into(), category("a", false));
        before.sections.insert("A / B".into(), section(&["Date", "Link"]));
        before.sections.insert("Gone".into(), section(&[]));
        let mut after = before.clone();
        assert_eq!(before.changes(&after), Vec::<String>::new());
        after.categories.insert("activity".into(), category("b", true));
        after.categories.remove("old");
        after.categories.insert("new".into(), category("c", false));
        after.sections.insert("A / B".into(), section(&["Date", "Title"]));
        after.sections.remove("Gone");
        after.sections.insert("C".into(), SectionContents::default());
        assert_eq!(
            before.changes(&after),
            [
                "Category activity is described in other words.",
                "Category activity is sensitive now: two reviewers decide.",
                "New category new (“Activity”), asked for by portability.activity.",
                "Category old is gone.",
                "Section A / B has more fields: Title.",
                "Section A / B no longer has: Link.",
                "New section C, in all_data.",
                "Section Gone is gone.",
            ]
        );
    }
}
