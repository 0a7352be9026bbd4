//! What names and a few values suggest. Everything guessed here is marked in the draft.

use super::schema::{Column, ColumnKind, Table};
use crate::catalogue::Engine;

/// A value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Other,
}

/// The words of a name: `OrderDate`, `order_date` and `Order Date` are `order` and `date`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = ' ';
    let letters: Vec<char> = name.chars().collect();
    for (at, letter) in letters.iter().copied().enumerate() {
        if !letter.is_alphanumeric() {
            last = ' ';
            continue;
        }
        let humps = letter.is_uppercase() && (last.is_lowercase() || last.is_numeric());
        // The last capital of `URLPath` begins its own word.
        let ends_run =
            letter.is_uppercase() && last.is_uppercase() && letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if last == ' ' || humps || ends_run {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
        last = letter;
    }
    words
}

/// A name for people: `Order Lines`. Never empty, and good as a file's name on every system.
pub(super) fn title(name: &str) -> String {
    let words: Vec<String> = words(name)
        .into_iter()
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
        })
        .collect();
    let mut title: String = words.join(" ").chars().take(60).collect();
    title.truncate(title.trim_end().len());
    let device = ["con", "prn", "aux", "nul", "com", "lpt"].iter().any(|device| title.to_lowercase().starts_with(device))
        && title.len() < 7
        || title.is_empty();
    if device { format!("Table {title}").trim_end().to_owned() } else { title }
}

/// A name for the wire: `order_lines`.
pub(super) fn wire_name(name: &str) -> String {
    let name = words(name).join("_");
    let plain: String = name.chars().map(in_ascii).collect();
    let plain: String = plain.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect();
    let plain = plain.trim_matches('_');
    if plain.starts_with(|c: char| c.is_ascii_lowercase()) {
        plain.to_owned()
    } else {
        format!("data_{plain}").trim_end_matches('_').to_owned()
    }
}

/// A small letter of Western Europe without its marks; what is another letter stays.
fn in_ascii(letter: char) -> std::borrow::Cow<'static, str> {
    let plain = match letter {
        'à' | 'á' | 'â' | 'ã' | 'å' => "a",
        'ä' | 'æ' => "ae",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' => "o",
        'ö' | 'ø' | 'œ' => "oe",
        'ß' => "ss",
        'ù' | 'ú' | 'û' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        other => return other.to_string().into(),
    };
    plain.into()
}

/// The last word in the singular, in the ways that English has.
pub(super) fn singulars(name: &str) -> Vec<String> {
    let mut words = words(name);
    if words.len() > 1 && matches!(words[0].as_str(), "tbl" | "t" | "tab" | "dim" | "fact" | "app" | "core") {
        words.remove(0);
    }
    let whole = words.concat();
    let mut found = vec![whole.clone()];
    if let Some(stem) = whole.strip_suffix("ies") {
        found.push(format!("{stem}y"));
    }
    if let Some(stem) = whole.strip_suffix("es") {
        found.push(stem.to_owned());
    }
    if let Some(stem) = whole.strip_suffix('s') {
        found.push(stem.to_owned());
    }
    if whole.ends_with("people") {
        found.push(whole.replace("people", "person"));
    }
    found
}

/// Why a column must not be given to anybody, not even to the person: what proves who they are.
pub(super) fn secret(name: &str) -> bool {
    let words = words(name);
    let has = |word: &str| words.iter().any(|found| found == word);
    let joined = words.concat();
    let parts = [
        "password",
        "passwd",
        "passphrase",
        "passhash",
        "pwhash",
        "secret",
        "apikey",
        "privatekey",
        "accesskey",
        "recoverycode",
        "backupcode",
        "securityanswer",
        "resetcode",
        "verificationcode",
        "authkey",
        "encryptionkey",
        "sessionkey",
        "creditcardnumber",
        "cardnumber",
    ];
    parts.iter().any(|part| joined.contains(part))
        || [
            "pwd",
            "salt",
            "otp",
            "totp",
            "cvv",
            "cvc",
            "cvv2",
            "token",
            "tokens",
            "pin",
            "hash",
            "digest",
            "credential",
            "credentials",
        ]
        .iter()
        .any(|word| has(word))
}

/// Whether a whole table holds what proves who somebody is.
pub(super) fn secret_table(name: &str) -> bool {
    let words = words(name);
    [
        "token",
        "tokens",
        "password",
        "passwords",
        "secret",
        "secrets",
        "credential",
        "credentials",
        "otp",
        "totp",
        "mfa",
        "apikey",
        "apikeys",
    ]
    .iter()
    .any(|word| words.iter().any(|found| found == word))
        || ["apikey", "recoverycode", "backupcode"].iter().any(|part| words.concat().contains(part))
}

