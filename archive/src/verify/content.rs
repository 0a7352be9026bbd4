//! What a member holds: inflated, hashed and counted on the way.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek};

use flate2::{Decompress, FlushDecompress, Status};
use sha2::{Digest, Sha256};

use super::zip::{Archive, BLOCK, Broken, Entry};
use crate::manifest::{File, Section};
use crate::read::json::{Counted, Known, Scanner};
use crate::read::text::Counter;
use crate::write::container::hex;

/// What was found of a member's bytes.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sha256: String,
    pub(super) packed_sha256: String,
    /// What is wrong with it, by itself and against what the manifest says of it.
    pub(super) wrong: Vec<String>,
    /// Its bytes, where they were asked for.
    pub(super) bytes: Vec<u8>,
}

/// What a member is read for.
pub(super) struct Wanted<'m> {
    /// What the manifest says of it.
    pub(super) file: Option<&'m File>,
    /// Whether its bytes are kept, which is for small ones.
    pub(super) keep: bool,
    /// Whether hashes are wanted.
    pub(super) hash: bool,
}

/// Reads a member's bytes, which begin at `at`.
pub(super) fn read<R: Read + Seek>(
    archive: &mut Archive<R>,
    entry: &Entry,
    at: u64,
    wanted: &Wanted<'_>,
    room: &mut Room,
) -> Result<Found, Broken> {
    let mut found = Found::default();
    let paths: HashSet<Vec<String>> = paths(wanted.file);
    let mut sight =
        Sight { crc: crc32fast::Hasher::new(), sha: None, size: 0, counting: Counting::of(entry, wanted.file, &paths) };
    let mut packed_sha = wanted.hash.then(Sha256::new);
    sight.sha = wanted.hash.then(Sha256::new);
    let mut inflate = (!entry.is_stored()).then(|| Decompress::new(false));
    let mut ended = entry.is_stored();
    let mut left = entry.packed;
    let mut offset = at;
    let take = |bytes: &[u8], sight: &mut Sight<'_>, found: &mut Found| {
        sight.look(bytes, found);
        if wanted.keep {
            found.bytes.extend_from_slice(bytes);
        }
        sight.size <= entry.size
    };
    let mut good = true;
    while left > 0 && good {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK);
        let block = &mut room.packed[..count];
        archive.all_at(offset, block)?;
        offset += count as u64;
        left -= count as u64;
        if let Some(sha) = &mut packed_sha {
            sha.update(&*block);
        }
        let Some(inflate) = &mut inflate else {
            good = take(block, &mut sight, &mut found);
            continue;
        };
        let mut rest: &[u8] = block;
        loop {
            if ended {
                if !rest.is_empty() {
                    found.wrong.push("has something behind the end of its compressed bytes".to_owned());
                    good = false;
                }
                break;
            }
            let (into, out) = (inflate.total_in(), inflate.total_out());
            let status = match inflate.decompress(rest, &mut room.plain, FlushDecompress::None) {
                Ok(status) => status,
                Err(_) => {
                    found.wrong.push("is broken: its compressed bytes cannot be read".to_owned());
                    good = false;
                    break;
                }
            };
            let (used, made) = ((inflate.total_in() - into) as usize, (inflate.total_out() - out) as usize);
            rest = &rest[used..];
            ended = status == Status::StreamEnd;
            if !take(&room.plain[..made], &mut sight, &mut found) {
                good = false;
                break;
            }
            if !ended && rest.is_empty() && made < room.plain.len() {
                break;
            }
            if used == 0 && made == 0 && !ended {
                break;
            }
        }
    }
    if !good {
        if sight.size > entry.size {
            found.wrong.push("is larger than it says".to_owned());
        }
        return Ok(found);
    }
    if !ended {
        found.wrong.push("is broken: its compressed bytes end too early".to_owned());
    } else if sight.size != entry.size {
        found.wrong.push("is smaller than it says".to_owned());
    } else if sight.crc.clone().finalize() != entry.crc {
        found.wrong.push("does not have the checksum that it says: a byte of it was changed".to_owned());
    }
    found.sha256 = sight.sha.take().map(|sha| hex(&sha.finalize())).unwrap_or_default();
    found.packed_sha256 = packed_sha.map(|sha| hex(&sha.finalize())).unwrap_or_default();
    if let Some(file) = wanted.file {
        compare(file, entry, &mut found);
        sight.counting.compare(file, &mut found);
    }
    Ok(found)
}

fn compare(file: &File, entry: &Entry, found: &mut Found) {
    if (entry.size, entry.packed) != (file.bytes, file.packed_bytes) {
        found.wrong.push(format!("has {} bytes, and the manifest says {}", entry.size, file.bytes));
    } else if found.sha256 != file.sha256 {
        found.wrong.push("does not have the SHA-256 that the manifest says: it was changed".to_owned());
    } else if found.packed_sha256 != file.packed_sha256 {
        found.wrong.push("holds what the manifest says, and its compressed bytes were changed".to_owned());
    }
}

/// Buffers that serve for all members.
pub(super) struct Room {
    packed: Vec<u8>,
    plain: Vec<u8>,
}

impl Default for Room {
    fn default() -> Self {
        Self { packed: vec![0; BLOCK], plain: vec![0; BLOCK] }
    }
}

fn paths(file: Option<&File>) -> HashSet<Vec<String>> {
    file.map(|file| file.sections.iter().map(|section| section.path.clone()).collect()).unwrap_or_default()
}

/// What is seen of a member's bytes.
struct Sight<'p> {
    crc: crc32fast::Hasher,
    sha: Option<Sha256>,
    size: u64,
    counting: Counting<'p>,
}

