//! Just enough SQL to find the binds of a query outside of literals and comments. The engine itself judges the rest.

use std::ops::Range;

/// Whose lexical rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    Mysql,
    /// No SQL: the path of an HTTP service.
    Path,
}

/// What may be bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bind {
    Subject,
    Since,
    Until,
    /// A further key of the person, or one of a batch, by its name.
    Key(Box<str>),
}

impl Bind {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "subject" => Self::Subject,
            "since" => Self::Since,
            "until" => Self::Until,
            key => Self::Key(key.into()),
        }
    }
}

/// What a query holds, lexically.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The binds, where they stand, in order. Whether there is such a key is not judged here.
    pub(crate) binds: Vec<(Range<usize>, Bind)>,
    /// Parameters that we never give: `?`, `$1`, `@name`.
    pub(crate) strangers: Vec<Range<usize>>,
    /// Where the statement ends: before its semicolon, or at the end of the text.
    pub(crate) end: usize,
    /// Where a second statement begins.
    pub(crate) second: Option<usize>,
    /// The first word, as written.
    pub(crate) verb: Range<usize>,
    /// Where a literal, a quoted name or a comment begins that never ends.
    pub(crate) open: Option<usize>,
    /// What a read-only transaction would let through, with what to do instead.
    pub(crate) refused: Vec<(Range<usize>, &'static str)>,
}

/// Reads the query once.
pub(crate) fn scan(sql: &str, dialect: Dialect) -> Scan {
    if dialect == Dialect::Path {
        return path(sql);
    }
    let mysql = dialect == Dialect::Mysql;
    let bytes = sql.as_bytes();
    let mut found = Scan { end: bytes.len(), ..Scan::default() };
    let mut ended = false;
    let mut last_word = 0..0;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let byte = bytes[at];
        let next = bytes.get(at + 1).copied();
        let mut token = true;
        match byte {
            b if b.is_ascii_whitespace() => {
                at += 1;
                token = false;
            }
            // MySQL wants a blank behind the two: `5--1` is a difference there.
            b'-' if next == Some(b'-') && (!mysql || bytes.get(at + 2).is_none_or(|b| *b <= b' ')) => {
                at = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n + 1);
                token = false;
            }
            b'#' if mysql => {
                at = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n + 1);
                token = false;
            }
            b'/' if next == Some(b'*') => {
                if mysql && (bytes.get(at + 2) == Some(&b'!') || bytes.get(at + 2..at + 4) == Some(b"M!")) {
                    found.refused.push((start..at + 3, "the server would run what this comment holds: write it plainly"));
                }
                at = comment_end(bytes, at, dialect).unwrap_or_else(|| {
                    found.open.get_or_insert(start);
                    bytes.len()
                });
                token = false;
            }
            b'\'' => at = quoted(bytes, at, b'\'', mysql, &mut found.open),
            b'"' => at = quoted(bytes, at, b'"', mysql, &mut found.open),
            b'`' if dialect != Dialect::Postgres => {
                at = quoted(bytes, at, b'`', false, &mut found.open);
                // A function's name may be quoted.
                if mysql && sql.get(start + 1..at - 1).is_some_and(|name| name.eq_ignore_ascii_case("load_file")) {
                    found.refused.push((start..at, NO_FILES));
                }
            }
            b'[' if dialect == Dialect::Sqlite => {
                at = bytes[at..].iter().position(|b| *b == b']').map_or_else(
                    || {
                        found.open.get_or_insert(start);
                        bytes.len()
                    },
                    |n| at + n + 1,
                );
            }
            b'$' if dialect == Dialect::Postgres => match dollar_quote(bytes, at) {
                Some(Some(end)) => at = end,
                Some(None) => {
                    found.open.get_or_insert(start);
                    at = bytes.len();
                }
                None => {
                    at = word_end(bytes, at + 1);
                    found.strangers.push(start..at);
                }
            },
            // MySQL's user variables outlive a query, and its connection serves the next person.
            b'$' | b'@' | b'?' if dialect == Dialect::Sqlite || (mysql && byte != b'$') => {
                at = word_end(bytes, at + 1);
                found.strangers.push(start..at);
            }
            b':' if next == Some(b':') => at += 2,
            b':' if next.is_some_and(is_word_start) => {
                at = word_end(bytes, at + 1);
                found.binds.push((start..at, Bind::named(&sql[start + 1..at])));
            }
            b';' => {
                if !ended {
                    found.end = at;
                    ended = true;
                }
                at += 1;
                token = false;
            }
            b if is_word_start(b) => {
                at = word_end(bytes, at);
                let escapes = dialect == Dialect::Postgres && at - start == 1 && matches!(b, b'e' | b'E');
                if escapes && bytes.get(at) == Some(&b'\'') {
                    at = quoted(bytes, at, b'\'', true, &mut found.open);
                } else if found.verb.is_empty() {
                    found.verb = start..at;
                }
                if mysql {
                    if let Some(cure) = refused(&sql[last_word.clone()], &sql[start..at]) {
                        found.refused.push((start..at, cure));
                    }
                    last_word = start..at;
                }
            }
            b if b.is_ascii_digit() => at = word_end(bytes, at),
            _ => at += 1,
        }
        if token && ended && found.second.is_none() {
            found.second = Some(start);
        }
    }
    found
}

