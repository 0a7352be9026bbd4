//! Where rows become bytes. Only rows whose owner was compared with the person come here (`intake`).

pub(super) mod tables;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::intake::Flow;
use super::out::Out;
use super::rules::{Guise, Ruled, Treat, Treated, treated};
use super::value::{Clock, Kind};
use super::{Failure, Format, SectionSummary, csv, json, text};
use crate::catalogue::{Field, Owner, Part, Section, Shape, Template};
use crate::source::Cell;

/// One section of one person, on its way into the archive.
pub(crate) struct Render {
    out: Out,
    section: Arc<Section>,
    guise: Arc<Guise>,
    format: Format,
    form: Form,
    plan: Plan,
    begun_at: u64,
    rows: u64,
    repaired: u64,
    /// Values that a look-up did not find, by look-up.
    missing: Vec<(String, u64)>,
    /// The group being written, from the first row on.
    group: String,
    /// The same, as it is written.
    shown: String,
    /// Every group so far, hashed: one that comes again would be a second key of the same name.
    seen: HashSet<u64>,
    hasher: RandomState,
    nests: Vec<Nested>,
    /// Whether the first line of a table is written.
    headed: bool,
    /// The columns, as far as the text of the query says them.
    by_text: Option<Vec<String>>,
    clock: Clock,
}

/// The rows of another query within a row.
#[derive(Default)]
struct Nested {
    plan: Plan,
    /// Rows within the row being written.
    here: u64,
    /// Rows in all.
    rows: u64,
}

/// The shape without its column, to be looked at on every row.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    List,
    Object,
    Groups,
    Map,
    Value,
    Constant,
}

impl Form {
    fn of(shape: &Shape) -> Self {
        match shape {
            Shape::List => Self::List,
            Shape::Object => Self::Object,
            Shape::Groups(_) => Self::Groups,
            Shape::Map(_) => Self::Map,
            Shape::Value => Self::Value,
            Shape::Constant(_) => Self::Constant,
        }
    }
}

/// Where each column goes.
#[derive(Default)]
pub(super) struct Plan {
    group: Option<usize>,
    group_treat: Option<Box<Treat>>,
    pub(super) columns: Vec<Column>,
    line: Option<Vec<Piece>>,
    ruled: Vec<Ruled>,
}

pub(super) struct Column {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// `{"Date":` or `,"Date":`
    json: Vec<u8>,
    /// The key in TXT.
    pub(super) label: String,
    /// What is done to the value first.
    pub(super) treat: Option<Box<Treat>>,
}

/// A piece of `text_line`.
pub(super) enum Piece {
    Literal(String),
    Column(Column),
}

