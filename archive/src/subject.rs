//! What names a person in the operator's databases, and the comparison of every row's owner with it.

use std::fmt;

use crate::source::Cell;

/// The type of the subject: it is bound as such, so that the operator's indexes serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectType {
    /// A whole number of 64 bits.
    Integer,
    /// Any text.
    Text,
    /// A UUID.
    Uuid,
}

impl SubjectType {
    /// The word of the catalogue file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Text => "text",
            Self::Uuid => "uuid",
        }
    }
}

impl fmt::Display for SubjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One person's subject, of the catalogue's type, in its one canonical form.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    text: String,
    value: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Integer(i64),
    Text,
    Uuid([u8; 16]),
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It names a person, and has no business in a log.
        f.write_str("Subject(..)")
    }
}

impl Subject {
    /// Reads a subject. An integer must be written in its one usual way, so that two texts never name one person.
    pub fn parse(kind: SubjectType, text: &str) -> Option<Self> {
        match kind {
            SubjectType::Integer => {
                let number: i64 = text.parse().ok()?;
                let canonical = number.to_string();
                (canonical == text).then_some(Self { text: canonical, value: Value::Integer(number) })
            }
            SubjectType::Text => {
                // U+FFFD stands for what was not text; nobody's subject may equal a repaired one.
                let usable = !text.is_empty() && !text.contains(['\0', '\u{fffd}']);
                usable.then(|| Self { text: text.to_owned(), value: Value::Text })
            }
            SubjectType::Uuid => {
                let bytes = parse_uuid(text.as_bytes())?;
                Some(Self { text: uuid_text(bytes), value: Value::Uuid(bytes) })
            }
        }
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        match self.value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn uuid(&self) -> Option<[u8; 16]> {
        match self.value {
            Value::Uuid(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether a row that names this owner is the person's. Nothing that is merely similar is: no blanks are trimmed, no
    /// case is folded, and no owner is nobody.
    pub(crate) fn owns(&self, owner: &Cell<'_>) -> bool {
        match (self.value, owner) {
            (Value::Integer(subject), Cell::Int(owner)) => subject == *owner,
            (Value::Text, Cell::Int(owner)) => {
                let mut digits = Vec::with_capacity(20);
                crate::write::json::integer(*owner, &mut digits);
                digits == self.text.as_bytes()
            }
            (Value::Integer(_) | Value::Text, Cell::Text(owner) | Cell::Number(owner)) => self.text == *owner,
            (Value::Text, Cell::Uuid(owner)) => self.text == uuid_text(*owner),
            (Value::Uuid(subject), Cell::Uuid(owner)) => subject == *owner,
            (Value::Uuid(subject), Cell::Text(owner)) => parse_uuid(owner.as_bytes()) == Some(subject),
            (Value::Uuid(subject), Cell::Blob(owner)) => subject == *owner,
            _ => false,
        }
    }
}

/// Reads `01234567-89ab-cdef-0123-456789abcdef`, in either case.
fn parse_uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 || [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut bytes = [0; 16];
    let mut digits = text.iter().filter(|byte| **byte != b'-').map(|byte| char::from(*byte).to_digit(16));
    for byte in &mut bytes {
        *byte = (digits.next()?? * 16 + digits.next()??) as u8;
    }
    digits.next().is_none().then_some(bytes)
}

pub(crate) fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_form() {
        assert!(Subject::parse(SubjectType::Integer, "1001").is_some());
        for text in ["", "01001", "+1001", " 1001", "1001.0", "1e3", "9223372036854775808", "1001\0"] {
            assert!(Subject::parse(SubjectType::Integer, text).is_none(), "{text}");
        }
        let uuid = Subject::parse(SubjectType::Uuid, "67E55044-10b1-426f-9247-BB680E5FE0C8").unwrap();
        assert_eq!(uuid.as_str(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
        for text in [
            "",
            "67e5504410b1426f9247bb680e5fe0c8",
            "67e55044-10b1-426f-9247-bb680e5fe0c",
            "67e55044-10b1-426f-9247-bb680e5fe0-8",
        ] {
            assert!(Subject::parse(SubjectType::Uuid, text).is_none(), "{text}");
        }
        assert!(Subject::parse(SubjectType::Text, "").is_none());
    }

    #[test]
    fn only_the_very_owner_owns() {
        let integer = Subject::parse(SubjectType::Integer, "7").unwrap();
        let text = Subject::parse(SubjectType::Text, "7").unwrap();
        let uuid = Subject::parse(SubjectType::Uuid, "67e55044-10b1-426f-9247-bb680e5fe0c8").unwrap();
        let bytes = uuid.uuid().unwrap();
        for (subject, cell, wanted) in [
            (&integer, Cell::Int(7), true),
            (&integer, Cell::Int(8), false),
            (&integer, Cell::Number("7"), true),
            (&integer, Cell::Number("7.0"), false),
            (&integer, Cell::Text("7"), true),
            (&integer, Cell::Text("07"), false),
            (&integer, Cell::Text("7 "), false),
            (&integer, Cell::Real(7.0), false),
            (&integer, Cell::Null, false),
            (&integer, Cell::Blob(b"7"), false),
            (&integer, Cell::Bool(true), false),
            (&text, Cell::Text("7"), true),
            (&text, Cell::Int(7), true),
            (&text, Cell::Int(-7), false),
            (&text, Cell::Text("7\0"), false),
            (&text, Cell::Blob(b"7"), false),
            (&text, Cell::Null, false),
            (&uuid, Cell::Uuid(bytes), true),
            (&uuid, Cell::Text("67E55044-10B1-426F-9247-BB680E5FE0C8"), true),
            (&uuid, Cell::Text("67E55044-10B1-426F-9247-BB680E5FE0C9"), false),
            (&uuid, Cell::Blob(&bytes), true),
            (&uuid, Cell::Blob(&bytes[1..]), false),
            (&uuid, Cell::Null, false),
        ] {
            assert_eq!(subject.owns(&cell), wanted, "{subject:?} {cell:?}");
        }
    }
}