const NO_FILES: &str = "the server's files are none of an archive's business: take it out";

/// Words of MySQL that read or write files, or lock, within a transaction that only reads.
fn refused(before: &str, word: &str) -> Option<&'static str> {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    if ["into", "outfile", "dumpfile", "load_file"].iter().any(|name| is(word, name)) {
        Some(NO_FILES)
    } else if (is(before, "for") && (is(word, "update") || is(word, "share"))) || (is(before, "lock") && is(word, "in")) {
        Some("it would lock the rows: take it out")
    } else {
        None
    }
}

/// The binds of a path: `/people/:subject/orders?since=:since`.
fn path(path: &str) -> Scan {
    let bytes = path.as_bytes();
    let mut found = Scan { end: bytes.len(), ..Scan::default() };
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += 1;
        if bytes[start] == b':' {
            at = bytes[at..].iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').map_or(bytes.len(), |n| at + n);
            match &path[start + 1..at] {
                "" => found.strangers.push(start..at),
                name => found.binds.push((start..at, Bind::named(name))),
            }
        }
    }
    found
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..]
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || *b == b'_' || *b == b'$' || *b >= 0x80))
        .map_or(bytes.len(), |n| from + n)
}

/// The end of what is quoted from `at` on; a doubled quote is a quote.
fn quoted(bytes: &[u8], at: usize, quote: u8, escapes: bool, open: &mut Option<usize>) -> usize {
    let mut i = at + 1;
    while i < bytes.len() {
        if escapes && bytes[i] == b'\\' {
            i += 2;
        } else if bytes[i] == quote {
            if bytes.get(i + 1) != Some(&quote) {
                return i + 1;
            }
            i += 2;
        } else {
            i += 1;
        }
    }
    open.get_or_insert(at);
    bytes.len()
}

/// PostgreSQL's block comments nest, SQLite's do not.
fn comment_end(bytes: &[u8], at: usize, dialect: Dialect) -> Option<usize> {
    let mut depth = 1;
    let mut i = at + 2;
    while i + 1 < bytes.len() {
        match (bytes[i], bytes[i + 1]) {
            (b'*', b'/') => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return Some(i);
                }
            }
            (b'/', b'*') if dialect == Dialect::Postgres => {
                depth += 1;
                i += 2;
            }
            _ => i += 1,
        }
    }
    None
}

