//! A draft for a service: it says nothing of what it has, so its paths are named by whoever knows it, and one page of each is looked at. Names and types of
//! what comes go into the draft, values never.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value as Json;

use super::draft::{Draft, UNSURE};
use super::guess::{self, Stored, Value};
use super::quote::{comment, toml};
use super::{DiscoverError, Head};
use crate::catalogue::Catalogue;
use crate::source::{ServiceRow, service_rows};
use crate::subject::{Subject, SubjectType};

/// Rows that are looked at, of each path.
const ROWS: usize = 200;

/// What is asked of a service.
#[derive(Clone, Debug)]
pub struct ServiceWish {
    /// Its address.
    pub url: String,
    /// A path for each section: `/people/:subject/orders`.
    pub paths: Vec<String>,
    /// Somebody for whom it has rows.
    pub person: String,
    /// The file of its bearer token, as the catalogue will name it.
    pub token_file: Option<String>,
    /// The file of certificates to trust, as the catalogue will name it.
    pub ca_file: Option<String>,
    /// What the draft says of itself; the address is of no use here.
    pub head: Head,
}

/// Drafts a catalogue from what a service answers. Relative paths of files begin at `base_dir`, which is the catalogue's folder.
pub async fn draft_of_service(wish: &ServiceWish, base_dir: &Path) -> Result<Draft, DiscoverError> {
    let subject = [SubjectType::Integer, SubjectType::Uuid, SubjectType::Text]
        .into_iter()
        .find_map(|kind| Some((kind, Subject::parse(kind, &wish.person)?)));
    let Some((kind, subject)) = subject else { return Err(DiscoverError::Key("that person's name is empty".to_owned())) };
    let head = head(wish, kind);
    // The catalogue's own rules judge address and paths, before anybody is asked.
    let bare: String = wish.paths.iter().enumerate().map(|(at, path)| bare(wish, at, path)).collect();
    let catalogue = Catalogue::parse("the draft", &format!("{head}{bare}"), &mut |_| Ok(Vec::new()))
        .map_err(|error| DiscoverError::Address(error.to_string()))?;
    let spec = catalogue.sources().first().ok_or_else(|| DiscoverError::Address("there is no address".to_owned()))?;
    let mut pieces: Vec<Piece> = Vec::new();
    for path in &wish.paths {
        let rows = service_rows(spec, &wish.url, base_dir, path, &subject, ROWS).await;
        let rows = rows.map_err(|failure| DiscoverError::Down(format!("{path}: {failure}")))?;
        let mut piece = Piece::of(path, &rows, &subject);
        let base = piece.name.clone();
        let mut number = 1;
        while pieces.iter().any(|other| other.name == piece.name) {
            number += 1;
            piece.name = format!("{base}_{number}");
        }
        pieces.push(piece);
    }
    Ok(write_out(wish, head, &pieces))
}

fn head(wish: &ServiceWish, kind: SubjectType) -> String {
    let head = &wish.head;
    let mut text = format!(
        "# What a person's data is, drafted by `portward catalog init` from what a service answered for one person.\n\
         # Read it before you serve it, above all where it says `{}`; docs/catalogue.md explains every key.\n\
         # Then: portward catalog check, and portward catalog preview --person ID.\n\n\
         format   = 1\n\
         edition  = {}\n\
         document = {}\n\n\
         {UNSURE} the name of one person looks like it\n\
         [subject]\ntype = \"{kind}\"\n\n\
         [source.{}]\nkind = \"http\"\nurl = {}\n",
        UNSURE.trim_start_matches("# "),
        toml(&head.edition),
        toml(&format!("{}_data.json", head.source)),
        head.source,
        toml(&wish.url),
    );
    for (key, file) in [("token_file", &wish.token_file), ("ca_file", &wish.ca_file)] {
        if let Some(file) = file {
            let _ = writeln!(text, "{key} = {}", toml(file));
        }
    }
    text.push_str(
        "max_concurrent = 4\n# The whole of a section, its pages and waiting included.\nstatement_timeout = \"60 s\"\n\
         # health = \"/health\"   # a path that `portward check` asks\n\n\
         [[category]]\nname = \"all_data\"\nscope = \"portability.all\"\ntitle = { en = \"All your data\" }\n\
         text = { en = \"Everything that is listed here\" }\n\n",
    );
    text
}

/// A section with nothing but its path.
fn bare(wish: &ServiceWish, at: usize, path: &str) -> String {
    format!(
        "[[section]]\ncategories = []\npath = [\"{at}\"]\nsource = {}\nshape = \"list\"\nowner = \"o\"\nquery = {}\n[section.fields]\na = {{ type = \"any\" }}\n",
        toml(&wish.head.source),
        toml(path)
    )
}

