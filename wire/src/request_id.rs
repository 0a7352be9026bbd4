//! The identifier of a request: an integer that survives JavaScript.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A whole number from 1 to 2^53 - 1, written as a JSON number and read as a number or a decimal string
/// (`client-rules.md` 1 and 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(i64);

impl RequestId {
    /// The largest that a double holds exactly.
    pub const MAX: i64 = (1 << 53) - 1;

    /// `None` outside of 1 to 2^53 - 1.
    pub const fn new(id: i64) -> Option<Self> {
        if id >= 1 && id <= Self::MAX { Some(Self(id)) } else { None }
    }

    /// Reads decimal digits, nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit());
        if digits { Self::new(text.parse().ok()?) } else { None }
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = RequestId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request id: a whole number below 2^53, or its decimal digits as a string")
            }
            fn visit_i64<E: de::Error>(self, id: i64) -> Result<RequestId, E> {
                RequestId::new(id).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(id), &self))
            }
            fn visit_u64<E: de::Error>(self, id: u64) -> Result<RequestId, E> {
                let signed = i64::try_from(id).ok().and_then(RequestId::new);
                signed.ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(id), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RequestId, E> {
                RequestId::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Other("text"), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_digits_are_read_alike_and_nothing_else() {
        for good in ["123451234512345", "\"123451234512345\"", "9007199254740991", "1"] {
            assert!(serde_json::from_str::<RequestId>(good).is_ok(), "{good}");
        }
        for bad in [
            "0",
            "-5",
            "\"-5\"",
            "9007199254740992",
            "1.5",
            "1e3",
            "\"\"",
            "\"1 \"",
            "\"+1\"",
            "\"0x1\"",
            "null",
            "[]",
            "true",
            "\"text\"",
            "99999999999999999999",
            "\"٣\"",
        ] {
            assert!(serde_json::from_str::<RequestId>(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::to_string(&RequestId(7)).unwrap(), "7");
    }
}
