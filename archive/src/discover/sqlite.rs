//! What a SQLite file says of itself.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::schema::{Column, ColumnKind, ForeignKey, Schema, Table};

/// Beyond so many rows nobody needs to know more: they are not counted further.
const COUNTED: i64 = 20_000;

/// Reads the schema. Virtual tables' shadows and SQLite's own tables are left out.
pub(super) fn describe(connection: &Connection) -> rusqlite::Result<Schema> {
    let mut listed = connection.prepare("select name, type, wr from pragma_table_list where schema = 'main' order by name")?;
    let names: Vec<(String, String, bool)> =
        listed.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<rusqlite::Result<_>>()?;
    let mut tables = Vec::new();
    let mut views = Vec::new();
    for (name, kind, without_rowid) in names {
        if kind == "shadow" || name.starts_with("sqlite_") {
            continue;
        }
        let is_view = kind == "view";
        // A view over what is gone has no columns; a virtual table may need a module that is not here.
        let Ok((columns, primary_key)) = columns(connection, &name, is_view) else { continue };
        if columns.is_empty() {
            continue;
        }
        let (unique, indexes, folding) = indexes(connection, &name, &primary_key)?;
        let columns = columns.into_iter().map(|column| Column { folds_case: folding.contains(&column.name), ..column }).collect();
        let rows = if is_view { None } else { rows(connection, &name, without_rowid) };
        let sql: Option<String> = connection
            .query_row("select sql from sqlite_schema where name = ?1 and type = 'view'", [&name], |row| row.get(0))
            .optional()?;
        views.push(sql);
        tables.push(Table {
            schema: None,
            name,
            view: None,
            readable: true,
            columns,
            primary_key,
            unique,
            foreign_keys: Vec::new(),
            indexes,
            rows,
        });
    }
    let places: HashMap<String, usize> =
        tables.iter().enumerate().map(|(at, table)| (table.name.to_ascii_lowercase(), at)).collect();
    for at in 0..tables.len() {
        tables[at].foreign_keys = foreign_keys(connection, &tables[at].name, &tables, &places)?;
    }
    for (at, sql) in views.into_iter().enumerate() {
        let Some(sql) = sql else { continue };
        let words = super::words::tokens(&sql);
        let mut named: Vec<usize> = words
            .iter()
            .filter_map(|token| places.get(&token.name()?.to_ascii_lowercase()).copied())
            .filter(|found| *found != at)
            .collect();
        named.sort_unstable();
        named.dedup();
        tables[at].view = Some(named);
    }
    Ok(Schema { tables })
}

fn columns(connection: &Connection, table: &str, is_view: bool) -> rusqlite::Result<(Vec<Column>, Vec<String>)> {
    // Hidden: 1 is a column of a virtual table that has no value, 2 and 3 are generated ones.
    let mut statement =
        connection.prepare("select name, type, \"notnull\", pk from pragma_table_xinfo(?1) where hidden <> 1 order by cid")?;
    let mut key: Vec<(i64, String)> = Vec::new();
    let mut columns = Vec::new();
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let (name, declared, strict, place): (String, String, bool, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if place > 0 {
            key.push((place, name.clone()));
        }
        // A column `integer primary key` is the row's own number, never null, whatever it says.
        let nullable = is_view || !(strict || place > 0);
        columns.push(Column { kind: kind(&declared), name, declared, nullable, folds_case: false, domain: false });
    }
    key.sort_unstable();
    Ok((columns, key.into_iter().map(|(_, name)| name).collect()))
}

/// The unique keys, the columns of all indexes, and the columns whose texts are compared without regard to case.
type Indexes = (Vec<Vec<String>>, Vec<Vec<String>>, Vec<String>);

