//! From a schema to a catalogue that works, with a mark at everything that was guessed.

mod file;
mod joins;
mod times;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use self::joins::{Joins, table_name};
use self::times::Times;
use super::guess::{self, Value};
use super::quote::{identifier, quoted_for, toml};
use super::schema::{Column, ColumnKind, Schema, Table};
use super::ways::{Hop, Way, Ways};
use crate::catalogue::{Engine, Snapshot};
use crate::subject::SubjectType;

/// A mark of something that a human should look at.
pub(super) const UNSURE: &str = "# unsure:";

/// What the draft is made from.
pub(super) struct Ground<'g> {
    pub(super) engine: Engine,
    pub(super) schema: &'g Schema,
    pub(super) ways: &'g Ways,
    /// The column that names a person.
    pub(super) key: &'g str,
    pub(super) subject: SubjectType,
    pub(super) samples: &'g HashMap<usize, Sample>,
    pub(super) head: &'g Head,
    pub(super) snapshot: Snapshot,
}

/// The values of some columns of a table.
pub(super) type Sample = HashMap<String, Vec<Value>>;

/// What the operator says.
#[derive(Clone, Debug)]
pub struct Head {
    /// The catalogue's first edition.
    pub edition: String,
    /// The source's name.
    pub source: String,
    /// The key of `[source]` that tells the address: `url = ".."` or `url_file = ".."`.
    pub address: (String, String),
}

/// A catalogue that was drafted.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The file.
    pub text: String,
    /// Its sections.
    pub sections: usize,
    /// Its categories, `all_data` not counted.
    pub categories: usize,
    /// Tables that are excused.
    pub excused: usize,
    /// Things it is unsure of.
    pub unsure: usize,
}

/// A section before it is written.
struct Piece {
    category: usize,
    path: Vec<String>,
    notes: Vec<String>,
    shape: &'static str,
    owner: String,
    key: Vec<String>,
    time: Option<String>,
    shared: bool,
    query: String,
    fields: Vec<String>,
    /// Written as a comment, for this reason.
    off: Option<String>,
}

struct Family {
    name: String,
    title: String,
    tables: Vec<String>,
    sensitive: bool,
}

pub(super) fn draft(ground: &Ground<'_>) -> Draft {
    let mut families: Vec<Family> = Vec::new();
    let mut by_root: BTreeMap<usize, usize> = BTreeMap::new();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut excuses: Vec<(String, String)> = Vec::new();
    let mut titles: Vec<String> = Vec::new();
    let mut shown: Vec<usize> = Vec::new();
    // Families stand together: the person first, then each table that refers to the person, with those behind it.
    let mut tables: Vec<(usize, usize, usize)> =
        ground.ways.reached.iter().enumerate().map(|(order, table)| (root(ground.ways, *table), order, *table)).collect();
    tables.sort_by_key(|(root, order, _)| (*root != ground.ways.person, order_of(ground.ways, *root), *order));
    for view in [false, true] {
        for (root, _, at) in tables.iter().copied() {
            let table = &ground.schema.tables[at];
            if table.view.is_some() != view {
                continue;
            }
            if !table.readable {
                excuses.push((table.full_name(), "this role may not read it".to_owned()));
                continue;
            }
            if guess::secret_table(&table.name) && at != ground.ways.person {
                excuses.push((table.full_name(), "it holds what proves who somebody is, and nobody is to have it".to_owned()));
                continue;
            }
            let covered = table.view.as_ref().is_some_and(|over| over.iter().any(|table| shown.contains(table)));
            let category = *by_root.entry(root).or_insert_with(|| {
                families.push(family(ground, root, &families));
                families.len() - 1
            });
            let ways = ground.ways.of(at);
            let mut written = false;
            for way in &ways {
                let title = unique_title(ground, at, way, ways.len(), &mut titles);
                match piece(ground, at, way, &families[category], category, title) {
                    Some(mut piece) => {
                        written = true;
                        if covered {
                            piece.off = Some("a view over tables that the sections above export".to_owned());
                        }
                        pieces.push(piece);
                    }
                    None => continue,
                }
            }
            if !written {
                excuses.push((table.full_name(), "it has no column to export but secrets and references".to_owned()));
            } else if covered {
                excuses.push((table.full_name(), "a view over tables that the sections above export".to_owned()));
            } else {
                shown.push(at);
                families[category].tables.push(guess::title(&table.name).to_lowercase());
                families[category].sensitive |= guess::sensitive(&table.name);
            }
        }
    }
    file::catalogue(ground, &families, &pieces, &excuses)
}

