//! What is compared: the rows of an archive's sections, one after another, as they are written. Fields that cannot be compared are passed over.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::ledger::Hash;
use crate::catalogue::{Catalogue, Media, Placed, Rule, Section, Shape};
use crate::write::Format;

/// Where rows stand: a section, or a text file with its sections.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    /// The sections, by their places in the catalogue.
    pub(super) sections: Vec<usize>,
    shape: Form,
    /// The columns that identify a record, where they are written.
    key: Vec<String>,
    /// Columns of whose values is compared only whether there is one, for nested rows by the field that holds them.
    pub(super) masked: Vec<String>,
    /// The same by their labels in TXT.
    labels: Vec<String>,
    /// Which of them the archive has at all: what is made anew has all of them.
    met: Vec<Cell<bool>>,
    /// Whether it is the folder of media, whose files are compared by their bytes.
    pub(super) files: bool,
    /// Whether the group's name is passed over.
    blind: bool,
    /// Whether the rows cannot be compared, only counted.
    pub(super) counted_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    List,
    Groups,
    Map,
    One,
}

/// A row, as it is compared.
pub(super) struct Unit<'u> {
    pub(super) place: usize,
    pub(super) key: Hash,
    pub(super) content: Hash,
    /// What identifies the record, in words; empty where nothing does.
    pub(super) words: &'u str,
    /// Of files, their bytes.
    pub(super) bytes: u64,
}

/// Which of the two archives is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that is judged. It is looked at first.
    Given,
    /// The one that was made to compare it with.
    Fresh,
}

impl Place {
    /// Whether a masked column is looked at: what the given archive does not have, because there was no secret to write it with, says nothing.
    fn looks_at(&self, masked: usize, which: Which) -> bool {
        let Some(met) = self.met.get(masked) else { return false };
        if which == Which::Given {
            met.set(true);
        }
        met.get()
    }

