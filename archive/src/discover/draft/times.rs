//! What columns hold whose types do not say it: times as numbers, truth values, JSON in texts.

use super::{Sample, UNSURE};
use crate::catalogue::Engine;
use crate::discover::guess::{self, Stored, Value};
use crate::discover::schema::{Column, ColumnKind, Table};

/// What the columns' values are, where their types do not say it.
pub(super) struct Times<'t> {
    pub(super) engine: Engine,
    pub(super) sample: Option<&'t Sample>,
    /// Names, and the fields' insides.
    pub(super) fields: Vec<(String, String)>,
    pub(super) notes: &'t mut Vec<String>,
}

impl Times<'_> {
    fn values(&self, name: &str) -> Vec<&Value> {
        self.sample.and_then(|sample| sample.get(name)).map(|values| values.iter().collect()).unwrap_or_default()
    }

    fn stored(&self, column: &Column) -> Option<Stored> {
        let by_name = guess::timely(&column.name) || matches!(column.kind, ColumnKind::Timestamp | ColumnKind::Date);
        by_name.then(|| guess::stored(&self.values(&column.name))).flatten()
    }

    pub(super) fn field(&mut self, column: &Column) {
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
    pub(super) fn time(&self, table: &Table, kept: &[&Column]) -> Option<(String, bool)> {
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
