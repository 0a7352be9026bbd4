//! What a source hands its rows to. The owner of each row is compared with the person here, before anything else is done with it.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::binds::Binds;
use super::out::share;
use super::rows::{Plan, Render};
use super::{Failure, column_problems};
use crate::catalogue::{Owner, Section};
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

/// The rows of one query for one person, on their way.
pub(crate) struct Rows {
    section: Arc<Section>,
    /// Whose row it must be.
    is: Option<Subject>,
    /// The owner's column.
    at: Option<usize>,
    /// The columns, once they are known.
    names: Option<Vec<String>>,
    to: To,
}

enum To {
    /// Into the archive.
    Section(Box<Render>),
    /// To where they are put together with the rows of other queries.
    Stream(Batch, mpsc::Sender<Relayed>),
    /// Into memory: they are few.
    Few(Batch, usize),
}

/// What comes out of a stream of rows.
pub(super) enum Relayed {
    Columns(Vec<String>),
    Rows(Batch),
    /// That was all. A channel that closes without this is a query that failed.
    End,
}

/// A batch of a stream has no more rows than these, and begins no row beyond these bytes.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 128 << 10;

impl Rows {
    pub(super) fn into_section(section: Arc<Section>, render: Render) -> Self {
        Self::new(section, To::Section(Box::new(render)))
    }

    pub(super) fn into_stream(section: Arc<Section>, to: mpsc::Sender<Relayed>) -> Self {
        Self::new(section, To::Stream(Batch::default(), to))
    }

    /// At most this many rows.
    pub(super) fn few(section: Arc<Section>, most: usize) -> Self {
        Self::new(section, To::Few(Batch::default(), most))
    }

    fn new(section: Arc<Section>, to: To) -> Self {
        Self { section, is: None, at: None, names: None, to }
    }

    /// Told before each run of the query.
    pub(super) fn begin(&mut self, binds: &Binds) -> Result<(), Failure> {
        let Some(query) = &self.section.query else { return Ok(()) };
        self.is = match &query.owner {
            Owner::Unchecked(_) => None,
            Owner::Column(_) => {
                let owner = binds.owner(query.owner_is.as_deref());
                Some(owner.cloned().ok_or_else(|| Failure::Query("nothing says whose its rows are".to_owned()))?)
            }
        };
        Ok(())
    }

    /// Told once in each run, before the first row.
    pub(crate) fn columns(&mut self, names: &[&str]) -> Result<(), Failure> {
        let Some(query) = &self.section.query else { return Ok(()) };
        if let Some(known) = &self.names {
            if !known.iter().eq(names) {
                return Err(Failure::Columns("its columns are not what they were for the value before".to_owned()));
            }
            return Ok(());
        }
        if let To::Section(render) = &mut self.to {
            render.columns(names)?;
        } else {
            let problems = column_problems(&self.section, names);
            if !problems.is_empty() {
                return Err(Failure::Columns(problems.join("; ")));
            }
        }
        if let Owner::Column(owner) = &query.owner {
            let at = names.iter().position(|name| name == owner);
            self.at = Some(at.ok_or_else(|| Failure::Columns(format!("the query has no column `{owner}`")))?);
        }
        self.names = Some(names.iter().map(|name| (*name).to_owned()).collect());
        Ok(())
    }

    /// Takes a row.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>]) -> Result<Flow, Failure> {
        if self.names.as_ref().is_none_or(|names| names.len() != cells.len()) {
            return Err(Failure::Columns("a row has another number of columns than the query".to_owned()));
        }
        if let Some(is) = &self.is
            && !self.at.and_then(|at| cells.get(at)).is_some_and(|owner| is.owns(owner))
        {
            return Err(Failure::Owner);
        }
        match &mut self.to {
            To::Section(render) => render.row(cells),
            To::Stream(batch, _) => {
                batch.push(cells);
                Ok(if batch.is_full() { Flow::Flush } else { Flow::More })
            }
            To::Few(batch, most) => {
                if batch.len() == *most {
                    return Err(Failure::Shape("the query returned more rows than there can be"));
                }
                batch.push(cells);
                Ok(Flow::More)
            }
        }
    }

    /// Counts texts that were not UTF-8 and were repaired with U+FFFD.
    pub(crate) fn repaired(&mut self, texts: u64) {
        match &mut self.to {
            To::Section(render) => render.repaired(texts),
            To::Stream(batch, _) | To::Few(batch, _) => batch.repaired += texts,
        }
    }

    /// Hands what has come over, from an async task.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.to {
            To::Section(render) => render.flush().await,
            To::Stream(batch, to) => {
                for message in messages(batch, &mut self.names) {
                    to.send(message).await.map_err(|_| Failure::Stopped)?;
                }
                share().await;
                Ok(())
            }
            To::Few(..) => Ok(()),
        }
    }

    /// Hands what has come over, from a blocking thread.
    pub(crate) fn flush_blocking(&mut self) -> Result<(), Failure> {
        match &mut self.to {
            To::Section(render) => render.flush_blocking(),
            To::Stream(batch, to) => {
                for message in messages(batch, &mut self.names) {
                    to.blocking_send(message).map_err(|_| Failure::Stopped)?;
                }
                Ok(())
            }
            To::Few(..) => Ok(()),
        }
    }

    /// The end of a stream.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        self.flush().await?;
        if let To::Stream(_, to) = &self.to {
            to.send(Relayed::End).await.map_err(|_| Failure::Stopped)?;
        }
        Ok(())
    }

    /// What was rendered into the archive.
    pub(super) fn rendered(self) -> Option<Render> {
        match self.to {
            To::Section(render) => Some(*render),
            To::Stream(..) | To::Few(..) => None,
        }
    }

    /// The columns and rows that were kept in memory.
    pub(super) fn kept(self) -> (Vec<String>, Batch) {
        match self.to {
            To::Few(batch, _) | To::Stream(batch, _) => (self.names.unwrap_or_default(), batch),
            To::Section(_) => (Vec::new(), Batch::default()),
        }
    }
}

