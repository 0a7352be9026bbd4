//! Which tables are about people and are not exported, and which records are of several people: what `portward catalog check` goes by.

use std::sync::Arc;

use super::file::Table;
use super::{ALL_DATA, Catalogue, Category, Empty, Engine, Owner, Place, Section, Sensitivity, Shape, Texts};

/// A table that refers to a person and that no section exports, with the reason.
#[derive(Clone, Debug)]
pub struct Excuse {
    /// The source's name.
    pub source: String,
    /// The table, with its schema where that is not the usual one.
    pub table: String,
    /// Why its rows are given to nobody.
    pub reason: String,
    /// Where it was declared.
    pub place: Place,
}

/// Where the people of a source are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonTable {
    /// The table, with its schema where that is not the usual one.
    pub table: String,
    /// The column that names a person; without it the primary key.
    pub key: Option<String>,
}

impl Catalogue {
    /// The tables that refer to people and are not exported.
    pub fn excuses(&self) -> &[Excuse] {
        &self.excuses
    }

    /// The catalogue with one of its sections alone, at the path `rows`.
    pub(crate) fn only(&self, section: usize) -> Self {
        let sections = self.sections.get(section).map(|section| Section {
            categories: Vec::new(),
            path: vec!["rows".to_owned()],
            text: section.text.clone(),
            ..section.clone()
        });
        self.with(sections.into_iter().collect())
    }

    /// The catalogue with the keys of its records alone: a list at the path of the section's number. Sections without keys are left out.
    pub(crate) fn keys_only(&self) -> Self {
        let keys = self.sections.iter().enumerate().filter_map(|(at, section)| {
            let source = self.source(&section.query.as_ref()?.source)?;
            section.keys_only(at, source.kind)
        });
        self.with(keys.collect())
    }

    fn with(&self, sections: Vec<Section>) -> Self {
        let category = Category {
            name: ALL_DATA.to_owned(),
            aliases: Vec::new(),
            scope: "portability.all".to_owned(),
            title: Texts::default(),
            text: Texts::default(),
            sensitivity: Sensitivity::Normal,
            place: Place { file: Arc::from(""), line: 0 },
        };
        Self { categories: vec![category], sections, ..self.clone() }
    }
}

impl Section {
    fn keys_only(&self, at: usize, engine: Engine) -> Option<Self> {
        let query = self.query.as_ref()?;
        // A service cannot be asked for less than it gives.
        if query.key.is_empty() || engine == Engine::Http {
            return None;
        }
        let quote = if engine == Engine::Mysql { "`" } else { "\"" };
        let name = |name: &str| format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)));
        let mut columns: Vec<String> =
            query.key.iter().enumerate().map(|(at, column)| format!("{} as portward_key_{at}", name(column))).collect();
        let owner = match &query.owner {
            Owner::Column(column) => {
                columns.push(format!("{} as portward_owner", name(column)));
                Owner::Column("portward_owner".to_owned())
            }
            unchecked => unchecked.clone(),
        };
        // The line breaks keep a comment at the query's end from swallowing the bracket.
        let sql = format!("select {}\nfrom (\n{}\n) as portward_records", columns.join(", "), query.sql);
        let mut query = query.clone();
        query.sql = sql;
        query.owner = owner;
        query.key = Vec::new();
        query.hidden = Vec::new();
        query.paired = Vec::new();
        // The fields go, and with them what they say of the times that are compared.
        query.range = self.time_unit();
        Some(Self {
            categories: Vec::new(),
            path: vec![at.to_string()],
            text: None,
            shape: Shape::List,
            empty: Empty::List,
            query: Some(query),
            fields: Vec::new(),
            media: None,
            nests: Vec::new(),
            lookups: Vec::new(),
            text_line: None,
            text_group: None,
            text_title: None,
            text_empty: None,
            ..self.clone()
        })
    }
}

pub(super) fn read_excuse(table: Table<'_, '_, '_>) -> Option<Excuse> {
    let source = table.required("source", "name the source: source = \"shop\"");
    let name = table.required("table", "name the table: table = \"sessions\"");
    let reason = table.required("reason", "say why its rows are given to nobody: reason = \"they hold secrets\"");
    let excuse = Excuse { source: source?.value, table: name?.value, reason: reason?.value, place: table.place() };
    table.finish();
    Some(excuse)
}

pub(super) fn read_person(table: &Table<'_, '_, '_>) -> Option<PersonTable> {
    let key = table.word("person_key").map(|at| at.value);
    let Some(name) = table.word("person_table") else {
        if key.is_some() {
            table.fault("person_key", "`person_key` is given without `person_table`", "name the table that people are in, too");
        }
        return None;
    };
    Some(PersonTable { table: name.value, key })
}

pub(super) fn read_shared(table: &Table<'_, '_, '_>, constant: bool) -> bool {
    let shared = table.flag("shared").unwrap_or(false);
    if shared && constant {
        table.fault("shared", "a constant has no records to share", "take `shared` out");
    } else if shared && !table.has("key") {
        table.fault(
            "shared",
            "`shared` is about records, and the section has no `key`",
            "name the columns that identify a record",
        );
    }
    shared
}

pub(super) fn check(catalogue: &Catalogue, fault: &mut dyn FnMut(&Place, String, String)) {
    for (at, excuse) in catalogue.excuses.iter().enumerate() {
        if catalogue.source(&excuse.source).is_none() {
            fault(
                &excuse.place,
                format!("an excuse names a source `{}` that is not declared", excuse.source),
                format!("declare [source.{}], or correct the name", excuse.source),
            );
        }
        let same = |other: &&Excuse| other.source == excuse.source && other.table == excuse.table;
        if let Some(first) = catalogue.excuses[..at].iter().find(same) {
            fault(
                &excuse.place,
                format!("the table `{}` is excused twice, first at {}", excuse.table, first.place),
                "keep one".to_owned(),
            );
        }
    }
}