/// A section before it is written.
struct Piece {
    name: String,
    title: String,
    path: String,
    shape: &'static str,
    notes: Vec<String>,
    owner: Option<String>,
    key: Option<String>,
    time: Option<String>,
    fields: Vec<(String, String)>,
}

/// A key of the rows, and what was seen of its values.
struct Column<'r> {
    name: &'r str,
    values: Vec<&'r Json>,
}

impl Column<'_> {
    /// Whether every row says this, as a text or as a number.
    fn is_always(&self, rows: usize, subject: &Subject) -> bool {
        let same = |value: &&Json| match value {
            Json::String(text) => text == subject.as_str(),
            Json::Number(number) => number.to_string() == subject.as_str(),
            _ => false,
        };
        self.values.len() == rows && self.values.iter().all(same)
    }

    fn is_unique(&self, rows: usize) -> bool {
        let plain = |value: &&Json| value.is_string() || value.is_i64() || value.is_u64();
        let texts: std::collections::HashSet<String> = self.values.iter().map(|value| value.to_string()).collect();
        self.values.len() == rows && texts.len() == rows && self.values.iter().all(plain)
    }

    fn stored(&self) -> Option<Stored> {
        let values: Vec<Value> = self
            .values
            .iter()
            .map(|value| match value {
                Json::Null => Value::Null,
                Json::Number(number) => number.as_i64().map_or(Value::Other, Value::Int),
                Json::String(text) => Value::Text(text.clone()),
                _ => Value::Other,
            })
            .collect();
        guess::timely(self.name).then(|| guess::stored(&values.iter().collect::<Vec<_>>())).flatten()
    }

    /// The field's insides, and what is to be said of it.
    fn field(&self) -> (&'static str, Option<String>) {
        let told = self.values.iter().filter(|value| !value.is_null()).collect::<Vec<_>>();
        let all = |fits: fn(&Json) -> bool| told.iter().all(|value| fits(value));
        let kind = match self.stored() {
            Some(Stored::Seconds) => "type = \"timestamp\", from = \"unix_s\"",
            Some(Stored::Millis) => "type = \"timestamp\", from = \"unix_ms\"",
            Some(Stored::Micros) => "type = \"timestamp\", from = \"unix_us\"",
            Some(Stored::TextTime { fraction: false }) => "type = \"timestamp\", from = \"text\"",
            Some(Stored::TextTime { fraction: true }) => "type = \"timestamp\", from = \"text\", as = \"%Y-%m-%d %H:%M:%S%.f\"",
            Some(Stored::TextDate) => "type = \"date\", from = \"text\"",
            None if told.is_empty() => "type = \"any\"",
            None if all(Json::is_boolean) => "type = \"boolean\"",
            None if all(|value| value.is_i64() || value.is_u64()) => "type = \"integer\"",
            None if all(Json::is_number) => "type = \"number\"",
            None if all(Json::is_string) => "type = \"string\"",
            None if all(|value| value.is_object() || value.is_array()) => "type = \"json\"",
            None => "type = \"any\"",
        };
        let note = match kind {
            _ if told.is_empty() => Some(format!("{UNSURE} {} was null wherever it was seen", self.name)),
            "type = \"any\"" => Some(format!("{UNSURE} {} was of several types", self.name)),
            _ => None,
        };
        (kind, note)
    }
}

