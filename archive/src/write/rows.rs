//! Where rows become bytes. The owner of each row is compared with the person before anything of that row is rendered.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::out::Out;
use super::value::{Clock, Kind};
use super::{Failure, SectionSummary, json, text};
use crate::catalogue::{Catalogue, Owner, Part, Section, Shape, Template};
use crate::source::Cell;
use crate::subject::Subject;

/// What a source does after a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Flow {
    /// Go on.
    More,
    /// Call `flush` or `flush_blocking`, then go on.
    Flush,
}

/// The rows of one section for one person, on their way into the archive.
pub(crate) struct Rows {
    out: Out,
    catalogue: Arc<Catalogue>,
    section: usize,
    subject: Arc<Subject>,
    as_text: bool,
    form: Form,
    plan: Plan,
    begun_at: u64,
    rows: u64,
    repaired: u64,
    /// The group being written, from the first row on.
    group: String,
    /// Every group so far, hashed: one that comes again would be a second key of the same name.
    seen: HashSet<u64>,
    hasher: RandomState,
    clock: Clock,
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
    count: usize,
    owner: Option<usize>,
    group: Option<usize>,
    pub(super) columns: Vec<Column>,
    line: Option<Vec<Piece>>,
}

pub(super) struct Column {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// `{"Date":` or `,"Date":`
    json: Vec<u8>,
    /// The key in TXT.
    pub(super) label: String,
}

/// A piece of `text_line`.
pub(super) enum Piece {
    Literal(String),
    Column(Column),
}

impl Rows {
    pub(super) fn new(out: Out, catalogue: Arc<Catalogue>, section: usize, subject: Arc<Subject>, as_text: bool) -> Self {
        Self {
            begun_at: out.total(),
            out,
            form: Form::of(&catalogue.sections()[section].shape),
            catalogue,
            section,
            subject,
            as_text,
            plan: Plan::default(),
            rows: 0,
            repaired: 0,
            group: String::new(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            clock: Clock::default(),
        }
    }

    /// Told once, before the first row.
    pub(crate) fn columns(&mut self, names: &[&str]) -> Result<(), Failure> {
        let section = &self.catalogue.sections()[self.section];
        self.plan = Plan::new(section, names).map_err(|problems| Failure::Columns(problems.join("; ")))?;
        Ok(())
    }

    /// Takes a row.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>]) -> Result<Flow, Failure> {
        if cells.len() != self.plan.count {
            return Err(Failure::Columns("a row has another number of columns than the query".to_owned()));
        }
        if let Some(owner) = self.plan.owner
            && !self.subject.owns(&cells[owner])
        {
            return Err(Failure::Owner);
        }
        if self.as_text {
            self.text_row(cells)?
        } else {
            self.json_row(cells)?
        }
        self.rows += 1;
        self.out.count_row();
        Ok(if self.out.is_full() { Flow::Flush } else { Flow::More })
    }

    /// Counts texts that were not UTF-8 and were repaired with U+FFFD.
    pub(crate) fn repaired(&mut self, texts: u64) {
        self.repaired += texts;
    }

    /// Hands the buffer over, from an async task.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().await
    }

    /// Hands the buffer over, from a blocking thread.
    pub(crate) fn flush_blocking(&mut self) -> Result<(), Failure> {
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
                    json::string(&self.group, &mut self.out.buffer);
                    self.out.buffer.extend_from_slice(b":[");
                } else {
                    self.out.buffer.push(b',');
                }
            }
            Form::Map => {
                self.next_key(cells)?;
                self.out.buffer.push(if self.rows == 0 { b'{' } else { b',' });
                json::string(&self.group, &mut self.out.buffer);
                self.out.buffer.push(b':');
            }
            Form::Constant => return Err(Failure::Shape("a constant has no rows")),
        }
        let keys = self.form != Form::Value;
        for column in &self.plan.columns {
            if keys {
                self.out.buffer.extend_from_slice(&column.json);
            }
            json::cell(&cells[column.at], &column.kind, &mut self.clock, &mut self.out.buffer)
                .map_err(|what| Failure::Value { column: column.name.clone(), what })?;
        }
        if keys {
            self.out.buffer.push(b'}');
        }
        Ok(())
    }

    fn text_row(&mut self, cells: &[Cell<'_>]) -> Result<(), Failure> {
        if self.rows == 0
            && let Some(title) = &self.catalogue.sections()[self.section].text_title
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
                    let heading = group_heading(self.catalogue.sections()[self.section].text_group.as_ref(), &self.group);
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
            None => text::block(&self.plan.columns, cells, &mut self.clock, buffer, blocks),
        }
        .map_err(|(column, what)| Failure::Value { column, what })
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
        Ok(true)
    }

    /// Closes the section's value, or writes what stands for no rows.
    pub(super) fn finish(mut self) -> (Out, SectionSummary) {
        let section = &self.catalogue.sections()[self.section];
        let buffer = &mut self.out.buffer;
        if self.as_text {
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
        };
        (self.out, summary)
    }
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
    /// Finds each column's place, or tells everything that does not fit.
    pub(super) fn new(section: &Section, names: &[&str]) -> Result<Self, Vec<String>> {
        let Some(query) = &section.query else { return Err(vec!["a constant has no columns".to_owned()]) };
        let mut problems = Vec::new();
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() || *name == "?column?" {
                problems.push(format!("column {} has no name: name it with `as`", at + 1));
            } else if names[..at].contains(name) {
                problems.push(format!("two columns are named `{name}`"));
            }
        }
        let mut find = |what: &str, name: &str| {
            let at = names.iter().position(|column| *column == name);
            if at.is_none() {
                problems.push(format!("the query has no column `{name}`, which the section names as {what}"));
            }
            at
        };
        let owner_name = match &query.owner {
            Owner::Column(name) => Some(name.as_str()),
            Owner::Unchecked(_) => None,
        };
        let owner = owner_name.and_then(|name| find("owner", name));
        let group = section.group_column().and_then(|name| find("its group", name));
        for name in &query.key {
            find("part of its key", name);
        }
        for name in &query.hidden {
            find("hidden", name);
        }
        for field in &section.fields {
            find("a field", &field.name);
        }
        let line = section.text_line.as_ref().map(|template| {
            let piece = |part: &Part| match part {
                Part::Literal(literal) => Some(Piece::Literal(literal.clone())),
                Part::Column(name) => {
                    find("part of its text_line", name).map(|at| Piece::Column(Column::new(section, at, name, false)))
                }
            };
            template.0.iter().filter_map(piece).collect()
        });
        let mut columns = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let kept_back = query.hidden.iter().any(|hidden| hidden == name)
                || group == Some(at)
                || (owner == Some(at) && section.field(name).is_none());
            if !kept_back {
                columns.push(Column::new(section, at, name, columns.is_empty()));
            }
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
        if problems.is_empty() { Ok(Self { count: names.len(), owner, group, columns, line }) } else { Err(problems) }
    }
}

impl Column {
    fn new(section: &Section, at: usize, name: &str, first: bool) -> Self {
        let field = section.field(name);
        let mut json = vec![if first { b'{' } else { b',' }];
        json::string(name, &mut json);
        json.push(b':');
        Self {
            at,
            name: name.to_owned(),
            kind: Kind::of(field),
            json,
            label: field.and_then(|field| field.label.clone()).unwrap_or_else(|| text::label(name)),
        }
    }
}
