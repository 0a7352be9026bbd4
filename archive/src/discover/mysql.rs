//! What a MySQL or MariaDB database says of itself, from its information schema.

use std::collections::HashMap;

use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Executor, MySqlConnection, Row};

use super::quote::backticked;
use super::schema::{Column, ColumnKind, ForeignKey, Schema, Table};
use super::words;

// Every word is cast: the server keeps its own names in types and collations that differ between versions.
const TABLES: &str = "
    select cast(t.table_name as char) as name, t.table_type = 'VIEW' as is_view, cast(t.table_rows as signed) as n
    from information_schema.tables t
    where t.table_schema = database() and t.table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW')
    order by t.table_name";

const COLUMNS: &str = "
    select cast(c.table_name as char) as in_table, cast(c.column_name as char) as name, cast(c.column_type as char) as declared,
           cast(c.data_type as char) as base, c.is_nullable = 'YES' as nullable, cast(c.collation_name as char) as collation,
           find_in_set('select', replace(lower(c.privileges), ' ', '')) > 0 as readable
    from information_schema.columns c
    where c.table_schema = database()
    order by c.table_name, c.ordinal_position";

const INDEXES: &str = "
    select cast(s.table_name as char) as in_table, cast(s.index_name as char) as name, s.non_unique = 0 as is_unique,
           cast(if(s.sub_part is null, s.column_name, null) as char) as part
    from information_schema.statistics s
    where s.table_schema = database() and s.index_type in ('BTREE', 'HASH')
    order by s.table_name, s.index_name, s.seq_in_index";

const KEYS: &str = "
    select cast(k.table_name as char) as in_table, cast(k.constraint_name as char) as name, cast(k.column_name as char) as part,
           cast(k.referenced_table_name as char) as to_table, cast(k.referenced_column_name as char) as to_part
    from information_schema.key_column_usage k
    where k.table_schema = database() and k.referenced_table_schema = database()
    order by k.table_name, k.constraint_name, k.ordinal_position";

const VIEWS: &str = "
    select cast(v.table_name as char) as name, cast(v.view_definition as char) as words
    from information_schema.views v
    where v.table_schema = database()";

/// MariaDB has no type for JSON but a check on a long text.
const CHECKS: &str = "
    select cast(c.table_name as char) as in_table, cast(c.check_clause as char) as clause
    from information_schema.check_constraints c
    where c.constraint_schema = database()";

/// Names of tables differ by case on some systems and not on others.
struct Places(HashMap<String, usize>);

impl Places {
    fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).or_else(|| self.0.get(&name.to_lowercase())).copied()
    }
}

async fn all(connection: &mut MySqlConnection, sql: &'static str) -> Result<Vec<MySqlRow>, sqlx::Error> {
    connection.fetch_all(sqlx::raw_sql(sql)).await
}

/// Reads the schema of the database that the address names.
pub(super) async fn describe(connection: &mut MySqlConnection, mariadb: bool) -> Result<Schema, sqlx::Error> {
    let mut tables: Vec<Table> = Vec::new();
    for row in all(connection, TABLES).await? {
        let is_view: i64 = row.try_get("is_view")?;
        let rows: Option<i64> = row.try_get("n")?;
        tables.push(Table {
            schema: None,
            name: row.try_get("name")?,
            view: (is_view != 0).then(Vec::new),
            readable: true,
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            rows: rows.filter(|_| is_view == 0).and_then(|rows| u64::try_from(rows).ok()),
        });
    }
    let mut places = HashMap::new();
    for (at, table) in tables.iter().enumerate() {
        places.entry(table.name.to_lowercase()).or_insert(at);
    }
    places.extend(tables.iter().enumerate().map(|(at, table)| (table.name.clone(), at)));
    let places = Places(places);

    let checks = if mariadb { all(connection, CHECKS).await? } else { Vec::new() };
    let mut json: Vec<(usize, String)> = Vec::new();
    for row in checks {
        if let Some(at) = places.get(row.try_get("in_table")?) {
            json.push((at, row.try_get("clause")?));
        }
    }
    for row in all(connection, COLUMNS).await? {
        let Some(at) = places.get(row.try_get("in_table")?) else { continue };
        let (name, declared): (String, String) = (row.try_get("name")?, row.try_get("declared")?);
        let (nullable, readable): (i64, i64) = (row.try_get("nullable")?, row.try_get("readable")?);
        let collation: Option<String> = row.try_get("collation")?;
        let checked = json.contains(&(at, format!("json_valid({})", backticked(&name))));
        let kind = if checked { ColumnKind::Json } else { kind(row.try_get("base")?, &declared) };
        let table = &mut tables[at];
        table.readable &= readable != 0;
        table.columns.push(Column {
            name,
            declared,
            kind,
            nullable: nullable != 0 || table.view.is_some(),
            folds_case: collation.is_some_and(|collation| folds(&collation)),
            domain: false,
        });
    }
    indexes(connection, &mut tables, &places).await?;
    foreign_keys(connection, &mut tables, &places).await?;
    for row in all(connection, VIEWS).await? {
        let (name, text): (String, Option<String>) = (row.try_get("name")?, row.try_get("words")?);
        let Some(at) = places.get(&name) else { continue };
        let mut over: Vec<usize> = words::tokens(&text.unwrap_or_default())
            .iter()
            .filter_map(|token| places.get(token.name()?))
            .filter(|found| *found != at)
            .collect();
        over.sort_unstable();
        over.dedup();
        tables[at].view = Some(over);
    }
    // A view over what is gone has no columns.
    Ok(without_empty(tables))
}

