//! The words of fields, keys of the person, nested rows and look-ups.

use super::{FieldKind, Place, Query, Section, TimeFormat, TimeFrom};
use crate::catalogue::sql::{Bind, scan};
use crate::subject::SubjectType;

/// How many values a key of the person may have.
pub(crate) const MAX_KEY_VALUES: usize = 1_000;

/// A further key of the person: what names them in another database.
#[derive(Clone, Debug)]
pub struct SubjectKey {
    /// Its name; queries bind it as `:name`.
    pub name: String,
    /// What its values are.
    pub kind: SubjectType,
    /// Whether a person may have several.
    pub many: bool,
    /// What happens to a person who has none.
    pub missing: Missing,
    /// The query that finds it, as a section of its own.
    pub section: Section,
    /// Where it was declared.
    pub place: Place,
}

/// What happens when a person has no value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The sections that need it are empty.
    Empty,
    /// The request fails.
    Fail,
}

/// Rows of another query within the rows of a section.
#[derive(Clone, Debug)]
pub struct Nest {
    /// The key that holds them.
    pub field: String,
    /// The query and what is known of its columns, as a section of its own.
    pub section: Section,
    /// The columns of the section and of the query that must be equal.
    pub on: Vec<(String, String)>,
}

/// What is fetched for the rows of a section by batches of their values.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The section's column that holds the value.
    pub column: String,
    /// The query, as a section of its own.
    pub section: Section,
    /// The query's column that holds the value.
    pub key: String,
    /// The query's columns that are written, and their names in the archive.
    pub fields: Vec<(String, String)>,
    /// What the values are bound as; by default as what they are.
    pub kind: Option<SubjectType>,
    /// How many values are asked for at once.
    pub batch: usize,
}

/// Whose data a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The person's own.
    Own,
    /// Somebody else's.
    Other,
    /// The person's and others', such as a conversation's.
    Shared,
}

/// What becomes of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rule {
    /// They are written.
    #[default]
    Keep,
    /// As little is written as tells one from another: initials, a domain, two digits.
    Minimal,
    /// A name that stands for the value and does not tell it.
    Pseudonym,
    /// The person's own identifier becomes the one that the app knows them by.
    OpenId,
    /// The field is left out.
    Omit,
}

/// How long a pseudonym stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Stable {
    /// In all archives of a grant.
    #[default]
    Grant,
    /// In one archive.
    Archive,
}

/// How the operator came by a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The person gave it.
    Provided,
    /// It was seen as they used the service.
    Observed,
    /// It was worked out from other data.
    Derived,
}

/// What form a field's texts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A person's name.
    Name,
    /// A URI.
    Uri,
    /// A UUID.
    Uuid,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A host's name.
    Hostname,
    /// A country's code of ISO 3166.
    Country,
    /// A language's tag of BCP 47.
    Language,
    /// A currency's code of ISO 4217.
    Currency,
}

macro_rules! said {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            pub(super) const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];

            /// The word of the catalogue file.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}

said!(Missing { Empty = "empty", Fail = "fail" });
said!(Whose { Own = "self", Other = "other", Shared = "shared" });
said!(Rule { Keep = "keep", Minimal = "minimal", Pseudonym = "pseudonym", OpenId = "open_id", Omit = "omit" });
said!(Stable { Grant = "grant", Archive = "archive" });
said!(Origin { Provided = "provided", Observed = "observed", Derived = "derived" });
said!(Format {
    Email = "email",
    Phone = "phone",
    Name = "name",
    Uri = "uri",
    Uuid = "uuid",
    Ipv4 = "ipv4",
    Ipv6 = "ipv6",
    Hostname = "hostname",
    Country = "country",
    Language = "language",
    Currency = "currency",
});

/// How the column stores its times that `:since` and `:until` are compared with.
#[derive(Clone, Debug)]
pub(crate) struct TimeUnit {
    pub(crate) from: TimeFrom,
    /// Whether it holds days: a day is its first moment.
    pub(crate) days: bool,
    /// How texts are written.
    pub(crate) format: TimeFormat,
}

impl Section {
    /// A query that fills no section of its own.
    pub(super) fn inner(path: Vec<String>, query: Query, fields: Vec<super::Field>, place: Place) -> Self {
        Self {
            categories: Vec::new(),
            path,
            text: None,
            shape: super::Shape::List,
            empty: super::Empty::List,
            query: Some(query),
            fields,
            media: None,
            nests: Vec::new(),
            lookups: Vec::new(),
            shared: false,
            text_line: None,
            text_group: None,
            text_title: None,
            text_empty: None,
            place,
        }
    }

    /// The section's own query and those of its nested rows and look-ups, each as a section.
    pub(crate) fn queries(&self) -> impl Iterator<Item = &Section> {
        let own = self.query.is_some().then_some(self);
        let nests = self.nests.iter().map(|nest| &nest.section);
        own.into_iter().chain(nests).chain(self.lookups.iter().map(|lookup| &lookup.section))
    }

