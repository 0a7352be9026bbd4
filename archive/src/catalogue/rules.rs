//! What can only be judged by looking at more than one table.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::file::{At, Table};
use super::joined::Asks;
use super::sql::{Bind, Dialect, Scan, scan};
use super::{Catalogue, Fault, Owner, Part, Place, Query, Section, Shape};

/// The cheap look at a query; the engine's own is `Sources::check`.
pub(super) fn query(table: &Table<'_, '_, '_>, sql: &At<String>, time: Option<&str>) {
    // Which dialect holds is known only when all sources are; what both agree on is enough here. `check` below scans again.
    if sql.value.contains('\0') {
        table.fault("query", "the query has a NUL character", "take it out");
    }
    if time.is_some() {
        let found = scan(&sql.value, Dialect::Postgres);
        for (bind, name) in [(Bind::Since, ":since"), (Bind::Until, ":until")] {
            if !found.binds.iter().any(|(_, found)| *found == bind) {
                table.fault(
                    "time",
                    format!("`time` is given, but the query has no {name}"),
                    "add `TIME >= :since and TIME < :until` to the query, or take `time` out",
                );
            }
        }
    }
}

pub(super) struct Rules<'c> {
    pub(super) catalogue: &'c Catalogue,
    faults: &'c RefCell<Vec<Fault>>,
}

pub(super) fn check(catalogue: &Catalogue, faults: &RefCell<Vec<Fault>>) {
    let rules = Rules { catalogue, faults };
    rules.sources();
    rules.categories();
    rules.keys();
    for section in &catalogue.sections {
        rules.section(section);
    }
    rules.paths();
    super::excuse::check(catalogue, &mut |place, what, cure| rules.fault(place, what, cure));
    super::media::check(catalogue, &mut |place, what, cure| rules.fault(place, what, cure));
    rules.text_files();
}