fn order_of(ways: &Ways, table: usize) -> usize {
    ways.reached.iter().position(|reached| *reached == table).unwrap_or(usize::MAX)
}

/// The table next to the person on the way, whose family this is. What the person's row points to is the person's own.
fn root(ways: &Ways, table: usize) -> usize {
    match ways.of(table).first().and_then(|way| way.last()) {
        Some(last) if last.against => ways.person,
        Some(last) => last.from,
        None => ways.person,
    }
}

fn family(ground: &Ground<'_>, root: usize, others: &[Family]) -> Family {
    let table = &ground.schema.tables[root];
    let (mut name, title) = if root == ground.ways.person {
        ("profile".to_owned(), "Your profile".to_owned())
    } else {
        (guess::wire_name(&table.name), format!("Your {}", guess::title(&table.name).to_lowercase()))
    };
    if name == crate::catalogue::ALL_DATA {
        name.push_str("_table");
    }
    let base = name.clone();
    let mut number = 1;
    while others.iter().any(|family| family.name == name) {
        number += 1;
        name = format!("{base}_{number}");
    }
    Family { name, title, tables: Vec::new(), sensitive: false }
}

/// A title that no other section has, also where case does not count.
fn unique_title(ground: &Ground<'_>, at: usize, way: &Way, ways: usize, taken: &mut Vec<String>) -> String {
    let table = &ground.schema.tables[at];
    let mut title = guess::title(&table.name);
    if ways > 1 {
        // Each step that could have been another one says which it is.
        let roles: Vec<String> = way
            .iter()
            .filter(|hop| ground.ways.choices(hop.from) > 1)
            .map(|hop| {
                let name = hop.columns.first().map(String::as_str).unwrap_or_default();
                let mut words = guess::words(name);
                if words.len() > 1 && words.last().is_some_and(|word| word == "id") {
                    words.pop();
                }
                words.join(" ")
            })
            .collect();
        title = format!("{title} by {}", roles.join(", "));
    }
    let base = title.clone();
    let mut number = 1;
    while taken.contains(&title.to_lowercase()) {
        number += 1;
        title = match &table.schema {
            Some(schema) if number == 2 => format!("{base} of {}", guess::title(schema)),
            _ => format!("{base} {number}"),
        };
    }
    taken.push(title.to_lowercase());
    title
}