    /// Whether some columns of the rows within this field are masked.
    fn masks_within(&self, field: &str) -> bool {
        self.masked.iter().any(|masked| masked.strip_prefix(field).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The folder of media.
    fn of_files(folder: &str) -> Self {
        Self {
            name: folder.to_owned(),
            sections: Vec::new(),
            shape: Form::List,
            key: Vec::new(),
            masked: Vec::new(),
            labels: Vec::new(),
            met: Vec::new(),
            files: true,
            blind: false,
            counted_only: false,
        }
    }

    /// The place of a column among the masked ones.
    fn masks(&self, column: &str) -> Option<usize> {
        self.masked.iter().position(|masked| masked == column)
    }
}

/// What a walk over an archive needs.
pub(super) struct Plan {
    pub(super) places: Vec<Place>,
    format: Format,
    /// Where media lie, if they are members.
    media: Option<(String, usize)>,
    /// By the section's path, or by the file's name.
    by_path: HashMap<Vec<String>, usize>,
}

impl Plan {
    /// The sections that an archive of these categories has. `knows_open_id` says that the person's name can be compared.
    pub(super) fn new(catalogue: &Catalogue, categories: &[String], format: Format, knows_open_id: bool) -> Self {
        let mut plan = Self { places: Vec::new(), format, media: None, by_path: HashMap::new() };
        let names = catalogue.file_names();
        for index in catalogue.indexes_of(categories) {
            let Some(section) = catalogue.sections().get(index) else { continue };
            let path = match format {
                Format::Json => section.path.clone(),
                Format::Text => match &section.text {
                    Some(text) => vec![format!("{}/{text}", catalogue.text_root)],
                    None => continue,
                },
                Format::Ndjson | Format::Csv => match names.get(index) {
                    Some(name) => vec![format!("{name}.{format}")],
                    None => continue,
                },
            };
            let masked = masked(section, knows_open_id, format);
            let labels = masked.iter().map(|column| label(section, column)).collect();
            let blind = section.group_column().is_some_and(|group| masked.iter().any(|column| column == group));
            let lines = format == Format::Text && !masked.is_empty() && (section.text_line.is_some() || blind);
            match plan.by_path.get(&path).copied().and_then(|at| plan.places.get_mut(at)) {
                Some(place) => {
                    place.name = format!("{}, {}", place.name, section.name());
                    place.sections.push(index);
                    place.masked.extend(masked);
                    place.labels.extend::<Vec<String>>(labels);
                    place.met.resize(place.masked.len(), Cell::new(false));
                    place.counted_only |= lines;
                }
                None => {
                    plan.by_path.insert(path, plan.places.len());
                    plan.places.push(Place {
                        name: section.name(),
                        sections: vec![index],
                        shape: match section.shape {
                            Shape::List => Form::List,
                            Shape::Groups(_) => Form::Groups,
                            Shape::Map(_) => Form::Map,
                            Shape::Object | Shape::Value | Shape::Constant(_) => Form::One,
                        },
                        key: section.query.as_ref().map(|query| query.key.clone()).unwrap_or_default(),
                        met: vec![Cell::new(false); masked.len()],
                        masked,
                        labels,
                        files: false,
                        blind,
                        counted_only: lines,
                    });
                }
            }
        }
        // The compatible form has links.
        if catalogue.has_media() && format != Format::Json {
            let folder = crate::write::media_folder(catalogue, format);
            plan.places.push(Place::of_files(folder.trim_end_matches('/')));
            plan.media = Some((folder, plan.places.len() - 1));
        }
        plan
    }

    /// Tells every row of an archive, in order, and every file of its media.
    pub(super) fn walk(
        &self,
        which: Which,
        archive: &File,
        tell: &mut dyn FnMut(Unit<'_>) -> io::Result<()>,
    ) -> io::Result<Strangers> {
        let mut file = archive.try_clone()?;
        io::Seek::rewind(&mut file)?;
        let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(io::Error::other)?;
        let mut strangers = Strangers::default();
        for at in 0..zip.len() {
            let mut member = zip.by_index(at).map_err(io::Error::other)?;
            let name = member.name().map_err(io::Error::other)?.into_owned();
            if crate::manifest::is_reserved(&name) {
                continue;
            }
            if let Some((_, place)) = self.media.as_ref().filter(|(folder, _)| name.starts_with(folder.as_str())) {
                let (hash, bytes) = digest(&mut member)?;
                let key = short(Sha256::new().chain_update(&name));
                tell(Unit { place: *place, key, content: short(hash), words: &name, bytes })?;
                continue;
            }
            let mut reader = BufReader::with_capacity(64 << 10, member);
            let place = self.by_path.get(std::slice::from_ref(&name)).copied();
            match (self.format, place) {
                (Format::Json, _) if name.ends_with(".json") => {
                    let mut walk = Walk { plan: self, which, path: Vec::new(), tell, strangers: &mut strangers, failed: None };
                    let mut read = serde_json::Deserializer::from_reader(&mut reader);
                    let done = Node(&mut walk).deserialize(&mut read);
                    if let Some(error) = walk.failed.take() {
                        return Err(error);
                    }
                    done.map_err(io::Error::other)?;
                }
                (Format::Text, Some(place)) => self.blocks(place, which, &mut reader, tell)?,
                (Format::Ndjson, Some(place)) => self.lines(place, which, &mut reader, tell)?,
                (Format::Csv, Some(place)) => self.records(place, which, &mut reader, tell)?,
                _ if name.starts_with("No data.") => {}
                _ => strangers.add(name),
            }
        }
        Ok(strangers)
    }

    /// TXT: runs of lines that are not blank.
    fn blocks(
        &self,
        at: usize,
        which: Which,
        reader: &mut impl BufRead,
        tell: &mut dyn FnMut(Unit<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(place) = self.places.get(at) else { return Ok(()) };
        let mut hash = Sha256::new();
        let (mut any, mut hidden) = (false, false);
        let mut line = Vec::new();
        loop {
            line.clear();
            let ended = reader.read_until(b'\n', &mut line)? == 0;
            if ended || line == b"\n" {
                if std::mem::take(&mut any) {
                    let content = short(std::mem::take(&mut hash));
                    let content = if place.counted_only { Hash::default() } else { content };
                    tell(Unit { place: at, key: content, content, words: "", bytes: 0 })?;
                }
                if ended {
                    return Ok(());
                }
                continue;
            }
            any = true;
            if !line.starts_with(b"    ") {
                let value = |label: &String| line.strip_prefix(label.as_bytes()).and_then(|rest| rest.strip_prefix(b": "));
                let masked = place.labels.iter().enumerate().find_map(|(at, label)| Some((at, value(label)?)));
                hidden = masked.is_some();
                if let Some((masked, value)) = masked
                    && place.looks_at(masked, which)
                {
                    feed(&mut hash, &[b"masked", &masked.to_le_bytes(), &[u8::from(value == b"N/A\n")]]);
                }
            }
            if !hidden {
                hash.update(&line);
            }
        }
    }

    /// NDJSON: a value on every line.
    fn lines(
        &self,
        at: usize,
        which: Which,
        reader: &mut impl BufRead,
        tell: &mut dyn FnMut(Unit<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(place) = self.places.get(at) else { return Ok(()) };
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let raw: &RawValue = serde_json::from_slice(&line).map_err(io::Error::other)?;
            let (key, content, words) = row(place, which, None, raw)?;
            tell(Unit { place: at, key, content, words: &words, bytes: 0 })?;
        }
    }

    /// CSV: records, of which the first names the columns.
    fn records(
        &self,
        at: usize,
        which: Which,
        reader: &mut impl Read,
        tell: &mut dyn FnMut(Unit<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(place) = self.places.get(at) else { return Ok(()) };
        let mut head: Option<Vec<String>> = None;
        let mut fields: Vec<Vec<u8>> = vec![Vec::new()];
        let (mut quoted, mut any) = (false, false);
        let mut take = |fields: &mut Vec<Vec<u8>>| -> io::Result<()> {
            let values = std::mem::replace(fields, vec![Vec::new()]);
            let Some(names) = &head else {
                head = Some(values.iter().map(|value| unquoted(value)).collect());
                return Ok(());
            };
            let (mut content, mut key, mut words) = (Sha256::new(), Sha256::new(), Vec::new());
            for (name, value) in names.iter().zip(&values) {
                if let Some(masked) = place.masks(name) {
                    if place.looks_at(masked, which) {
                        feed(&mut content, &[name.as_bytes(), &[u8::from(value.is_empty())]]);
                    }
                    continue;
                }
                if place.masks_within(name) {
                    nested(place, which, name, &unquoted(value), &mut content)?;
                    continue;
                }
                feed(&mut content, &[name.as_bytes(), value]);
                if place.key.contains(name) {
                    feed(&mut key, &[name.as_bytes(), value]);
                    words.push(format!("{name}={}", String::from_utf8_lossy(value)));
                }
            }
            let content = short(content);
            let known = !place.key.is_empty() && words.len() == place.key.len();
            let key = if known { short(key) } else { content };
            let words = if known { words.join(", ") } else { String::new() };
            tell(Unit { place: at, key, content, words: &words, bytes: 0 })
        };
        let mut block = vec![0; 64 << 10];
        loop {
            let count = reader.read(&mut block)?;
            for byte in &block[..count] {
                any = true;
                quoted ^= *byte == b'"';
                match byte {
                    b',' if !quoted => fields.push(Vec::new()),
                    b'\r' if !quoted => {}
                    // An empty line is a record too: its one value is null.
                    b'\n' if !quoted => {
                        any = false;
                        take(&mut fields)?;
                    }
                    // The quotes stay: nothing is null, and `""` is a text.
                    _ => fields.last_mut().into_iter().for_each(|field| field.push(*byte)),
                }
            }
            if count == 0 {
                return if any { take(&mut fields) } else { Ok(()) };
            }
        }
    }
}

/// The text of a field of CSV.
fn unquoted(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map(|text| text.replace("\"\"", "\""));
    inner.unwrap_or_else(|| text.into_owned())
}

/// What an archive holds that the catalogue does not know.
#[derive(Debug, Default)]
pub(super) struct Strangers(pub(super) Vec<String>);

impl Strangers {
    fn add(&mut self, name: String) {
        if self.0.len() < 100 && !self.0.contains(&name) {
            self.0.push(name);
        }
    }
}

/// Columns whose values differ between two archives although nothing changed.
fn masked(section: &Section, knows_open_id: bool, format: Format) -> Vec<String> {
    let hides = |rule: Rule| rule == Rule::Pseudonym || rule == Rule::OpenId && !knows_open_id;
    let of = |section: &Section, within: &str| -> Vec<String> {
        let hidden = section.fields.iter().filter(|field| hides(field.rule));
        hidden.map(|field| format!("{within}{}", field.name)).collect()
    };
    let mut masked = of(section, "");
    // Links are sealed for their request; names of members are the same for the same object.
    let links = |media: &&Media| format == Format::Json || media.placed == Placed::Links;
    masked.extend(section.media.iter().filter(links).map(|media| media.column.clone()));
    for nest in &section.nests {
        let within = format!("{}.", nest.field);
        masked.extend(of(&nest.section, &within));
        masked.extend(nest.section.media.iter().filter(links).map(|media| format!("{within}{}", media.column)));
    }
    masked
}

/// A column's key in TXT.
fn label(section: &Section, column: &str) -> String {
    let own = section.field(column).and_then(|field| field.label.clone());
    let (of, name) = match column.split_once('.') {
        Some((nest, name)) if own.is_none() => (section.nests.iter().find(|of| of.field == nest), name),
        _ => (None, column),
    };
    let nested = of.and_then(|nest| nest.section.field(name)).and_then(|field| field.label.clone());
    own.or(nested).unwrap_or_else(|| crate::write::text::label(name))
}

/// What a file holds, and how many bytes.
fn digest(file: &mut impl Read) -> io::Result<(Sha256, u64)> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut block = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            return Ok((hash, bytes));
        }
        hash.update(&block[..count]);
        bytes += count as u64;
    }
}

fn short(hash: Sha256) -> Hash {
    let mut short = Hash::default();
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

fn feed(hash: &mut Sha256, parts: &[&[u8]]) {
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
}

/// A row of JSON: what identifies it, what it holds, and the former in words.
fn row(place: &Place, which: Which, group: Option<&str>, raw: &RawValue) -> io::Result<(Hash, Hash, String)> {
    let (mut content, mut key, mut words) = (Sha256::new(), Sha256::new(), Vec::new());
    let group = group.filter(|_| !place.blind);
    if let Some(group) = group {
        feed(&mut content, &[group.as_bytes()]);
        feed(&mut key, &[group.as_bytes()]);
    }
    let mut found = 0;
    if raw.get().starts_with('{') {
        let fields: Fields = serde_json::from_str(raw.get()).map_err(io::Error::other)?;
        for (name, value) in &fields.0 {
            if let Some(masked) = place.masks(name) {
                if place.looks_at(masked, which) {
                    feed(&mut content, &[name.as_bytes(), &[u8::from(value.get() == "null")]]);
                }
                continue;
            }
            if place.masks_within(name) && value.get().starts_with('[') {
                nested(place, which, name, value.get(), &mut content)?;
                continue;
            }
            feed(&mut content, &[name.as_bytes(), value.get().as_bytes()]);
            if place.key.contains(name) {
                found += 1;
                feed(&mut key, &[name.as_bytes(), value.get().as_bytes()]);
                words.push(format!("{name}={}", value.get()));
            }
        }
    } else {
        feed(&mut content, &[raw.get().as_bytes()]);
    }
    let content = short(content);
    let known = !place.key.is_empty() && found == place.key.len();
    if place.shape == Form::Map
        && let Some(group) = group
        && !known
    {
        return Ok((short(key), content, format!("\"{group}\"")));
    }
    match (place.shape, known) {
        (_, true) => Ok((short(key), content, words.join(", "))),
        // There is one record at most, so it is the same one.
        (Form::One, _) => Ok((Hash::default(), content, "the one record".to_owned())),
        _ => Ok((content, content, String::new())),
    }
}

/// Rows within a row, of whose fields some are masked.
fn nested(place: &Place, which: Which, field: &str, json: &str, content: &mut Sha256) -> io::Result<()> {
    let rows: Vec<Fields> = serde_json::from_str(json).map_err(io::Error::other)?;
    feed(content, &[field.as_bytes()]);
    for fields in &rows {
        for (inner, value) in &fields.0 {
            match place.masks(&format!("{field}.{inner}")) {
                None => feed(content, &[inner.as_bytes(), value.get().as_bytes()]),
                Some(masked) if place.looks_at(masked, which) => {
                    feed(content, &[inner.as_bytes(), &[u8::from(value.get() == "null")]]);
                }
                Some(_) => {}
            }
        }
        feed(content, &[b"row"]);
    }
    Ok(())
}

/// An object's fields, as they are written.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Read)
    }
}

/// A walk over a JSON document.
struct Walk<'w> {
    plan: &'w Plan,
    which: Which,
    path: Vec<String>,
    tell: &'w mut dyn FnMut(Unit<'_>) -> io::Result<()>,
    strangers: &'w mut Strangers,
    failed: Option<io::Error>,
}

