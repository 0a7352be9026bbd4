//! The rules of keys of the person, nested rows, look-ups and fields that are not written as they are.

use super::rules::Rules;
use super::sql::{Bind, Dialect, Scan, scan};
use super::{Nest, Owner, Part, Query, Rule, Section, Shape, TimeFrom};

/// What a query is asked with.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Asks {
    /// The person: the subject, their keys, and the range.
    Person,
    /// The subject alone: keys do not depend on keys.
    Subject,
    /// A batch of values.
    Batch,
}

impl Rules<'_> {
    pub(super) fn keys(&self) {
        for key in &self.catalogue.keys {
            let Some(query) = &key.section.query else { continue };
            self.source(&key.section, query, Asks::Subject);
            if query.owner == Owner::Unchecked(String::new())
                && let Some(section) = self.catalogue.queries().find(|section| owner_is(section) == Some(&key.name))
            {
                self.fault(
                    &key.place,
                    format!(
                        "the owners of \"{}\" are compared with the key `{}`, and nothing says whose the key is",
                        section.name(),
                        key.name
                    ),
                    "let the key's query return the column that holds the subject, and name it: owner = \"user_id\"; \
                     or write owner = \"unchecked\" with an owner_reason",
                );
            }
        }
    }

    /// Whether the binds of a query are ones that it is given.
    pub(super) fn binds(&self, section: &Section, found: &Scan, asks: Asks) {
        let mut named = false;
        for (_, bind) in &found.binds {
            let (fits, name): (bool, &str) = match bind {
                Bind::Subject => {
                    named |= asks != Asks::Batch;
                    (asks != Asks::Batch, "subject")
                }
                Bind::Since => (asks == Asks::Person, "since"),
                Bind::Until => (asks == Asks::Person, "until"),
                Bind::Key(name) if asks == Asks::Batch && **name == *"keys" => {
                    named = true;
                    (true, name)
                }
                Bind::Key(name) => {
                    let known = asks == Asks::Person && self.catalogue.key(name).is_some();
                    named |= known;
                    (known, name)
                }
            };
            if !fits {
                self.fault(
                    &section.place,
                    format!("the query has a parameter `:{name}` that nothing fills"),
                    match asks {
                        Asks::Person => {
                            "use :subject, :since, :until and the names of [subject.key.*]; \
                             write a blank after a colon that is none"
                        }
                        Asks::Subject => "a key is found by :subject alone",
                        Asks::Batch => "a look-up is asked with :keys alone: where id in (:keys)",
                    },
                );
            }
        }
        if !named && asks == Asks::Batch {
            self.fault(&section.place, "the query of a look-up has no :keys", "fetch by them: where id in (:keys)");
        } else if !named {
            self.fault(
                &section.place,
                "the query has no :subject, so it reads everybody's rows",
                "compare a column with :subject, or with a key of the person: where user_id = :subject",
            );
        }
    }

    /// What a query says of keys of the person.
    fn uses(&self, section: &Section) {
        let Some(query) = &section.query else { return };
        let keys = self.catalogue.keys_of(section);
        let many: Vec<&str> = keys.iter().filter(|key| key.many).map(|key| key.name.as_str()).collect();
        if many.len() > 1 {
            self.fault(
                &section.place,
                format!("the query uses {}, which may each have many values", many.join(" and ")),
                "a query runs once for each value of one such key; read the others in sections of their own",
            );
        }
        let Some(wanted) = &query.owner_is else { return };
        if self.catalogue.key(wanted).is_none() {
            self.fault(
                &section.place,
                format!("`owner_is` names a key `{wanted}` that is not declared"),
                format!("declare [subject.key.{wanted}]"),
            );
        } else if !self.is_bound(query, wanted) {
            self.fault(
                &section.place,
                format!("`owner_is` names the key `{wanted}`, and the query has no :{wanted}"),
                format!("read by it: where customer_no = :{wanted}"),
            );
        }
    }

    fn is_bound(&self, query: &Query, key: &str) -> bool {
        let dialect = self.catalogue.source(&query.source).map_or(Dialect::Postgres, |source| source.kind.dialect());
        scan(&query.sql, dialect).binds.iter().any(|(_, bind)| matches!(bind, Bind::Key(name) if **name == *key))
    }

    /// What belongs to a section beside its own query.
    pub(super) fn joined(&self, section: &Section) {
        self.uses(section);
        self.ruled(section);
        self.range(section);
        let Some(query) = &section.query else { return };
        for (what, any) in [("nested rows", !section.nests.is_empty()), ("look-ups", !section.lookups.is_empty())] {
            if any && section.shape == Shape::Value {
                self.fault(&section.place, format!("a value has no {what}"), "use shape = \"object\" or \"list\"");
            }
        }
        if !section.nests.is_empty() && section.text_line.is_some() {
            self.fault(
                &section.place,
                "a line has no place for nested rows",
                "take `text_line` out, or read the rows in a section of their own",
            );
        }
        let mut names: Vec<&str> = section.nests.iter().map(|nest| nest.field.as_str()).collect();
        names.extend(section.lookups.iter().flat_map(|lookup| lookup.fields.iter().map(|(_, field)| field.as_str())));
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) || query.hidden.iter().any(|hidden| hidden == name) {
                self.fault(
                    &section.place,
                    format!("two fields of the section are named `{name}`"),
                    "each nested list, looked-up field and column needs a name of its own",
                );
            }
        }
        for nest in &section.nests {
            self.nest(section, nest);
        }
        for lookup in &section.lookups {
            let Some(query) = &lookup.section.query else { continue };
            self.source(&lookup.section, query, Asks::Batch);
        }
        for (name, count) in section.needs() {
            let Some(source) = self.catalogue.source(name) else { continue };
            if count > 1 && !source.kind.reads_together() {
                self.fault(
                    &section.place,
                    format!("the section reads {count} queries of the source `{name}` at once, which its kind cannot"),
                    "read them in sections of their own, or join them in one query",
                );
            } else if count > source.max_concurrent {
                self.fault(
                    &section.place,
                    format!("the section reads {count} queries of the source `{name}` at once"),
                    format!("raise its max_concurrent to {count} at least"),
                );
            }
        }
    }

    fn nest(&self, section: &Section, nest: &Nest) {
        let Some(query) = &nest.section.query else { return };
        self.source(&nest.section, query, Asks::Person);
        self.uses(&nest.section);
        self.ruled(&nest.section);
        let outer_keys: Vec<&str> = self.catalogue.keys_of(section).iter().map(|key| key.name.as_str()).collect();
        for key in self.catalogue.keys_of(&nest.section).iter().filter(|key| key.many) {
            if !outer_keys.contains(&key.name.as_str()) {
                self.fault(
                    &nest.section.place,
                    format!("the nested query runs for each value of `{}`, and the section's does not", key.name),
                    "use the same key in both, so that both come in one order",
                );
            }
        }
        // Rows within rows that are left out would find no place.
        let found =
            scan(&query.sql, self.catalogue.source(&query.source).map_or(Dialect::Postgres, |source| source.kind.dialect()));
        let ranged = [Bind::Since, Bind::Until].iter().all(|wanted| found.binds.iter().any(|(_, bind)| bind == wanted));
        if section.query.as_ref().is_some_and(|query| query.time.is_some()) && !ranged {
            self.fault(
                &nest.section.place,
                "the section has a `time`, and its nested query has no :since and :until",
                "join the section's table in it, and compare the same column with both",
            );
        }
        for (column, _) in &nest.on {
            if section.lookups.iter().any(|lookup| lookup.fields.iter().any(|(_, field)| field == column)) {
                self.fault(
                    &nest.section.place,
                    format!("`on` names `{column}`, which is looked up"),
                    "pair columns of the two queries",
                );
            }
        }
    }

    /// Rules for values, where they cannot hold.
    fn ruled(&self, section: &Section) {
        for field in section.fields.iter().filter(|field| field.rule != Rule::Keep) {
            if section.group_column() == Some(&field.name) && field.rule != Rule::Pseudonym {
                self.fault(
                    &section.place,
                    format!("the groups' column `{}` has the rule \"{}\"", field.name, field.rule.as_str()),
                    "two groups could become one; choose rule = \"pseudonym\" or \"keep\"",
                );
            }
            if section.shape == Shape::Value && field.rule == Rule::Omit {
                self.fault(&section.place, "the section's only value is omitted", "take the section out, or choose another rule");
            }
            let named = section.text_line.iter().flat_map(|template| &template.0);
            if field.rule == Rule::Omit && named.into_iter().any(|part| *part == Part::Column(field.name.clone())) {
                self.fault(
                    &section.place,
                    format!("`text_line` writes `{}`, which is omitted", field.name),
                    "take it out of the line, or choose another rule",
                );
            }
        }
    }

    /// SQLite does not say what a column's times are, so the catalogue must: a range would be compared with something else.
    fn range(&self, section: &Section) {
        let Some(query) = &section.query else { return };
        let Some(source) = self.catalogue.source(&query.source) else { return };
        if query.time.is_some() && source.kind == super::Engine::Sqlite && section.time_unit().is_none() {
            self.fault(
                &section.place,
                "`time` is given, but nothing says how its column stores times",
                "write time_from = \"unix_ms\", \"unix_s\", \"unix_us\" or \"text\", or declare the field with its `from`",
            );
        }
        if query.time_as.is_some() && section.time_unit().is_some_and(|unit| unit.from != TimeFrom::Text) {
            self.fault(&section.place, "`time_as` is only for times that are texts", "take it out");
        }
    }
}

fn owner_is(section: &Section) -> Option<&str> {
    section.query.as_ref()?.owner_is.as_deref()
}