/// The rows so far, with the columns before the first of them.
fn messages(batch: &mut Batch, names: &mut Option<Vec<String>>) -> Vec<Relayed> {
    let mut messages = Vec::with_capacity(2);
    if batch.told_columns {
        // Told already.
    } else if let Some(names) = names {
        messages.push(Relayed::Columns(names.clone()));
        batch.told_columns = true;
    }
    if batch.len() > 0 || batch.repaired > 0 {
        let next = Batch { told_columns: batch.told_columns, ..Batch::default() };
        messages.push(Relayed::Rows(std::mem::replace(batch, next)));
    }
    messages
}

/// Rows that are kept for a while.
#[derive(Default)]
pub(super) struct Batch {
    width: usize,
    rows: usize,
    cells: Vec<Kept>,
    text: String,
    bytes: Vec<u8>,
    /// Texts of these rows that were not UTF-8.
    pub(super) repaired: u64,
    told_columns: bool,
}

/// A cell whose texts and bytes lie in the batch.
#[derive(Clone, Copy)]
enum Kept {
    Null,
    Bool(bool),
    Int(i64),
    Real(f64),
    Number(usize, usize),
    Text(usize, usize),
    Blob(usize, usize),
    Json(usize, usize),
    Uuid([u8; 16]),
    Timestamp(i64),
    Date(i32),
}

impl Batch {
    pub(super) fn push(&mut self, cells: &[Cell<'_>]) {
        self.width = cells.len();
        self.rows += 1;
        self.cells.reserve(cells.len());
        for cell in cells {
            let kept = match cell {
                Cell::Null => Kept::Null,
                Cell::Bool(flag) => Kept::Bool(*flag),
                Cell::Int(number) => Kept::Int(*number),
                Cell::Real(number) => Kept::Real(*number),
                Cell::Number(text) => self.text(text, Kept::Number),
                Cell::Text(text) => self.text(text, Kept::Text),
                Cell::Json(text) => self.text(text, Kept::Json),
                Cell::Blob(bytes) => {
                    let from = self.bytes.len();
                    self.bytes.extend_from_slice(bytes);
                    Kept::Blob(from, self.bytes.len())
                }
                Cell::Uuid(bytes) => Kept::Uuid(*bytes),
                Cell::Timestamp(micros) => Kept::Timestamp(*micros),
                Cell::Date(days) => Kept::Date(*days),
            };
            self.cells.push(kept);
        }
    }

    fn text(&mut self, text: &str, kept: impl Fn(usize, usize) -> Kept) -> Kept {
        let from = self.text.len();
        self.text.push_str(text);
        kept(from, self.text.len())
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// How much room its texts and bytes take.
    pub(super) fn size(&self) -> usize {
        self.text.len() + self.bytes.len() + self.cells.len() * size_of::<Kept>()
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.text.len() + self.bytes.len() >= BATCH_BYTES
    }

    /// One cell of one row; what is not there is null.
    pub(super) fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        let text = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        match self.cells.get(row * self.width + column).filter(|_| column < self.width) {
            None | Some(Kept::Null) => Cell::Null,
            Some(Kept::Bool(flag)) => Cell::Bool(*flag),
            Some(Kept::Int(number)) => Cell::Int(*number),
            Some(Kept::Real(number)) => Cell::Real(*number),
            Some(Kept::Number(from, to)) => Cell::Number(text(*from, *to)),
            Some(Kept::Text(from, to)) => Cell::Text(text(*from, *to)),
            Some(Kept::Json(from, to)) => Cell::Json(text(*from, *to)),
            Some(Kept::Blob(from, to)) => Cell::Blob(self.bytes.get(*from..*to).unwrap_or_default()),
            Some(Kept::Uuid(bytes)) => Cell::Uuid(*bytes),
            Some(Kept::Timestamp(micros)) => Cell::Timestamp(*micros),
            Some(Kept::Date(days)) => Cell::Date(*days),
        }
    }

    /// The cells of one row, put behind what is there.
    pub(super) fn row<'b>(&'b self, row: usize, cells: &mut Vec<Cell<'b>>) {
        cells.extend((0..self.width).map(|column| self.cell(row, column)));
    }
}

/// Whether the columns of a query fit, and which is which.
pub(super) fn plan_of(section: &Section, names: &[String]) -> Result<Plan, Failure> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Plan::new(section, &names, None).map_err(|problems| Failure::Columns(problems.join("; ")))
}
