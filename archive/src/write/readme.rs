//! `README.txt`: what an archive is, for whoever opens it.

use std::fmt::Write as _;

use super::FileSummary;
use super::documents::{Asked, Known};
use crate::manifest::{self, Omission, OmissionKind};

pub(super) fn text(asked: &Asked, known: &Known<'_>, files: &[FileSummary], omissions: &[Omission]) -> String {
    let documents = &asked.documents;
    let (operator, app) = (plain(&documents.operator.name), plain(&documents.app.name));
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write!(
        out,
        "Your data from {operator}\n\n\
         This archive holds data about one person. {operator} made it for the app \"{app}\",\n\
         which asked for it on {} (UTC) with that person's consent.\n\
         Request {}, edition {} of the catalogue.\n",
        moment(asked.at),
        plain(&documents.request),
        plain(&known.catalogue.edition),
    );
    heading(&mut out, "What was asked for");
    for name in asked.taken(known.catalogue) {
        if let Some(category) = known.catalogue.category(&name) {
            let _ = writeln!(out, "  {}: {}", plain(category.title.best("en")), plain(category.text.best("en")));
        }
    }
    match (asked.since, asked.until) {
        (None, None) => {}
        (since, until) => {
            let since = since.map_or_else(|| "the beginning".to_owned(), moment);
            let until = until.map_or_else(|| "now".to_owned(), moment);
            let _ = writeln!(out, "\n  Only what is from {since} to {until} (UTC), where there is a time.");
        }
    }
    heading(&mut out, "What each file holds");
    for (at, file) in files.iter().enumerate() {
        let _ = writeln!(out, "  {}", plain(&file.name));
        for (place, summary) in known.places.iter().zip(known.sections) {
            if place.member == at {
                let rows = summary.rows;
                let records = if rows == 1 { "record" } else { "records" };
                let _ = writeln!(out, "    {}: {rows} {records}", plain(&summary.path.join(" / ")));
                for (field, rows) in &summary.nested {
                    let _ = writeln!(out, "      {rows} in their \"{}\"", plain(field));
                }
            }
        }
    }
    let _ = writeln!(out, "  {}/", manifest::SCHEMAS);
    out.push_str("    What each field is and means, for programs (JSON Schema).\n");
    let _ = writeln!(out, "  {}", manifest::MANIFEST);
    out.push_str("    What is in this archive, with the size and the SHA-256 of each file, and where it was read.\n");
    if documents.signer.is_some() {
        let _ = writeln!(out, "  {}", manifest::SIGNATURE);
        let _ = writeln!(out, "    The signature of {operator} over that list.");
    }
    heading(&mut out, "What is not here, or not as it stands at its source");
    // The range stands above, with what was asked for.
    let mut told = omissions.iter().filter(|omission| omission.kind != OmissionKind::OutOfRange).peekable();
    if told.peek().is_none() {
        out.push_str("  Nothing was left out of what was asked for.\n");
    }
    for omission in told {
        let mut place = vec![plain(&omission.section.join(" / "))];
        place.extend(omission.field.as_deref().map(|field| format!("\"{}\"", plain(field))));
        let what = match omission.kind {
            OmissionKind::FieldLeftOut | OmissionKind::MediaLeftOut | OmissionKind::KeyMissing => "not here: ",
            OmissionKind::FieldAltered => "not as it stands: ",
            OmissionKind::LookupMissing
            | OmissionKind::TextsRepaired
            | OmissionKind::OutOfRange
            | OmissionKind::NotRanged
            | OmissionKind::MediaLinked => "",
        };
        let count = omission.values.map(|values| format!("{values} x ")).unwrap_or_default();
        let _ = writeln!(out, "  {}: {what}{count}{}", place.join(", "), plain(&omission.reason));
    }
    heading(&mut out, "How to check that it is whole");
    match (&documents.signer, &documents.operator.keys) {
        (Some(signer), keys) => {
            let keys = keys.as_deref().map_or_else(|| format!("published by {operator}"), plain);
            let _ = write!(
                out,
                "  portward archive verify THIS.zip --keys {}\n\n\
                 \x20 Or without Portward: take the key {} from {keys},\n\
                 \x20 save its \"pem\" as key.pem, and run, where this archive is unpacked,\n\n\
                 \x20   openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in {} -sigfile {}\n\n\
                 \x20 then compare the SHA-256 of each file (sha256sum) with that in {}.\n",
                documents.operator.keys.as_deref().map_or_else(|| "KEYS.json".to_owned(), plain),
                signer.public().kid(),
                manifest::MANIFEST,
                manifest::SIGNATURE,
                manifest::MANIFEST,
            );
        }
        (None, _) => {
            let _ = write!(
                out,
                "  portward archive verify THIS.zip\n\n\
                 \x20 This archive is not signed: that it is whole can be checked, who made it cannot.\n"
            );
        }
    }
    out
}

fn heading(out: &mut String, text: &str) {
    let _ = write!(out, "\n{text}\n{}\n", "-".repeat(text.len()));
}

/// The moment as people read it.
fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// One line of text, whatever somebody called themselves.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}