impl Piece {
    fn of(path: &str, rows: &[ServiceRow], subject: &Subject) -> Self {
        let plain = path.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = plain.split('/').filter(|segment| !segment.is_empty()).collect();
        let noun = segments.iter().rev().find(|segment| !segment.contains(':')).copied().unwrap_or("data");
        let mut columns: Vec<Column<'_>> = Vec::new();
        for (name, value) in rows.iter().flatten() {
            match columns.iter_mut().find(|column| column.name == name) {
                Some(column) => column.values.push(value),
                None => columns.push(Column { name, values: vec![value] }),
            }
        }
        let mut notes = vec![format!("{} row{} of one person were seen", rows.len(), if rows.len() == 1 { "" } else { "s" })];
        let secrets: Vec<&str> = columns.iter().map(|column| column.name).filter(|name| guess::secret(name)).collect();
        if !secrets.is_empty() {
            notes.push(format!("left out, because nobody is to have them: {}", secrets.join(", ")));
        }
        columns.retain(|column| !guess::secret(column.name));
        // Of several that name the person, the one whose name says so.
        let whose = |name: &str| {
            let named = ["person", "people", "user", "customer", "owner", "member", "account", "subject", "client"];
            guess::words(name).iter().any(|word| named.contains(&word.as_str()))
        };
        let mut owners: Vec<&str> = columns
            .iter()
            .filter(|column| !rows.is_empty() && column.is_always(rows.len(), subject))
            .map(|column| column.name)
            .collect();
        owners.sort_by_key(|name| !whose(name));
        let owner = owners.first().map(|name| (*name).to_owned());
        if let Some(name) = owners.first().filter(|name| owners.len() > 1 || rows.len() == 1 && !whose(name)) {
            notes.push(format!("{UNSURE} of what is the person's name in every row, {name} is taken for the owner"));
        }
        let key = columns.iter().find(|column| {
            let words = guess::words(column.name);
            let named = words.last().is_some_and(|word| ["id", "no", "nr", "number", "uuid", "key"].contains(&word.as_str()));
            named && Some(column.name) != owner.as_deref() && rows.len() > 1 && column.is_unique(rows.len())
        });
        let key = key.map(|column| column.name.to_owned());
        match &key {
            Some(key) => notes.push(format!("{UNSURE} {key} is taken for what tells rows apart")),
            None => notes.push(format!("{UNSURE} nothing is known that tells its rows apart; `key` would")),
        }
        let ranged = path.contains(":since") && path.contains(":until");
        let time = columns.iter().find(|column| ranged && column.stored().is_some()).map(|column| column.name.to_owned());
        match &time {
            Some(time) => notes.push(format!("{UNSURE} {time} is taken for the time of a row")),
            None if ranged => notes
                .push(format!("{UNSURE} the path takes a range, and no key of the rows is known to be a time; `time` names it")),
            None => {}
        }
        let mut fields = Vec::new();
        for column in columns.iter().filter(|column| Some(column.name) != owner.as_deref()) {
            let (field, note) = column.field();
            notes.extend(note);
            fields.push((column.name.to_owned(), field.to_owned()));
        }
        Self {
            name: match guess::wire_name(noun) {
                name if name == crate::catalogue::ALL_DATA => format!("{name}_path"),
                name => name,
            },
            title: guess::title(noun),
            path: path.to_owned(),
            // A path that ends with the person leads to one thing.
            shape: if rows.len() < 2 && segments.last().is_some_and(|segment| segment.contains(":subject")) {
                "object"
            } else {
                "list"
            },
            notes,
            owner,
            key,
            time,
            fields,
        }
    }

    fn text(&self, source: &str) -> String {
        let mut text = format!(
            "[[category]]\nname = {}\nscope = {}\ntitle = {{ en = {} }}\ntext = {{ en = {} }}\n\n",
            toml(&self.name),
            toml(&format!("portability.{}", self.name)),
            toml(&format!("Your {}", self.title.to_lowercase())),
            toml(&format!("What we hold about you in: {}", self.title.to_lowercase())),
        );
        for note in &self.notes {
            let note = comment(note);
            let _ = if note.starts_with(UNSURE) { writeln!(text, "{note}") } else { writeln!(text, "# {note}") };
        }
        let _ = write!(
            text,
            "[[section]]\ncategories = [{}]\npath = [{}, {}]\nsource = {}\nshape = \"{}\"\nowner = {}\n",
            toml(&self.name),
            toml(&self.title),
            toml(&self.name),
            toml(source),
            self.shape,
            toml(self.owner.as_deref().unwrap_or("OWNER")),
        );
        if let Some(key) = &self.key {
            let _ = writeln!(text, "key = [{}]", toml(key));
        }
        if let Some(time) = &self.time {
            let _ = writeln!(text, "time = {}", toml(time));
        }
        let _ = writeln!(text, "query = {}\n\n[section.fields]", toml(&self.path));
        for (name, field) in &self.fields {
            let _ = writeln!(text, "{} = {{ {field} }}", toml(name));
        }
        text.push('\n');
        text
    }
}

fn write_out(wish: &ServiceWish, head: String, pieces: &[Piece]) -> Draft {
    let mut text = head;
    let mut off = 0;
    for piece in pieces {
        let written = piece.text(&wish.head.source);
        if piece.owner.is_some() && !piece.fields.is_empty() {
            text.push_str(&written);
            continue;
        }
        off += 1;
        let why = match piece.owner {
            None => {
                "no key of its rows is the person's name in every one of them, so nobody could see whose they are: have the service send one"
            }
            Some(_) => "its rows hold nothing but whose they are",
        };
        let _ = writeln!(text, "{UNSURE} {}: {why}.", comment(&piece.path));
        for line in written.trim_end().lines() {
            let _ = writeln!(text, "# {line}");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    let on = pieces.len() - off;
    Draft { unsure: text.lines().filter(|line| line.starts_with(UNSURE)).count(), sections: on, categories: on, excused: 0, text }
}
