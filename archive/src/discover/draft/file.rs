//! The catalogue's file, with its remarks.

use std::fmt::Write;

use super::{Draft, Family, Ground, Piece, UNSURE};
use crate::catalogue::Snapshot;
use crate::discover::guess;
use crate::discover::quote::{comment, toml, toml_lines};

pub(super) fn catalogue(ground: &Ground<'_>, families: &[Family], pieces: &[Piece], excuses: &[(String, String)]) -> Draft {
    let person = &ground.schema.tables[ground.ways.person];
    let head = ground.head;
    let mut text = format!(
        "# What a person's data is, drafted by `portward catalog init` from the tables and keys of the database.\n\
         # It works as it is. Read it before you serve it, above all where it says `{}`; docs/catalogue.md explains every key.\n\
         # Then: portward catalog check, and portward catalog preview --person ID.\n\n\
         format   = 1\n\
         edition  = {}\n\
         document = {}\n\n",
        UNSURE.trim_start_matches("# "),
        toml(&head.edition),
        toml(&format!("{}_data.json", head.source)),
    );
    let rows = person.rows.map(|rows| format!("; about {rows} of them")).unwrap_or_default();
    let _ = writeln!(text, "# A person is a row of {}, named by {}{rows}.", comment(&person.full_name()), comment(ground.key));
    if !person.is_unique(&[ground.key.to_owned()]) {
        let _ = writeln!(text, "{UNSURE} no unique key says that {} names one person only", comment(ground.key));
    }
    let _ = writeln!(text, "[subject]\ntype = \"{}\"\n", ground.subject);
    let _ = writeln!(
        text,
        "[source.{}]\nkind = \"{}\"\n{} = {}\nsnapshot = \"{}\"",
        head.source,
        ground.engine.as_str(),
        head.address.0,
        toml(&head.address.1),
        ground.snapshot.as_str()
    );
    if ground.snapshot == Snapshot::Section {
        text.push_str(
            "# \"request\" would read all sections at one moment; turn WAL on first, so that writers need not wait meanwhile.\n",
        );
    }
    let _ = writeln!(
        text,
        "max_snapshot = \"5 min\"\nmax_concurrent = 4\nstatement_timeout = \"60 s\"\n\
         # Where people are; `portward catalog check` looks for tables that refer to them and that nothing below exports.\n\
         person_table = {}\nperson_key = {}\n",
        toml(&person.full_name()),
        toml(ground.key)
    );
    let _ = writeln!(
        text,
        "[[category]]\nname = \"all_data\"\nscope = \"portability.all\"\ntitle = {{ en = \"All your data\" }}\n\
         text = {{ en = \"Everything that is listed here\" }}\n"
    );
    let on = |category: usize| pieces.iter().any(|piece| piece.category == category && piece.off.is_none());
    for (_, family) in families.iter().enumerate().filter(|(at, _)| on(*at)) {
        let _ = writeln!(
            text,
            "[[category]]\nname = {}\nscope = {}\ntitle = {{ en = {} }}\ntext = {{ en = {} }}",
            toml(&family.name),
            toml(&format!("portability.{}", family.name)),
            toml(&family.title),
            toml(&words_of(ground, family))
        );
        if family.sensitive {
            let _ = writeln!(text, "{UNSURE} its tables' names suggest it\nsensitivity = \"sensitive\"");
        }
        text.push('\n');
    }
    let mut off = String::new();
    for piece in pieces {
        let written = section(ground, piece, &families[piece.category]);
        match &piece.off {
            None => text.push_str(&written),
            Some(_) => {
                for line in written.trim_end().lines() {
                    let _ = writeln!(off, "# {line}");
                }
                off.push('\n');
            }
        }
    }
    if !off.is_empty() {
        let _ = writeln!(
            text,
            "{UNSURE} these views show what the sections above export already; take one in by removing the `#`.\n\n{off}"
        );
    }
    if !excuses.is_empty() {
        text.push_str("# Tables that refer to people and that nothing above exports, each with the reason.\n\n");
    }
    for (table, reason) in excuses {
        let _ =
            writeln!(text, "[[excuse]]\nsource = {}\ntable = {}\nreason = {}\n", toml(&head.source), toml(table), toml(reason));
    }
    let rest: Vec<String> = (0..ground.schema.tables.len())
        .filter(|at| !ground.ways.reaches(*at))
        .map(|at| {
            let table = &ground.schema.tables[at];
            let rows = table.rows.map(|rows| format!(" (about {rows} rows)")).unwrap_or_default();
            format!("#   {}{rows}{}\n", comment(&table.full_name()), if table.view.is_some() { ", a view" } else { "" })
        })
        .collect();
    if !rest.is_empty() {
        let _ = write!(text, "# These refer to no person, as far as keys and names say:\n{}", rest.concat());
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    let unsure = text.lines().filter(|line| line.starts_with(UNSURE)).count().saturating_sub(usize::from(!off.is_empty()));
    Draft {
        sections: pieces.iter().filter(|piece| piece.off.is_none()).count(),
        categories: (0..families.len()).filter(|at| on(*at)).count(),
        excused: excuses.len(),
        unsure,
        text,
    }
}

fn words_of(ground: &Ground<'_>, family: &Family) -> String {
    match family.tables.as_slice() {
        [] => "What we hold about you here".to_owned(),
        [only]
            if family.name == "profile"
                && *only == guess::title(&ground.schema.tables[ground.ways.person].name).to_lowercase() =>
        {
            "Who you are to us: name, contact and settings of your account".to_owned()
        }
        [only] => format!("What we hold about you in: {only}"),
        tables => format!("What we hold about you in: {}", tables.join(", ")),
    }
}

fn section(ground: &Ground<'_>, piece: &Piece, family: &Family) -> String {
    let mut text = String::new();
    for note in &piece.notes {
        let note = comment(note);
        let _ = if note.starts_with(UNSURE) { writeln!(text, "{note}") } else { writeln!(text, "# {note}") };
    }
    let list = |names: &[String]| names.iter().map(|name| toml(name)).collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        text,
        "[[section]]\ncategories = [{}]\npath = [{}]\nsource = {}\nshape = \"{}\"\nowner = {}",
        toml(&family.name),
        list(&piece.path),
        toml(&ground.head.source),
        piece.shape,
        toml(&piece.owner)
    );
    if !piece.key.is_empty() {
        let _ = writeln!(text, "key = [{}]", list(&piece.key));
    }
    if let Some(time) = &piece.time {
        let _ = writeln!(text, "time = {}", toml(time));
    }
    if piece.shared {
        text.push_str("shared = true\n");
    }
    let _ = writeln!(text, "query = {}\n", toml_lines(&piece.query));
    if !piece.fields.is_empty() {
        let _ = writeln!(text, "[section.fields]\n{}\n", piece.fields.join("\n"));
    }
    text
}
