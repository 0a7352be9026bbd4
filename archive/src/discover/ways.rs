//! From every table to the person: over which references a row says whose it is.

use std::collections::HashSet;

use super::guess;
use super::schema::{ColumnKind, ForeignKey, Schema, Table};

/// More ways than this from one table say too little each.
const MAX_WAYS: usize = 6;

/// One step from a table to another that is nearer to the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    /// The table that the step begins at.
    pub(super) from: usize,
    /// Its columns.
    pub(super) columns: Vec<String>,
    /// The table that it leads to.
    pub(super) to: usize,
    /// That table's columns.
    pub(super) to_columns: Vec<String>,
    /// Whether a foreign key says so.
    pub(super) declared: bool,
    /// Whether it goes against the reference: the person's row points to this one.
    pub(super) against: bool,
}

/// The steps from a table to the person; none for the person's own table.
pub(super) type Way = Vec<Hop>;

/// How the tables belong to the person.
#[derive(Debug)]
pub(super) struct Ways {
    /// The person's table.
    pub(super) person: usize,
    /// The tables that belong to the person, in the order in which they were reached.
    pub(super) reached: Vec<usize>,
    /// For each table the first steps that are taken.
    first: Vec<Vec<Hop>>,
    /// For each table the steps that could be taken too, and are not.
    pub(super) others: Vec<Vec<Hop>>,
}

/// Whether a step from a table is of a kind.
type Fits<'f> = dyn Fn(&Hop, &Table) -> bool + 'f;