impl Render {
    pub(super) fn new(out: Out, section: Arc<Section>, guise: Arc<Guise>, format: Format) -> Self {
        Self {
            begun_at: out.total(),
            out,
            form: Form::of(&section.shape),
            nests: section.nests.iter().map(|_| Nested::default()).collect(),
            missing: section.lookups.iter().map(|lookup| (lookup.column.clone(), 0)).collect(),
            section,
            guise,
            format,
            headed: false,
            by_text: None,
            plan: Plan::default(),
            rows: 0,
            repaired: 0,
            group: String::new(),
            shown: String::new(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            clock: Clock::default(),
        }
    }

    /// What to head a table with whose source is not asked.
    pub(super) fn headed_by(self, by_text: Option<Vec<String>>) -> Self {
        Self { by_text, ..self }
    }

    /// Told once, before the first row.
    pub(super) fn columns(&mut self, names: &[&str]) -> Result<(), Failure> {
        self.plan = Plan::new(&self.section, names, Some(&self.guise)).map_err(columns)?;
        if self.format == Format::Csv {
            self.header();
        }
        Ok(())
    }

    /// Takes a whole row.
    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<Flow, Failure> {
        self.begin_row(cells)?;
        self.end_row();
        Ok(if self.out.is_full() { Flow::Flush } else { Flow::More })
    }

    /// Takes a row without its nested rows, which follow it.
    pub(super) fn begin_row(&mut self, cells: &[Cell<'_>]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json_row(cells),
            Format::Text => self.text_row(cells),
            Format::Ndjson => self.ndjson_row(cells),
            Format::Csv => self.csv_row(cells),
        }
    }

    /// Ends the row.
    pub(super) fn end_row(&mut self) {
        match self.format {
            Format::Json if self.form == Form::Value => {}
            Format::Json => self.out.buffer.push(b'}'),
            Format::Text => {}
            Format::Ndjson => self.out.buffer.extend_from_slice(b"}\n"),
            Format::Csv => self.out.buffer.extend_from_slice(b"\r\n"),
        }
        self.rows += 1;
        self.out.count_row();
    }

    /// Told once, before the first of the rows that a nest has in all.
    pub(super) fn nest_columns(&mut self, nest: usize, names: &[&str]) -> Result<(), Failure> {
        let (Some(spec), Some(nested)) = (self.section.nests.get(nest), self.nests.get_mut(nest)) else { return Ok(()) };
        nested.plan = Plan::new(&spec.section, names, Some(&self.guise)).map_err(columns)?;
        Ok(())
    }

    /// Begins the list of a nest's rows within the row.
    pub(super) fn begin_nest(&mut self, nest: usize) {
        let (Some(spec), Some(nested)) = (self.section.nests.get(nest), self.nests.get_mut(nest)) else { return };
        nested.here = 0;
        match self.format {
            Format::Json | Format::Ndjson => {
                self.out.buffer.push(b',');
                json::string(&spec.field, &mut self.out.buffer);
                self.out.buffer.extend_from_slice(b":[");
            }
            Format::Text => {}
            // JSON in quotes.
            Format::Csv => self.out.buffer.extend_from_slice(b",\"["),
        }
    }

    /// Takes a row of the list.
    pub(super) fn nest_row(&mut self, nest: usize, cells: &[Cell<'_>]) -> Result<(), Failure> {
        let (Some(spec), Some(nested)) = (self.section.nests.get(nest), self.nests.get_mut(nest)) else { return Ok(()) };
        let (buffer, blocks) = (&mut self.out.buffer, &mut self.out.blocks);
        if self.format == Format::Text {
            let heading = text::label(&spec.field);
            text::block(&nested.plan.columns, cells, &mut self.clock, buffer, blocks, Some(&heading))
                .map_err(|(column, what)| Failure::Value { column, what })?;
        } else {
            let from = buffer.len();
            if nested.here > 0 {
                buffer.push(b',');
            }
            object(&nested.plan.columns, cells, &mut self.clock, buffer)?;
            buffer.push(b'}');
            match self.format {
                Format::Ndjson => tables::one_line(buffer, from),
                Format::Csv => csv::double_quotes(buffer, from),
                _ => {}
            }
        }
        nested.here += 1;
        nested.rows += 1;
        Ok(())
    }

    /// Ends the list.
    pub(super) fn end_nest(&mut self) {
        match self.format {
            Format::Json | Format::Ndjson => self.out.buffer.push(b']'),
            Format::Text => {}
            Format::Csv => self.out.buffer.extend_from_slice(b"]\""),
        }
    }

    /// Whether it is time to flush.
    pub(super) fn is_full(&self) -> bool {
        self.out.is_full()
    }

    /// Counts texts that were not UTF-8 and were repaired with U+FFFD.
    pub(super) fn repaired(&mut self, texts: u64) {
        self.repaired += texts;
    }

    /// Counts a value that a look-up did not find.
    pub(super) fn not_found(&mut self, lookup: usize) {
        if let Some((_, values)) = self.missing.get_mut(lookup) {
            *values += 1;
        }
    }

    /// Hands the buffer over, from an async task.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().await
    }

    /// Hands the buffer over, from a blocking thread.
    pub(super) fn flush_blocking(&mut self) -> Result<(), Failure> {
        self.out.flush_blocking()
    }

    fn json_row(&mut self, cells: &[Cell<'_>]) -> Result<(), Failure> {
        match self.form {
            Form::List => self.out.buffer.push(if self.rows == 0 { b'[' } else { b',' }),
            Form::Object => self.only_row("the query returned a second row for an object")?,
            Form::Value => self.only_row("the query returned a second row for a value")?,
            Form::Groups => {
                if self.next_group(cells)? {
                    self.out.buffer.extend_from_slice(if self.rows == 0 { b"{" } else { b"]," });
                    json::string(&self.shown, &mut self.out.buffer);
                    self.out.buffer.extend_from_slice(b":[");
                } else {
                    self.out.buffer.push(b',');
                }
            }
            Form::Map => {
                self.next_key(cells)?;
                self.out.buffer.push(if self.rows == 0 { b'{' } else { b',' });
                json::string(&self.shown, &mut self.out.buffer);
                self.out.buffer.push(b':');
            }
            Form::Constant => return Err(Failure::Shape("a constant has no rows")),
        }
        if self.form != Form::Value {
            return object(&self.plan.columns, cells, &mut self.clock, &mut self.out.buffer);
        }
        for column in &self.plan.columns {
            value(column, cells, &mut self.clock, &mut self.out.buffer)?;
        }
        Ok(())
    }

    fn text_row(&mut self, cells: &[Cell<'_>]) -> Result<(), Failure> {
        if self.rows == 0
            && let Some(title) = &self.section.text_title
        {
            text::heading(title, &mut self.out.buffer, &mut self.out.blocks);
        }
        // Lines of one group stand together; the first of them begins the block.
        let mut first_line = self.rows == 0;
        match self.form {
            Form::List => {}
            Form::Object => self.only_row("the query returned a second row for an object")?,
            Form::Value => self.only_row("the query returned a second row for a value")?,
            Form::Groups | Form::Map => {
                let new = if self.form == Form::Map { self.next_key(cells).map(|()| true)? } else { self.next_group(cells)? };
                if new {
                    first_line = true;
                    let heading = group_heading(self.section.text_group.as_ref(), &self.shown);
                    text::heading(&heading, &mut self.out.buffer, &mut self.out.blocks);
                }
            }
            Form::Constant => return Err(Failure::Shape("a constant has no rows")),
        }
        let (buffer, blocks) = (&mut self.out.buffer, &mut self.out.blocks);
        match &self.plan.line {
            Some(pieces) => {
                if first_line {
                    text::begin_block(buffer, blocks);
                }
                text::line(pieces, cells, &mut self.clock, buffer)
            }
            None => text::block(&self.plan.columns, cells, &mut self.clock, buffer, blocks, None),
        }
        .map_err(|(column, what)| Failure::Value { column, what })
    }

    /// What was not written as it is, also of nested rows.
    fn ruled(&self) -> Vec<Ruled> {
        let mut ruled = self.plan.ruled.clone();
        for (nest, nested) in self.section.nests.iter().zip(&self.nests) {
            let within = |of: &Ruled| Ruled { column: format!("{}.{}", nest.field, of.column), ..of.clone() };
            ruled.extend(nested.plan.ruled.iter().map(within));
        }
        ruled
    }

    fn only_row(&self, what: &'static str) -> Result<(), Failure> {
        if self.rows > 0 { Err(Failure::Shape(what)) } else { Ok(()) }
    }

    fn next_key(&mut self, cells: &[Cell<'_>]) -> Result<(), Failure> {
        if self.next_group(cells)? {
            Ok(())
        } else {
            Err(Failure::Shape("the query returned two rows with the same key for a map"))
        }
    }

    /// Whether the row begins a new group, which is then the current one.
    fn next_group(&mut self, cells: &[Cell<'_>]) -> Result<bool, Failure> {
        let Some(at) = self.plan.group else { return Err(Failure::Columns("there is no column to group by".to_owned())) };
        let written: String;
        let key = match &cells[at] {
            Cell::Text(text) | Cell::Number(text) => *text,
            Cell::Int(number) => {
                written = number.to_string();
                &written
            }
            Cell::Uuid(bytes) => {
                written = crate::subject::uuid_text(*bytes);
                &written
            }
            _ => return Err(Failure::Shape("a row's group is null, or is neither text nor a whole number")),
        };
        if self.rows > 0 && self.group == key {
            return Ok(false);
        }
        if !self.seen.insert(self.hasher.hash_one(key)) {
            return Err(Failure::Shape("a group of rows came again; order the query by its group first"));
        }
        self.group.clear();
        self.group.push_str(key);
        self.shown.clear();
        match &self.plan.group_treat {
            None => self.shown.push_str(key),
            Some(treat) => {
                let shown = treat.apply(&Cell::Text(key));
                self.shown.push_str(&shown.ok().flatten().unwrap_or_default());
            }
        }
        Ok(true)
    }

    /// Closes the section's value, or writes what stands for no rows.
    pub(super) fn finish(mut self) -> (Out, SectionSummary) {
        if self.format == Format::Csv && !self.headed {
            self.header_by_text();
        }
        let section = &self.section;
        let buffer = &mut self.out.buffer;
        if matches!(self.format, Format::Ndjson | Format::Csv) {
            // A line is whole by itself.
        } else if self.format == Format::Text {
            if self.rows == 0
                && let Some(title) = &section.text_title
            {
                text::heading(title, buffer, &mut self.out.blocks);
                text::heading(section.text_empty.as_deref().unwrap_or(text::NO_DATA), buffer, &mut self.out.blocks);
            }
        } else if self.rows == 0 {
            buffer.extend_from_slice(section.empty.as_str().as_bytes());
        } else {
            buffer.extend_from_slice(match section.shape {
                Shape::List => b"]",
                Shape::Groups(_) => b"]}",
                Shape::Map(_) => b"}",
                Shape::Object | Shape::Value | Shape::Constant(_) => b"",
            });
        }
        self.out.tell_rows();
        let summary = SectionSummary {
            path: section.path.clone(),
            rows: self.rows,
            bytes: self.out.total() - self.begun_at,
            repaired: self.repaired,
            nested: section.nests.iter().zip(&self.nests).map(|(nest, nested)| (nest.field.clone(), nested.rows)).collect(),
            ruled: self.ruled(),
            missing: self.missing,
            whole: false,
            keyless: Vec::new(),
        };
        (self.out, summary)
    }
}

fn columns(problems: Vec<String>) -> Failure {
    Failure::Columns(problems.join("; "))
}

/// The fields of a row, without the brace that ends it.
fn object(columns: &[Column], cells: &[Cell<'_>], clock: &mut Clock, out: &mut Vec<u8>) -> Result<(), Failure> {
    for column in columns {
        out.extend_from_slice(&column.json);
        value(column, cells, clock, out)?;
    }
    Ok(())
}

fn value(column: &Column, cells: &[Cell<'_>], clock: &mut Clock, out: &mut Vec<u8>) -> Result<(), Failure> {
    let cell = cells.get(column.at).unwrap_or(&Cell::Null);
    let written = match &column.treat {
        None => json::cell(cell, &column.kind, clock, out),
        Some(treat) => treat.apply(cell).map(|text| match text {
            Some(text) => json::string(&text, out),
            None => out.extend_from_slice(b"null"),
        }),
    };
    written.map_err(|what| Failure::Value { column: column.name.clone(), what })
}

fn group_heading(template: Option<&Template>, group: &str) -> String {
    match template {
        None => format!(">>> {group}:"),
        Some(template) => template
            .0
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal.as_str(),
                Part::Column(_) => group,
            })
            .collect(),
    }
}

impl Plan {
    /// Finds each column's place, or tells everything that does not fit. Looked-up columns come behind those of the query.
    pub(super) fn new(section: &Section, names: &[&str], guise: Option<&Guise>) -> Result<Self, Vec<String>> {
        let Some(query) = &section.query else { return Err(vec!["a constant has no columns".to_owned()]) };
        let mut problems = Vec::new();
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() || *name == "?column?" {
                problems.push(format!("column {} has no name: name it with `as`", at + 1));
            } else if names[..at].contains(name) {
                problems.push(format!("two columns are named `{name}`"));
            }
        }
        let fetched: Vec<(&str, &str)> = section
            .lookups
            .iter()
            .flat_map(|lookup| lookup.fields.iter().map(|(_, field)| (lookup.column.as_str(), field.as_str())))
            .collect();
        for added in fetched.iter().map(|(_, field)| *field).chain(section.nests.iter().map(|nest| nest.field.as_str())) {
            if names.contains(&added) {
                problems.push(format!("the query has a column `{added}`, which is also a nested or looked-up field"));
            }
        }
        let all: Vec<&str> = names.iter().copied().chain(fetched.iter().map(|(_, field)| *field)).collect();
        let mut find = |what: &str, name: &str, among: &[&str]| {
            let at = among.iter().position(|column| *column == name);
            if at.is_none() {
                problems.push(format!("the query has no column `{name}`, which the section names as {what}"));
            }
            at
        };
        let owner_name = match &query.owner {
            Owner::Column(name) => Some(name.as_str()),
            Owner::Unchecked(_) => None,
        };
        let owner = owner_name.and_then(|name| find("owner", name, names));
        let group = section.group_column().and_then(|name| find("its group", name, names));
        for name in &query.key {
            find("part of its key", name, names);
        }
        for name in &query.hidden {
            find("hidden", name, names);
        }
        if let Some(media) = &section.media {
            find("what holds its media", &media.column, names);
        }
        for field in &section.fields {
            find("a field", &field.name, &all);
        }
        for lookup in &section.lookups {
            find("what it looks up", &lookup.column, names);
        }
        for (outer, _) in section.nests.iter().flat_map(|nest| &nest.on) {
            find("what pairs its nested rows", outer, names);
        }
        let line = section.text_line.as_ref().map(|template| {
            let piece = |part: &Part| match part {
                Part::Literal(literal) => Some(Piece::Literal(literal.clone())),
                Part::Column(name) => find("part of its text_line", name, &all)
                    .and_then(|at| Column::new(section, at, name, false, guise).map(Piece::Column)),
            };
            template.0.iter().filter_map(piece).collect()
        });
        let mut columns = Vec::new();
        let mut ruled = Vec::new();
        let mut write = |at: usize, name: &str, columns: &mut Vec<Column>| {
            let column = Column::new(section, at, name, columns.is_empty(), guise);
            ruled.extend(of_rule(section.field(name), column.is_none()));
            columns.extend(column);
        };
        for (at, name) in names.iter().enumerate() {
            let kept_back = query.hidden.iter().any(|hidden| hidden == name)
                || group == Some(at)
                || ((owner == Some(at) || query.paired.iter().any(|paired| paired == name)) && section.field(name).is_none());
            if !kept_back {
                write(at, name, &mut columns);
            }
            for (place, (_, field)) in fetched.iter().enumerate().filter(|(_, (column, _))| column == name) {
                write(names.len() + place, field, &mut columns);
            }
        }
        let mut group_treat = None;
        if let Some(field) = section.group_column().and_then(|name| section.field(name)) {
            match treated(Some(field), guise) {
                Treated::AsItIs => {}
                Treated::As(treat) => group_treat = Some(treat),
                Treated::LeftOut => {
                    problems.push("its groups cannot be named: there is no secret for their pseudonyms".to_owned())
                }
            }
            ruled.extend(of_rule(Some(field), false));
        }
        if columns.is_empty() {
            problems.push("the query has no column to write".to_owned());
        }
        if section.shape == Shape::Value && columns.len() > 1 {
            problems.push("a value has one column to write, and the query has more".to_owned());
        }
        if section.shape == Shape::Value
            && let Some(key) = section.path.last()
            && let [column] = columns.as_mut_slice()
        {
            // A value is named by its place, not by its column.
            column.label = section.field(&column.name).and_then(|field| field.label.clone()).unwrap_or_else(|| text::label(key));
        }
        if problems.is_empty() { Ok(Self { group, group_treat, columns, line, ruled }) } else { Err(problems) }
    }
}

/// What a field's rule did.
fn of_rule(field: Option<&Field>, left_out: bool) -> Option<Ruled> {
    let field = field.filter(|field| field.rule != crate::catalogue::Rule::Keep)?;
    Some(Ruled { column: field.name.clone(), rule: field.rule, left_out })
}

/// Whether a column holds keys of objects in a store.
fn placed(section: &Section, name: &str, guise: Option<&Guise>) -> Option<Box<Treat>> {
    let media = section.media.as_ref().filter(|media| media.column == name)?;
    let guise = guise?;
    let subject = guise.own.first().map(crate::Subject::as_str).unwrap_or_default();
    Some(Box::new(Treat::Media(guise.media.placing(media, section.name(), subject))))
}

impl Column {
    /// None where the field is left out.
    fn new(section: &Section, at: usize, name: &str, first: bool, guise: Option<&Guise>) -> Option<Self> {
        let field = section.field(name);
        let treat = match treated(field, guise) {
            Treated::AsItIs => placed(section, name, guise),
            Treated::As(treat) => Some(treat),
            Treated::LeftOut => return None,
        };
        let mut json = vec![if first { b'{' } else { b',' }];
        json::string(name, &mut json);
        json.push(b':');
        Some(Self {
            at,
            name: name.to_owned(),
            kind: Kind::of(field),
            json,
            label: field.and_then(|field| field.label.clone()).unwrap_or_else(|| text::label(name)),
            treat,
        })
    }
}
