//! Random schemas: whatever the keys between the tables are, the draft checks, and each person gets their own rows and nobody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::discover::{complaints, drafted, quoting, read, rows};
use crate::support::{Db, Engine, mysql_is_there, postgres_is_there};

const PEOPLE: i64 = 4;

/// A table: its references, each to the people or to another table, and its rows, each with what it refers to.
#[derive(Clone, Debug)]
struct Made {
    name: String,
    keys: Vec<Key>,
    rows: Vec<Vec<Option<i64>>>,
}

#[derive(Clone, Debug)]
struct Key {
    column: String,
    /// 0 is the people, another number the table before.
    to: usize,
    nullable: bool,
}

const NAMES: [&str; 8] = ["orders", "Order Lines", "select", "a b\"c", "Group", "notes", "photo_albums", "ünlü"];
const COLUMNS: [&str; 5] = ["ref", "Owner Ref", "from", "x\"y", "parent"];

fn world() -> impl Strategy<Value = Vec<Made>> {
    let key = (any::<prop::sample::Index>(), any::<bool>());
    let table = (prop::collection::vec(key, 0..=3), prop::collection::vec(prop::collection::vec(any::<(bool, u8)>(), 3), 0..=6));
    prop::collection::vec(table, 1..=6).prop_map(|tables| {
        let count = tables.len();
        let mut made: Vec<Made> = Vec::new();
        for (at, (keys, _)) in tables.iter().enumerate() {
            let keys = keys
                .iter()
                .enumerate()
                // To the people, to any table, also to itself and in circles; what may be in a circle may be null.
                .map(|(number, (to, nullable))| {
                    let to = to.index(count + 1);
                    Key { column: format!("{} {number}", COLUMNS[(at + number) % 5]), to, nullable: *nullable || to > at }
                })
                .collect();
            made.push(Made { name: NAMES[at].to_owned(), keys, rows: Vec::new() });
        }
        let counts: Vec<i64> = tables.iter().map(|(_, rows)| rows.len() as i64).collect();
        for (at, (_, rows)) in tables.into_iter().enumerate() {
            let keys = made[at].keys.clone();
            made[at].rows = rows
                .into_iter()
                .map(|values| {
                    keys.iter()
                        .zip(values)
                        .map(|(key, (null, value))| {
                            let there = if key.to == 0 { PEOPLE } else { counts[key.to - 1] };
                            (!(null && key.nullable) && there > 0).then(|| 1 + i64::from(value) % there.max(1))
                        })
                        .collect()
                })
                // A row that may not be null and has nothing to refer to cannot be.
                .filter(|row: &Vec<Option<i64>>| keys.iter().zip(row).all(|(key, value)| key.nullable || value.is_some()))
                .collect();
        }
        // Rows that were left out must not be referred to.
        for at in 0..made.len() {
            let counts: Vec<i64> = made.iter().map(|table| table.rows.len() as i64).collect();
            let keys = made[at].keys.clone();
            made[at].rows.retain(|row| {
                keys.iter().zip(row).all(|(key, value)| key.to == 0 || value.is_none_or(|value| value <= counts[key.to - 1]))
            });
        }
        let counts: Vec<i64> = made.iter().map(|table| table.rows.len() as i64).collect();
        for table in &mut made {
            for row in &mut table.rows {
                for (key, value) in table.keys.iter().zip(row.iter_mut()) {
                    if key.to > 0 && value.is_some_and(|value| value > counts[key.to - 1]) {
                        *value = (counts[key.to - 1] > 0 || !key.nullable).then_some(1);
                    }
                }
            }
        }
        made
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn statements(world: &[Made]) -> String {
    let mut sql = String::from("create table people (id integer primary key, name text);\n");
    for person in 1..=PEOPLE {
        let _ = writeln!(sql, "insert into people values ({person}, 'p{person}');");
    }
    for table in world {
        let _ = write!(sql, "create table {} (id integer primary key, words text", quoted(&table.name));
        for key in &table.keys {
            let _ = write!(sql, ", {} integer{}", quoted(&key.column), if key.nullable { "" } else { " not null" });
        }
        sql.push_str(");\n");
    }
    sql
}

/// SQLite has references in the table's own statement only; its tables are made with all of them at once.
fn whole(world: &[Made], engine: Engine) -> String {
    let name = |to: usize| if to == 0 { "people".to_owned() } else { quoted(&world[to - 1].name) };
    let mut sql = statements(world);
    if engine == Engine::Sqlite {
        sql.insert_str(0, "pragma foreign_keys = off;\n");
        for table in world {
            for key in &table.keys {
                let column = format!("{} integer{}", quoted(&key.column), if key.nullable { "" } else { " not null" });
                let own = format!("create table {} (", quoted(&table.name));
                let from = sql.find(&own).unwrap();
                let at = from + sql[from..].find(&column).unwrap() + column.len();
                sql.insert_str(at, &format!(" references {} (id)", name(key.to)));
            }
        }
    }
    for table in world {
        for (at, row) in table.rows.iter().enumerate() {
            let values: Vec<String> =
                row.iter().map(|value| value.map_or("null".to_owned(), |value| value.to_string())).collect();
            let values = if values.is_empty() { String::new() } else { format!(", {}", values.join(", ")) };
            let _ = writeln!(sql, "insert into {} values ({}, 'w{at}'{values});", quoted(&table.name), at + 1);
        }
    }
    if engine != Engine::Sqlite {
        for table in world {
            for key in &table.keys {
                let _ = writeln!(
                    sql,
                    "alter table {} add foreign key ({}) references {} (id);",
                    quoted(&table.name),
                    quoted(&key.column),
                    name(key.to)
                );
            }
        }
    }
    sql
}

/// Everybody to whom some chain of references leads from a row, over all references there are.
fn owners(world: &[Made], table: usize, row: usize, seen: &mut BTreeSet<(usize, usize)>) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    if !seen.insert((table, row)) {
        return found;
    }
    for (key, value) in world[table].keys.iter().zip(&world[table].rows[row]) {
        match (key.to, value) {
            (_, None) => {}
            (0, Some(person)) => {
                found.insert(*person);
            }
            (to, Some(value)) => found.extend(owners(world, to - 1, *value as usize - 1, seen)),
        }
    }
    found
}

async fn holds(world: &[Made], engine: Engine) {
    let db = Db::new(engine, &quoting(engine, &whole(world, engine))).await;
    let text = drafted(&db, "people", None).await;
    let catalogue = read(&text);
    assert_eq!(complaints(&db, &catalogue).await, [], "{text}");
    let mut exported: BTreeMap<String, usize> = BTreeMap::new();
    for person in 1..=PEOPLE {
        for (section, rows) in rows(&db, &catalogue, &person.to_string()).await {
            if section == "People" {
                assert!(rows.len() == 1 && rows[0]["id"] == person, "{rows:?}");
                continue;
            }
            // The longest name that the title begins with is the table's.
            let title = |table: &Made| {
                let words = table.name.replace(['_', '"'], " ");
                words.split(' ').map(|word| word.to_lowercase()).collect::<Vec<_>>().join(" ")
            };
            let at = (0..world.len())
                .filter(|at| section.to_lowercase().starts_with(&title(&world[*at])))
                .max_by_key(|at| title(&world[*at]).len())
                .unwrap_or_else(|| panic!("{section} is of no table: {text}"));
            for row in rows {
                let id = row["id"].as_u64().unwrap() as usize;
                let of = owners(world, at, id - 1, &mut BTreeSet::new());
                assert!(of.contains(&person), "row {id} of {} is of {of:?}, not of {person}: {text}", world[at].name);
                *exported.entry(format!("{at}/{id}")).or_default() += 1;
            }
        }
    }
    // What refers to the people itself is all there, as often as it refers to them.
    for (at, table) in world.iter().enumerate() {
        for (id, row) in table.rows.iter().enumerate() {
            let direct = table.keys.iter().zip(row).filter(|(key, value)| key.to == 0 && value.is_some()).count();
            if table.keys.iter().any(|key| key.to == 0) {
                let found = exported.get(&format!("{at}/{}", id + 1)).copied().unwrap_or_default();
                assert_eq!(found, direct, "row {} of {}: {text}", id + 1, table.name);
            }
        }
    }
}

fn run(engine: Engine, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() });
    runner
        .run(&world(), |world| {
            runtime.block_on(holds(&world, engine));
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_schemas_sqlite() {
    run(Engine::Sqlite, 48);
}

#[test]
fn random_schemas_postgres() {
    if postgres_is_there() {
        run(Engine::Postgres, 12);
    }
}

#[test]
fn random_schemas_mysql() {
    if mysql_is_there() {
        run(Engine::Mysql, 12);
    }
}
