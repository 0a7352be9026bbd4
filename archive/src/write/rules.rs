//! What becomes of values that are not written as they are.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::json;
use super::media::{Collected, Links, Placing};
use crate::catalogue::{Field, Format, Rule, Stable};
use crate::source::Cell;
use crate::subject::{Subject, uuid_text};

/// What stands for the person and for others in an archive: handed in by whoever knows the app and the grant.
#[derive(Clone, Default)]
pub struct Identity {
    /// What the app knows the person by. Without it, fields with the rule `open_id` are left out.
    pub open_id: Option<String>,
    /// The secret of pseudonyms that are the same in all archives of a grant. Without it, their fields are left out.
    pub grant_secret: Option<[u8; 32]>,
    /// The secret of pseudonyms that are the same in this archive only. Without it, their fields are left out.
    pub archive_secret: Option<[u8; 32]>,
    /// What makes links to media. Without it the objects' keys stand in their place.
    pub links: Option<Links>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// A field that was not written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// The column, for nested rows with the field that holds them: `Items.Seller`.
    pub column: String,
    /// The rule.
    pub rule: Rule,
    /// Whether it is not in the archive at all.
    pub left_out: bool,
}

/// What the rules of one request need.
pub(super) struct Guise {
    pub(super) identity: Identity,
    /// The person's subject and keys.
    pub(super) own: Vec<Subject>,
    /// What lies in object stores.
    pub(super) media: Arc<Collected>,
}

impl Guise {
    pub(super) fn new(identity: Identity, own: Vec<Subject>, media: Arc<Collected>) -> Self {
        Self { identity, own, media }
    }
}

/// What is done to a value.
#[derive(Clone)]
pub(super) enum Treat {
    Pseudonym(Hmac<Sha256>),
    OpenId { open_id: String, own: Vec<Subject> },
    Minimal(Option<Format>),
    Media(Placing),
}

/// How a field is written.
pub(super) enum Treated {
    AsItIs,
    As(Box<Treat>),
    LeftOut,
}

/// What a field's rule comes to in this request. Without a request, as when a catalogue is checked, nothing but `omit` leaves fields out.
pub(super) fn treated(field: Option<&Field>, guise: Option<&Guise>) -> Treated {
    let Some(field) = field else { return Treated::AsItIs };
    let made = match (field.rule, guise) {
        (Rule::Keep, _) => return Treated::AsItIs,
        (Rule::Omit, _) => None,
        (_, None) => return Treated::AsItIs,
        (Rule::Minimal, _) => Some(Treat::Minimal(field.format)),
        (Rule::OpenId, Some(guise)) => {
            guise.identity.open_id.clone().map(|open_id| Treat::OpenId { open_id, own: guise.own.clone() })
        }
        (Rule::Pseudonym, Some(guise)) => {
            let secret = match field.stable {
                Stable::Grant => &guise.identity.grant_secret,
                Stable::Archive => &guise.identity.archive_secret,
            };
            secret.as_ref().and_then(|secret| Hmac::new_from_slice(secret).ok()).map(Treat::Pseudonym)
        }
    };
    made.map_or(Treated::LeftOut, |treat| Treated::As(Box::new(treat)))
}