impl Walk<'_> {
    fn row<E: serde::de::Error>(&mut self, at: usize, group: Option<&str>, raw: &RawValue) -> Result<(), E> {
        let Some(place) = self.plan.places.get(at) else { return Ok(()) };
        let told = row(place, self.which, group, raw)
            .and_then(|(key, content, words)| (self.tell)(Unit { place: at, key, content, words: &words, bytes: 0 }));
        told.map_err(|error| {
            let words = E::custom(&error);
            self.failed = Some(error);
            words
        })
    }
}

/// An object on the way to sections.
struct Node<'n, 'w>(&'n mut Walk<'w>);

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that leads to sections")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let walk = self.0;
        while let Some(key) = map.next_key::<String>()? {
            walk.path.push(key);
            if let Some(at) = walk.plan.by_path.get(&walk.path).copied() {
                map.next_value_seed(InSection { walk: &mut *walk, at, depth: 0, group: None })?;
            } else if walk.plan.by_path.keys().any(|path| path.starts_with(&walk.path)) {
                map.next_value_seed(Node(&mut *walk))?;
            } else {
                let name = walk.path.join(" / ");
                walk.strangers.add(name);
                map.next_value::<IgnoredAny>()?;
            }
            walk.path.pop();
        }
        Ok(())
    }
}

