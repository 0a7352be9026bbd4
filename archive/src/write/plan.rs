//! In which order an archive is written: the document's tree, or the text files.

use super::{Format, json, text};
use crate::catalogue::{Catalogue, Section, Shape};

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A member of this name begins.
    Member(String),
    /// Bytes that no database knows.
    Bytes(Vec<u8>),
    /// The rows of a section, by its place in the catalogue.
    Rows(usize),
    /// A constant in a text file.
    Constant(usize),
    /// The end of a text file; if nothing was written, these words are.
    EndOfText { title: String, words: String },
}

pub(super) fn steps(catalogue: &Catalogue, categories: &[String], format: Format) -> Vec<Step> {
    let taken: Vec<(usize, &Section)> =
        catalogue.indexes_of(categories).into_iter().map(|index| (index, &catalogue.sections()[index])).collect();
    match format {
        Format::Json => document(catalogue, &taken),
        Format::Text => files(catalogue, &taken),
        Format::Ndjson | Format::Csv => tables(catalogue, &taken, format),
    }
}

/// A key of the document, and what it holds.
struct Node<'c> {
    key: &'c str,
    holds: Holds<'c>,
}

enum Holds<'c> {
    Section(usize, &'c Section),
    Nodes(Vec<Node<'c>>),
}

/// The document: an object's place is where it is first mentioned.
fn document(catalogue: &Catalogue, taken: &[(usize, &Section)]) -> Vec<Step> {
    let mut roots = Vec::new();
    for (index, section) in taken {
        insert(&mut roots, &section.path, *index, section);
    }
    let mut steps = vec![Step::Member(catalogue.document.clone())];
    let mut bytes = Vec::new();
    object(&roots, &mut bytes, &mut steps);
    steps.push(Step::Bytes(bytes));
    steps
}

fn insert<'c>(nodes: &mut Vec<Node<'c>>, path: &'c [String], index: usize, section: &'c Section) {
    let Some((key, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        nodes.push(Node { key, holds: Holds::Section(index, section) });
        return;
    }
    let at = nodes.iter().position(|node| node.key == key).unwrap_or_else(|| {
        nodes.push(Node { key, holds: Holds::Nodes(Vec::new()) });
        nodes.len() - 1
    });
    // The catalogue refuses paths that lead through a section.
    if let Holds::Nodes(inner) = &mut nodes[at].holds {
        insert(inner, rest, index, section);
    }
}

fn object(nodes: &[Node<'_>], bytes: &mut Vec<u8>, steps: &mut Vec<Step>) {
    bytes.push(b'{');
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            bytes.push(b',');
        }
        json::string(node.key, bytes);
        bytes.push(b':');
        match &node.holds {
            Holds::Nodes(inner) => object(inner, bytes, steps),
            Holds::Section(_, section) if matches!(section.shape, Shape::Constant(_)) => {
                if let Shape::Constant(value) = &section.shape {
                    bytes.extend_from_slice(value.as_bytes());
                }
            }
            Holds::Section(index, _) => {
                steps.push(Step::Bytes(std::mem::take(bytes)));
                steps.push(Step::Rows(*index));
            }
        }
    }
    bytes.push(b'}');
}

/// The text files, each with its sections in order of declaration; a file's place is where it is first mentioned.
fn files(catalogue: &Catalogue, taken: &[(usize, &Section)]) -> Vec<Step> {
    let mut files: Vec<(&str, Vec<(usize, &Section)>)> = Vec::new();
    for (index, section) in taken {
        let Some(name) = section.text.as_deref() else { continue };
        match files.iter_mut().find(|(file, _)| *file == name) {
            Some((_, sections)) => sections.push((*index, section)),
            None => files.push((name, vec![(*index, section)])),
        }
    }
    if files.is_empty() {
        // An archive without a member is one that some programs refuse to open.
        files.push(("No data.txt", Vec::new()));
    }
    let mut steps = Vec::new();
    for (name, sections) in files {
        steps.push(Step::Member(format!("{}/{name}", catalogue.text_root)));
        for (index, section) in &sections {
            steps.push(if section.query.is_some() { Step::Rows(*index) } else { Step::Constant(*index) });
        }
        let stem = name.rsplit('/').next().unwrap_or(name);
        steps.push(Step::EndOfText {
            title: format!("{}:", stem.strip_suffix(".txt").unwrap_or(stem)),
            words: sections
                .iter()
                .find_map(|(_, section)| section.text_empty.clone())
                .unwrap_or_else(|| text::NO_DATA.to_owned()),
        });
    }
    steps
}

/// A file for each section, in order of declaration.
fn tables(catalogue: &Catalogue, taken: &[(usize, &Section)], format: Format) -> Vec<Step> {
    let names = catalogue.file_names();
    let mut steps = Vec::new();
    for (index, section) in taken {
        let Some(name) = names.get(*index) else { continue };
        steps.push(Step::Member(format!("{name}.{format}")));
        steps.push(if section.query.is_some() { Step::Rows(*index) } else { Step::Constant(*index) });
    }
    if steps.is_empty() {
        // An archive without a member is one that some programs refuse to open.
        steps.push(Step::Member(format!("No data.{format}")));
    }
    steps
}