fn indexes(connection: &Connection, table: &str, primary_key: &[String]) -> rusqlite::Result<Indexes> {
    let mut statement = connection.prepare("select name, \"unique\", partial from pragma_index_list(?1)")?;
    let found: Vec<(String, bool, bool)> =
        statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<rusqlite::Result<_>>()?;
    let (mut unique, mut indexes, mut folding) = (Vec::new(), Vec::new(), Vec::new());
    if !primary_key.is_empty() {
        indexes.push(primary_key.to_vec());
    }
    for (index, is_unique, partial) in found {
        let mut statement = connection.prepare("select name, coll from pragma_index_xinfo(?1) where key = 1 order by seqno")?;
        let parts: Vec<(Option<String>, Option<String>)> =
            statement.query_map([&index], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
        for (name, collation) in &parts {
            if let (Some(name), Some(collation)) = (name, collation)
                && !collation.eq_ignore_ascii_case("binary")
            {
                folding.push(name.clone());
            }
        }
        let plain: Vec<String> = parts.iter().map_while(|(name, _)| name.clone()).collect();
        if partial || plain.is_empty() {
            continue;
        }
        if is_unique && plain.len() == parts.len() && plain != primary_key {
            unique.push(plain.clone());
        }
        indexes.push(plain);
    }
    Ok((unique, indexes, folding))
}

fn foreign_keys(
    connection: &Connection,
    table: &str,
    tables: &[Table],
    places: &HashMap<String, usize>,
) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut statement =
        connection.prepare("select id, \"table\", \"from\", \"to\" from pragma_foreign_key_list(?1) order by id desc, seq")?;
    let mut rows = statement.query([table])?;
    let mut keys: Vec<(i64, ForeignKey, bool)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, to, column, to_column): (i64, String, String, Option<String>) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        // SQLite takes references to tables that are not there.
        let Some(to) = places.get(&to.to_ascii_lowercase()).copied() else { continue };
        let column = spelled(tables, places.get(&table.to_ascii_lowercase()).copied(), &column);
        let to_column = to_column.map(|name| spelled(tables, Some(to), &name));
        let sound = to_column.is_some();
        match keys.last_mut() {
            Some((last, key, _)) if *last == id => {
                key.columns.push(column);
                key.to_columns.extend(to_column);
            }
            _ => {
                let key = ForeignKey { columns: vec![column], to, to_columns: to_column.into_iter().collect(), declared: true };
                keys.push((id, key, sound));
            }
        }
    }
    Ok(keys
        .into_iter()
        .filter_map(|(_, mut key, named)| {
            let to = tables.get(key.to)?;
            if !named {
                // Without columns it is the primary key that is meant.
                key.to_columns.clone_from(&to.primary_key);
            }
            let known = key.to_columns.iter().all(|name| to.column(name).is_some());
            (known && key.columns.len() == key.to_columns.len()).then_some(key)
        })
        .collect())
}

/// A column's name as its table spells it; references may spell it otherwise.
fn spelled(tables: &[Table], table: Option<usize>, name: &str) -> String {
    let found = table
        .and_then(|at| tables.get(at))
        .and_then(|table| table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)));
    found.map_or_else(|| name.to_owned(), |column| column.name.clone())
}

/// About how many rows there are: what `analyze` found, else the greatest row number, else a count that ends early.
fn rows(connection: &Connection, table: &str, without_rowid: bool) -> Option<u64> {
    let analyzed: Option<String> = connection
        .query_row("select stat from sqlite_stat1 where tbl = ?1 and stat is not null limit 1", [table], |row| row.get(0))
        .ok();
    if let Some(rows) = analyzed.and_then(|stat| stat.split(' ').next()?.parse().ok()) {
        return Some(rows);
    }
    let table = super::quote::quoted(table);
    let counted: i64 = connection
        .query_row(&format!("select count(*) from (select 1 from {table} limit {COUNTED})"), [], |row| row.get(0))
        .ok()?;
    let greatest: Option<i64> = if counted < COUNTED || without_rowid {
        None
    } else {
        connection.query_row(&format!("select max(rowid) from {table}"), [], |row| row.get(0)).ok()?
    };
    u64::try_from(counted.max(greatest.unwrap_or(0))).ok()
}

/// SQLite's own rules of affinity, and the names that people give to what it has no type for.
fn kind(declared: &str) -> ColumnKind {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    if has("JSON") {
        ColumnKind::Json
    } else if has("BOOL") {
        ColumnKind::Boolean
    } else if has("DATETIME") || has("TIMESTAMP") {
        ColumnKind::Timestamp
    } else if declared.starts_with("DATE") {
        ColumnKind::Date
    } else if has("UUID") || has("UNIQUEIDENTIFIER") {
        ColumnKind::Uuid
    } else if has("INT") {
        ColumnKind::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") || has("STRING") {
        ColumnKind::Text
    } else if has("BLOB") {
        ColumnKind::Bytes
    } else if has("REAL") || has("FLOA") || has("DOUB") || has("NUM") || has("DEC") || has("MONEY") {
        ColumnKind::Number
    } else {
        ColumnKind::Other
    }
}
