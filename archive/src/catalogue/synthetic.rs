//! A catalogue without its databases: the same categories, sections, shapes and fields, filled with made-up values that nobody could take for real
//! ones. What it writes is a sample of the archives of the real one, for those who are to read them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Address, Catalogue, Engine, FieldKind, HttpSpec, Nest, Owner, Part, Place, Query, Rule, Section, Shape, Snapshot, SourceSpec,
    TimeFrom,
};

/// The one source of a synthetic catalogue.
const SOURCE: &str = "made up";
/// How many rows a list has.
const ROWS: usize = 3;
/// 2026-01-15T09:30:00Z.
const MOMENT: i64 = 1_768_469_400;

impl Catalogue {
    /// The catalogue with made-up values in every section. It reads an empty SQLite file, whatever the real one reads.
    pub fn synthetic(&self, empty_file: &std::path::Path) -> Catalogue {
        let place = Place { file: Arc::from(SOURCE), line: 1 };
        let source = SourceSpec {
            name: SOURCE.to_owned(),
            kind: Engine::Sqlite,
            address: Address::Url(format!("sqlite:{}", empty_file.display())),
            snapshot: Snapshot::None,
            max_snapshot: Duration::from_secs(60),
            max_concurrent: 64,
            statement_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            person: None,
            http: HttpSpec::default(),
            place,
        };
        let sections = self.sections.iter().map(|section| section.synthetic(None)).collect();
        Catalogue { sources: vec![source], sections, keys: Vec::new(), stores: Vec::new(), excuses: Vec::new(), ..self.clone() }
    }
}

impl Section {
    /// The columns that its rows have in an archive, as far as the catalogue and the text of its query say, in the query's order, and the fields that
    /// hold nested rows. Hidden ones and omitted ones are not among them.
    pub fn columns(&self) -> Vec<String> {
        let Some(query) = &self.query else { return Vec::new() };
        let kept_back = |name: &String| match self.field(name) {
            Some(field) => field.rule == Rule::Omit,
            None => query.paired.contains(name),
        };
        let nests = self.nests.iter().map(|nest| nest.field.clone());
        self.known_columns().into_iter().filter(|name| !query.hidden.contains(name) && !kept_back(name)).chain(nests).collect()
    }

    fn known_columns(&self) -> Vec<String> {
        let Some(query) = &self.query else { return Vec::new() };
        let templates = [&self.text_line, &self.text_group].into_iter().flatten().flat_map(|template| &template.0);
        let named = templates.filter_map(|part| match part {
            Part::Column(name) => Some(name.clone()),
            Part::Literal(_) => None,
        });
        let declared = self.fields.iter().map(|field| field.name.clone());
        let group = self.group_column().map(str::to_owned);
        let looked_up = self.lookups.iter().flat_map(|lookup| lookup.fields.iter().map(|(_, field)| field.clone()));
        let pairs = self.nests.iter().flat_map(|nest| nest.on.iter().map(|(outer, _)| outer.clone()));
        let paired = query.paired.iter().cloned();
        let mut seen = BTreeSet::new();
        let all = outputs(&query.sql)
            .unwrap_or_default()
            .into_iter()
            .chain(declared)
            .chain(named)
            .chain(group)
            .chain(looked_up)
            .chain(pairs)
            .chain(paired);
        all.filter(|name| seen.insert(name.clone())).collect()
    }

    /// With one row for each of `within` rows, if it is nested.
    fn synthetic(&self, within: Option<usize>) -> Section {
        let mut section = self.clone();
        let Some(query) = &self.query else { return section };
        // What is looked up is made up like the rest.
        section.lookups.clear();
        for field in &mut section.fields {
            // Made-up people need no other names.
            if field.rule != Rule::Omit {
                field.rule = Rule::Keep;
            }
            if let FieldKind::Timestamp(time) | FieldKind::Date(time) = &mut field.kind {
                time.from = Some(TimeFrom::Seconds);
            }
        }
        let columns = self.known_columns();
        let rows = match self.shape {
            Shape::Object | Shape::Value => 1,
            _ if columns.is_empty() => 0,
            _ => within.unwrap_or(ROWS),
        };
        section.nests = self.nests.iter().filter_map(|nest| nest.synthetic(rows)).collect();
        let paired: Vec<&str> = self.nests.iter().flat_map(|nest| &nest.on).map(|(outer, _)| outer.as_str()).collect();
        let paired: Vec<&str> = paired.into_iter().chain(query.paired.iter().map(String::as_str)).collect();
        let sql = if columns.is_empty() {
            "select 1 as nothing where 1 = 0".to_owned()
        } else {
            (0..rows).map(|row| self.made_up(&columns, &paired, row)).collect::<Vec<_>>().join(" union all ")
        };
        let mut hidden: Vec<String> = query.hidden.iter().filter(|name| columns.contains(name)).cloned().collect();
        if columns.is_empty() {
            hidden.push("nothing".into());
        }
        let owner = Owner::Unchecked("made up".into());
        section.query = Some(Query {
            source: SOURCE.into(),
            sql,
            owner,
            owner_is: None,
            key: Vec::new(),
            time: None,
            time_from: None,
            time_as: None,
            hidden,
            range: None,
            paired: query.paired.clone(),
        });
        section
    }

