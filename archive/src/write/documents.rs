//! What stands in an archive beside its data when documents are wanted: words for people, JSON Schemas, the manifest and its signature.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::out::{Message, Out};
use super::{ExportError, FileSummary, Format, MediaSummary, SectionSummary, readme};
use crate::catalogue::{ALL_DATA, Catalogue, Media, Placed, Rule, Section, Shape};
use crate::manifest::{self, Manifest, Omission, OmissionKind};
use crate::sign::Signer;

/// Tells the time: handed in, so that the same data, edition and clock give the same bytes.
pub type Now = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// That an archive says what it is, and what for.
#[derive(Clone)]
pub struct Documents {
    /// The request's id.
    pub request: String,
    /// The app it is made for.
    pub app: manifest::App,
    /// Whose data it is taken from.
    pub operator: manifest::Operator,
    /// Who signs the manifest; without one it has no signature.
    pub signer: Option<Signer>,
    /// Tells when the sources were read.
    pub now: Now,
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").field("request", &self.request).field("signer", &self.signer).finish_non_exhaustive()
    }
}

/// What documents tell of the order.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) documents: Documents,
    pub(super) categories: Vec<String>,
    pub(super) format: Format,
    pub(super) at: jiff::Timestamp,
    pub(super) since: Option<jiff::Timestamp>,
    pub(super) until: Option<jiff::Timestamp>,
    pub(super) open_id: Option<String>,
    /// Whether somebody serves links to media.
    pub(super) links: bool,
}

/// Where a section stands: the member, and its place in the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) member: usize,
    pub(super) section: usize,
}

/// When each source was looked at, first and last.
pub(super) type Looks = BTreeMap<String, (jiff::Timestamp, jiff::Timestamp)>;

/// What is known when the data are written.
pub(super) struct Known<'k> {
    pub(super) catalogue: &'k Catalogue,
    pub(super) sections: &'k [SectionSummary],
    pub(super) places: &'k [Place],
    pub(super) media: &'k BTreeMap<String, MediaSummary>,
    pub(super) looks: Looks,
}

impl Asked {
    /// Writes all of it behind the data.
    pub(super) async fn write(&self, known: Known<'_>, out: &mut Out) -> Result<(), ExportError> {
        let omissions = self.omissions(&known);
        let files = report(out).await?;
        let readme = readme::text(self, &known, &files, &omissions);
        member(out, manifest::README.to_owned(), readme.as_bytes(), false).await?;
        for name in self.taken(known.catalogue) {
            let schema = crate::catalogue::schema::of_category(known.catalogue, &name);
            let mut text = serde_json::to_string_pretty(&schema).map_err(|error| ExportError::Io(error.into()))?;
            text.push('\n');
            member(out, format!("{}/{name}.schema.json", manifest::SCHEMAS), text.as_bytes(), false).await?;
        }
        let files = report(out).await?;
        let mut text = serde_json::to_string_pretty(&self.manifest(&known, files, omissions))
            .map_err(|error| ExportError::Io(error.into()))?;
        text.push('\n');
        // Stored: a compressed stream has bits that nothing reads, and nothing would tell if one of these changed.
        member(out, manifest::MANIFEST.to_owned(), text.as_bytes(), true).await?;
        if let Some(signer) = &self.documents.signer {
            member(out, manifest::SIGNATURE.to_owned(), &signer.sign(text.as_bytes()), true).await?;
        }
        Ok(())
    }

    /// The categories by their names, each once; for all data every one that has a section.
    pub(super) fn taken(&self, catalogue: &Catalogue) -> Vec<String> {
        let asked: Vec<&str> = self.categories.iter().filter_map(|name| Some(catalogue.category(name)?.name.as_str())).collect();
        let all = asked.contains(&ALL_DATA);
        let has_sections = |name: &str| catalogue.sections().iter().any(|section| section.categories.iter().any(|of| of == name));
        let taken = |name: &&str| if all { *name == ALL_DATA || has_sections(name) } else { asked.contains(name) };
        catalogue.categories().iter().map(|category| category.name.as_str()).filter(taken).map(str::to_owned).collect()
    }