impl Treat {
    /// What is written for a value; nothing stands for null.
    pub(super) fn apply(&self, cell: &Cell<'_>) -> Result<Option<String>, &'static str> {
        let Some(text) = plain(cell) else { return Ok(None) };
        match self {
            Self::Pseudonym(keyed) => Ok(Some(pseudonym(keyed.clone(), &text))),
            Self::OpenId { open_id, own } => match own.iter().any(|own| own.owns(cell)) {
                true => Ok(Some(open_id.clone())),
                // Somebody else under the person's own name would be worse than no archive.
                false => Err("is not the person's own identifier, and the rule is \"open_id\""),
            },
            Self::Minimal(format) => Ok(minimal(*format, &text)),
            Self::Media(_) if text.is_empty() => Ok(None),
            Self::Media(placing) => placing.place(&text).map(Some),
        }
    }
}

/// How many bytes of the code a pseudonym shows: enough that two of a billion values are not alike.
const SHOWN: usize = 12;

fn pseudonym(mut keyed: Hmac<Sha256>, text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    keyed.update(text.as_bytes());
    let code = keyed.finalize().into_bytes();
    let mut written = String::with_capacity(2 * SHOWN);
    for byte in code.iter().take(SHOWN) {
        written.push(char::from(HEX[usize::from(byte >> 4)]));
        written.push(char::from(HEX[usize::from(byte & 15)]));
    }
    written
}

/// The one text of a value, however the database holds it: the number 7 and the text "7" are one person.
pub(super) fn plain<'c>(cell: &Cell<'c>) -> Option<Cow<'c, str>> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Text(text) | Cell::Number(text) | Cell::Json(text) => Cow::Borrowed(*text),
        Cell::Int(number) => {
            let mut digits = Vec::with_capacity(20);
            json::integer(*number, &mut digits);
            Cow::Owned(String::from_utf8_lossy(&digits).into_owned())
        }
        Cell::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
        Cell::Real(number) => Cow::Owned(number.to_string()),
        Cell::Uuid(bytes) => Cow::Owned(uuid_text(*bytes)),
        Cell::Blob(bytes) => {
            use base64::Engine as _;
            Cow::Owned(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        Cell::Timestamp(micros) => Cow::Owned(micros.to_string()),
        Cell::Date(days) => Cow::Owned(days.to_string()),
    })
}

/// As little as tells one from another. What does not look like its format is not told at all.
fn minimal(format: Option<Format>, text: &str) -> Option<String> {
    match format? {
        Format::Email => {
            let (name, domain) = text.trim().rsplit_once('@')?;
            let first = name.chars().find(|c| c.is_alphanumeric())?;
            let plain = !domain.is_empty() && domain.chars().all(|c| c.is_alphanumeric() || ".-".contains(c));
            plain.then(|| format!("{first}***@{domain}"))
        }
        Format::Phone => {
            let digits: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
            let last = digits.len().checked_sub(2).filter(|from| *from >= 3)?;
            Some(format!("***{}", digits.get(last..)?.iter().collect::<String>()))
        }
        Format::Name => {
            let initials: Vec<String> = text
                .split_whitespace()
                .filter_map(|word| word.chars().find(|c| c.is_alphabetic()))
                .take(5)
                .map(|letter| format!("{}.", letter.to_uppercase()))
                .collect();
            (!initials.is_empty()).then(|| initials.join(" "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::SubjectType;

    #[test]
    fn little_is_told() {
        for (format, text, wanted) in [
            (Format::Email, "Ada.Lovelace@example.org", Some("A***@example.org")),
            (Format::Email, "ada@ex ample", None),
            (Format::Email, "nobody", None),
            (Format::Email, "\"a@b\"@example.org", Some("a***@example.org")),
            (Format::Phone, "+49 (0)30 1234-567", Some("***67")),
            (Format::Phone, "1234", None),
            (Format::Name, "ada  king lovelace", Some("A. K. L.")),
            (Format::Name, "  ", None),
            (Format::Name, "王 小明", Some("王. 小.")),
            (Format::Uri, "https://example.org/ada", None),
        ] {
            assert_eq!(minimal(Some(format), text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn a_pseudonym_stands_for_one_value_under_one_secret() {
        let with = |secret: u8| Treat::Pseudonym(Hmac::new_from_slice(&[secret; 32]).unwrap());
        let of = |treat: &Treat, cell: Cell<'_>| treat.apply(&cell).unwrap();
        let seven = of(&with(1), Cell::Int(7)).unwrap();
        assert_eq!(seven.len(), 24);
        assert_eq!(of(&with(1), Cell::Text("7")).unwrap(), seven, "a number and its text are one");
        assert_ne!(of(&with(1), Cell::Text("8")).unwrap(), seven);
        assert_ne!(of(&with(2), Cell::Int(7)).unwrap(), seven, "another grant, another name");
        assert_eq!(of(&with(1), Cell::Null), None);
    }

    #[test]
    fn only_the_person_becomes_the_open_id() {
        let own = vec![Subject::parse(SubjectType::Integer, "7").unwrap()];
        let treat = Treat::OpenId { open_id: "o-1".into(), own };
        assert_eq!(treat.apply(&Cell::Int(7)).unwrap().as_deref(), Some("o-1"));
        assert_eq!(treat.apply(&Cell::Null).unwrap(), None);
        assert!(treat.apply(&Cell::Int(8)).is_err());
    }
}