/// Whether a category is to be given with more care.
pub(super) fn sensitive(table: &str) -> bool {
    let words = words(table);
    let kinds = [
        "health",
        "medical",
        "diagnosis",
        "diagnoses",
        "prescription",
        "prescriptions",
        "religion",
        "ethnicity",
        "biometric",
        "biometrics",
        "message",
        "messages",
        "chat",
        "chats",
        "location",
        "locations",
        "patient",
        "patients",
        "salary",
        "salaries",
        "payroll",
    ];
    words.iter().any(|word| kinds.contains(&word.as_str()))
}

/// Whether a column says in which role somebody stands to a row, rather than whose row it is.
pub(super) fn role(name: &str) -> bool {
    let words = words(name);
    let roles = [
        "approved",
        "approver",
        "assigned",
        "assignee",
        "updated",
        "modified",
        "deleted",
        "reviewed",
        "reviewer",
        "verified",
        "manager",
        "agent",
        "support",
        "rep",
        "staff",
        "editor",
        "moderator",
        "admin",
        "referrer",
        "referred",
        "invited",
        "inviter",
        "handled",
        "processed",
        "seller",
        "receiver",
        "recipient",
        "to",
        "target",
        "blocked",
        "followed",
    ];
    words.iter().any(|word| roles.contains(&word.as_str()))
}

/// Whether a table's rows are addresses, by its name.
pub(super) fn address(name: &str) -> bool {
    let name = words(name).concat();
    name.ends_with("address") || name.ends_with("addresses")
}

/// Whether a table that the person's row points to tells of that person alone.
pub(super) fn personal(name: &str) -> bool {
    let kinds = [
        "address",
        "addresses",
        "contact",
        "contacts",
        "profile",
        "profiles",
        "person",
        "persons",
        "people",
        "detail",
        "details",
        "preference",
        "preferences",
        "setting",
        "settings",
        "identity",
        "identities",
        "wallet",
        "wallets",
    ];
    words(name).last().is_some_and(|word| kinds.contains(&word.as_str()))
}

/// Whether a name is one of a time.
pub(super) fn timely(name: &str) -> bool {
    let words = words(name);
    let last = words.last().map_or("", String::as_str);
    let any = ["date", "time", "timestamp", "datetime", "created", "modified", "updated", "when", "ts"];
    matches!(last, "at" | "on" | "since" | "until") || words.iter().any(|word| any.contains(&word.as_str()))
}

/// What a column's numbers or texts mean, if they mean times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Seconds,
    Millis,
    Micros,
    TextTime { fraction: bool },
    TextDate,
}

/// What kind of time all of these values are.
pub(super) fn stored(values: &[&Value]) -> Option<Stored> {
    let mut found = None;
    for value in values {
        let kind = match value {
            Value::Null => continue,
            Value::Int(number) => by_size(*number)?,
            Value::Real(number) if number.is_finite() => match by_size(*number as i64)? {
                Stored::Seconds => Stored::Seconds,
                _ => return None,
            },
            Value::Text(text) => text_time(text)?,
            _ => return None,
        };
        found = match (found, kind) {
            (None, kind) => Some(kind),
            (Some(Stored::TextTime { fraction: a }), Stored::TextTime { fraction: b }) => {
                Some(Stored::TextTime { fraction: a || b })
            }
            // Midnight is sometimes written as a date.
            (Some(Stored::TextTime { fraction }), Stored::TextDate) | (Some(Stored::TextDate), Stored::TextTime { fraction }) => {
                Some(Stored::TextTime { fraction })
            }
            (Some(before), kind) if before == kind => Some(kind),
            _ => return None,
        };
    }
    found
}

/// From 1980 to 2100, in seconds, milliseconds or microseconds since 1970.
fn by_size(number: i64) -> Option<Stored> {
    const FROM: i64 = 315_532_800;
    const TO: i64 = 4_102_444_800;
    match number {
        n if (FROM..TO).contains(&n) => Some(Stored::Seconds),
        n if (FROM * 1_000..TO * 1_000).contains(&n) => Some(Stored::Millis),
        n if (FROM * 1_000_000..TO * 1_000_000).contains(&n) => Some(Stored::Micros),
        _ => None,
    }
}

fn text_time(text: &str) -> Option<Stored> {
    let bytes = text.as_bytes();
    let begins = bytes.len() >= 10 && bytes[4] == b'-' && bytes[7] == b'-' && bytes[..4].iter().all(u8::is_ascii_digit);
    if !begins {
        return None;
    }
    crate::catalogue::Stamp::parse(text)?;
    Some(if bytes.len() == 10 { Stored::TextDate } else { Stored::TextTime { fraction: text.contains('.') } })
}