    fn manifest(&self, known: &Known<'_>, files: Vec<FileSummary>, omissions: Vec<Omission>) -> Manifest {
        let documents = &self.documents;
        let sources = known.catalogue.sources().iter().filter_map(|source| {
            let (from, to) = known.looks.get(&source.name)?;
            Some(manifest::Source {
                name: source.name.clone(),
                kind: source.kind.as_str().to_owned(),
                snapshot: source.snapshot.as_str().to_owned(),
                from: from.to_string(),
                to: to.to_string(),
            })
        });
        let files = files.into_iter().enumerate().map(|(member, file)| {
            let digests = file.digests.unwrap_or_default();
            let sections = known.places.iter().zip(known.sections).filter(|(place, _)| place.member == member);
            manifest::File {
                media_type: manifest::media_type(&file.name).to_owned(),
                name: file.name,
                bytes: file.bytes,
                sha256: digests.sha256,
                packed_bytes: file.packed,
                packed_sha256: digests.packed_sha256,
                blocks: digests.blocks,
                lines: digests.lines,
                sections: sections.filter_map(|(place, summary)| self.section(known.catalogue, *place, summary)).collect(),
            }
        });
        Manifest {
            manifest_version: manifest::VERSION,
            made_with: concat!("Portward ", env!("CARGO_PKG_VERSION")).to_owned(),
            request: manifest::Request {
                id: documents.request.clone(),
                categories: self.categories.clone(),
                format: self.format.as_str().to_owned(),
                since: self.since.map(|at| at.to_string()),
                until: self.until.map(|at| at.to_string()),
                applied_at: self.at.to_string(),
            },
            person: manifest::Person { open_id: self.open_id.clone() },
            app: documents.app.clone(),
            operator: documents.operator.clone(),
            catalogue: manifest::Edition { edition: known.catalogue.edition.clone() },
            sources: sources.collect(),
            files: files.collect(),
            omissions,
            signature: documents.signer.as_ref().map(|signer| manifest::Signed {
                algorithm: "Ed25519".to_owned(),
                kid: signer.public().kid(),
                file: manifest::SIGNATURE.to_owned(),
            }),
        }
    }

    fn section(&self, catalogue: &Catalogue, place: Place, summary: &SectionSummary) -> Option<manifest::Section> {
        let section = catalogue.sections().get(place.section)?;
        let nested = summary.nested.iter().map(|(field, rows)| manifest::Nested { field: field.clone(), rows: *rows });
        Some(manifest::Section {
            path: summary.path.clone(),
            shape: shape(section).to_owned(),
            source: section.source_name().to_owned(),
            rows: summary.rows,
            nested: nested.collect(),
        })
    }

    fn omissions(&self, known: &Known<'_>) -> Vec<Omission> {
        let mut omissions = Vec::new();
        for (place, summary) in known.places.iter().zip(known.sections) {
            let path = &summary.path;
            for keyless in &summary.keyless {
                let reason = format!("the person has no \"{}\", so there was nothing to ask the source for", keyless.key);
                omissions.push(Omission { field: keyless.nest.clone(), ..omission(OmissionKind::KeyMissing, path, &reason) });
            }
            match self.range() {
                None => {}
                Some(_) if summary.whole => {
                    let reason = "a range was asked for, and this section has no times: it is whole";
                    omissions.push(omission(OmissionKind::NotRanged, path, reason));
                }
                Some(range) => {
                    omissions.push(omission(
                        OmissionKind::OutOfRange,
                        path,
                        &format!("a range was asked for: only what is {range}"),
                    ));
                }
            }
            for ruled in &summary.ruled {
                let (kind, reason) = words(ruled.rule, ruled.left_out);
                omissions.push(Omission {
                    field: Some(ruled.column.clone()),
                    rule: Some(ruled.rule.as_str().to_owned()),
                    ..omission(kind, path, reason)
                });
            }
            for (column, values) in summary.missing.iter().filter(|(_, values)| *values > 0) {
                omissions.push(Omission {
                    field: Some(column.clone()),
                    values: Some(*values),
                    ..omission(OmissionKind::LookupMissing, path, "what these values refer to was not found, and is null")
                });
            }
            if summary.repaired > 0 {
                let reason = "these texts were not UTF-8, and U+FFFD stands in their broken places";
                omissions
                    .push(Omission { values: Some(summary.repaired), ..omission(OmissionKind::TextsRepaired, path, reason) });
            }
            if let Some(section) = known.catalogue.sections().get(place.section) {
                section
                    .with_media()
                    .for_each(|(nest, inner, media)| self.media(known, summary, (nest, inner, media), &mut omissions));
            }
        }
        omissions
    }