fn piece(ground: &Ground<'_>, at: usize, way: &Way, family: &Family, category: usize, title: String) -> Option<Piece> {
    let table = &ground.schema.tables[at];
    let person = &ground.schema.tables[ground.ways.person];
    let mut notes = Vec::new();
    if let Some(rows) = table.rows {
        notes.push(format!("about {rows} row{} in {}", if rows == 1 { "" } else { "s" }, table.full_name()));
    } else if table.view.is_some() {
        notes.push(format!("{UNSURE} {} is a view; whether an index serves it, its tables say", table.full_name()));
    }
    let joins = Joins::of(ground, at, way);
    tell_way(ground, at, way, &mut notes);
    let (kept, left_out): (Vec<&Column>, Vec<&Column>) = table.columns.iter().partition(|column| !is_left_out(column));
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|column| column.name.as_str()).collect();
        notes.push(format!("left out, because nobody is to have them or they are of the database's own: {}", names.join(", ")));
    }
    for column in &kept {
        if column.kind == ColumnKind::Bytes {
            notes.push(format!("{UNSURE} {} holds bytes, and is written in base64", column.name));
        }
    }
    for key in &table.foreign_keys {
        let own = way.first().is_some_and(|hop| hop.columns == key.columns);
        if key.to == ground.ways.person && !own {
            notes.push(format!(
                "{UNSURE} {} may name another person; leave it out if it must not be told",
                key.columns.join(", ")
            ));
        }
    }
    let alias = &joins.aliases[0];
    let mut selected: Vec<String> =
        kept.iter().map(|column| format!("{alias}.{}", identifier(ground.engine, &column.name))).collect();
    let owner = joins.owner(ground, &kept, &mut selected);
    let writes = kept.iter().any(|column| column.name != owner) || (at == ground.ways.person && !kept.is_empty());
    if !writes {
        return None;
    }
    let key: Vec<String> = table
        .key()
        .filter(|key| key.iter().all(|name| kept.iter().any(|column| column.name == *name)))
        .map(<[String]>::to_vec)
        .unwrap_or_default();
    if key.is_empty() {
        notes.push(format!("{UNSURE} no key tells its rows apart; `key` and an order of rows would"));
    }
    let mut times = Times { engine: ground.engine, sample: ground.samples.get(&at), fields: Vec::new(), notes: &mut notes };
    for column in &kept {
        times.field(column);
    }
    let mut fields = times.fields.clone();
    // One row a person: its own table, or a table whose reference is unique.
    let one = match way.as_slice() {
        [] => person.is_unique(&[ground.key.to_owned()]),
        way => {
            way.iter().all(|hop| !hop.against && ground.schema.tables[hop.from].is_unique(&hop.columns))
                && joins.by_key(ground, way)
        }
    };
    // Who somebody is does not depend on since when.
    let time = if one { None } else { times.time(table, &kept) };
    if at == ground.ways.person
        && kept.iter().any(|column| column.name == owner)
        && !fields.iter().any(|(name, _)| *name == owner)
    {
        // The owner is only written where it is a field, and of oneself one may know it.
        let kind = match ground.subject {
            SubjectType::Integer => "integer",
            SubjectType::Text | SubjectType::Uuid => "string",
        };
        fields.insert(0, (owner.clone(), format!("type = \"{kind}\"")));
    }
    let mut query = format!("  select {}\n  from {} {alias}\n", wrapped(&selected), table_name(ground, table));
    query.push_str(&joins.text(ground));
    let _ = writeln!(query, "  where {} = :subject", joins.subject);
    if let Some((column, _)) = &time {
        let name = format!("{alias}.{}", identifier(ground.engine, column));
        let nullable = table.column(column).is_none_or(|column| column.nullable);
        let _ = if nullable {
            writeln!(query, "    and ({name} is null or ({name} >= :since and {name} < :until))")
        } else {
            writeln!(query, "    and {name} >= :since and {name} < :until")
        };
    }
    let order = order(ground, table, alias, &key, &kept);
    if !order.is_empty() {
        let _ = writeln!(query, "  order by {order}");
    }
    query.truncate(query.trim_end().len());
    let shared = way.iter().any(|hop| hop.against && !ground.schema.tables[hop.to].is_unique(&hop.to_columns));
    let path = vec![family.title.trim_start_matches("Your ").split(' ').map(capital).collect::<Vec<_>>().join(" "), title];
    let time = time.map(|(column, unsure)| {
        if unsure {
            notes.push(format!("{UNSURE} {column} is taken for the time of a row"));
        }
        column
    });
    // Where fields are declared all are: what a later `select *` would add is then told, and an edition can be published.
    if !fields.is_empty() {
        let written = kept.iter().filter(|column| column.name != owner || at == ground.ways.person);
        for column in written {
            if !fields.iter().any(|(name, _)| *name == column.name) {
                fields.push((column.name.clone(), "type = \"any\"".to_owned()));
            }
        }
        fields.sort_by_key(|(name, _)| kept.iter().position(|column| column.name == *name));
    }
    let fields = fields.into_iter().map(|(name, field)| format!("{} = {{ {field} }}", toml(&name))).collect();
    Some(Piece {
        category,
        path,
        notes,
        shape: if one { "object" } else { "list" },
        owner,
        key,
        time,
        shared,
        query,
        fields,
        off: None,
    })
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

fn is_left_out(column: &Column) -> bool {
    column.kind == ColumnKind::Technical || guess::secret(&column.name)
}

