//! What is in an archive: its members, and the rows of each section. Members are streamed, so memory is flat; the archive may be
//! anybody's, so nothing in it is believed.

pub(crate) mod json;
pub(crate) mod text;

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use zip::{CompressionMethod, ZipArchive};

pub use self::json::{SectionRows, Shape};

/// Bytes that a directory of members may have: enough for a hundred thousand of them. Its memory is some tenfold of it.
const MAX_DIRECTORY: u64 = 16 << 20;
/// Deflate cannot do better than 1032 to 1; more than that is a lie.
const MAX_RATIO: u64 = 1_040;
const BLOCK: usize = 64 << 10;

/// What is in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Its members, in the order of its directory.
    pub members: Vec<Member>,
}

/// One member, read to its end and checked against its CRC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, a relative path.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its bytes within the archive.
    pub compressed: u64,
    /// What it holds.
    pub kind: MemberKind,
}

/// What a member holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A JSON document, and the rows of its sections.
    Json(Vec<SectionRows>),
    /// A text, with its blocks (runs of lines that are not blank) and lines.
    Text {
        /// Blocks.
        blocks: u64,
        /// Lines that are not blank.
        lines: u64,
    },
    /// Something else.
    Other,
}

impl Contents {
    /// The rows at a path of the JSON document, and below it.
    pub fn rows(&self, path: &[&str]) -> u64 {
        let below =
            |section: &&SectionRows| section.path.len() >= path.len() && section.path.iter().zip(path).all(|(a, b)| a == b);
        self.members
            .iter()
            .filter_map(|member| match &member.kind {
                MemberKind::Json(sections) => Some(sections.iter().filter(below).map(|section| section.rows).sum::<u64>()),
                _ => None,
            })
            .sum()
    }
}

/// Why an archive is none, or is broken.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The container is broken.
    #[error("this is not a ZIP archive: {0}")]
    Container(String),
    /// A member is broken.
    #[error("the member \"{}\" {what}", name.escape_debug())]
    Member {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
}

/// Reads an archive to its end. Without a catalogue, whatever stands three keys deep in the JSON document is taken for a section, and
/// every list wherever it stands.
pub fn inspect(path: &Path) -> Result<Contents, ReadError> {
    inspect_reader(File::open(path)?, None)
}

/// As [`inspect`], with the sections' paths known: `catalogue.sections().iter().map(|section| section.path.clone())`.
pub fn inspect_sections(path: &Path, sections: impl IntoIterator<Item = Vec<String>>) -> Result<Contents, ReadError> {
    inspect_reader(File::open(path)?, Some(&sections.into_iter().collect()))
}

/// As [`inspect`], on anything that can be read and sought.
pub fn inspect_reader(mut reader: impl Read + Seek, sections: Option<&HashSet<Vec<String>>>) -> Result<Contents, ReadError> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.rewind()?;
    let left = Rc::new(Cell::new(MAX_DIRECTORY));
    let mut zip = ZipArchive::new(Rationed { inner: reader, left: left.clone() })
        .map_err(|error| ReadError::Container(error.to_string()))?;
    // From here on every byte is read for a member whose size is counted.
    left.set(u64::MAX);
    let mut members = Vec::new();
    let mut promised = 0u64;
    let mut block = vec![0; BLOCK];
    for at in 0..zip.len() {
        let name = match zip.by_index_raw(at) {
            Ok(member) => String::from_utf8_lossy(member.name_raw()).into_owned(),
            Err(error) => return Err(ReadError::Container(error.to_string())),
        };
        let fail = |what: String| ReadError::Member { name: name.clone(), what };
        if !is_safe(&name) {
            return Err(fail("has a name that leads out of the archive".to_owned()));
        }
        let mut member = zip.by_index(at).map_err(|error| fail(format!("cannot be read: {error}")))?;
        if !matches!(member.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(fail("is compressed in a way that most programs do not know".to_owned()));
        }
        let (size, compressed) = (member.size(), member.compressed_size());
        promised = promised.saturating_add(compressed);
        if promised > length || size > compressed.saturating_add(1).saturating_mul(MAX_RATIO) {
            return Err(fail("promises more than the archive can hold".to_owned()));
        }
        let kind = read_member(&mut member, &name, size, sections, &mut block).map_err(&fail)?;
        members.push(Member { name, size, compressed, kind });
    }
    Ok(Contents { members })
}

fn read_member(
    member: &mut impl Read,
    name: &str,
    size: u64,
    sections: Option<&HashSet<Vec<String>>>,
    block: &mut [u8],
) -> Result<MemberKind, String> {
    let mut reading = if name.ends_with(".json") {
        Reading::Json(Box::new(json::Scanner::new(sections)))
    } else if name.ends_with(".txt") {
        Reading::Text(text::Counter::default())
    } else {
        Reading::Other
    };
    let mut read = 0u64;
    loop {
        let count = match member.read(block) {
            // The CRC is checked at the end.
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("is broken: {error}")),
        };
        read += count as u64;
        if read > size {
            return Err("is larger than it says".to_owned());
        }
        match &mut reading {
            Reading::Json(scanner) => scanner.push(&block[..count]).map_err(|fault| fault.to_string())?,
            Reading::Text(counter) => counter.push(&block[..count])?,
            Reading::Other => {}
        }
    }
    if read != size {
        return Err("is smaller than it says".to_owned());
    }
    match reading {
        Reading::Json(scanner) => scanner.finish().map(MemberKind::Json).map_err(|fault| fault.to_string()),
        Reading::Text(counter) => counter.finish().map(|(blocks, lines)| MemberKind::Text { blocks, lines }),
        Reading::Other => Ok(MemberKind::Other),
    }
}

enum Reading<'s> {
    Json(Box<json::Scanner<'s>>),
    Text(text::Counter),
    Other,
}

/// A relative path that stays below where it is unpacked.
pub(crate) fn is_safe(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('/')
        && !name.contains(['\\', '\0', ':'])
        && name.trim_end_matches('/').split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// A reader that gives only so many bytes: what a hostile directory may cost.
struct Rationed<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(count as u64).ok_or_else(|| io::Error::other("its directory is too large"))?;
        self.left.set(left);
        Ok(count)
    }
}

impl<R: Seek> Seek for Rationed<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Checks UTF-8 that arrives in pieces.
#[derive(Default)]
pub(crate) struct Utf8 {
    /// The beginning of a character that the last piece did not end.
    pending: Vec<u8>,
}

impl Utf8 {
    /// False when it is none.
    fn push(&mut self, mut bytes: &[u8]) -> bool {
        while !self.pending.is_empty() {
            let Some((first, rest)) = bytes.split_first() else { return true };
            self.pending.push(*first);
            bytes = rest;
            match std::str::from_utf8(&self.pending) {
                Ok(_) => self.pending.clear(),
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                self.pending.extend_from_slice(&bytes[error.valid_up_to()..]);
                true
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for name in ["a.json", "TikTok/Your Activity/Searches.txt", "dir/", "..a"] {
            assert!(is_safe(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../a", "a/../b", "a//b", "c:\\a", "a\\..\\b", "a\0"] {
            assert!(!is_safe(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn utf8_in_pieces(bytes in prop_oneof![any::<String>().prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..40)], step in 1usize..5) {
            let mut utf8 = Utf8::default();
            let good = bytes.chunks(step).all(|piece| utf8.push(piece)) && utf8.is_whole();
            prop_assert_eq!(good, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
