//! From a schema to a catalogue that works, with a mark at everything that was guessed.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use super::guess::{self, Stored, Value};
use super::quote::{comment, identifier, quoted_for, toml, toml_lines};
use super::schema::{Column, ColumnKind, Schema, Table};
use super::ways::{Hop, Way, Ways};
use crate::catalogue::{Engine, Snapshot};
use crate::subject::SubjectType;

/// A mark of something that a human should look at.
const UNSURE: &str = "# unsure:";

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
    write_out(ground, &families, &pieces, &excuses)
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

/// The names that tables go by in a query.
fn aliases(ground: &Ground<'_>, tables: &[usize]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for table in tables {
        let words = guess::words(&ground.schema.tables[*table].name);
        let mut name: String = words.iter().filter_map(|word| word.chars().next()).filter(char::is_ascii_lowercase).collect();
        if name.is_empty() || identifier(ground.engine, &name) != name {
            name = "t".to_owned();
        }
        let mut alias = name.clone();
        let mut number = 1;
        while found.contains(&alias) || identifier(ground.engine, &alias) != alias {
            number += 1;
            alias = format!("{name}{number}");
        }
        found.push(alias);
    }
    found
}

fn table_name(ground: &Ground<'_>, table: &Table) -> String {
    let name = identifier(ground.engine, &table.name);
    match (&table.schema, ground.engine) {
        (Some(schema), _) => format!("{}.{name}", identifier(ground.engine, schema)),
        // Whatever the role's search path is.
        (None, Engine::Postgres) => format!("public.{name}"),
        (None, _) => name,
    }
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
    // Who somebody is does not depend on since when.
    let time = if way.is_empty() { None } else { times.time(table, &kept) };
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
    // One row a person: its own table, or a table whose reference is unique.
    let one = match way.as_slice() {
        [] => person.is_unique(&[ground.key.to_owned()]),
        way => {
            way.iter().all(|hop| !hop.against && ground.schema.tables[hop.from].is_unique(&hop.columns))
                && joins.by_key(ground, way)
        }
    };
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

/// The tables between a row and the person.
struct Joins<'w> {
    hops: &'w [Hop],
    aliases: Vec<String>,
    /// What is compared with the person.
    subject: String,
    /// The column that is compared, where it is one of the section's own table.
    own: Option<String>,
    /// What is selected as the owner otherwise.
    expression: String,
}

impl<'w> Joins<'w> {
    fn of(ground: &Ground<'_>, at: usize, way: &'w Way) -> Self {
        let person = &ground.schema.tables[ground.ways.person];
        let key = person.column(ground.key);
        let folds = key.is_some_and(|key| key.folds_case);
        let unique = person.is_unique(&[ground.key.to_owned()]);
        // The last table before the person may say itself whose row it is.
        let last = way.last().and_then(|hop| {
            let place = hop.to_columns.iter().position(|name| name == ground.key)?;
            let column = hop.columns.get(place)?;
            let alike = ground.schema.tables[hop.from].column(column)?.kind == key?.kind;
            (!folds && unique && alike && !hop.against).then(|| column.clone())
        });
        let hops = if last.is_some() { &way[..way.len() - 1] } else { way.as_slice() };
        let tables: Vec<usize> = std::iter::once(at).chain(hops.iter().map(|hop| hop.to)).collect();
        let aliases = aliases(ground, &tables);
        let holder = aliases.last().cloned().unwrap_or_default();
        let holder_table = &ground.schema.tables[*tables.last().unwrap_or(&at)];
        let column = last.unwrap_or_else(|| ground.key.to_owned());
        let name = format!("{holder}.{}", identifier(ground.engine, &column));
        let kind = holder_table.column(&column).map(|column| column.kind);
        // Blanks that fill a text up are no part of what names the person.
        let cast = ground.engine == Engine::Postgres && matches!(kind, Some(ColumnKind::PaddedText | ColumnKind::Other));
        let subject = if cast && kind == Some(ColumnKind::Other) { format!("{name}::text") } else { name.clone() };
        let expression = if cast { format!("{name}::text") } else { name };
        Self { own: (hops.is_empty() && !cast).then_some(column), hops, aliases, subject, expression }
    }