/// Finds the ways of all tables. Declared references come before guessed ones, those to the person's own table before others, those that are never
/// null before those that may be, and short ones before long ones.
pub(super) fn find(schema: &Schema, person: usize) -> Ways {
    let keys: Vec<Vec<ForeignKey>> = schema
        .tables
        .iter()
        .enumerate()
        .map(|(at, table)| table.foreign_keys.iter().cloned().chain(guessed(schema, at, person)).collect())
        .collect();
    let mut ways = Ways {
        person,
        reached: vec![person],
        first: vec![Vec::new(); schema.tables.len()],
        others: vec![Vec::new(); schema.tables.len()],
    };
    // What belongs to several people at once leads no further.
    let mut ends: HashSet<usize> = HashSet::new();
    let direct = |hop: &Hop, _: &Table| hop.declared && hop.to == person;
    let certain = |hop: &Hop, table: &Table| hop.declared && !table.any_nullable(&hop.columns);
    let declared = |hop: &Hop, _: &Table| hop.declared;
    let any = |_: &Hop, _: &Table| true;
    let steps: [&Fits<'_>; 4] = [&direct, &certain, &declared, &any];
    loop {
        let found = steps.iter().find_map(|fits| {
            let layer = ways.layer(schema, &keys, &ends, *fits);
            (!layer.is_empty()).then_some(layer)
        });
        let layer = match found {
            Some(layer) => layer,
            None => {
                let layer = ways.against(schema, &keys);
                if layer.is_empty() {
                    break;
                }
                for (table, hops) in &layer {
                    let alone = hops.iter().all(|hop| schema.tables[hop.to].is_unique(&hop.to_columns));
                    if !alone {
                        ends.insert(*table);
                    }
                }
                layer
            }
        };
        for (table, hops) in layer {
            ways.reached.push(table);
            ways.first[table] = hops;
        }
    }
    for at in (0..schema.tables.len()).filter(|at| *at != person) {
        let hops = keys[at].iter().map(|key| hop(at, key)).filter(|hop| hop.to != at && ways.reached.contains(&hop.to));
        let taken = &ways.first[at];
        ways.others[at] = hops.filter(|hop| !taken.contains(hop)).collect();
    }
    ways
}

fn hop(from: usize, key: &ForeignKey) -> Hop {
    Hop {
        from,
        columns: key.columns.clone(),
        to: key.to,
        to_columns: key.to_columns.clone(),
        declared: key.declared,
        against: false,
    }
}

impl Ways {
    /// The tables one step from what is reached, by steps of a kind, with those steps. All of a table's lead to the same other one.
    fn layer(&self, schema: &Schema, keys: &[Vec<ForeignKey>], ends: &HashSet<usize>, fits: &Fits<'_>) -> Vec<(usize, Vec<Hop>)> {
        let mut found = Vec::new();
        for (at, table) in schema.tables.iter().enumerate() {
            if self.reached.contains(&at) {
                continue;
            }
            let hops: Vec<Hop> = keys[at]
                .iter()
                .map(|key| hop(at, key))
                .filter(|hop| self.reached.contains(&hop.to) && !ends.contains(&hop.to) && fits(hop, table))
                .collect();
            let Some(nearest) = hops.iter().min_by_key(|hop| self.distance(hop.to)) else { continue };
            let (to, declared, distance) = (nearest.to, nearest.declared, self.distance(nearest.to));
            // A transfer belongs to whom it came from and to whom it went.
            let all = keys[at].iter().filter(|key| key.to == to && key.declared == declared);
            found.push((distance, at, all.map(|key| hop(at, key)).collect()));
        }
        // Only the nearest: what is a step further may find a shorter way by then.
        let nearest = found.iter().map(|(distance, _, _)| *distance).min();
        found.into_iter().filter(|(distance, _, _)| Some(*distance) == nearest).map(|(_, at, hops)| (at, hops)).collect()
    }

    /// Tables that the person's own row points to, and addresses that a row which pairs them with the person points to, if they tell of that
    /// person alone, as far as names and keys say.
    fn against(&self, schema: &Schema, keys: &[Vec<ForeignKey>]) -> Vec<(usize, Vec<Hop>)> {
        let mut found: Vec<(usize, Vec<Hop>)> = Vec::new();
        for from in self.reached.iter().copied() {
            for key in &keys[from] {
                let table = &schema.tables[key.to];
                let belongs = match from == self.person {
                    true => guess::personal(&table.name) || key.declared && schema.tables[from].is_unique(&key.columns),
                    // What pairs people with their addresses has both in its key. Contacts and the like may be others'.
                    false => guess::address(&table.name) && key.declared && self.pairs(&schema.tables[from], from, key),
                };
                if self.reached.contains(&key.to) || !belongs {
                    continue;
                }
                let hop = Hop {
                    from: key.to,
                    columns: key.to_columns.clone(),
                    to: from,
                    to_columns: key.columns.clone(),
                    declared: key.declared,
                    against: true,
                };
                match found.iter_mut().find(|(at, _)| *at == key.to) {
                    Some((_, hops)) if hops.iter().all(|known| known.to == from) => hops.push(hop),
                    Some(_) => {}
                    None => found.push((key.to, vec![hop])),
                }
            }
        }
        found
    }

    /// Whether the table pairs the person's rows with what this key refers to: both references are parts of its primary key.
    fn pairs(&self, table: &Table, at: usize, key: &ForeignKey) -> bool {
        let within = |columns: &[String]| columns.iter().all(|name| table.primary_key.contains(name));
        within(&key.columns) && self.first[at].iter().any(|hop| !hop.against && within(&hop.columns))
    }

    fn distance(&self, table: usize) -> usize {
        let mut at = table;
        let mut steps = 0;
        while let Some(hop) = self.first[at].first() {
            at = hop.to;
            steps += 1;
        }
        steps
    }

    /// All ways of a table that are taken.
    pub(super) fn of(&self, table: usize) -> Vec<Way> {
        if table == self.person {
            return vec![Vec::new()];
        }
        let mut found = Vec::new();
        for hop in &self.first[table] {
            for rest in self.of(hop.to) {
                if found.len() < MAX_WAYS {
                    found.push(std::iter::once(hop.clone()).chain(rest).collect());
                }
            }
        }
        found
    }

    /// How many first steps are taken from a table.
    pub(super) fn choices(&self, table: usize) -> usize {
        self.first[table].len()
    }

    /// Whether the table belongs to the person at all.
    pub(super) fn reaches(&self, table: usize) -> bool {
        self.reached.contains(&table)
    }
}

/// References that nobody declared, but that names and types tell: `customer_id` in a table beside `customers`.
fn guessed(schema: &Schema, at: usize, person: usize) -> Vec<ForeignKey> {
    let table = &schema.tables[at];
    let mut found = Vec::new();
    for column in &table.columns {
        let taken = table.foreign_keys.iter().any(|key| key.columns.contains(&column.name));
        if taken || column.kind == ColumnKind::Boolean {
            continue;
        }
        let name = guess::words(&column.name).concat();
        let target = (0..schema.tables.len())
            .filter(|to| *to != at && schema.tables[*to].view.is_none())
            .filter_map(|to| {
                let key = match schema.tables[to].primary_key.as_slice() {
                    [key] => schema.tables[to].column(key)?,
                    _ => return None,
                };
                let rank = likeness(&name, &schema.tables[to], &guess::words(&key.name).concat(), to == person)?;
                key.kind.fits(column.kind).then(|| (rank, to != person, to, key.name.clone()))
            })
            .min();
        if let Some((_, _, to, key)) = target {
            found.push(ForeignKey { columns: vec![column.name.clone()], to, to_columns: vec![key], declared: false });
        }
    }
    found
}

/// How surely a column's name means the key of a table; less is surer.
fn likeness(column: &str, table: &Table, key: &str, is_person: bool) -> Option<u8> {
    const GENERIC: [&str; 14] =
        ["id", "key", "code", "name", "no", "nr", "number", "uuid", "guid", "email", "type", "status", "pk", "value"];
    let endings = ["id", "no", "nr", "number", "key", "uuid", "guid", "ref", key];
    let named = |name: &str| {
        guess::singulars(&table.name)
            .iter()
            .any(|stem| !stem.is_empty() && endings.iter().any(|end| name == format!("{stem}{end}")))
    };
    if named(column) {
        Some(0)
    } else if !GENERIC.contains(&key) && column == key {
        Some(1)
    } else if is_person && guess::singulars(&table.name).iter().skip(1).any(|stem| stem == column) {
        Some(2)
    } else if is_person && (1..column.len()).any(|at| column.is_char_boundary(at) && named(&column[at..])) {
        Some(3)
    } else {
        None
    }
}