    /// What became of the media of a section, or of what is nested in it.
    fn media(
        &self,
        known: &Known<'_>,
        summary: &SectionSummary,
        (nest, section, media): (Option<&str>, &Section, &Media),
        omissions: &mut Vec<Omission>,
    ) {
        let path = &summary.path;
        for (why, objects) in known.media.get(&section.name()).into_iter().flat_map(|media| &media.left_out) {
            let reason = match *why {
                "too_large" => "these files are larger than the operator gives",
                "type" => "these files are not of a type that the operator gives, whatever their names say",
                "key" => "what the operator has as the names of these files names none",
                _ => "these files are not where the operator keeps them",
            };
            let field = nest.map(str::to_owned);
            omissions.push(Omission { field, values: Some(*objects), ..omission(OmissionKind::MediaLeftOut, path, reason) });
        }
        let rows = match nest {
            None => summary.rows,
            Some(nest) => summary.nested.iter().find(|(field, _)| field == nest).map_or(0, |(_, rows)| *rows),
        };
        if rows > 0 && (self.format == Format::Json || media.placed == Placed::Links) {
            let reason = match self.links {
                true => "these files are not in the archive itself: there are links to them, which end when it does",
                false => "these files are not in the archive: there are the names that the operator keeps them under",
            };
            let column = &media.column;
            let field = Some(nest.map_or_else(|| column.clone(), |nest| format!("{nest}.{column}")));
            omissions.push(Omission { field, ..omission(OmissionKind::MediaLinked, path, reason) });
        }
    }

    /// What is in the range, where one was asked for.
    fn range(&self) -> Option<String> {
        match (self.since, self.until) {
            (None, None) => None,
            (Some(since), None) => Some(format!("not before {since}")),
            (None, Some(until)) => Some(format!("before {until}")),
            (Some(since), Some(until)) => Some(format!("not before {since} and before {until}")),
        }
    }
}

fn omission(kind: OmissionKind, section: &[String], reason: &str) -> Omission {
    Omission { kind, section: section.to_vec(), field: None, rule: None, values: None, reason: reason.to_owned() }
}

/// What a rule did, in words.
fn words(rule: Rule, left_out: bool) -> (OmissionKind, &'static str) {
    use OmissionKind::{FieldAltered, FieldLeftOut};
    match (rule, left_out) {
        (Rule::Omit, _) => (FieldLeftOut, "the operator does not give this field, because it is about others"),
        (_, true) => (FieldLeftOut, "there was nothing to write in its place"),
        (Rule::Pseudonym, _) => (FieldAltered, "others stand under pseudonyms"),
        (Rule::Minimal, _) => (FieldAltered, "as little as tells one from another, and null where nothing can be shortened"),
        (Rule::OpenId, _) => (FieldAltered, "the person stands under the name that the app knows them by"),
        (Rule::Keep, _) => (FieldAltered, "as it stands"),
    }
}

/// The word for a section's shape.
pub(crate) fn shape(section: &Section) -> &'static str {
    match &section.shape {
        Shape::List => "list",
        Shape::Object => "object",
        Shape::Groups(_) => "groups",
        Shape::Map(_) => "map",
        Shape::Value => "value",
        Shape::Constant(_) => "constant",
    }
}

/// Ends the running member, and asks what the members so far are.
async fn report(out: &mut Out) -> Result<Vec<FileSummary>, ExportError> {
    let gone = |_| ExportError::Cancelled;
    out.flush().await.map_err(gone)?;
    let (to, from) = oneshot::channel();
    out.send(Message::Report(to)).await.map_err(gone)?;
    from.await.map_err(|_| ExportError::Cancelled)
}

async fn member(out: &mut Out, name: String, bytes: &[u8], stored: bool) -> Result<(), ExportError> {
    let gone = |_| ExportError::Cancelled;
    out.flush().await.map_err(gone)?;
    out.send(Message::Member { name, stored }).await.map_err(gone)?;
    out.buffer.extend_from_slice(bytes);
    out.flush().await.map_err(gone)
}