    /// The owner's column, which is added to what is selected unless it is there.
    fn owner(&self, ground: &Ground<'_>, kept: &[&Column], selected: &mut Vec<String>) -> String {
        if let Some(own) = &self.own
            && kept.iter().any(|column| column.name == *own)
        {
            return own.clone();
        }
        let mut name = "owner_id".to_owned();
        let mut number = 1;
        while kept.iter().any(|column| column.name.eq_ignore_ascii_case(&name)) {
            number += 1;
            name = format!("owner_id_{number}");
        }
        selected.push(format!("{} as {}", self.expression, identifier(ground.engine, &name)));
        name
    }

    fn text(&self, ground: &Ground<'_>) -> String {
        let mut text = String::new();
        for (at, hop) in self.hops.iter().enumerate() {
            let (from, to) = (&self.aliases[at], &self.aliases[at + 1]);
            let pairs: Vec<String> = hop
                .columns
                .iter()
                .zip(&hop.to_columns)
                .map(|(column, to_column)| {
                    format!("{to}.{} = {from}.{}", identifier(ground.engine, to_column), identifier(ground.engine, column))
                })
                .collect();
            let _ =
                writeln!(text, "  join {} {to} on {}", table_name(ground, &ground.schema.tables[hop.to]), pairs.join(" and "));
        }
        text
    }

    /// Whether the way ends at the person's key, so that one person is one row of the person's table.
    fn by_key(&self, ground: &Ground<'_>, way: &[Hop]) -> bool {
        let key = [ground.key.to_owned()];
        ground.schema.tables[ground.ways.person].is_unique(&key) && way.iter().all(|hop| !hop.columns.is_empty())
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

/// What the columns' values are, where their types do not say it.
struct Times<'t> {
    engine: Engine,
    sample: Option<&'t Sample>,
    /// Names, and the fields' insides.
    fields: Vec<(String, String)>,
    notes: &'t mut Vec<String>,
}

impl Times<'_> {
    fn values(&self, name: &str) -> Vec<&Value> {
        self.sample.and_then(|sample| sample.get(name)).map(|values| values.iter().collect()).unwrap_or_default()
    }

    fn stored(&self, column: &Column) -> Option<Stored> {
        let by_name = guess::timely(&column.name) || matches!(column.kind, ColumnKind::Timestamp | ColumnKind::Date);
        by_name.then(|| guess::stored(&self.values(&column.name))).flatten()
    }

    fn field(&mut self, column: &Column) {
        let values = self.values(&column.name);
        let typed = self.engine == Engine::Sqlite;
        let guessed = match column.kind {
            ColumnKind::Json if typed || column.domain => guess::json(&values).then(|| "type = \"json\"".to_owned()),
            ColumnKind::Boolean if typed || self.engine == Engine::Mysql => {
                guess::boolean(&values).then(|| "type = \"boolean\"".to_owned())
            }
            ColumnKind::Boolean if column.domain => Some("type = \"boolean\"".to_owned()),
            ColumnKind::Integer if column.domain && !guess::timely(&column.name) => Some("type = \"integer\"".to_owned()),
            ColumnKind::Timestamp if !typed && column.domain => Some("type = \"timestamp\", from = \"text\"".to_owned()),
            ColumnKind::Date if !typed && column.domain => Some("type = \"date\", from = \"text\"".to_owned()),
            ColumnKind::Timestamp | ColumnKind::Date if !typed => None,
            _ => self.stored(column).map(|stored| {
                match stored {
                    Stored::Seconds => "type = \"timestamp\", from = \"unix_s\"",
                    Stored::Millis => "type = \"timestamp\", from = \"unix_ms\"",
                    Stored::Micros => "type = \"timestamp\", from = \"unix_us\"",
                    Stored::TextTime { fraction: false } => "type = \"timestamp\", from = \"text\"",
                    Stored::TextTime { fraction: true } => "type = \"timestamp\", from = \"text\", as = \"%Y-%m-%d %H:%M:%S%.f\"",
                    Stored::TextDate => "type = \"date\", from = \"text\"",
                }
                .to_owned()
            }),
        };
        let Some(field) = guessed else { return };
        if !column.domain {
            self.notes.push(format!("{UNSURE} what {} holds was read off some of its values", column.name));
        }
        self.fields.push((column.name.clone(), field));
    }

