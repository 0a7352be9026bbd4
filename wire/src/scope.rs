//! The grammar of scopes. Which of them exist is the catalogue's business.

use std::fmt;

/// One scope, such as `portability.activity.single`: lower-case words, digits and underscores, joined by dots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(String);

/// How often a scope can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// `.single`: one request, then it is gone (contract 2.3).
    Single,
    /// `.ongoing`: any number of requests while the grant lives.
    Ongoing,
    /// Neither, such as `user.info.basic`.
    Plain,
}

/// Scopes in one list beyond which nobody can mean it.
const MAX_SCOPES: usize = 100;

/// Scopes that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadScope {
    /// One does not follow the grammar.
    #[error("a scope holds lower-case letters, digits, dots and underscores, and at most 100 characters")]
    Malformed,
    /// There are too many.
    #[error("there are more than 100 scopes")]
    TooMany,
}

impl Scope {
    /// Reads one scope.
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'_';
        let good = !text.is_empty() && text.len() <= 100 && text.bytes().all(plain);
        if good { Ok(Self(text.to_owned())) } else { Err(BadScope::Malformed) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope without `.single` or `.ongoing`: `portability.activity`.
    pub fn family(&self) -> &str {
        let text = self.0.as_str();
        text.strip_suffix(".single").or_else(|| text.strip_suffix(".ongoing")).unwrap_or(text)
    }

    /// How often it can be used.
    pub fn kind(&self) -> ScopeKind {
        if self.0.ends_with(".single") {
            ScopeKind::Single
        } else if self.0.ends_with(".ongoing") {
            ScopeKind::Ongoing
        } else {
            ScopeKind::Plain
        }
    }

    /// Whether it lets an app ask for data.
    pub fn is_portability(&self) -> bool {
        self.kind() != ScopeKind::Plain
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Scopes in the order they were named, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// Reads a list separated by commas, blanks or plus signs (`client-rules.md` 12). Empty pieces are passed over.
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        let mut set = Self::default();
        for piece in text.split([',', ' ', '+']).filter(|piece| !piece.is_empty()) {
            set.insert(Scope::parse(piece)?);
            if set.len() > MAX_SCOPES {
                return Err(BadScope::TooMany);
            }
        }
        Ok(set)
    }

    /// Adds a scope unless it is there already.
    pub fn insert(&mut self, scope: Scope) {
        if !self.contains(scope.as_str()) {
            self.0.push(scope);
        }
    }

    /// Whether the scope is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|held| held.as_str() == scope)
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, Scope> {
        self.0.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Self::default();
        scopes.into_iter().for_each(|scope| set.insert(scope));
        set
    }
}

/// The comma string that answers carry (`client-rules.md` 12).
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_separator_is_read_and_a_comma_is_written() {
        for text in ["a.b,c", "a.b c", "a.b+c", "a.b, c,,a.b ", "+a.b+c+"] {
            assert_eq!(ScopeSet::parse(text).unwrap().to_string(), "a.b,c", "{text}");
        }
        for text in ["A", "a/b", "a\0", "é", &"a".repeat(101)] {
            assert_eq!(ScopeSet::parse(text), Err(BadScope::Malformed), "{text:?}");
        }
        let crowd: String = (0..101).map(|at| format!("s{at},")).collect();
        assert_eq!(ScopeSet::parse(&crowd), Err(BadScope::TooMany));
    }

    #[test]
    fn families_and_kinds() {
        let scope = Scope::parse("portability.all.single").unwrap();
        assert_eq!((scope.family(), scope.kind()), ("portability.all", ScopeKind::Single));
        let scope = Scope::parse("user.info.basic").unwrap();
        assert_eq!((scope.family(), scope.kind()), ("user.info.basic", ScopeKind::Plain));
    }
}
