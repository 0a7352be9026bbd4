//! The second look at a catalogue: what serves, but slowly or not whole.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::probe::{Probe, create_index, parent_of};
use super::schema::{Schema, Table};
use super::{guess, key, ways, words};
use crate::catalogue::{Catalogue, Engine, Owner, Place, Section, SourceSpec};
use crate::source::address;

/// From so many rows on, reading a table whole for one person is a fault of its own.
const LARGE: u64 = 10_000;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It does not serve.
    Fault,
    /// It serves, but not as it should.
    Warning,
    /// Good to know.
    Note,
}

impl Level {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The catalogue's file and line, where there is one.
    pub place: Option<Place>,
    /// What was found.
    pub what: String,
    /// What to do.
    pub cure: String,
}

impl Finding {
    fn new(level: Level, place: &Place, what: String, cure: impl Into<String>) -> Self {
        Self { level, place: (place.line > 0).then(|| place.clone()), what, cure: cure.into() }
    }
}

/// Looks at plans, at nulls among times, and for tables that refer to people and that no section exports. Whether the queries can be read at all is
/// the business of `Sources::check`.
pub async fn inspect(catalogue: &Catalogue, base_dir: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for spec in catalogue.sources() {
        // A service has no schema to look at.
        if spec.kind == Engine::Http {
            continue;
        }
        // Also what is nested in a section, and what it looks up: such tables are exported.
        let sections: Vec<&Section> = catalogue
            .sections()
            .iter()
            .flat_map(Section::queries)
            .filter(|section| section.query.as_ref().is_some_and(|query| query.source == spec.name))
            .collect();
        if let Err(what) = source(catalogue, spec, &sections, base_dir, &mut findings).await {
            let what = format!("source `{}`: its schema was not looked at: {what}", spec.name);
            findings.push(Finding::new(
                Level::Note,
                &spec.place,
                what,
                "plans, nulls and forgotten tables are not checked there",
            ));
        }
    }
    findings.sort_by_key(|finding| finding.level);
    findings
}

async fn source(
    catalogue: &Catalogue,
    spec: &SourceSpec,
    sections: &[&Section],
    base_dir: &Path,
    findings: &mut Vec<Finding>,
) -> Result<(), String> {
    let url = address(spec, base_dir).await?;
    let mut probe = Probe::open(&url, base_dir).await.map_err(|error| error.to_string())?;
    let schema = probe.schema().await.map_err(|error| error.to_string())?;
    if let Some((person, key)) = people(spec, &schema) {
        probe.ask_for_one_of(person, &key).await;
    }
    let mut shown: HashSet<usize> = HashSet::new();
    for section in sections {
        let Some(query) = &section.query else { continue };
        let owner = match &query.owner {
            Owner::Column(column) => Some(column.as_str()),
            Owner::Unchecked(_) => None,
        };
        let reads = words::reads(&query.sql, owner, &schema);
        shown.extend(&reads.shown);
        plan(&mut probe, section, &reads, &schema, findings).await;
        if let Some(time) = &query.time {
            nulls(&mut probe, section, time, &reads, &schema, findings).await;
        }
    }
    // What a view shows, its tables need not be shown for again.
    let mut views: Vec<usize> = shown.iter().copied().collect();
    while let Some(table) = views.pop() {
        for under in schema.tables[table].view.iter().flatten() {
            if shown.insert(*under) {
                views.push(*under);
            }
        }
    }
    forgotten(catalogue, spec, &schema, &shown, findings);
    Ok(())
}

/// The table that people are in, and what names them there.
fn people<'s>(spec: &SourceSpec, schema: &'s Schema) -> Option<(&'s Table, String)> {
    let person = spec.person.as_ref()?;
    let table = &schema.tables[schema.find(&person.table)?];
    Some((table, key(table, person.key.as_deref()).ok()?))
}