    /// One row of made-up values, as a statement.
    fn made_up(&self, columns: &[String], paired: &[&str], row: usize) -> String {
        let mut sql = String::from("select ");
        for (at, name) in columns.iter().enumerate() {
            let number = row + 1;
            let moment = MOMENT - i64::try_from(row).unwrap_or(0) * 86_400;
            let value = match self.field(name).map(|field| &field.kind) {
                // Nested rows find theirs by it.
                _ if paired.contains(&name.as_str()) => number.to_string(),
                Some(FieldKind::Integer | FieldKind::Number) => number.to_string(),
                Some(FieldKind::Boolean) => (number % 2).to_string(),
                Some(FieldKind::Timestamp(_)) => moment.to_string(),
                Some(FieldKind::Date(_)) => (moment - moment % 86_400).to_string(),
                Some(FieldKind::Json) => "'[\"made up\"]'".into(),
                // The rows of a group come one after another, so each is a group of its own; keys differ.
                Some(FieldKind::String | FieldKind::Any) | None => literal(&format!("Made-up {name} {number}")),
            };
            let comma = if at == 0 { "" } else { ", " };
            // Writing into a string does not fail.
            let _ = write!(sql, "{comma}{value} as {}", identifier(name));
        }
        sql
    }
}

impl Nest {
    /// None when nothing is known that it would write.
    fn synthetic(&self, rows: usize) -> Option<Nest> {
        let writes = |name: &String| !self.on.iter().any(|(_, inner)| inner == name) || self.section.field(name).is_some();
        self.section.columns().iter().any(writes).then(|| Nest { section: self.section.synthetic(Some(rows)), ..self.clone() })
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The names of the columns that a query gives, read off its text: the first list of `select` outside of all parentheses. `None` when the text does not
/// say them, as with `*`.
pub(super) fn outputs(sql: &str) -> Option<Vec<String>> {
    let mut items: Vec<Vec<String>> = Vec::new();
    let mut inside = false;
    for token in tokens(sql) {
        let word = token.to_ascii_lowercase();
        match word.as_str() {
            "select" if !inside => {
                inside = true;
                items.push(Vec::new());
            }
            "from" | "where" | "union" | "order" | "limit" if inside => break,
            "," if inside => items.push(Vec::new()),
            _ if inside => items.last_mut()?.push(token),
            _ => {}
        }
    }
    let name = |item: &Vec<String>| {
        let last = item.last()?;
        let plain = last.starts_with('"') || last.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
        plain.then(|| last.strip_prefix('"').unwrap_or(last).to_owned())
    };
    let names: Option<Vec<String>> = items.iter().map(name).collect();
    names.filter(|names| !names.is_empty())
}

/// Words, quoted names (with the quote before them) and signs outside of all parentheses. What is within is one sign.
fn tokens(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut letters = sql.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    found.push("()".to_owned());
                }
            }
            '-' if letters.peek() == Some(&'-') => while letters.next().is_some_and(|letter| letter != '\n') {},
            '\'' | '"' => {
                let mut text = String::new();
                while let Some(inner) = letters.next() {
                    if inner == letter {
                        if letters.peek() != Some(&letter) {
                            break;
                        }
                        // Written twice, it is one.
                        letters.next();
                    }
                    text.push(inner);
                }
                if depth == 0 {
                    found.push(if letter == '"' { format!("\"{text}") } else { "''".to_owned() });
                }
            }
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(next) = letters.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(next);
                }
                if depth == 0 {
                    found.push(word);
                }
            }
            c if c.is_whitespace() => {}
            c if depth == 0 => found.push(c.to_string()),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_query_are_read_off_its_text() {
        let of = |sql: &str| outputs(sql).map(|names| names.join("|"));
        assert_eq!(of("select id, user_id, at as \"Date\" from x").as_deref(), Some("id|user_id|Date"));
        assert_eq!(
            of("select u.id as user_id, coalesce(p.a, 'from, x') as \"A \"\"b\"\"\" from u").as_deref(),
            Some("user_id|A \"b\"")
        );
        assert_eq!(of("with a as (select 1 as x, 2 as y) select y from a").as_deref(), Some("y"));
        assert_eq!(
            of("select a -- b, c\n, case when a then 'x' else 'y' end as d from t union all select 1, 2").as_deref(),
            Some("a|d")
        );
        assert_eq!(of("select * from t"), None);
        assert_eq!(of("select count(*) from t"), None);
        assert_eq!(of("delete"), None);
    }
}
