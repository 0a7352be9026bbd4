//! Sections whose rows hold more than their own query gives: nested rows of other queries, and what is looked up.
//!
//! Every query is a stream of batches, and all streams of a section run at once. The rows meet here by equality alone: a nested row belongs
//! to the row at hand, or waits for the next one. So the queries must have one order, whatever their database calls an order, and what
//! waits in vain is told. `docs/decisions/0014-nested-rows.md` says why.

use std::sync::Arc;

use futures_util::future::{join_all, try_join, try_join_all};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::binds::Binds;
use super::intake::{Batch, Relayed, Rows};
use super::lookup::Fetch;
use super::rows::Render;
use super::rules::plain;
use super::turns::{Borrowed, Lent, Work};
use super::{ExportError, Failure, failed};
use crate::catalogue::Section;
use crate::source::{Cell, recycle};
use crate::subject::Subject;

/// Batches under way in each stream.
const UNDER_WAY: usize = 2;

/// What a section is read for.
pub(super) struct Reader<'r> {
    pub(super) person: &'r Subject,
    pub(super) cancel: &'r CancellationToken,
    /// What the section's query is asked with.
    pub(super) runs: &'r [Arc<Binds>],
    /// The same for the queries of its nests.
    pub(super) nested: &'r [Vec<Arc<Binds>>],
}

impl Reader<'_> {
    /// Reads a section without nests or look-ups.
    pub(super) async fn plain(&self, section: &Arc<Section>, lent: &mut Lent, render: Render) -> Result<Render, ExportError> {
        let mut borrowed = lent.borrow(section)?;
        let rows = Rows::into_section(section.clone(), render);
        let read = async { borrowed.read(section, self.runs, rows).await.map_err(|failure| failed(section, failure)) };
        let rows = lent.limits().watch(section, self.cancel, read).await?;
        lent.put(borrowed);
        rows.rendered().ok_or_else(|| failed(section, Failure::Stopped))
    }

    /// Reads a section and what belongs to it.
    pub(super) async fn joined(&self, section: &Arc<Section>, lent: &mut Lent, render: Render) -> Result<Render, ExportError> {
        let mut outer = lent.borrow(section)?;
        let mut inner = Vec::with_capacity(section.nests.len());
        for nest in &section.nests {
            inner.push((lent.borrow(&nest.section)?, Arc::new(nest.section.clone())));
        }
        // Look-ups of one source take turns at one reading.
        let mut asked: Vec<Borrowed> = Vec::new();
        let mut fetches: Vec<(Fetch, usize)> = Vec::new();
        for lookup in &section.lookups {
            let fetch = Fetch::new(lookup);
            let at = match asked.iter().position(|borrowed| borrowed.is_of(fetch.source())) {
                Some(at) => at,
                None => {
                    asked.push(lent.borrow(&lookup.section)?);
                    asked.len() - 1
                }
            };
            fetches.push((fetch, at));
        }
        let (to, from) = mpsc::channel(UNDER_WAY);
        let mut pumps: Vec<Work<'_, ()>> = vec![Box::pin(pump(&mut outer, section.clone(), self.runs, to))];
        let mut streams = Vec::with_capacity(inner.len());
        for ((borrowed, nested), runs) in inner.iter_mut().zip(self.nested) {
            let (to, from) = mpsc::channel(UNDER_WAY);
            pumps.push(Box::pin(pump(borrowed, nested.clone(), runs, to)));
            streams.push(Stream::new(from));
        }
        let meet = meet(section, Stream::new(from), streams, &mut fetches, &mut asked, self.person, render);
        let work = async { try_join(try_join_all(pumps), meet).await.map(|(_, render)| render) };
        let render = lent.limits().watch(section, self.cancel, work).await?;
        for borrowed in std::iter::once(outer).chain(inner.into_iter().map(|(borrowed, _)| borrowed)).chain(asked) {
            lent.put(borrowed);
        }
        Ok(render)
    }
}

/// Reads one query into its stream.
async fn pump(
    borrowed: &mut Borrowed,
    section: Arc<Section>,
    runs: &[Arc<Binds>],
    to: mpsc::Sender<Relayed>,
) -> Result<(), ExportError> {
    let rows = Rows::into_stream(section.clone(), to);
    let read = async { borrowed.read(&section, runs, rows).await?.end().await };
    read.await.map_err(|failure| failed(&section, failure))
}

/// The rows of one query as they come.
struct Stream {
    from: mpsc::Receiver<Relayed>,
    names: Vec<String>,
    batch: Batch,
    /// The next row of the batch.
    at: usize,
    ended: bool,
}

impl Stream {
    fn new(from: mpsc::Receiver<Relayed>) -> Self {
        Self { from, names: Vec::new(), batch: Batch::default(), at: 0, ended: false }
    }

    /// Whether there is a row at hand; if need be, it waits for one.
    async fn has_row(&mut self) -> bool {
        while self.at >= self.batch.len() && !self.ended {
            match self.from.recv().await {
                Some(Relayed::Columns(names)) => self.names = names,
                Some(Relayed::Rows(batch)) => {
                    self.batch = batch;
                    self.at = 0;
                }
                Some(Relayed::End) => self.ended = true,
                // The query failed, and whoever reads it says so.
                None => std::future::pending().await,
            }
        }
        self.at < self.batch.len()
    }

    fn place(&self, column: &str) -> usize {
        self.names.iter().position(|name| name == column).unwrap_or(usize::MAX)
    }
}

