//! What an address, a name and a password can be.

use lettre::Address;

/// What is wrong with one field of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The field: `email`, `name` or `password`.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub message: &'static str,
}

impl Flaw {
    fn new(field: &'static str, message: &'static str) -> Self {
        Self { field, message }
    }
}

/// The longest address that SMTP carries (RFC 5321 4.5.3.1.3, without the brackets).
const LONGEST_EMAIL: usize = 254;
/// The longest name.
const LONGEST_NAME: usize = 100;
/// The shortest password, in characters.
const SHORTEST_PASSWORD: usize = 12;
/// The longest password, in bytes: hashing must not be made dear by its input.
pub(super) const LONGEST_PASSWORD: usize = 1000;
/// So many characters must be left of a password when everything is taken away that others would try first.
const MUST_BE_LEFT: usize = 6;

/// An address as it is kept: in lower case. Only ASCII, so that no address looks like another.
pub(super) fn email(text: &str) -> Result<String, Flaw> {
    let flaw = Flaw::new("email", "Enter an e-mail address such as name@example.com.");
    let email = text.trim().to_ascii_lowercase();
    let (local, domain) = email.rsplit_once('@').ok_or(flaw)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    let fits = email.len() <= LONGEST_EMAIL && local.len() <= 64 && local.chars().all(plain);
    let host = domain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if fits && host && email.parse::<Address>().is_ok() { Ok(email) } else { Err(flaw) }
}

/// A name as it is kept.
pub(super) fn name(text: &str) -> Result<String, Flaw> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() {
        return Err(Flaw::new("name", "Enter your name."));
    }
    if name.chars().count() > LONGEST_NAME {
        return Err(Flaw::new("name", "Shorten the name to at most 100 characters."));
    }
    // Names stand in mails that anybody can have sent to anybody.
    if ["://", "www.", "@"].iter().any(|mark| name.to_ascii_lowercase().contains(mark)) {
        return Err(Flaw::new("name", "Enter a name, without an address in it."));
    }
    // Characters that turn the direction of writing would turn the page around the name; of others nothing would be seen.
    if name.chars().any(crate::apps::is_disguise) || !name.chars().any(char::is_alphanumeric) {
        return Err(Flaw::new("name", "Take the characters out of the name that cannot be seen."));
    }
    Ok(name)
}

/// Whether a password is good enough for the account of this address and name.
pub(super) fn password(password: &str, email: &str, name: &str) -> Result<(), Flaw> {
    if password.is_empty() {
        return Err(Flaw::new("password", "Enter a password."));
    }
    if password.chars().count() < SHORTEST_PASSWORD {
        return Err(Flaw::new(
            "password",
            "Use at least 12 characters. A few words that have nothing to do with each other are easy to remember.",
        ));
    }
    if password.len() > LONGEST_PASSWORD {
        return Err(Flaw::new("password", "Shorten the password to at most 1,000 bytes."));
    }
    if left_to_guess(password, email, name) < MUST_BE_LEFT {
        return Err(Flaw::new(
            "password",
            "Choose a password that is harder to guess: not your address or your name, nor a common password or a row of keys.",
        ));
    }
    Ok(())
}

/// Words that stand in most lists of common passwords.
const COMMON: [&str; 24] = [
    "password",
    "passwort",
    "passwd",
    "letmein",
    "welcome",
    "iloveyou",
    "administrator",
    "admin",
    "developer",
    "changeme",
    "secret",
    "trustno",
    "football",
    "baseball",
    "superman",
    "sunshine",
    "princess",
    "whatever",
    "dragon",
    "monkey",
    "shadow",
    "master",
    "login",
    "hello",
];
/// Rows of keys.
const ROWS: [&str; 5] = ["qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm"];

/// How many characters are left of a password without its account's own words, common ones, rows of keys and runs such as `1234` or `aaaa`.
fn left_to_guess(password: &str, email: &str, name: &str) -> usize {
    let letters = |text: &str| text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let mut taboo: Vec<String> = [email, local, domain, name].into_iter().map(letters).collect();
    taboo.extend(domain.split('.').chain(local.split(|c: char| !c.is_ascii_alphanumeric())).chain(name.split(' ')).map(letters));
    taboo.extend(COMMON.into_iter().map(str::to_owned));
    taboo.retain(|word| word.chars().count() >= 3);
    taboo.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest = letters(password);
    for word in &taboo {
        rest = rest.replace(word.as_str(), "");
    }
    let rest: Vec<char> = rest.chars().collect();
    let mut left = rest.len();
    let mut at = 0;
    while at < rest.len() {
        let run = run(rest.get(at..).unwrap_or_default());
        left -= run.saturating_sub(1);
        at += run;
    }
    left
}

/// How many of the first characters are one run: the same, the next, or the one before, each time; or neighbours on the keyboard.
fn run(chars: &[char]) -> usize {
    let step = |pair: &[char]| match pair {
        [a, b] => i64::from(u32::from(*b)) - i64::from(u32::from(*a)),
        _ => i64::MAX,
    };
    let first = chars.get(..2).map_or(i64::MAX, step);
    let even = if (-1..=1).contains(&first) { 1 + chars.windows(2).take_while(|pair| step(pair) == first).count() } else { 1 };
    let keys = ROWS.iter().map(|row| {
        let along = |length: &usize| chars.get(..*length).is_some_and(|piece| row.contains(&piece.iter().collect::<String>()));
        (4..=row.len()).take_while(|length| along(length)).last().unwrap_or(1)
    });
    let keys = keys.max().unwrap_or(1);
    // Two alike prove nothing.
    if even >= 3 { even.max(keys) } else { keys }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_plain_and_in_lower_case() {
        assert_eq!(email("  Anna.B+x@Example.ORG ").unwrap(), "anna.b+x@example.org");
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in [
            "",
            "anna",
            "@example.org",
            "anna@",
            "an na@example.org",
            "anna@exa mple.org",
            "anna@[127.0.0.1]",
            "\"anna\"@example.org",
            "änna@example.org",
            "anna@exämple.org",
            "anna@example.org\r\nBcc: x@example.org",
            "a\0@example.org",
            "a@b@c",
            &long,
        ] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_seen_as_they_are() {
        assert_eq!(name("  Anna \t Q.  Testperson ").unwrap(), "Anna Q. Testperson");
        assert_eq!(name("שלום").unwrap(), "שלום");
        for bad in [
            "",
            "  ",
            "a\0b",
            "Win at https://evil.example",
            "WWW.evil.example",
            "a@b.example",
            "a\u{202e}b",
            "a\u{61c}b",
            "\u{200b}",
            "\u{200d}",
            "a\u{ad}b",
            "\u{2060}",
            "...",
            &"x".repeat(101),
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn passwords_that_others_would_try_first_are_refused() {
        let check = |text: &str| password(text, "anna.smith@clipkeeper.example", "Anna Smith");
        for good in
            ["correct horse battery", "8371 9402 6172 05", "Tr0ub4dor&3-kept", "три весёлых кота", "clipkeeper via gorge snow"]
        {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "x7".repeat(501);
        for bad in [
            "",
            "short",
            "elevenchars",
            "passwordpassword",
            "Password123456",
            "anna.smith@clipkeeper.example",
            "AnnaSmith2026",
            "clipkeeper1234",
            "aaaaaaaaaaaaaaaa",
            "123456789012345",
            "qwertyuiop1234",
            "abcdefghijklmno",
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
