//! The words of object stores and of what is kept in them: pictures, films, documents.

use std::path::PathBuf;
use std::time::Duration;

use super::file::Table;
use super::parse::{duration, size};
use super::{Address, Place, Section};

/// An object store that sections keep media in.
#[derive(Clone, Debug)]
pub struct StoreSpec {
    /// Its name, as sections use it.
    pub name: String,
    /// Where it is: `s3://BUCKET/PREFIX`, or `file:FOLDER`.
    pub address: Address,
    /// The address of a service that speaks S3, where it is not Amazon's.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: Option<String>,
    /// The file that holds the id of the access key; without it, what the environment gives.
    pub access_key_file: Option<PathBuf>,
    /// The file that holds the secret of the access key.
    pub secret_key_file: Option<PathBuf>,
    /// How long an answer may take to begin, and how long it may pause.
    pub timeout: Duration,
    /// Where it was declared.
    pub place: Place,
}

/// What of a section lies in an object store.
#[derive(Clone, Debug)]
pub struct Media {
    /// The column that holds the object's key below the store's address.
    pub column: String,
    /// The store's name.
    pub store: String,
    /// How it reaches the person.
    pub placed: Placed,
    /// What it may be, judged by its first bytes.
    pub types: Vec<MediaType>,
    /// How many bytes an object may have.
    pub max_object: u64,
    /// What happens where the store has no such object.
    pub absent: Absent,
    /// What every key begins with; `:subject` in it stands for the person.
    pub within: Option<String>,
    /// Where it was declared.
    pub place: Place,
}

/// How media reach the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// As members of the archive. The compatible JSON archive has one member, so there they are links.
    Members,
    /// As links that end with the archive.
    Links,
}

/// What happens where an object is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It is left out, which is told.
    LeaveOut,
    /// The request fails.
    Fail,
}

/// Kinds of media, by what a file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// Pictures.
    Image,
    /// Films.
    Video,
    /// Sound.
    Audio,
    /// PDF documents.
    Pdf,
}

const TYPES: &[(&str, MediaType)] =
    &[("image", MediaType::Image), ("video", MediaType::Video), ("audio", MediaType::Audio), ("pdf", MediaType::Pdf)];

/// The usual limit of an object: 512 MiB.
const MAX_OBJECT: u64 = 512 << 20;

pub(super) fn read_store(name: String, table: Table<'_, '_, '_>) -> Option<StoreSpec> {
    let address = match (table.word("url"), table.word("url_file")) {
        (Some(url), None) => {
            if !["s3://", "file:"].iter().any(|begin| url.value.starts_with(begin)) {
                table.fault(
                    "url",
                    format!("`url` of [store.{name}] names no store"),
                    "begin it with s3:// and a bucket, or with file: and a folder",
                );
            }
            Some(Address::Url(url.value))
        }
        (None, Some(path)) => Some(Address::File(PathBuf::from(path.value))),
        (Some(_), Some(_)) => {
            table.fault("url_file", format!("[store.{name}] has `url` and `url_file`"), "keep one of them");
            None
        }
        (None, None) => {
            if !table.has("url") && !table.has("url_file") {
                table.missing("url", "write url = \"s3://BUCKET/PREFIX\", or url = \"file:FOLDER\"");
            }
            None
        }
    };
    let path = |key| table.word(key).map(|at| PathBuf::from(at.value));
    let (access_key_file, secret_key_file) = (path("access_key_file"), path("secret_key_file"));
    if access_key_file.is_some() != secret_key_file.is_some() {
        let (has, lacks) = if access_key_file.is_some() {
            ("access_key_file", "secret_key_file")
        } else {
            ("secret_key_file", "access_key_file")
        };
        table.fault(has, format!("[store.{name}] has `{has}` and no `{lacks}`"), format!("give `{lacks}` too, or take both out"));
    }
    let spec = StoreSpec {
        address: address.unwrap_or_else(|| Address::Url(String::new())),
        endpoint: table.word("endpoint").map(|at| at.value),
        region: table.word("region").map(|at| at.value),
        access_key_file,
        secret_key_file,
        timeout: duration(&table, "timeout").unwrap_or(Duration::from_secs(30)),
        place: table.place(),
        name,
    };
    table.finish();
    Some(spec)
}