async fn plan(probe: &mut Probe, section: &Section, reads: &words::Reads, schema: &Schema, findings: &mut Vec<Finding>) {
    // A query that cannot be prepared is told by `Sources::check`.
    let Ok(scans) = probe.scans(section).await else { return };
    let mut whole: Vec<usize> = Vec::new();
    for (in_schema, name) in scans {
        let named = |in_schema: &Option<String>, name: &str| {
            schema.tables.iter().position(|table| table.schema == *in_schema && table.name == name)
        };
        // MySQL's plans have the names that tables go by in the query.
        let found = if probe.engine() == Engine::Mysql { reads.called(&name) } else { named(&in_schema, &name) };
        let found = match found {
            Some(found) => Some(found),
            None => match parent_of(probe, in_schema.as_deref(), &name).await {
                Some((in_schema, name)) => named(&in_schema, &name),
                None => None,
            },
        };
        whole.extend(found.filter(|found| !whole.contains(found)));
    }
    for at in whole {
        let table = &schema.tables[at];
        let Some(rows) = table.rows.filter(|rows| *rows >= LARGE) else { continue };
        let compared = reads.compared(at, schema);
        let served = |column: &String| table.indexes.iter().any(|index| index.first() == Some(column));
        let cure = match compared.iter().find(|column| !served(column)) {
            Some(column) => format!("{};", create_index(probe.engine(), table, std::slice::from_ref(column))),
            // The engine has an index and does not take it; it knows the numbers better.
            None if !compared.is_empty() => continue,
            None => "compare a column of it that has an index".to_owned(),
        };
        let what = format!(
            "section \"{}\": for every person the whole of {} is read, about {rows} rows, because no index serves the query",
            section.name(),
            table.full_name()
        );
        findings.push(Finding::new(Level::Warning, &section.place, what, cure));
    }
}

async fn nulls(
    probe: &mut Probe,
    section: &Section,
    time: &str,
    reads: &words::Reads,
    schema: &Schema,
    findings: &mut Vec<Finding>,
) {
    let Some(query) = &section.query else { return };
    let Some((at, column)) = words::behind(&query.sql, time, reads, schema) else { return };
    let table = &schema.tables[at];
    if !table.any_nullable(std::slice::from_ref(&column)) || words::asks_for_null(&query.sql, &column) {
        return;
    }
    if let Ok(true) = probe.has_null(table, &column).await {
        let what = format!(
            "section \"{}\": {}.{column} is null in some rows, and what is null compares with nothing: they are left out",
            section.name(),
            table.full_name()
        );
        let cure = format!("write ({column} is null or {column} >= :since and {column} < :until)");
        findings.push(Finding::new(Level::Warning, &section.place, what, cure));
    }
}

/// Tables that refer to a person, and that are neither shown nor excused.
fn forgotten(catalogue: &Catalogue, spec: &SourceSpec, schema: &Schema, shown: &HashSet<usize>, findings: &mut Vec<Finding>) {
    let mut excused: BTreeMap<usize, &Place> = BTreeMap::new();
    for excuse in catalogue.excuses().iter().filter(|excuse| excuse.source == spec.name) {
        match schema.find(&excuse.table) {
            Some(at) => {
                if shown.contains(&at) && schema.tables[at].view.is_none() {
                    let what = format!("the table {} is excused, and a section exports it", excuse.table);
                    findings.push(Finding::new(Level::Warning, &excuse.place, what, "take the excuse out"));
                }
                excused.insert(at, &excuse.place);
            }
            None => {
                let what = format!("an excuse names a table {}, and there is none in `{}`", excuse.table, spec.name);
                findings.push(Finding::new(Level::Fault, &excuse.place, what, "correct the name, or take the excuse out"));
            }
        }
    }
    let Some(person) = &spec.person else {
        let what = format!("source `{}` does not say which table people are in: forgotten tables are not looked for", spec.name);
        findings.push(Finding::new(Level::Note, &spec.place, what, "add person_table and person_key to it"));
        return;
    };
    let Some(at) = schema.find(&person.table) else {
        let what = format!("source `{}`: there is no table {} for people to be in", spec.name, person.table);
        findings.push(Finding::new(Level::Fault, &spec.place, what, "correct person_table"));
        return;
    };
    if let Err(error) = key(&schema.tables[at], person.key.as_deref()) {
        findings.push(Finding::new(Level::Fault, &spec.place, error.to_string(), "correct person_key"));
    }
    let ways = ways::find(schema, at);
    for table in ways.reached.iter().copied().filter(|table| !shown.contains(table) && !excused.contains_key(table)) {
        let found = &schema.tables[table];
        let by = ways.of(table).first().and_then(|way| way.first().cloned());
        let by = by.map_or_else(String::new, |hop| format!(" by {}", hop.columns.join(", ")));
        let hint = if guess::secret_table(&found.name) { "; its name suggests secrets" } else { "" };
        let what = format!("the table {} refers to a person{by}, and no section exports it{hint}", name_of(found));
        let cure = format!(
            "write a section for it, or: [[excuse]] source = \"{}\", table = \"{}\", reason = \"..\"",
            spec.name,
            found.full_name()
        );
        findings.push(Finding::new(Level::Fault, &spec.place, what, cure));
    }
}

fn name_of(table: &Table) -> String {
    match table.view {
        Some(_) => format!("{} (a view)", table.full_name()),
        None => table.full_name(),
    }
}