/// Whether all of these values are texts of JSON objects or arrays, and there is one at all.
pub(super) fn json(values: &[&Value]) -> bool {
    let mut any = false;
    for value in values {
        match value {
            Value::Null => {}
            Value::Text(text)
                if text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() =>
            {
                any = true;
            }
            _ => return false,
        }
    }
    any
}

/// Whether all of these values are 0 or 1, and there is one at all.
pub(super) fn boolean(values: &[&Value]) -> bool {
    let fits = |value: &&&Value| matches!(value, Value::Null | Value::Int(0 | 1));
    values.iter().filter(|value| !matches!(value, Value::Null)).count() > 0 && values.iter().all(|value| fits(&value))
}

/// The column that says when a row came to be, if one does: `created_at`, `order_date`, the table's only time.
pub(super) fn time(table: &Table, is_time: impl Fn(&Column) -> bool) -> Option<(&Column, bool)> {
    let never = [
        "birth",
        "birthday",
        "birthdate",
        "dob",
        "expires",
        "expiry",
        "expiration",
        "expired",
        "valid",
        "due",
        "deadline",
        "updated",
        "update",
        "modified",
        "changed",
        "deleted",
        "last",
        "end",
        "ended",
        "until",
        "returned",
        "return",
        "death",
        "hire",
        "until",
    ];
    let candidates: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| is_time(column) && !words(&column.name).iter().any(|word| never.contains(&word.as_str())))
        .collect();
    let family = singulars(&table.name);
    let rank = |column: &Column| {
        let words = words(&column.name);
        let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
        match () {
            () if has(&["created", "creation", "inserted"]) => 0,
            // `order_date` in orders, `rental_date` in rental.
            () if words.len() > 1 && family.contains(&words[0]) => 1,
            () if words.len() == 1 && has(&["date", "timestamp", "time", "at", "when", "ts"]) => 2,
            () if words.last().is_some_and(|word| word == "at") => 3,
            () => 4,
        }
    };
    let best = candidates.iter().copied().min_by_key(|column| rank(column))?;
    // One that is named as such, or the only one there is.
    (rank(best) < 4 || candidates.len() == 1).then(|| (best, rank(best) > 1))
}

/// Whether a kind is one whose values must be looked at.
pub(super) fn to_sample(column: &Column, engine: Engine) -> bool {
    let typed_values = engine == Engine::Sqlite;
    match column.kind {
        // One byte for a number, until somebody puts a 2 into it.
        ColumnKind::Boolean if engine == Engine::Mysql => true,
        ColumnKind::Integer | ColumnKind::Number => timely(&column.name),
        ColumnKind::Text | ColumnKind::Other => typed_values || timely(&column.name),
        ColumnKind::Timestamp | ColumnKind::Date | ColumnKind::Boolean | ColumnKind::Json => typed_values,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(words("OrderDate"), ["order", "date"]);
        assert_eq!(words("Order Details"), ["order", "details"]);
        assert_eq!(words("rental_id"), ["rental", "id"]);
        assert_eq!(words("URLPath2x"), ["url", "path2x"]);
        assert_eq!(title("order_lines"), "Order Lines");
        assert_eq!(title("con"), "Table Con");
        assert_eq!(title("///"), "Table");
        assert_eq!(wire_name("Order Details"), "order_details");
        assert_eq!(wire_name("größe"), "groesse");
        assert_eq!(wire_name("1st"), "data_1st");
        assert_eq!(wire_name("注文"), "data");
        assert!(singulars("categories").contains(&"category".to_owned()));
        assert!(singulars("tbl_Customers").contains(&"customer".to_owned()));
        for name in ["password_hash", "PasswordSalt", "api_token", "pin", "CardNumber", "totp_secret"] {
            assert!(secret(name), "{name}");
        }
        for name in ["shipping", "pinned", "tokenized_title", "compass", "hashtag"] {
            assert!(!secret(name), "{name}");
        }
    }

    #[test]
    fn times_by_their_values() {
        let told = |values: &[Value]| stored(&values.iter().collect::<Vec<_>>());
        assert_eq!(told(&[Value::Int(1_700_000_000), Value::Null]), Some(Stored::Seconds));
        assert_eq!(told(&[Value::Int(1_700_000_000_000)]), Some(Stored::Millis));
        assert_eq!(told(&[Value::Int(1_700_000_000), Value::Int(3)]), None);
        assert_eq!(
            told(&[Value::Text("2024-01-02".into()), Value::Text("2024-01-02 03:04:05".into())]),
            Some(Stored::TextTime { fraction: false })
        );
        assert_eq!(told(&[Value::Text("2024-01-02T03:04:05.5Z".into())]), Some(Stored::TextTime { fraction: true }));
        assert_eq!(told(&[Value::Text("tomorrow".into())]), None);
        assert_eq!(told(&[Value::Null]), None);
    }
}
