//! The catalogue: what can be exported. The operator's file, parsed and checked into types that cannot be wrong.

pub mod contents;
mod declared;
pub mod dictionary;
pub mod edition;
mod excuse;
mod faults;
mod fields;
mod file;
mod file_names;
mod joined;
mod media;
mod more;
mod parse;
mod rules;
pub mod schema;
mod sections;
mod sources;
pub(crate) mod sql;
mod synthetic;
mod time_format;

use std::collections::BTreeMap;
use std::path::Path;

pub use declared::{Format, Lookup, Missing, Nest, Origin, Rule, Stable, SubjectKey, Whose};
pub(crate) use declared::{MAX_KEY_VALUES, TimeUnit, batch_name};
pub use excuse::{Excuse, PersonTable};
pub use faults::{CatalogueError, Fault, Place};
pub use media::{Absent, Media, MediaType, Placed, StoreSpec};
pub(crate) use sections::Part;
pub use sections::{Empty, Field, FieldKind, Owner, Query, Section, Shape, Template, TimeField, TimeFrom};
pub use sources::{Address, Engine, HttpSpec, Snapshot, SourceChoice, SourceSpec};
pub use time_format::TimeFormat;
pub(crate) use time_format::{DayCache, Stamp};

use crate::subject::SubjectType;

/// The category of this name takes every section, and its scope covers every category.
pub const ALL_DATA: &str = "all_data";

/// The files that a pattern of `include` names, each with its name and text, or what is wrong.
pub type Included = Result<Vec<(String, String)>, String>;

/// What can be exported, and for which categories and scopes.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Which state of the catalogue this is, in the operator's words: `2026-08-28`.
    pub edition: String,
    /// The name of the one member of a JSON archive: `user_data_tiktok.json`.
    pub document: String,
    /// The folder that holds everything in a TXT archive: `TikTok`.
    pub text_root: String,
    /// What names a person in the operator's databases.
    pub subject: SubjectType,
    keys: Vec<SubjectKey>,
    sources: Vec<SourceSpec>,
    stores: Vec<StoreSpec>,
    categories: Vec<Category>,
    sections: Vec<Section>,
    excuses: Vec<Excuse>,
}

impl Catalogue {
    /// Reads a catalogue and the files it includes. Every fault is told at once.
    pub fn load(path: &Path) -> Result<Self, CatalogueError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            CatalogueError::one(
                path.display().to_string(),
                format!("cannot be read: {error}"),
                "give the path of a catalogue file",
            )
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&path.display().to_string(), &text, &mut |pattern| included(base, pattern))
    }

    /// Reads a catalogue from text. `include` answers a pattern of `include` with the files it names, sorted, or with
    /// what is wrong.
    pub fn parse(name: &str, text: &str, include: &mut dyn FnMut(&str) -> Included) -> Result<Self, CatalogueError> {
        parse::catalogue(name, text, include)
    }

    /// The categories, in order of declaration.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The category of this name or alias.
    pub fn category(&self, name_or_alias: &str) -> Option<&Category> {
        self.categories
            .iter()
            .find(|category| category.name == name_or_alias || category.aliases.iter().any(|alias| alias == name_or_alias))
    }

    /// The sources, in order of declaration.
    pub fn sources(&self) -> &[SourceSpec] {
        &self.sources
    }

    /// Reads the one SQLite source from another file. Fails when there is none, or more than one.
    pub fn read_from_sqlite(&mut self, file: &Path) -> Result<(), SourceChoice> {
        let mut found = self.sources.iter_mut().filter(|source| source.kind == Engine::Sqlite);
        match (found.next(), found.next()) {
            (Some(source), None) => {
                source.address = Address::Url(format!("sqlite:{}", file.display()));
                Ok(())
            }
            _ => Err(SourceChoice),
        }
    }

    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&SourceSpec> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The sections, in order of declaration.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The sections that a request for these categories takes. Names and aliases both serve.
    pub fn sections_of(&self, categories: &[impl AsRef<str>]) -> impl Iterator<Item = &Section> {
        self.indexes_of(categories).into_iter().filter_map(|index| self.sections.get(index))
    }

    /// The same, by their places in [`Self::sections`].
    pub(crate) fn indexes_of(&self, categories: &[impl AsRef<str>]) -> Vec<usize> {
        let names: Vec<&str> = categories.iter().filter_map(|name| Some(self.category(name.as_ref())?.name.as_str())).collect();
        let all = names.contains(&ALL_DATA);
        let taken = |section: &Section| all || section.categories.iter().any(|name| names.contains(&name.as_str()));
        (0..self.sections.len()).filter(|index| taken(&self.sections[*index])).collect()
    }
}

/// A kind of data that can be asked for.
#[derive(Clone, Debug)]
pub struct Category {
    /// What the wire calls it: `activity`.
    pub name: String,
    /// Other names that the wire accepts for it.
    pub aliases: Vec<String>,
    /// The family of scopes, without `.single` and `.ongoing`: `portability.activity`.
    pub scope: String,
    /// The consent page's heading.
    pub title: Texts,
    /// The consent page's words on what it holds.
    pub text: Texts,
    /// How carefully it is given.
    pub sensitivity: Sensitivity,
    /// Where it was declared.
    pub place: Place,
}

/// How carefully a category is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// As usual.
    Normal,
    /// With a fresh sign-in and two reviewers.
    Sensitive,
}

/// Words in several languages. English is always among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(BTreeMap<String, String>);

impl Texts {
    /// The words in this language, if they were given.
    pub fn get(&self, language: &str) -> Option<&str> {
        self.0.get(language).map(String::as_str)
    }

    /// The words in this language, or else in English.
    pub fn best(&self, language: &str) -> &str {
        self.get(language).or_else(|| self.get("en")).unwrap_or_default()
    }

    /// All of them, by language.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(language, words)| (language.as_str(), words.as_str()))
    }
}

/// The files that a pattern of `include` names: a path below the catalogue's folder, with `*` in its last part only.
fn included(base: &Path, pattern: &str) -> Included {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if folder.contains('*') {
        return Err("`*` may stand in the file's name only, not in a folder's".to_owned());
    }
    let folder = base.join(folder);
    let mut paths = Vec::new();
    if name.contains('*') {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
            if entry.file_name().to_str().is_some_and(|found| fits(name, found)) {
                paths.push(entry.path());
            }
        }
        paths.sort();
    } else {
        paths.push(folder.join(name));
    }
    paths
        .into_iter()
        .map(|path| match std::fs::read_to_string(&path) {
            Ok(text) => Ok((path.display().to_string(), text)),
            Err(error) => Err(format!("{}: {error}", path.display())),
        })
        .collect()
}

/// Whether a name fits a pattern with `*`.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, wanted) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.toml~", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c", false),
            ("*", "x", true),
            ("a*a", "a", false),
            ("x.toml", "x.toml", true),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