/// How the rows get to the person, in words.
fn tell_way(ground: &Ground<'_>, at: usize, way: &Way, notes: &mut Vec<String>) {
    let tables = &ground.schema.tables;
    let told = |hop: &Hop| {
        let from = format!("{}.{}", tables[hop.from].full_name(), hop.columns.join("+"));
        let to = format!("{}.{}", tables[hop.to].full_name(), hop.to_columns.join("+"));
        if hop.against { format!("{from} <- {to}") } else { format!("{from} -> {to}") }
    };
    if way.is_empty() {
        return;
    }
    notes.push(format!("the person by {}", way.iter().map(told).collect::<Vec<_>>().join(", ")));
    for hop in way {
        let columns = hop.columns.join(", ");
        if !hop.declared {
            notes.push(format!(
                "{UNSURE} no foreign key says that {}.{columns} refers to {}; the name does",
                tables[hop.from].full_name(),
                tables[hop.to].full_name()
            ));
        }
        if hop.against {
            notes.push(format!(
                "{UNSURE} the row of {} points to it; take the section out if such a row may be of several people who must not see it",
                tables[hop.to].full_name()
            ));
        } else if hop.to == ground.ways.person && hop.columns.iter().any(|name| guess::role(name)) {
            notes.push(format!("{UNSURE} {columns} may say who handled the row, and not whose it is"));
        }
    }
    if way.len() > 2 {
        notes.push(format!("{UNSURE} it is {} steps to the person: are these rows the person's own?", way.len()));
    }
    let ways = ground.ways.of(at).len();
    if ways > 1 {
        notes.push(format!("{UNSURE} {ways} references lead to the person; each has a section of its own"));
    }
    for hop in &ground.ways.others[at] {
        let null = if tables[at].any_nullable(&hop.columns) { ", which may be null" } else { "" };
        notes.push(format!("{UNSURE} {} is another way to the person{null}", told(hop)));
    }
    if let Some(first) = way.first()
        && !first.against
        && tables[at].any_nullable(&first.columns)
        && !ground.ways.others[at].is_empty()
    {
        notes.push(format!(
            "{UNSURE} {} may be null; rows without it are not in this section, even if another way leads to the person",
            first.columns.join(", ")
        ));
    }
}

/// Columns, on lines of a length that can be read.
fn wrapped(columns: &[String]) -> String {
    let mut text = String::new();
    let mut length = 0;
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            text.push(',');
            if length + column.len() > 110 {
                text.push_str("\n         ");
                length = 0;
            } else {
                text.push(' ');
            }
        }
        text.push_str(column);
        length += column.len() + 2;
    }
    text
}

fn order(ground: &Ground<'_>, table: &Table, alias: &str, key: &[String], kept: &[&Column]) -> String {
    let names: Vec<&str> = if !key.is_empty() {
        key.iter().map(String::as_str).collect()
    } else {
        let known = ["rowid"];
        let rowid = ground.engine == Engine::Sqlite
            && table.view.is_none()
            && table.primary_key.is_empty()
            && !table.columns.iter().any(|column| known.iter().any(|name| column.name.eq_ignore_ascii_case(name)));
        if rowid {
            return format!("{alias}.rowid");
        }
        kept.iter().filter(|column| column.kind.has_order()).take(8).map(|column| column.name.as_str()).collect()
    };
    names.iter().map(|name| format!("{alias}.{}", identifier(ground.engine, name))).collect::<Vec<_>>().join(", ")
}

/// The query that reads a table's first values.
pub(super) fn sample_query(engine: Engine, table: &Table, columns: &[String], limit: usize) -> String {
    let quoted = |name: &str| quoted_for(engine, name);
    let name = match (&table.schema, engine) {
        (Some(schema), _) => format!("{}.{}", quoted(schema), quoted(&table.name)),
        (None, Engine::Postgres) => format!("public.{}", quoted(&table.name)),
        (None, _) => quoted(&table.name),
    };
    let columns: Vec<String> = columns
        .iter()
        .map(|column| match engine {
            Engine::Postgres => format!("{}::text", quoted(column)),
            Engine::Mysql => format!("cast({} as char)", quoted(column)),
            _ => quoted(column),
        })
        .collect();
    format!("select {} from {name} limit {limit}", columns.join(", "))
}
