//! What a database says of itself, the same for every engine.

/// The tables and views of a database.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// All of them, by schema and name.
    pub tables: Vec<Table>,
}

/// A table or a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The schema it is in, where it has to be named: engines without schemas, and the one that is searched first, have none.
    pub schema: Option<String>,
    /// Its name, as the engine spells it.
    pub name: String,
    /// Whether it is a view, and over which tables.
    pub view: Option<Vec<usize>>,
    /// Whether we may read it.
    pub readable: bool,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns of the primary key, or nothing.
    pub primary_key: Vec<String>,
    /// Further sets of columns that no two rows share. Columns that may be null are among them.
    pub unique: Vec<Vec<String>>,
    /// What it refers to.
    pub foreign_keys: Vec<ForeignKey>,
    /// The columns of each index, the primary key's among them, up to the first that is no plain column.
    pub indexes: Vec<Vec<String>>,
    /// About how many rows it has, where the engine can tell without counting.
    pub rows: Option<u64>,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name, as the engine spells it.
    pub name: String,
    /// Its type, as the engine spells it.
    pub declared: String,
    /// What kind of values it holds.
    pub kind: ColumnKind,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether two texts that differ by case are one to it.
    pub folds_case: bool,
    /// Whether the type is a domain, an operator's own name for another type.
    pub domain: bool,
}

/// What kind of values a column holds, as far as its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Whole numbers.
    Integer,
    /// Other numbers.
    Number,
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// Text that is filled up with blanks to one length.
    PaddedText,
    /// A UUID.
    Uuid,
    /// A moment.
    Timestamp,
    /// A day.
    Date,
    /// JSON.
    Json,
    /// Bytes.
    Bytes,
    /// What an engine keeps for its own searches.
    Technical,
    /// Anything else that can be compared and sorted.
    Other,
    /// Anything else that has no order.
    Unordered,
}

impl ColumnKind {
    /// Whether values of the one may stand for values of the other, in a reference that nobody declared.
    pub fn fits(self, other: Self) -> bool {
        let class = |kind| match kind {
            Self::Integer | Self::Number => 1,
            Self::Text | Self::PaddedText => 2,
            Self::Uuid => 3,
            _ => 0,
        };
        class(self) != 0 && class(self) == class(other)
    }

    /// Whether rows can be sorted by it.
    pub fn has_order(self) -> bool {
        !matches!(self, Self::Json | Self::Technical | Self::Unordered | Self::Bytes)
    }
}

/// A reference from columns of one table to those of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The table referred to, by its place in the schema.
    pub to: usize,
    /// The columns referred to.
    pub to_columns: Vec<String>,
    /// Whether the database declares it; otherwise names and types say so.
    pub declared: bool,
}

impl Schema {
    /// The table of this name: `orders`, `sales.orders`. Names that differ by case serve when only one does.
    pub fn find(&self, name: &str) -> Option<usize> {
        // As a query would have it: app."Users".
        let plain: String = name.chars().filter(|c| !matches!(c, '"' | '`')).collect();
        self.find_plain(name).or_else(|| self.find_plain(&plain))
    }

    fn find_plain(&self, name: &str) -> Option<usize> {
        let exact = self.tables.iter().position(|table| table.full_name() == name);
        exact.or_else(|| self.only(|table| table.name == name)).or_else(|| {
            self.only(|table| table.full_name().eq_ignore_ascii_case(name))
                .or_else(|| self.only(|table| table.name.eq_ignore_ascii_case(name)))
        })
    }

    fn only(&self, fits: impl Fn(&Table) -> bool) -> Option<usize> {
        let mut found = self.tables.iter().enumerate().filter(|(_, table)| fits(table));
        match (found.next(), found.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    }
}

impl Table {
    /// The name with the schema before it where there is one.
    pub fn full_name(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether no two rows agree in all of these columns.
    pub fn is_unique(&self, columns: &[String]) -> bool {
        let within = |key: &[String]| !key.is_empty() && key.iter().all(|name| columns.contains(name));
        within(&self.primary_key) || self.unique.iter().any(|key| within(key))
    }

    /// The columns that identify a row: the primary key, or else a unique key without nulls.
    pub fn key(&self) -> Option<&[String]> {
        if !self.primary_key.is_empty() {
            return Some(&self.primary_key);
        }
        let certain = |name: &String| self.column(name).is_some_and(|column| !column.nullable);
        self.unique.iter().find(|key| key.iter().all(certain)).map(Vec::as_slice)
    }

    /// Whether an index begins with these columns, in any order.
    pub fn has_index(&self, columns: &[String]) -> bool {
        self.indexes.iter().any(|index| {
            let first = &index[..index.len().min(columns.len())];
            first.len() == columns.len() && columns.iter().all(|name| first.contains(name))
        })
    }

    /// Whether one of these columns may be null.
    pub fn any_nullable(&self, columns: &[String]) -> bool {
        columns.iter().any(|name| self.column(name).is_none_or(|column| column.nullable))
    }
}