/// `$tag$ .. $tag$`: none when this is no dollar quote, else where it ends, if it does.
fn dollar_quote(bytes: &[u8], at: usize) -> Option<Option<usize>> {
    let mut i = at + 1;
    while i < bytes.len() && bytes[i] != b'$' {
        let fits = if i == at + 1 {
            is_word_start(bytes[i])
        } else {
            bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_' || bytes[i] >= 0x80
        };
        if !fits {
            return None;
        }
        i += 1;
    }
    if i >= bytes.len() {
        return None;
    }
    let tag = &bytes[at..=i];
    let body = i + 1;
    Some(bytes[body..].windows(tag.len()).position(|w| w == tag).map(|n| body + n + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str, dialect: Dialect) -> Vec<&str> {
        scan(sql, dialect).binds.iter().map(|(range, _)| &sql[range.clone()]).collect()
    }

    #[test]
    fn binds_are_found_only_where_the_engine_would_find_them() {
        let cases: &[(&str, Dialect, &[&str])] = &[
            ("select a from t where u = :subject", Dialect::Sqlite, &[":subject"]),
            ("select ':subject' from t where u = :subject", Dialect::Sqlite, &[":subject"]),
            ("select 'it''s :subject' from t", Dialect::Postgres, &[]),
            ("select e'\\' :subject' , :subject", Dialect::Postgres, &[":subject"]),
            ("select x::subject, :subject::bigint", Dialect::Postgres, &[":subject"]),
            ("select $$ :subject $$, $q$ $$ :subject $q$, :since", Dialect::Postgres, &[":since"]),
            ("select 1 -- :subject\n, :until", Dialect::Postgres, &[":until"]),
            ("select /* /* :subject */ :subject */ :since", Dialect::Postgres, &[":since"]),
            ("select /* /* :subject */ :since", Dialect::Sqlite, &[":since"]),
            ("select \":subject\", [:subject], `:subject` from t", Dialect::Sqlite, &[]),
            ("select a[1:2], tags ? 'x' from t", Dialect::Postgres, &[]),
            ("select :since, :until, :subject, :subject", Dialect::Sqlite, &[":since", ":until", ":subject", ":subject"]),
            ("select ñ:subject", Dialect::Sqlite, &[":subject"]),
        ];
        for (sql, dialect, wanted) in cases {
            assert_eq!(&names(sql, *dialect), wanted, "{sql}");
        }
    }

    #[test]
    fn a_second_statement_is_seen_and_a_trailing_semicolon_is_not_one() {
        assert_eq!(scan("select 1 ; -- done\n ;", Dialect::Sqlite).second, None);
        assert_eq!(scan("select 1 ; -- done", Dialect::Sqlite).end, 9);
        assert_eq!(scan("select 1; delete from t", Dialect::Sqlite).second, Some(10));
        assert_eq!(scan("select ';' ", Dialect::Sqlite).second, None);
        assert_eq!(scan("select 1; 'x'", Dialect::Postgres).second, Some(10));
    }

    #[test]
    fn mysql_has_rules_of_its_own() {
        let cases: &[(&str, &[&str])] = &[
            ("select 'it\\'s :subject', \"a \\\" :subject\", `:since` from t where u = :subject", &[":subject"]),
            ("select 5--:subject", &[":subject"]),
            ("select 5 -- :subject\n, # :since\n :until", &[":until"]),
            ("select /* /* :subject */ :since", &[":since"]),
        ];
        for (sql, wanted) in cases {
            assert_eq!(&names(sql, Dialect::Mysql), wanted, "{sql}");
        }
        for sql in [
            "select a into outfile '/tmp/x' from t",
            "select a from t INTO DUMPFILE '/tmp/x'",
            "select load_file('/etc/passwd')",
            "select `LOAD_FILE` ('/etc/passwd')",
            "select 1 /*! into outfile '/tmp/x' */",
            "select 1 /*M!100100 into outfile '/tmp/x' */",
            "select a from t for update",
            "select a from t for  /* x */ share",
            "select a from t lock in share mode",
        ] {
            assert!(!scan(sql, Dialect::Mysql).refused.is_empty(), "{sql}");
        }
        assert_eq!(scan("select 'into outfile', a as `for`, `update` from t -- for update", Dialect::Mysql).refused, []);
        assert_eq!(scan("select @a := 1, ?, a$b from t", Dialect::Mysql).strangers.len(), 2);
        assert_eq!(scan("select 1; select 2", Dialect::Mysql).second, Some(10));
    }

    #[test]
    fn paths_have_binds_too() {
        let path = "/people/:subject/orders?since=:since&until=:until&v=:other";
        assert_eq!(names(path, Dialect::Path), [":subject", ":since", ":until", ":other"]);
        assert_eq!(scan("/a:/:subject", Dialect::Path).strangers.len(), 1);
    }

    #[test]
    fn strangers_and_open_quotes_are_seen() {
        assert_eq!(scan("select :who, ?1, @x, $y", Dialect::Sqlite).strangers.len(), 3);
        assert_eq!(scan("select :who, $1, j ? 'k', a @> b", Dialect::Postgres).strangers.len(), 1);
        assert_eq!(scan("select 'abc", Dialect::Sqlite).open, Some(7));
        assert_eq!(scan("select /* abc", Dialect::Postgres).open, Some(7));
        assert_eq!(scan("select $a$ abc", Dialect::Postgres).open, Some(7));
    }
}