    /// How many readings of each source the section needs at once. Look-ups of one source share one.
    pub(crate) fn needs(&self) -> Vec<(&str, usize)> {
        let mut asked: Vec<&str> = Vec::new();
        for lookup in &self.lookups {
            if !asked.contains(&lookup.section.source_name()) {
                asked.push(lookup.section.source_name());
            }
        }
        let own = self.query.is_some().then_some(self);
        let streams = own.into_iter().chain(self.nests.iter().map(|nest| &nest.section)).map(Section::source_name);
        let mut needs: Vec<(&str, usize)> = Vec::new();
        for name in streams.chain(asked) {
            match needs.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => needs.push((name, 1)),
            }
        }
        needs
    }

    /// The name of the source that its own query reads from.
    pub(crate) fn source_name(&self) -> &str {
        self.query.as_ref().map_or("", |query| query.source.as_str())
    }

    /// The columns among these that a section with declared fields does not declare: what a `select *` would let out unseen.
    pub fn undeclared(&self, columns: &[impl AsRef<str>]) -> Vec<String> {
        let Some(query) = &self.query else { return Vec::new() };
        if self.fields.is_empty() {
            return Vec::new();
        }
        let owner = match &query.owner {
            super::Owner::Column(owner) => Some(owner.as_str()),
            super::Owner::Unchecked(_) => None,
        };
        let known = |name: &str| {
            self.field(name).is_some()
                || query.hidden.iter().chain(&query.paired).any(|known| known == name)
                || owner == Some(name)
                || self.group_column() == Some(name)
        };
        columns.iter().map(AsRef::as_ref).filter(|name| !known(name)).map(str::to_owned).collect()
    }

    /// How the column of `time` stores its times, as far as the catalogue says. What the database itself types as a time needs none.
    pub(crate) fn time_unit(&self) -> Option<TimeUnit> {
        let query = self.query.as_ref()?;
        if let (None, Some(unit)) = (query.time_from, &query.range) {
            return Some(unit.clone());
        }
        let times = || {
            self.fields.iter().filter_map(|field| match &field.kind {
                FieldKind::Timestamp(time) => Some((field, time.from, false)),
                FieldKind::Date(time) => Some((field, time.from, true)),
                _ => None,
            })
        };
        // The column itself, or else what all times of the section have in common.
        let named = query.time.as_deref().and_then(|name| times().find(|(field, ..)| field.name == name));
        let said = named.or_else(|| {
            let mut all = times().filter(|(_, from, _)| from.is_some());
            let first = all.next()?;
            all.all(|(_, from, days)| (from, days) == (first.1, first.2)).then_some(first)
        });
        let days = said.is_some_and(|(_, _, days)| days);
        let from = query.time_from.or_else(|| said.and_then(|(_, from, _)| from))?;
        let format = match &query.time_as {
            Some(format) => format.clone(),
            None if days => TimeFormat::date(),
            None => TimeFormat::date_time(""),
        };
        Some(TimeUnit { from, days, format })
    }
}

impl super::Catalogue {
    /// The person's further keys, in order of declaration.
    pub fn keys(&self) -> &[SubjectKey] {
        &self.keys
    }

    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&SubjectKey> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Whether any field is written under a pseudonym.
    pub fn has_pseudonyms(&self) -> bool {
        self.queries().flat_map(|section| &section.fields).any(|field| field.rule == Rule::Pseudonym)
    }

    /// The person's keys that a query binds, or compares its owner with.
    pub(crate) fn keys_of(&self, section: &Section) -> Vec<&SubjectKey> {
        let Some(query) = section.query.as_ref().filter(|_| !self.keys.is_empty()) else { return Vec::new() };
        let Some(source) = self.source(&query.source) else { return Vec::new() };
        let found = scan(&query.sql, source.kind.dialect());
        let bound = |key: &SubjectKey| {
            query.owner_is.as_deref() == Some(&key.name)
                || found.binds.iter().any(|(_, bind)| matches!(bind, Bind::Key(name) if **name == *key.name))
        };
        self.keys.iter().filter(|key| bound(key)).collect()
    }

    /// Every query of the catalogue, as a section: those of sections, nested rows, look-ups and keys.
    pub(crate) fn queries(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().flat_map(Section::queries).chain(self.keys.iter().map(|key| &key.section))
    }

    /// Writes `:keys` of look-ups out, one bind for each value of a batch.
    pub(super) fn write_out_batches(&mut self) {
        let dialects: Vec<_> = self.sources.iter().map(|source| (source.name.clone(), source.kind.dialect())).collect();
        for lookup in self.sections.iter_mut().flat_map(|section| &mut section.lookups) {
            let Some(query) = &mut lookup.section.query else { continue };
            let Some((_, dialect)) = dialects.iter().find(|(name, _)| *name == query.source) else { continue };
            let mut sql = String::with_capacity(query.sql.len() + lookup.batch * 12);
            let mut from = 0;
            for (range, bind) in scan(&query.sql, *dialect).binds {
                if matches!(&bind, Bind::Key(name) if **name == *"keys") {
                    sql.push_str(&query.sql[from..range.start]);
                    let names: Vec<String> = (0..lookup.batch).map(|at| format!(":{}", batch_name(at))).collect();
                    sql.push_str(&names.join(", "));
                    from = range.end;
                }
            }
            sql.push_str(&query.sql[from..]);
            query.sql = sql;
        }
    }
}

/// The bind of one value of a batch.
pub(crate) fn batch_name(at: usize) -> String {
    format!("keys_{at}")
}