/// A section's value, or what is within it on the way to its rows.
struct InSection<'n, 'w> {
    walk: &'n mut Walk<'w>,
    at: usize,
    depth: usize,
    group: Option<String>,
}

impl InSection<'_, '_> {
    fn form(&self) -> Form {
        self.walk.plan.places.get(self.at).map_or(Form::One, |place| place.shape)
    }
}

impl<'de> DeserializeSeed<'de> for InSection<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let rows_here = match (self.form(), self.depth) {
            (Form::List | Form::Groups | Form::Map, 0) | (Form::Groups, 1) => false,
            (Form::One, _) | (Form::List | Form::Map, _) | (Form::Groups, _) => true,
        };
        if !rows_here {
            return from.deserialize_any(self);
        }
        let raw = Box::<RawValue>::deserialize(from)?;
        // What stands for no row is none.
        if matches!(raw.get(), "null" | "{}" | "[]") && self.form() == Form::One {
            return Ok(());
        }
        self.walk.row(self.at, self.group.as_deref(), &raw)
    }
}

impl<'de> Visitor<'de> for InSection<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section's rows")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut rows: S) -> Result<(), S::Error> {
        let (walk, at, depth) = (self.walk, self.at, self.depth + 1);
        while rows.next_element_seed(InSection { walk: &mut *walk, at, depth, group: self.group.clone() })?.is_some() {}
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let (walk, at, depth) = (self.walk, self.at, self.depth + 1);
        while let Some(group) = map.next_key::<String>()? {
            map.next_value_seed(InSection { walk: &mut *walk, at, depth, group: Some(group) })?;
        }
        Ok(())
    }
}
