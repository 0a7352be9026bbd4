//! A query's words, for what no engine tells of a query: which tables it shows, and what it compares.

use std::collections::HashMap;

use super::schema::Schema;

/// A word of SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a word of the language, as written.
    Word(String),
    /// A name in quotes, without them.
    Quoted(String),
    /// A value.
    Literal,
    /// A bind, with its colon.
    Bind(String),
    /// A sign.
    Sign(char),
}

impl Token {
    /// The name it may be.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) | Self::Quoted(name) => Some(name),
            _ => None,
        }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn is(&self, sign: char) -> bool {
        matches!(self, Self::Sign(found) if *found == sign)
    }
}

/// The words of a statement; comments are none.
pub(super) fn tokens(sql: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut letters = sql.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '-' if letters.peek() == Some(&'-') => while letters.next().is_some_and(|letter| letter != '\n') {},
            '/' if letters.peek() == Some(&'*') => {
                let mut last = ' ';
                letters.next();
                for letter in letters.by_ref() {
                    if last == '*' && letter == '/' {
                        break;
                    }
                    last = letter;
                }
            }
            '\'' | '"' | '`' | '[' => {
                let end = if letter == '[' { ']' } else { letter };
                let mut text = String::new();
                while let Some(inner) = letters.next() {
                    if inner == end {
                        if letters.peek() != Some(&end) || end == ']' {
                            break;
                        }
                        letters.next();
                    }
                    text.push(inner);
                }
                found.push(if letter == '\'' { Token::Literal } else { Token::Quoted(text) });
            }
            ':' if letters.peek() == Some(&':') => {
                letters.next();
                found.push(Token::Sign(':'));
            }
            ':' if letters.peek().is_some_and(|c| c.is_alphabetic()) => found.push(Token::Bind(word(':', &mut letters))),
            c if c.is_alphabetic() || c == '_' => found.push(Token::Word(word(c, &mut letters))),
            c if c.is_numeric() => {
                word(c, &mut letters);
                found.push(Token::Literal);
            }
            c if c.is_whitespace() => {}
            c => found.push(Token::Sign(c)),
        }
    }
    found
}

fn word(first: char, letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut word = String::from(first);
    while let Some(next) = letters.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
        word.push(next);
    }
    word
}

/// What a query reads, as far as its words say.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// Each table after `from` and `join`, with the name it goes by.
    tables: Vec<(usize, String)>,
    /// Those whose columns are among the outputs, the owner's not counted.
    pub(super) shown: Vec<usize>,
    /// What is compared for equality: each side's qualifier and column.
    equal: Vec<(Option<String>, String)>,
}

/// Reads a query's words against the tables that there are.
pub(super) fn reads(sql: &str, owner: Option<&str>, schema: &Schema) -> Reads {
    let tokens = tokens(sql);
    let mut found = Reads { tables: tables(&tokens, schema), ..Reads::default() };
    found.equal = equalities(&tokens);
    found.shown = shown(&tokens, owner, &found.tables, schema);
    found
}

const ENDS: [&str; 18] = [
    "on",
    "using",
    "where",
    "join",
    "left",
    "right",
    "inner",
    "outer",
    "cross",
    "natural",
    "full",
    "order",
    "group",
    "limit",
    "union",
    "having",
    "indexed",
    "tablesample",
];

fn tables(tokens: &[Token], schema: &Schema) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut begins = tokens[at].is_word("from") || tokens[at].is_word("join");
        at += 1;
        // `from a, b as c`
        while begins {
            begins = false;
            if tokens.get(at).is_some_and(|token| token.is_word("only") || token.is_word("lateral")) {
                at += 1;
            }
            let Some(mut name) = tokens.get(at).and_then(Token::name).map(str::to_owned) else { break };
            let mut last = name.clone();
            at += 1;
            while tokens.get(at).is_some_and(|token| token.is('.')) {
                let Some(next) = tokens.get(at + 1).and_then(Token::name) else { break };
                name = format!("{name}.{next}");
                last = next.to_owned();
                at += 2;
            }
            if tokens.get(at).is_some_and(|token| token.is_word("as")) {
                at += 1;
            }
            let alias = match tokens.get(at) {
                Some(Token::Quoted(alias)) => Some(alias.clone()),
                Some(Token::Word(alias)) if !ENDS.iter().any(|end| alias.eq_ignore_ascii_case(end)) => Some(alias.clone()),
                _ => None,
            };
            if alias.is_some() {
                at += 1;
            }
            let name = name.strip_prefix("public.").or_else(|| name.strip_prefix("main.")).unwrap_or(&name);
            if let Some(table) = schema.find(name) {
                found.push((table, alias.unwrap_or(last)));
            }
            if tokens.get(at).is_some_and(|token| token.is(',')) {
                at += 1;
                begins = true;
            }
        }
    }
    found
}