impl Sight<'_> {
    fn look(&mut self, bytes: &[u8], found: &mut Found) {
        self.size += bytes.len() as u64;
        self.crc.update(bytes);
        if let Some(sha) = &mut self.sha {
            sha.update(bytes);
        }
        self.counting.push(bytes, found);
    }
}

/// How a member's rows are counted, by what it is.
enum Counting<'p> {
    Json(Box<Scanner<'p>>),
    Text(Counter),
    Lines(Lines),
    Nothing,
}

impl<'p> Counting<'p> {
    fn of(entry: &Entry, file: Option<&File>, paths: &'p HashSet<Vec<String>>) -> Self {
        let ends = |end: &[u8]| entry.name.ends_with(end);
        match file {
            Some(file) if ends(b".json") => Self::Json(Box::new(Scanner::new(Some(paths)).counting(known(&file.sections)))),
            Some(file) if file.sections.len() == 1 && ends(b".ndjson") => Self::Lines(Lines { head: 0, ..Lines::default() }),
            Some(file) if file.sections.len() == 1 && ends(b".csv") => {
                Self::Lines(Lines { head: 1, quotes: true, ..Lines::default() })
            }
            Some(_) if ends(b".txt") => Self::Text(Counter::default()),
            _ => Self::Nothing,
        }
    }

    fn push(&mut self, bytes: &[u8], found: &mut Found) {
        let fault = match self {
            Self::Json(scanner) => scanner.push(bytes).err().map(|fault| fault.to_string()),
            Self::Text(counter) => counter.push(bytes).err(),
            Self::Lines(lines) => {
                lines.push(bytes);
                None
            }
            Self::Nothing => None,
        };
        if let Some(fault) = fault {
            found.wrong.push(fault);
            *self = Self::Nothing;
        }
    }

    /// Whether there are as many rows as the manifest says.
    fn compare(self, file: &File, found: &mut Found) {
        match self {
            Self::Json(scanner) => match scanner.counted() {
                Ok(counted) => found.wrong.extend(file.sections.iter().filter_map(|section| differs(section, &counted))),
                Err(fault) => found.wrong.push(fault.to_string()),
            },
            Self::Text(counter) => match counter.finish() {
                Ok((blocks, lines)) if (file.blocks, file.lines) != (Some(blocks), Some(lines)) => {
                    let told = (file.blocks.unwrap_or(0), file.lines.unwrap_or(0));
                    found
                        .wrong
                        .push(format!("has {blocks} blocks and {lines} lines, and the manifest says {} and {}", told.0, told.1));
                }
                Ok(_) => {}
                Err(fault) => found.wrong.push(fault),
            },
            Self::Lines(lines) => {
                let rows = lines.finish();
                found.wrong.extend(file.sections.iter().filter(|section| section.rows != rows).map(|section| {
                    let name = super::zip::shown(section.name().as_bytes());
                    format!("has {rows} rows in {name}, and the manifest says {}", section.rows)
                }));
            }
            Self::Nothing => {}
        }
    }
}

/// Counts rows by their ends: of NDJSON the line breaks, of CSV those that no quotes are around. A line of CSV may be empty: its one value is null.
#[derive(Default)]
struct Lines {
    /// Lines that are no rows, at the beginning.
    head: u64,
    quotes: bool,
    quoted: bool,
    in_line: bool,
    lines: u64,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.quoted ^= self.quotes && *byte == b'"';
            self.in_line = *byte != b'\n' || self.quoted;
            self.lines += u64::from(!self.in_line);
        }
    }

    fn finish(self) -> u64 {
        (self.lines + u64::from(self.in_line)).saturating_sub(self.head)
    }
}

fn known(sections: &[Section]) -> HashMap<Vec<String>, Known> {
    let known = |section: &Section| {
        let nested: Vec<&str> = section.nested.iter().map(|nested| nested.field.as_str()).collect();
        Some((section.path.clone(), Known::new(&section.shape, &nested)?))
    };
    sections.iter().filter_map(known).collect()
}

fn differs(section: &Section, counted: &[Counted]) -> Option<String> {
    let name = super::zip::shown(section.name().as_bytes());
    // The one value of a section may be null, so that nothing tells it from none.
    if section.shape == "value" {
        return (section.rows > 1).then(|| format!("is said to have {} rows in {name}, which is one value", section.rows));
    }
    let Some(found) = counted.iter().find(|found| found.path == section.path) else {
        return Some(format!("has no section {name}, and the manifest says {} rows", section.rows));
    };
    if found.rows != section.rows {
        return Some(format!("has {} rows in {name}, and the manifest says {}", found.rows, section.rows));
    }
    let wrong = section.nested.iter().zip(&found.nested).find(|(told, rows)| told.rows != **rows);
    wrong.map(|(told, rows)| {
        let field = super::zip::shown(told.field.as_bytes());
        format!("has {rows} rows in {name}'s \"{field}\", and the manifest says {}", told.rows)
    })
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn rows_of_lines_and_of_tables() {
        for (text, lines, records) in [
            ("", 0, 0),
            ("\"a\"\r\n", 1, 0),
            ("\"a\"\r\n\r\n\r\n", 3, 2),
            ("\"a\",\"b\"\r\n\"x\ny\",\"say \"\"hi\n\"\"\"\r\n1,\r\n", 5, 2),
            ("{}\n{}", 2, 1),
        ] {
            for step in [1, 100] {
                let count = |mut of: Lines| {
                    text.as_bytes().chunks(step).for_each(|piece| of.push(piece));
                    of.finish()
                };
                assert_eq!(count(Lines::default()), lines, "{text:?}");
                assert_eq!(count(Lines { head: 1, quotes: true, ..Lines::default() }), records, "{text:?}");
            }
        }
    }
}