async fn indexes(connection: &mut MySqlConnection, tables: &mut [Table], places: &Places) -> Result<(), sqlx::Error> {
    struct Index {
        table: usize,
        name: String,
        unique: bool,
        parts: Vec<Option<String>>,
    }
    let mut found: Vec<Index> = Vec::new();
    for row in all(connection, INDEXES).await? {
        let Some(table) = places.get(row.try_get("in_table")?) else { continue };
        let (name, unique, part): (String, i64, Option<String>) =
            (row.try_get("name")?, row.try_get("is_unique")?, row.try_get("part")?);
        match found.last_mut() {
            Some(last) if last.table == table && last.name == name => last.parts.push(part),
            _ => found.push(Index { table, name, unique: unique != 0, parts: vec![part] }),
        }
    }
    for index in found {
        let plain: Vec<String> = index.parts.iter().map_while(Clone::clone).collect();
        if plain.is_empty() {
            continue;
        }
        let table = &mut tables[index.table];
        let whole = plain.len() == index.parts.len();
        if index.name == "PRIMARY" && whole {
            table.primary_key.clone_from(&plain);
        } else if index.unique && whole {
            table.unique.push(plain.clone());
        }
        table.indexes.push(plain);
    }
    Ok(())
}

async fn foreign_keys(connection: &mut MySqlConnection, tables: &mut [Table], places: &Places) -> Result<(), sqlx::Error> {
    let mut last = (usize::MAX, String::new());
    for row in all(connection, KEYS).await? {
        let (Some(at), Some(to)) = (places.get(row.try_get("in_table")?), places.get(row.try_get("to_table")?)) else { continue };
        let spelled = |table: &Table, name: String| {
            let found = table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(&name));
            found.map_or(name, |column| column.name.clone())
        };
        let column = spelled(&tables[at], row.try_get("part")?);
        let to_column = spelled(&tables[to], row.try_get("to_part")?);
        let name = (at, row.try_get::<String, _>("name")?);
        match tables[at].foreign_keys.last_mut() {
            Some(key) if last == name => {
                key.columns.push(column);
                key.to_columns.push(to_column);
            }
            _ => {
                let key = ForeignKey { columns: vec![column], to, to_columns: vec![to_column], declared: true };
                tables[at].foreign_keys.push(key);
            }
        }
        last = name;
    }
    for table in tables {
        let mut known: Vec<ForeignKey> = Vec::new();
        for key in std::mem::take(&mut table.foreign_keys) {
            if !known.contains(&key) {
                known.push(key);
            }
        }
        table.foreign_keys = known;
    }
    Ok(())
}

/// Tables without columns leave, and what refers to places follows.
fn without_empty(tables: Vec<Table>) -> Schema {
    let mut left = 0;
    let places: Vec<Option<usize>> = tables
        .iter()
        .map(|table| {
            let stays = !table.columns.is_empty();
            left += usize::from(stays);
            stays.then(|| left - 1)
        })
        .collect();
    let there = |at: usize| places.get(at).copied().flatten();
    let tables = tables.into_iter().filter(|table| !table.columns.is_empty()).map(|mut table| {
        table.view = table.view.map(|over| over.into_iter().filter_map(there).collect());
        let keys = std::mem::take(&mut table.foreign_keys);
        table.foreign_keys = keys.into_iter().filter_map(|key| Some(ForeignKey { to: there(key.to)?, ..key })).collect();
        table
    });
    Schema { tables: tables.collect() }
}

/// Whether two texts that differ by case or by blanks at their ends are one: so it is with every collation that does not say otherwise.
fn folds(collation: &str) -> bool {
    let exact = collation.ends_with("_bin") || collation.contains("_as_cs");
    let blanks_count = collation.contains("_nopad_") || collation.contains("_0900_");
    collation != "binary" && !(exact && blanks_count)
}

fn kind(base: &str, declared: &str) -> ColumnKind {
    match base {
        "tinyint" if declared.starts_with("tinyint(1)") => ColumnKind::Boolean,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => ColumnKind::Integer,
        "decimal" | "float" | "double" => ColumnKind::Number,
        // Blanks that fill a `char` up are never given out.
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => ColumnKind::Text,
        "uuid" => ColumnKind::Uuid,
        "datetime" | "timestamp" => ColumnKind::Timestamp,
        "date" => ColumnKind::Date,
        "json" => ColumnKind::Json,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" => ColumnKind::Bytes,
        "enum" | "set" | "time" | "bit" | "inet4" | "inet6" => ColumnKind::Other,
        _ => ColumnKind::Unordered,
    }
}

/// Which of a statement's tables are read from end to end, by the names that they go by in it. The plan is the one for these values.
pub(super) async fn scans(connection: &mut MySqlConnection, sql: String) -> Result<Vec<String>, sqlx::Error> {
    let plan = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(format!("explain {sql}")))).await?;
    let mut found = Vec::new();
    for row in plan {
        let (table, how): (Option<String>, Option<String>) = (row.try_get("table")?, row.try_get("type")?);
        if let (Some(table), Some("ALL" | "index")) = (table, how.as_deref()) {
            found.push(table);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
