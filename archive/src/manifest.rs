//! What an archive says of itself: `manifest.json`, and the names that stand beside an archive's data. `docs/archive.md` is the reference.

use serde::{Deserialize, Serialize};

/// The version of the manifest's form that is written and read here.
pub const VERSION: u32 = 1;
/// The manifest's name, the archive's last member but one.
pub const MANIFEST: &str = "manifest.json";
/// The name of the signature over the manifest's bytes, the archive's last member: 64 bytes, and nothing else.
pub const SIGNATURE: &str = "manifest.sig";
/// The name of the words for people.
pub const README: &str = "README.txt";
/// The folder of the JSON Schemas.
pub const SCHEMAS: &str = "schemas";
/// More than a manifest of a hundred thousand files has.
pub const MAX_MANIFEST: u64 = 64 << 20;

/// Whether a name at an archive's root is taken by what stands beside the data. Some systems do not tell capitals apart.
pub fn is_reserved(name: &str) -> bool {
    let root = name.split('/').next().unwrap_or(name);
    [MANIFEST, SIGNATURE, README, SCHEMAS].iter().any(|taken| taken.eq_ignore_ascii_case(root))
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub manifest_version: u32,
    /// What made it.
    pub made_with: String,
    /// What was asked for.
    pub request: Request,
    /// The person, as the app knows them.
    pub person: Person,
    /// For whom it was made.
    pub app: App,
    /// Whose data it is taken from.
    pub operator: Operator,
    /// By what it was made.
    pub catalogue: Edition,
    /// Where it was read.
    pub sources: Vec<Source>,
    /// The members before the manifest, in order.
    pub files: Vec<File>,
    /// What is not there, or not as it stands at the source, and why.
    pub omissions: Vec<Omission>,
    /// Who signs this, if anybody does.
    pub signature: Option<Signed>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// The categories.
    pub categories: Vec<String>,
    /// The format of the data.
    pub format: String,
    /// The first moment that was asked for.
    pub since: Option<String>,
    /// The first moment that was not.
    pub until: Option<String>,
    /// When it was asked.
    pub applied_at: String,
}

/// The person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// What the app knows them by.
    pub open_id: Option<String>,
}

/// The app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Its client key.
    pub client_key: Option<String>,
}

/// The operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Its name.
    pub name: String,
    /// Where its public keys are.
    pub keys: Option<String>,
}

/// The catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// Its edition.
    pub edition: String,
}

/// A source, and what moment of it the archive shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name in the catalogue.
    pub name: String,
    /// Which kind it is.
    pub kind: String,
    /// What is read at one moment: `request` all of it, `section` each section by itself, `none` nothing is promised.
    pub snapshot: String,
    /// When it was first looked at; of `request`, the moment that is shown.
    pub from: String,
    /// When it was last.
    pub to: String,
}

/// A member of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What it is.
    pub media_type: String,
    /// Its bytes.
    pub bytes: u64,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its bytes within the archive.
    pub packed_bytes: u64,
    /// Of its bytes within the archive: a compressed stream has bits that nothing reads, and these are told apart too.
    pub packed_sha256: String,
    /// Of texts: runs of lines that are not blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u64>,
    /// Of texts: lines that are not blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// The sections in it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
}

/// A section of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// How its rows are one value: `list`, `object`, `groups`, `map` or `value`.
    pub shape: String,
    /// Where it was read.
    pub source: String,
    /// Its rows.
    pub rows: u64,
    /// The rows within its rows, by the field that holds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested: Vec<Nested>,
}

impl Section {
    /// The path as messages name it.
    pub fn name(&self) -> String {
        self.path.join(" / ")
    }
}

/// Rows within rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nested {
    /// The field that holds them.
    pub field: String,
    /// How many there are in all.
    pub rows: u64,
}

/// Something that is not there, or not as it stands at the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omission {
    /// What happened.
    pub kind: OmissionKind,
    /// The section.
    pub section: Vec<String>,
    /// The field, where it is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The rule that did it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How many values, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<u64>,
    /// Why, in words.
    pub reason: String,
}

/// The kinds of omission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OmissionKind {
    /// A field is not there at all.
    FieldLeftOut,
    /// A field is there, and its values are not as they are.
    FieldAltered,
    /// Values that a look-up did not find, and that are null.
    LookupMissing,
    /// Texts that were not UTF-8 and had U+FFFD put in their broken places.
    TextsRepaired,
    /// A range was asked for: what is outside of it is not there.
    OutOfRange,
    /// A range was asked for, and the section has no times: it is whole.
    NotRanged,
    /// The person has no value of a key that the rows are found by, so the source was not asked.
    KeyMissing,
    /// Files of an object store that are not in the archive.
    MediaLeftOut,
    /// Files of an object store that the rows have links to, and that are not in the archive itself.
    MediaLinked,
}

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// `Ed25519`.
    pub algorithm: String,
    /// The key's id, as the operator publishes it.
    pub kid: String,
    /// The member that holds the signature.
    pub file: String,
}

/// What a member is, by its name.
pub(crate) fn media_type(name: &str) -> &'static str {
    let ends = |end: &str| name.len() > end.len() && name.ends_with(end);
    match () {
        () if ends(".schema.json") => "application/schema+json",
        () if ends(".json") => "application/json",
        () if ends(".ndjson") => "application/x-ndjson",
        () if ends(".csv") => "text/csv; charset=utf-8",
        () if ends(".txt") => "text/plain; charset=utf-8",
        () if ends(".jpg") || ends(".jpeg") => "image/jpeg",
        () if ends(".png") => "image/png",
        () if ends(".mp4") => "video/mp4",
        () => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_the_data() {
        for name in ["manifest.json", "MANIFEST.JSON", "readme.txt", "schemas", "Schemas/x.json", "manifest.sig"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["data.json", "TikTok/README.txt", "schemas.json", "my manifest.json"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