/// `[section.media]`, or that of nested rows.
pub(super) fn read_media(table: &Table<'_, '_, '_>, name: &str) -> Option<Media> {
    let table = table.table("media", name)?;
    let column = table.required("column", "name the column that holds the object's key: column = \"picture\"");
    let store = table.required("store", "name the store: store = \"pictures\", declared as [store.pictures]");
    let placed = table.choice("as", &[("members", Placed::Members), ("links", Placed::Links)]).unwrap_or(Placed::Members);
    let types = match table.texts("types") {
        None => TYPES.iter().map(|(_, kind)| *kind).collect(),
        Some(words) => {
            let mut types = Vec::new();
            for word in words {
                match TYPES.iter().find(|(name, _)| *name == word.value) {
                    Some((_, kind)) => types.push(*kind),
                    None => table.file.fault_at(
                        &word.place,
                        format!("\"{}\" is no type of media", word.value),
                        "write \"image\", \"video\", \"audio\" or \"pdf\"",
                    ),
                }
            }
            if types.is_empty() {
                table.fault("types", format!("`types` of {name} allows nothing"), "name a type, or take it out to allow all");
            }
            types
        }
    };
    let absent = table.choice("missing", &[("omit", Absent::LeaveOut), ("fail", Absent::Fail)]).unwrap_or(Absent::LeaveOut);
    let within = table.word("within").map(|at| at.value);
    if within.as_ref().is_some_and(|within| !within.ends_with('/') || !within.contains(":subject")) {
        table.fault(
            "within",
            format!("`within` of {name} does not keep one person's objects from another's"),
            "write what keys begin with, with the person and a slash at its end: within = \"people/:subject/\"",
        );
    }
    let max_object = size(&table, "max_object", 1 << 40).unwrap_or(MAX_OBJECT);
    let place = table.place();
    table.finish();
    Some(Media { column: column?.value, store: store?.value, placed, types, max_object, absent, within, place })
}

impl super::Catalogue {
    /// The object stores, in order of declaration.
    pub fn stores(&self) -> &[StoreSpec] {
        &self.stores
    }

    /// Whether any section holds media.
    pub fn has_media(&self) -> bool {
        self.with_media().next().is_some()
    }

    /// The sections and nested rows that hold media.
    pub(crate) fn with_media(&self) -> impl Iterator<Item = (&Section, &Media)> {
        self.sections.iter().flat_map(Section::with_media).map(|(_, section, media)| (section, media))
    }
}

impl Section {
    /// What of it holds media: itself, and what is nested in it, by its field.
    pub(crate) fn with_media(&self) -> impl Iterator<Item = (Option<&str>, &Section, &Media)> {
        let nests = self.nests.iter().map(|nest| (Some(nest.field.as_str()), &nest.section));
        std::iter::once((None, self)).chain(nests).filter_map(|(field, section)| Some((field, section, section.media.as_ref()?)))
    }
}

pub(super) fn check(catalogue: &super::Catalogue, fault: &mut dyn FnMut(&Place, String, String)) {
    for (at, store) in catalogue.stores.iter().enumerate() {
        if let Some(first) = catalogue.stores[..at].iter().find(|other| other.name == store.name) {
            fault(
                &store.place,
                format!("the store `{}` is declared twice, first at {}", store.name, first.place),
                "keep one".to_owned(),
            );
        }
    }
    for (section, media) in catalogue.with_media() {
        if !catalogue.stores.iter().any(|store| store.name == media.store) {
            fault(
                &media.place,
                format!("the section's media are in a store `{}` that is not declared", media.store),
                format!("declare [store.{}], or correct the name", media.store),
            );
        }
        for (what, cure) in conflicts(section, media) {
            fault(&media.place, what, cure.to_owned());
        }
    }
}

fn conflicts(section: &Section, media: &Media) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let column = &media.column;
    if section.field(column).is_some_and(|field| field.rule != super::Rule::Keep) {
        found.push((format!("the column `{column}` holds media and has a rule"), "leave one of the two out"));
    }
    if section.query.as_ref().is_some_and(|query| query.hidden.contains(column)) {
        found.push((format!("the column `{column}` holds media and is hidden"), "what is hidden is not written; show it"));
    }
    if section.query.as_ref().is_some_and(|query| query.paired.contains(column)) {
        found.push((
            format!("the column `{column}` holds media and pairs rows"),
            "what pairs rows is not written; select it twice",
        ));
    }
    if section.group_column() == Some(column) {
        found.push((format!("the column `{column}` holds media and names groups"), "group by another column"));
    }
    found
}