    /// The column that since and until are compared with, and whether that is a guess.
    fn time(&self, table: &Table, kept: &[&Column]) -> Option<(String, bool)> {
        let is_time = |column: &Column| {
            if !kept.iter().any(|known| known.name == column.name) {
                return false;
            }
            let stored = self.stored(column);
            let typed = self.engine == Engine::Sqlite;
            match column.kind {
                ColumnKind::Timestamp | ColumnKind::Date if !typed => true,
                ColumnKind::Integer | ColumnKind::Number => stored.is_some(),
                // Which text is the greatest depends on the collation there.
                _ => typed && stored.is_some(),
            }
        };
        guess::time(table, is_time).map(|(column, unsure)| (column.name.clone(), unsure))
    }
}

fn write_out(ground: &Ground<'_>, families: &[Family], pieces: &[Piece], excuses: &[(String, String)]) -> Draft {
    let person = &ground.schema.tables[ground.ways.person];
    let head = ground.head;
    let mut text = format!(
        "# What a person's data is, drafted by `portward catalog init` from the tables and keys of the database.\n\
         # It works as it is. Read it before you serve it, above all where it says `{}`; docs/catalogue.md explains every key.\n\
         # Then: portward catalog check, and portward catalog preview --person ID.\n\n\
         format   = 1\n\
         edition  = {}\n\
         document = {}\n\n",
        UNSURE.trim_start_matches("# "),
        toml(&head.edition),
        toml(&format!("{}_data.json", head.source)),
    );
    let rows = person.rows.map(|rows| format!("; about {rows} of them")).unwrap_or_default();
    let _ = writeln!(text, "# A person is a row of {}, named by {}{rows}.", comment(&person.full_name()), comment(ground.key));
    if !person.is_unique(&[ground.key.to_owned()]) {
        let _ = writeln!(text, "{UNSURE} no unique key says that {} names one person only", comment(ground.key));
    }
    let _ = writeln!(text, "[subject]\ntype = \"{}\"\n", ground.subject);
    let _ = writeln!(
        text,
        "[source.{}]\nkind = \"{}\"\n{} = {}\nsnapshot = \"{}\"",
        head.source,
        ground.engine.as_str(),
        head.address.0,
        toml(&head.address.1),
        ground.snapshot.as_str()
    );
    if ground.snapshot == Snapshot::Section {
        text.push_str(
            "# \"request\" would read all sections at one moment; turn WAL on first, so that writers need not wait meanwhile.\n",
        );
    }
    let _ = writeln!(
        text,
        "max_snapshot = \"5 min\"\nmax_concurrent = 4\nstatement_timeout = \"60 s\"\n\
         # Where people are; `portward catalog check` looks for tables that refer to them and that nothing below exports.\n\
         person_table = {}\nperson_key = {}\n",
        toml(&person.full_name()),
        toml(ground.key)
    );
    let _ = writeln!(
        text,
        "[[category]]\nname = \"all_data\"\nscope = \"portability.all\"\ntitle = {{ en = \"All your data\" }}\n\
         text = {{ en = \"Everything that is listed here\" }}\n"
    );
    let on = |category: usize| pieces.iter().any(|piece| piece.category == category && piece.off.is_none());
    for (_, family) in families.iter().enumerate().filter(|(at, _)| on(*at)) {
        let _ = writeln!(
            text,
            "[[category]]\nname = {}\nscope = {}\ntitle = {{ en = {} }}\ntext = {{ en = {} }}",
            toml(&family.name),
            toml(&format!("portability.{}", family.name)),
            toml(&family.title),
            toml(&words_of(ground, family))
        );
        if family.sensitive {
            let _ = writeln!(text, "{UNSURE} its tables' names suggest it\nsensitivity = \"sensitive\"");
        }
        text.push('\n');
    }
    let mut off = String::new();
    for piece in pieces {
        let written = section(ground, piece, &families[piece.category]);
        match &piece.off {
            None => text.push_str(&written),
            Some(_) => {
                for line in written.trim_end().lines() {
                    let _ = writeln!(off, "# {line}");
                }
                off.push('\n');
            }
        }
    }
    if !off.is_empty() {
        let _ = writeln!(
            text,
            "{UNSURE} these views show what the sections above export already; take one in by removing the `#`.\n\n{off}"
        );
    }
    if !excuses.is_empty() {
        text.push_str("# Tables that refer to people and that nothing above exports, each with the reason.\n\n");
    }
    for (table, reason) in excuses {
        let _ =
            writeln!(text, "[[excuse]]\nsource = {}\ntable = {}\nreason = {}\n", toml(&head.source), toml(table), toml(reason));
    }
    let rest: Vec<String> = (0..ground.schema.tables.len())
        .filter(|at| !ground.ways.reaches(*at))
        .map(|at| {
            let table = &ground.schema.tables[at];
            let rows = table.rows.map(|rows| format!(" (about {rows} rows)")).unwrap_or_default();
            format!("#   {}{rows}{}\n", comment(&table.full_name()), if table.view.is_some() { ", a view" } else { "" })
        })
        .collect();
    if !rest.is_empty() {
        let _ = write!(text, "# These refer to no person, as far as keys and names say:\n{}", rest.concat());
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    let unsure = text.lines().filter(|line| line.starts_with(UNSURE)).count().saturating_sub(usize::from(!off.is_empty()));
    Draft {
        sections: pieces.iter().filter(|piece| piece.off.is_none()).count(),
        categories: (0..families.len()).filter(|at| on(*at)).count(),
        excused: excuses.len(),
        unsure,
        text,
    }
}

fn words_of(ground: &Ground<'_>, family: &Family) -> String {
    match family.tables.as_slice() {
        [] => "What we hold about you here".to_owned(),
        [only]
            if family.name == "profile"
                && *only == guess::title(&ground.schema.tables[ground.ways.person].name).to_lowercase() =>
        {
            "Who you are to us: name, contact and settings of your account".to_owned()
        }
        [only] => format!("What we hold about you in: {only}"),
        tables => format!("What we hold about you in: {}", tables.join(", ")),
    }
}

fn section(ground: &Ground<'_>, piece: &Piece, family: &Family) -> String {
    let mut text = String::new();
    for note in &piece.notes {
        let note = comment(note);
        let _ = if note.starts_with(UNSURE) { writeln!(text, "{note}") } else { writeln!(text, "# {note}") };
    }
    let list = |names: &[String]| names.iter().map(|name| toml(name)).collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        text,
        "[[section]]\ncategories = [{}]\npath = [{}]\nsource = {}\nshape = \"{}\"\nowner = {}",
        toml(&family.name),
        list(&piece.path),
        toml(&ground.head.source),
        piece.shape,
        toml(&piece.owner)
    );
    if !piece.key.is_empty() {
        let _ = writeln!(text, "key = [{}]", list(&piece.key));
    }
    if let Some(time) = &piece.time {
        let _ = writeln!(text, "time = {}", toml(time));
    }
    if piece.shared {
        text.push_str("shared = true\n");
    }
    let _ = writeln!(text, "query = {}\n", toml_lines(&piece.query));
    if !piece.fields.is_empty() {
        let _ = writeln!(text, "[section.fields]\n{}\n", piece.fields.join("\n"));
    }
    text
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
