//! Parameters of queries and forms, read strictly: a name that comes twice is not guessed at, and bytes that are not text are not replaced.

/// Names and values in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

/// Why parameters cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadParams {
    /// A piece is not UTF-8 once its escapes are resolved; the name is told if it is text.
    #[error("the parameter {0} is not valid UTF-8")]
    NotText(String),
    /// A name that means something comes twice.
    #[error("the parameter {0} is given more than once")]
    Repeated(&'static str),
}

impl Params {
    /// Reads `a=b&c=d` with percent escapes and plus signs (the URL standard's form encoding).
    pub(crate) fn parse(text: &[u8]) -> Result<Self, BadParams> {
        let mut pairs = Vec::new();
        for piece in text.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()) {
            let (name, value) = match piece.iter().position(|byte| *byte == b'=') {
                Some(at) => (&piece[..at], &piece[at + 1..]),
                None => (piece, &[][..]),
            };
            let name = decode(name).ok_or_else(|| BadParams::NotText("(its name)".into()))?;
            let value = decode(value).ok_or_else(|| BadParams::NotText(plain(&name)))?;
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// What was read elsewhere, such as the text fields of a form with files.
    pub(crate) fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The value of a name; an empty one counts as absent.
    pub(crate) fn get(&self, name: &'static str) -> Result<Option<&str>, BadParams> {
        let mut found = self.0.iter().filter(|(held, _)| held == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(BadParams::Repeated(name)),
            (Some((_, value)), None) if !value.is_empty() => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    /// The value of a name, also an empty one.
    pub(crate) fn get_even_empty(&self, name: &'static str) -> Result<Option<&str>, BadParams> {
        match self.get(name)? {
            None => Ok(self.0.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())),
            found => Ok(found),
        }
    }

    /// The value of either of two names; both together must agree.
    pub(crate) fn get_either(&self, name: &'static str, alias: &'static str) -> Result<Option<&str>, BadParams> {
        match (self.get(name)?, self.get(alias)?) {
            (Some(a), Some(b)) if a != b => Err(BadParams::Repeated(name)),
            (a, b) => Ok(a.or(b)),
        }
    }

    /// Every value of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// All pairs.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// A name as it may be said back and logged: short, and nothing that could be taken for more than a name.
fn plain(name: &str) -> String {
    let fits = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits { name.to_owned() } else { "(its name)".to_owned() }
}

fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let hex = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match text[at] {
            b'+' => bytes.push(b' '),
            b'%' => match (hex(at + 1), hex(at + 2)) {
                (Some(high), Some(low)) => {
                    bytes.push(u8::try_from(high * 16 + low).ok()?);
                    at += 2;
                }
                // A lone percent sign stands for itself.
                _ => bytes.push(b'%'),
            },
            byte => bytes.push(byte),
        }
        at += 1;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_guessed() {
        let params = Params::parse(b"a=1&b=%20x+y&c&d=&a=2&e=%zz&").unwrap();
        assert_eq!(params.get("a"), Err(BadParams::Repeated("a")));
        assert_eq!(params.get("b"), Ok(Some(" x y")));
        assert_eq!((params.get("c"), params.get("d"), params.get("x")), (Ok(None), Ok(None), Ok(None)));
        assert_eq!(params.get("e"), Ok(Some("%zz")));
        assert_eq!(Params::parse(b"a=%ff"), Err(BadParams::NotText("a".into())));
        assert_eq!(Params::parse(b"a%0aforged=%ff"), Err(BadParams::NotText("(its name)".into())));
        assert_eq!(Params::parse(b"b=1&k=2").unwrap().get_either("b", "k"), Err(BadParams::Repeated("b")));
        assert_eq!(Params::parse(b"k=2").unwrap().get_either("b", "k"), Ok(Some("2")));
    }

    proptest! {
        #[test]
        fn what_a_library_writes_is_read_back(pairs in prop::collection::vec((".{1,8}", ".{0,12}"), 0..6)) {
            let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            prop_assert_eq!(Params::parse(text.as_bytes()).unwrap().0, pairs);
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Params::parse(&bytes);
        }
    }
}