fn equalities(tokens: &[Token]) -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if !token.is('=') || at == 0 {
            continue;
        }
        if let Some(column) = tokens[at - 1].name() {
            let qualifier = (at > 2 && tokens[at - 2].is('.')).then(|| tokens[at - 3].name()).flatten();
            found.push((qualifier.map(str::to_owned), column.to_owned()));
        }
        if let Some(first) = tokens.get(at + 1).and_then(Token::name) {
            let second = tokens.get(at + 2).filter(|token| token.is('.')).and_then(|_| tokens.get(at + 3)?.name());
            found.push(match second {
                Some(column) => (Some(first.to_owned()), column.to_owned()),
                None => (None, first.to_owned()),
            });
        }
    }
    found
}

/// The tables whose columns are among the outputs of the outermost select. Where that cannot be told, all that are read.
fn shown(tokens: &[Token], owner: Option<&str>, tables: &[(usize, String)], schema: &Schema) -> Vec<usize> {
    let all = || {
        let mut all: Vec<usize> = tables.iter().map(|(table, _)| *table).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    if !tokens.first().is_some_and(|token| token.is_word("select")) || tokens.iter().filter(|t| t.is_word("select")).count() > 1 {
        return all();
    }
    let mut items: Vec<Vec<&Token>> = vec![Vec::new()];
    let mut depth = 0_usize;
    for token in &tokens[1..] {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth = depth.saturating_sub(1),
            Token::Sign(',') if depth == 0 => {
                items.push(Vec::new());
                continue;
            }
            token if depth == 0 && token.is_word("from") => break,
            _ => {}
        }
        if let Some(item) = items.last_mut() {
            item.push(token);
        }
    }
    let by_alias: HashMap<String, usize> = tables.iter().map(|(table, alias)| (alias.to_ascii_lowercase(), *table)).collect();
    let mut shown = Vec::new();
    for item in items {
        let name = item.last().and_then(|token| token.name());
        if name.is_some() && name == owner {
            continue;
        }
        let qualified: Vec<usize> = item
            .windows(2)
            .filter(|pair| pair[1].is('.'))
            .filter_map(|pair| by_alias.get(&pair[0].name()?.to_ascii_lowercase()).copied())
            .collect();
        if qualified.is_empty() {
            let names: Vec<&str> = item.iter().filter_map(|token| token.name()).collect();
            let has = |table: &usize| {
                schema.tables[*table].columns.iter().any(|c| names.iter().any(|name| c.name.eq_ignore_ascii_case(name)))
            };
            shown.extend(tables.iter().map(|(table, _)| *table).filter(has));
        }
        shown.extend(qualified);
    }
    shown.sort_unstable();
    shown.dedup();
    if shown.is_empty() { all() } else { shown }
}

impl Reads {
    /// The table that goes by this name in the query.
    pub(super) fn called(&self, name: &str) -> Option<usize> {
        self.tables.iter().find(|(_, alias)| alias.eq_ignore_ascii_case(name)).map(|(table, _)| *table)
    }

    /// The columns of a table that the query compares for equality: what an index should begin with.
    pub(super) fn compared(&self, table: usize, schema: &Schema) -> Vec<String> {
        let Some(found) = schema.tables.get(table) else { return Vec::new() };
        let alone = self.tables.len() == 1;
        let aliases: Vec<&str> = self.tables.iter().filter(|(at, _)| *at == table).map(|(_, alias)| alias.as_str()).collect();
        let mut columns = Vec::new();
        for (qualifier, column) in &self.equal {
            let ours = match qualifier {
                Some(qualifier) => aliases.iter().any(|alias| alias.eq_ignore_ascii_case(qualifier)),
                None => alone || !aliases.is_empty(),
            };
            let column = found.columns.iter().find(|known| ours && known.name.eq_ignore_ascii_case(column));
            if let Some(column) = column
                && !columns.contains(&column.name)
            {
                columns.push(column.name.clone());
            }
        }
        columns
    }
}

