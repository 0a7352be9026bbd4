//! The tables between a section's rows and the person, as a query joins them.

use std::fmt::Write;

use super::Ground;
use crate::catalogue::Engine;
use crate::discover::guess;
use crate::discover::quote::identifier;
use crate::discover::schema::{Column, ColumnKind, Table};
use crate::discover::ways::{Hop, Way};

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

pub(super) fn table_name(ground: &Ground<'_>, table: &Table) -> String {
    let name = identifier(ground.engine, &table.name);
    match (&table.schema, ground.engine) {
        (Some(schema), _) => format!("{}.{name}", identifier(ground.engine, schema)),
        // Whatever the role's search path is.
        (None, Engine::Postgres) => format!("public.{name}"),
        (None, _) => name,
    }
}

/// The tables between a row and the person.
pub(super) struct Joins<'w> {
    hops: &'w [Hop],
    pub(super) aliases: Vec<String>,
    /// What is compared with the person.
    pub(super) subject: String,
    /// The column that is compared, where it is one of the section's own table.
    own: Option<String>,
    /// What is selected as the owner otherwise.
    expression: String,
}

impl<'w> Joins<'w> {
    pub(super) fn of(ground: &Ground<'_>, at: usize, way: &'w Way) -> Self {
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
    pub(super) fn owner(&self, ground: &Ground<'_>, kept: &[&Column], selected: &mut Vec<String>) -> String {
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

    pub(super) fn text(&self, ground: &Ground<'_>) -> String {
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
    pub(super) fn by_key(&self, ground: &Ground<'_>, way: &[Hop]) -> bool {
        let key = [ground.key.to_owned()];
        ground.schema.tables[ground.ways.person].is_unique(&key) && way.iter().all(|hop| !hop.columns.is_empty())
    }
}