/// How a nest's rows find theirs.
#[derive(Default)]
struct Pairing {
    outer: Vec<usize>,
    inner: Vec<usize>,
    /// What the row before was found by.
    before: Option<Vec<String>>,
}

async fn meet(
    section: &Arc<Section>,
    mut outer: Stream,
    mut inner: Vec<Stream>,
    fetches: &mut [(Fetch, usize)],
    asked: &mut [Borrowed],
    person: &Subject,
    mut render: Render,
) -> Result<Render, ExportError> {
    let fail = |failure| failed(section, failure);
    let mut pairings: Vec<Pairing> = inner.iter().map(|_| Pairing::default()).collect();
    let mut begun = false;
    let mut room: Vec<Cell<'_>> = Vec::new();
    while outer.has_row().await {
        if !begun {
            begun = true;
            let names: Vec<&str> = outer.names.iter().map(String::as_str).collect();
            render.columns(&names).map_err(fail)?;
            for (fetch, _) in fetches.iter_mut() {
                fetch.columns(&outer.names);
            }
            for (nest, pairing) in section.nests.iter().zip(&mut pairings) {
                pairing.outer = nest.on.iter().map(|(column, _)| outer.place(column)).collect();
            }
        }
        render.repaired(outer.batch.repaired);
        for (fetch, at) in fetches.iter_mut() {
            if let Some(reading) = asked.get_mut(*at) {
                fetch.ready(&outer.batch, reading, person).await?;
            }
        }
        let mut cells = recycle(std::mem::take(&mut room));
        for row in 0..outer.batch.len() {
            outer.batch.row(row, &mut cells);
            for (lookup, (fetch, _)) in fetches.iter().enumerate() {
                let looked_up = outer.batch.cell(row, fetch.column());
                if !fetch.cells(&looked_up, &mut cells) {
                    render.not_found(lookup);
                }
            }
            render.begin_row(&cells).map_err(fail)?;
            for (nest, (stream, pairing)) in inner.iter_mut().zip(&mut pairings).enumerate() {
                let spec = &section.nests[nest];
                pairing.is_new(&outer.batch, row).map_err(fail)?;
                render.begin_nest(nest);
                while stream.has_row().await {
                    if pairing.inner.is_empty() {
                        let names: Vec<&str> = stream.names.iter().map(String::as_str).collect();
                        render.nest_columns(nest, &names).map_err(|failure| failed(&spec.section, failure))?;
                        pairing.inner = spec.on.iter().map(|(_, column)| stream.place(column)).collect();
                    }
                    if stream.at == 0 {
                        render.repaired(std::mem::take(&mut stream.batch.repaired));
                    }
                    if !pairing.fits(&outer.batch, row, &stream.batch, stream.at) {
                        break;
                    }
                    let mut nested = Vec::new();
                    stream.batch.row(stream.at, &mut nested);
                    render.nest_row(nest, &nested).map_err(|failure| failed(&spec.section, failure))?;
                    stream.at += 1;
                    if render.is_full() {
                        render.flush().await.map_err(fail)?;
                    }
                }
                render.end_nest();
            }
            render.end_row();
            if render.is_full() {
                render.flush().await.map_err(fail)?;
            }
            cells = recycle(cells);
        }
        room = recycle(cells);
        outer.at = outer.batch.len();
    }
    if !begun && !outer.names.is_empty() {
        // A table has its first line also where it has no other.
        let names: Vec<&str> = outer.names.iter().map(String::as_str).collect();
        render.columns(&names).map_err(fail)?;
    }
    // What is left over belongs to no row that came, or came too late.
    let left = join_all(inner.iter_mut().map(Stream::has_row)).await;
    if let Some(nest) = left.iter().position(|left| *left) {
        return Err(failed(&section.nests[nest].section, Failure::Order(LEFT_OVER)));
    }
    Ok(render)
}

const LEFT_OVER: &str = "a nested row found no row to stand in: order both queries alike, by the columns of `on`, and let the nested \
                         one return no other rows";
const TWICE: &str = "two rows have the same values in the columns of `on`: the nested rows would stand in one of them only";

impl Pairing {
    /// Two rows that are found by the same values would leave one of them without its nested rows.
    fn is_new(&mut self, outer: &Batch, row: usize) -> Result<(), Failure> {
        let values: Option<Vec<String>> =
            self.outer.iter().map(|at| plain(&outer.cell(row, *at)).map(|text| text.into_owned())).collect();
        if values.is_some() && values == self.before {
            return Err(Failure::Order(TWICE));
        }
        self.before = values;
        Ok(())
    }

    fn fits(&self, outer: &Batch, row: usize, inner: &Batch, at: usize) -> bool {
        self.outer.iter().zip(&self.inner).all(|(o, i)| same(&outer.cell(row, *o), &inner.cell(at, *i)))
    }
}

/// Whether two cells are one value, however each database holds it. Null is nothing, not even itself.
fn same(a: &Cell<'_>, b: &Cell<'_>) -> bool {
    match (a, b) {
        (Cell::Null, _) | (_, Cell::Null) => false,
        (Cell::Int(a), Cell::Int(b)) => a == b,
        (Cell::Text(a), Cell::Text(b)) => a == b,
        (Cell::Uuid(a), Cell::Uuid(b)) => a == b,
        (Cell::Uuid(_), _) | (_, Cell::Uuid(_)) => plain(a).zip(plain(b)).is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b)),
        (a, b) => plain(a) == plain(b),
    }
}