/// The column of a table that an output of the query is, if it is one.
pub(super) fn behind(sql: &str, output: &str, reads: &Reads, schema: &Schema) -> Option<(usize, String)> {
    let tokens = tokens(sql);
    // `o.created_at as "Date"`, `o.created_at "Date"`, `o.created_at`: what stands before the output's name, or is it.
    let column = tokens.iter().enumerate().find_map(|(at, token)| {
        if token.name()? != output {
            return None;
        }
        let before = |steps: usize| at.checked_sub(steps).and_then(|at| tokens.get(at));
        let (mut column, mut steps) = (token.name()?, 1);
        if before(1).is_some_and(|token| token.is_word("as")) {
            column = before(2)?.name()?;
            steps = 3;
        }
        let qualifier = before(steps).filter(|token| token.is('.')).and_then(|_| before(steps + 1)?.name());
        Some((qualifier.map(str::to_owned), column.to_owned()))
    });
    let (qualifier, column) = column?;
    reads.tables.iter().find_map(|(table, alias)| {
        let fits = qualifier.as_ref().is_none_or(|qualifier| qualifier.eq_ignore_ascii_case(alias));
        let known = schema.tables[*table].columns.iter().find(|known| known.name.eq_ignore_ascii_case(&column))?;
        fits.then(|| (*table, known.name.clone()))
    })
}

/// Whether the query takes rows in which the column is null.
pub(super) fn asks_for_null(sql: &str, column: &str) -> bool {
    let tokens = tokens(sql);
    tokens.windows(3).any(|three| {
        three[0].name().is_some_and(|name| name.eq_ignore_ascii_case(column))
            && three[1].is_word("is")
            && three[2].is_word("null")
    })
}

#[cfg(test)]
mod tests {
    use super::super::schema::{Column, ColumnKind, Table};
    use super::*;

    fn schema() -> Schema {
        let table = |name: &str, columns: &[&str]| Table {
            schema: None,
            name: name.to_owned(),
            view: None,
            readable: true,
            columns: columns
                .iter()
                .map(|name| Column {
                    name: (*name).to_owned(),
                    declared: String::new(),
                    kind: ColumnKind::Integer,
                    nullable: false,
                    folds_case: false,
                    domain: false,
                })
                .collect(),
            primary_key: Vec::new(),
            unique: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            rows: None,
        };
        Schema { tables: vec![table("orders", &["id", "user_id"]), table("Order Lines", &["id", "order_id", "qty"])] }
    }

    #[test]
    fn what_a_query_shows_is_what_it_gives_out() {
        let schema = schema();
        let shown = |sql: &str, owner| {
            let reads = reads(sql, owner, &schema);
            reads.shown.iter().map(|at| schema.tables[*at].name.as_str()).collect::<Vec<_>>().join("|")
        };
        assert_eq!(shown("select id, user_id from orders where user_id = :subject", Some("user_id")), "orders");
        let lines =
            "select l.id, l.qty, o.user_id as owner from \"Order Lines\" as l join orders o on o.id = l.order_id -- from orders";
        assert_eq!(shown(lines, Some("owner")), "Order Lines");
        assert_eq!(shown(lines, None), "orders|Order Lines");
        assert_eq!(shown("select qty, user_id from orders, [Order Lines] l", Some("user_id")), "Order Lines");
        assert_eq!(shown("with x as (select id from orders) select * from x", None), "orders");
    }

    #[test]
    fn what_a_query_compares_wants_an_index() {
        let schema = schema();
        let sql = "select l.id, o.user_id from \"Order Lines\" l join orders o on o.id = l.order_id where o.user_id = :subject";
        let reads = reads(sql, Some("user_id"), &schema);
        assert_eq!(reads.compared(0, &schema), ["id", "user_id"]);
        assert_eq!(reads.compared(1, &schema), ["order_id"]);
    }
}
