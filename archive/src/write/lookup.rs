//! What is fetched for rows by batches of their values. A value that was fetched lately is not fetched again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::binds::Binds;
use super::intake::{Batch, Rows};
use super::rules::plain;
use super::turns::Borrowed;
use super::{ExportError, Failure, failed};
use crate::catalogue::{Lookup, Section, batch_name};
use crate::source::Cell;
use crate::subject::{Subject, SubjectType};

/// What is remembered is at most twice this: many values, and not much room.
const GENERATION: usize = 4_096;
const GENERATION_BYTES: usize = 2 << 20;

/// One look-up of one section.
pub(super) struct Fetch {
    spec: Lookup,
    section: Arc<Section>,
    /// The looked-up column among the section's.
    column: usize,
    /// What is fetched among the query's columns.
    places: Vec<usize>,
    key_place: usize,
    /// What the rows at hand need: none for a value that is not there.
    here: HashMap<String, Arc<Batch>>,
    young: HashMap<String, Arc<Batch>>,
    old: HashMap<String, Arc<Batch>>,
    young_bytes: usize,
}

impl Fetch {
    pub(super) fn new(spec: &Lookup) -> Self {
        Self {
            section: Arc::new(spec.section.clone()),
            spec: spec.clone(),
            column: 0,
            places: Vec::new(),
            key_place: 0,
            here: HashMap::new(),
            young: HashMap::new(),
            old: HashMap::new(),
            young_bytes: 0,
        }
    }

    /// The source that it asks.
    pub(super) fn source(&self) -> &str {
        self.section.source_name()
    }

    /// Told once, what the section's columns are.
    pub(super) fn columns(&mut self, names: &[String]) {
        self.column = names.iter().position(|name| *name == self.spec.column).unwrap_or(usize::MAX);
    }

    /// Has ready what these rows need.
    pub(super) async fn ready(&mut self, rows: &Batch, reading: &mut Borrowed, person: &Subject) -> Result<(), ExportError> {
        self.here.clear();
        let mut asked: Vec<Subject> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        for row in 0..rows.len() {
            let cell = rows.cell(row, self.column);
            let Some(value) = self.value(&cell) else { continue };
            if !seen.insert(value.as_str().to_owned()) {
                continue;
            }
            match self.remembered(value.as_str()) {
                Some(found) => {
                    self.here.insert(value.as_str().to_owned(), found);
                }
                None => asked.push(value),
            }
        }
        for values in asked.chunks(self.spec.batch) {
            self.fetch(values, reading, person).await.map_err(|failure| failed(&self.section, failure))?;
        }
        Ok(())
    }

    /// Puts what belongs to a row behind its cells. False when there is something to look up, and it is not there.
    pub(super) fn cells<'f>(&'f self, looked_up: &Cell<'_>, cells: &mut Vec<Cell<'f>>) -> bool {
        let found = self.value(looked_up).and_then(|value| self.here.get(value.as_str())).filter(|found| found.len() > 0);
        match found {
            Some(found) => {
                cells.extend(self.places.iter().map(|place| found.cell(0, *place)));
                true
            }
            None => {
                cells.extend(self.spec.fields.iter().map(|_| Cell::Null));
                matches!(looked_up, Cell::Null)
            }
        }
    }

    /// The looked-up column among the section's.
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// What is asked for. What cannot be a value of its type is nowhere to be found.
    fn value(&self, cell: &Cell<'_>) -> Option<Subject> {
        let kind = self.spec.kind.unwrap_or(match cell {
            Cell::Int(_) => SubjectType::Integer,
            Cell::Uuid(_) => SubjectType::Uuid,
            _ => SubjectType::Text,
        });
        Subject::parse(kind, &plain(cell)?)
    }

    async fn fetch(&mut self, values: &[Subject], reading: &mut Borrowed, person: &Subject) -> Result<(), Failure> {
        let Some(last) = values.last() else { return Ok(()) };
        let mut binds = Binds::new(person.clone(), None, None);
        // The query has always as many binds; the last value fills those that are left.
        for at in 0..self.spec.batch {
            binds = binds.with(&batch_name(at), values.get(at).unwrap_or(last).clone());
        }
        let rows = Rows::few(self.section.clone(), values.len());
        let (names, batch) = reading.read(&self.section, &[Arc::new(binds)], rows).await?.kept();
        let place = |name: &str| names.iter().position(|column| column == name).unwrap_or(usize::MAX);
        self.key_place = place(&self.spec.key);
        self.places = self.spec.fields.iter().map(|(column, _)| place(column)).collect();
        let mut answered: HashMap<String, Arc<Batch>> = HashMap::with_capacity(values.len());
        let by_text: HashMap<&str, &Subject> = values.iter().map(|value| (value.as_str(), value)).collect();
        for row in 0..batch.len() {
            let mut cells = Vec::new();
            batch.row(row, &mut cells);
            let key = plain(&batch.cell(row, self.key_place)).unwrap_or_default();
            let asked = match by_text.get(&*key) {
                Some(value) => Some(*value),
                None => values.iter().find(|value| value.owns(&batch.cell(row, self.key_place))),
            };
            let Some(asked) = asked else {
                return Err(Failure::Shape("a look-up answered a value that was not asked for"));
            };
            let mut one = Batch::default();
            one.push(&cells);
            if answered.insert(asked.as_str().to_owned(), Arc::new(one)).is_some() {
                return Err(Failure::Shape("a look-up answered one value twice"));
            }
        }
        for value in values {
            let found = answered.remove(value.as_str()).unwrap_or_default();
            self.remember(value.as_str(), found.clone());
            self.here.insert(value.as_str().to_owned(), found);
        }
        Ok(())
    }

    fn remembered(&mut self, value: &str) -> Option<Arc<Batch>> {
        if let Some(found) = self.young.get(value) {
            return Some(found.clone());
        }
        let found = self.old.remove(value)?;
        self.remember(value, found.clone());
        Some(found)
    }

    /// The least lately used go a generation at a time.
    fn remember(&mut self, value: &str, found: Arc<Batch>) {
        self.young_bytes += value.len() + found.size();
        self.young.insert(value.to_owned(), found);
        if self.young.len() >= GENERATION || self.young_bytes >= GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}