impl Rules<'_> {
    pub(super) fn fault(&self, place: &Place, what: impl Into<String>, cure: impl Into<String>) {
        let line = (place.line > 0).then_some(place.line);
        self.faults.borrow_mut().push(Fault {
            file: place.file.to_string(),
            line,
            what: what.into(),
            cure: cure.into(),
            warning: false,
        });
    }

    fn sources(&self) {
        let mut seen: HashMap<&str, &Place> = HashMap::new();
        for source in &self.catalogue.sources {
            if let Some(first) = seen.insert(&source.name, &source.place) {
                self.fault(
                    &source.place,
                    format!("the source `{}` is declared twice, first at {first}", source.name),
                    "keep one",
                );
            }
        }
    }

    fn categories(&self) {
        let mut seen: HashMap<&str, &Place> = HashMap::new();
        for category in &self.catalogue.categories {
            for name in std::iter::once(&category.name).chain(&category.aliases) {
                if let Some(first) = seen.insert(name, &category.place) {
                    self.fault(
                        &category.place,
                        format!("\"{name}\" names two categories, or one twice; first at {first}"),
                        "names and aliases are one list; rename one of them",
                    );
                }
            }
            let taken = category.name == super::ALL_DATA
                || self.catalogue.sections.iter().any(|section| section.categories.contains(&category.name));
            if !taken {
                self.fault(
                    &category.place,
                    format!("no section belongs to the category `{}`", category.name),
                    "name it in the `categories` of a section, or take it out",
                );
            }
        }
    }

    fn section(&self, section: &Section) {
        let mut named = HashSet::new();
        for name in &section.categories {
            if !named.insert(name) {
                self.fault(&section.place, format!("the section names the category `{name}` twice"), "name it once");
            }
            match self.catalogue.category(name) {
                Some(category) if category.name != *name => self.fault(
                    &section.place,
                    format!("the section names the category `{}` by its alias `{name}`", category.name),
                    "use the category's own name",
                ),
                Some(_) => {}
                None => self.fault(
                    &section.place,
                    format!("the section belongs to a category `{name}` that is not declared"),
                    format!("declare [[category]] with that name, or use one of: {}", self.names_of_categories()),
                ),
            }
        }
        let Some(query) = &section.query else { return };
        self.source(section, query, Asks::Person);
        self.joined(section);
        if let Owner::Column(owner) = &query.owner
            && section.group_column() == Some(owner)
        {
            self.fault(&section.place, "the owner's column also names the groups", "group by another column");
        }
        if matches!(section.shape, Shape::Value) && section.fields.len() > 1 {
            self.fault(
                &section.place,
                "a value has one column, and more than one field is declared",
                "keep one, or use shape = \"object\"",
            );
        }
        if section.text_line.is_some() && matches!(section.shape, Shape::Value) {
            self.fault(&section.place, "a value is one line already", "take `text_line` out");
        }
        self.templates(section);
    }

    fn names_of_categories(&self) -> String {
        self.catalogue.categories.iter().map(|category| category.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether the query's source is there, and the query is one for it.
    pub(super) fn source(&self, section: &Section, query: &Query, asks: Asks) {
        let source = self.catalogue.source(&query.source);
        if source.is_none() && !query.source.is_empty() {
            self.fault(
                &section.place,
                format!("the section reads from a source `{}` that is not declared", query.source),
                format!("declare [source.{}]", query.source),
            );
        }
        if let Some(source) = source {
            self.sql(section, &query.sql, source.kind.dialect(), asks);
        }
    }

    fn sql(&self, section: &Section, sql: &str, dialect: Dialect, asks: Asks) {
        if sql.is_empty() {
            // Told already: the table has none.
            return;
        }
        let found = scan(sql, dialect);
        if dialect == Dialect::Path {
            return self.path(section, sql, &found, asks);
        }
        if found.open.is_some() {
            self.fault(&section.place, "the query has a literal, a quoted name or a comment that does not end", "close it");
            return;
        }
        if found.second.is_some() {
            self.fault(&section.place, "the query has two statements", "a section is filled by one select");
        }
        let verb = sql[found.verb.clone()].to_ascii_lowercase();
        if !["select", "with", "values"].contains(&verb.as_str()) {
            self.fault(&section.place, "the query is not a select", "begin it with select or with; sources are only read");
        }
        for (what, cure) in &found.refused {
            self.fault(&section.place, format!("the query has `{}`", &sql[what.clone()]), *cure);
        }
        for stranger in &found.strangers {
            self.fault(
                &section.place,
                format!("the query has a parameter `{}` that nothing fills", &sql[stranger.clone()]),
                "use :subject, :since and :until; write a blank after a colon that is none",
            );
        }
        self.binds(section, &found, asks);
    }

    /// The query of an HTTP service: a path below the source's address.
    fn path(&self, section: &Section, path: &str, found: &Scan, asks: Asks) {
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\\"<>^`{|}".contains(&byte));
        let before = path.split('?').next().unwrap_or_default();
        let dots = before.split('/').any(|part| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."));
        if !plain || !path.starts_with('/') || path.starts_with("//") || dots {
            self.fault(
                &section.place,
                "the query of an HTTP source is not a path",
                "write one like \"/people/:subject/orders?since=:since&until=:until\", percent-encoded",
            );
        }
        for stranger in &found.strangers {
            self.fault(
                &section.place,
                format!("the path has a parameter `{}` that nothing fills", &path[stranger.clone()]),
                "use :subject, :since and :until; write %3A for a colon that is none",
            );
        }
        for (range, bind) in &found.binds {
            let alone = path[..range.start].ends_with('=') && !path[range.end..].starts_with(|next| next != '&');
            if matches!(bind, Bind::Since | Bind::Until) && (range.start < before.len() || !alone) {
                self.fault(
                    &section.place,
                    format!("`{}` is not the value of a parameter", &path[range.clone()]),
                    "write it as in ?since=:since; a request without a range leaves the parameter out",
                );
            }
        }
        self.binds(section, found, asks);
        if section.fields.is_empty() {
            self.fault(
                &section.place,
                "a section of an HTTP source declares no fields",
                "list what is written in [section.fields]; keys that are not declared are left out",
            );
        }
    }

    fn templates(&self, section: &Section) {
        let hidden = section.query.as_ref().map(|query| query.hidden.as_slice()).unwrap_or_default();
        for part in section.text_line.iter().flat_map(|template| &template.0) {
            if let Part::Column(column) = part
                && hidden.contains(column)
            {
                self.fault(
                    &section.place,
                    format!("`text_line` writes `{column}`, which is hidden"),
                    "take it out of one of them",
                );
            }
        }
        for part in section.text_group.iter().flat_map(|template| &template.0) {
            if let Part::Column(column) = part
                && column != "group"
            {
                self.fault(&section.place, format!("`text_group` names `{column}`"), "it knows only {group}, the group's name");
            }
        }
    }

    /// Two sections must not claim one place in the document.
    fn paths(&self) {
        let mut ends: BTreeMap<&[String], &Place> = BTreeMap::new();
        for section in &self.catalogue.sections {
            if section.path.is_empty() {
                continue;
            }
            if let Some(first) = ends.insert(&section.path, &section.place) {
                self.fault(
                    &section.place,
                    format!("two sections have the path \"{}\", the first at {first}", section.name()),
                    "give one of them another path",
                );
            }
        }
        for section in &self.catalogue.sections {
            for length in 1..section.path.len() {
                if let Some(outer) = ends.get(&section.path[..length]) {
                    self.fault(
                        &section.place,
                        format!("the path \"{}\" leads through the section at {outer}", section.name()),
                        "a section's value is whole; give one of them another path",
                    );
                }
            }
        }
    }

    /// File names that differ only by case are one file on many systems.
    fn text_files(&self) {
        let mut seen: HashMap<String, (&str, &Place)> = HashMap::new();
        let mut folders: HashMap<String, &Place> = HashMap::new();
        for section in &self.catalogue.sections {
            let Some(text) = &section.text else { continue };
            let folded = text.to_lowercase();
            let (first, place) = *seen.entry(folded.clone()).or_insert((text, &section.place));
            if first != text {
                self.fault(
                    &section.place,
                    format!("the files \"{text}\" and \"{first}\" (at {place}) differ only by case"),
                    "write them alike, or rename one",
                );
            }
            for (at, _) in folded.match_indices('/') {
                folders.entry(folded[..at].to_owned()).or_insert(&section.place);
            }
        }
        for (file, (name, place)) in &seen {
            if let Some(folder) = folders.get(file) {
                self.fault(place, format!("the file \"{name}\" is a folder at {folder}"), "rename one of them");
            }
        }
    }
}

/// Why a name cannot be a file in an archive that people open on any system.
pub(super) fn unsafe_file_name(name: &str) -> Option<&'static str> {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "clock$", "conin$"];
    let stem = name.split('.').next().unwrap_or_default().to_lowercase();
    let numbered =
        stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt")) && stem.ends_with(|c: char| c.is_ascii_digit());
    if name.is_empty() {
        Some("a part of it is empty")
    } else if name.len() > 200 {
        Some("a part of it is longer than 200 bytes")
    } else if name.chars().any(|c| c.is_control() || "<>:\"/\\|?*".contains(c)) {
        Some("it has a control character or one of < > : \" / \\ | ? *")
    } else if name.ends_with(['.', ' ']) || name.starts_with(' ') {
        Some("a part of it begins with a blank, or ends with a blank or a dot")
    } else if DEVICES.contains(&stem.as_str()) || numbered {
        Some("a part of it names a device on some systems")
    } else {
        None
    }
}
