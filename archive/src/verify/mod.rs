//! Whether an archive is whole, and who says so. Works off line, in flat memory, on files that may be anybody's.
//!
//! An archive with a manifest must be, byte for byte, what its manifest says: each member in its place with its hash, each header as it is written
//! here, and nothing else. One without is judged as a ZIP archive.

mod content;
mod zip;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Seek};

use serde::Serialize;
use sha2::{Digest, Sha256};

use self::content::{Room, Wanted};
use self::zip::{Archive, Broken, Directory, Entry};
use crate::manifest::{self, File, Manifest};
use crate::sign::PublicKey;
use crate::write::zip::{DosTime, Entry as Written, SMALL, end};

/// More findings than that help nobody.
const MOST_FINDINGS: usize = 100;
/// More members than that are not checked: their names would be remembered.
const MOST_MEMBERS: u64 = 1_000_000;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its bytes.
    pub bytes: u64,
    /// Its members.
    pub members: u64,
    /// The bytes that they hold.
    pub content_bytes: u64,
    /// Who signed it.
    pub signature: Signature,
    /// What is wrong with it, as far as it could be read.
    pub findings: Vec<Finding>,
    /// What it says of itself.
    pub manifest: Option<Manifest>,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The member, if it is one's.
    pub file: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// Who signed an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Signature {
    /// Nobody.
    None,
    /// Somebody who says to be this key, and there was no key to check it with.
    Unchecked {
        /// The key's name.
        kid: String,
    },
    /// One of the given keys.
    Good {
        /// The key's name.
        kid: String,
    },
    /// None of the given keys, or not over this manifest.
    Bad {
        /// The key that it names.
        kid: String,
    },
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Whole, and signed by one of the given keys.
    Verified,
    /// Nothing is wrong with it, and nothing proves who made it.
    Unproven,
    /// Something is wrong with it.
    Broken,
}

impl Report {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        match (&self.signature, self.findings.is_empty()) {
            (_, false) => Verdict::Broken,
            (Signature::Good { .. }, true) => Verdict::Verified,
            (_, true) => Verdict::Unproven,
        }
    }
}

/// Looks at an archive, with the keys whose signatures count. Fails only when the file cannot be read.
pub fn verify(reader: impl Read + Seek, keys: &[PublicKey]) -> io::Result<Report> {
    let mut archive = Archive::open(reader)?;
    let report = Report {
        bytes: archive.length,
        members: 0,
        content_bytes: 0,
        signature: Signature::None,
        findings: Vec::new(),
        manifest: None,
    };
    let mut check = Check { report, keys, room: Room::default() };
    match check.all(&mut archive) {
        Ok(()) => {}
        Err(Broken::Io(error)) => return Err(error),
        Err(Broken::Wrong(file, what)) => check.find(file, what),
    }
    Ok(check.report)
}

/// What an archive says of itself, if it says something; nothing of it is checked.
pub fn manifest_of(reader: impl Read + Seek) -> io::Result<Option<Manifest>> {
    let mut archive = Archive::open(reader)?;
    let found = archive.directory().and_then(|directory| {
        let outline = Outline::of(&mut archive, directory)?;
        Ok(outline.manifest(&mut archive, directory, &mut Room::default())?.and_then(|read| read.parsed.ok()))
    });
    match found {
        Ok(manifest) => Ok(manifest),
        Err(Broken::Io(error)) => Err(error),
        Err(Broken::Wrong(..)) => Ok(None),
    }
}

struct Check<'k> {
    report: Report,
    keys: &'k [PublicKey],
    room: Room,
}

/// What the directory tells before anything of a member is looked at.
#[derive(Default)]
struct Outline {
    manifest: Option<(u64, Entry)>,
    signature: Option<(u64, Entry)>,
    twice: Option<String>,
}

/// A manifest, and what it was read from.
struct ReadManifest {
    bytes: Vec<u8>,
    parsed: Result<Manifest, String>,
}

impl Outline {
    fn of<R: Read + Seek>(archive: &mut Archive<R>, directory: Directory) -> Result<Self, Broken> {
        if directory.entries > MOST_MEMBERS {
            return Err(Broken::Wrong(None, format!("it has {} members, more than are checked", directory.entries)));
        }
        let mut outline = Self::default();
        let mut names: HashSet<[u8; 16]> = HashSet::new();
        let mut entries = archive.entries(directory);
        let mut at = 0;
        while let Some(entry) = entries.next()? {
            let mut name = [0; 16];
            name.copy_from_slice(&Sha256::digest(&entry.name)[..16]);
            if !names.insert(name) && outline.twice.is_none() {
                outline.twice = Some(entry.shown());
            }
            match entry.name.as_slice() {
                name if name == manifest::MANIFEST.as_bytes() => outline.manifest = Some((at, entry)),
                name if name == manifest::SIGNATURE.as_bytes() => outline.signature = Some((at, entry)),
                _ => {}
            }
            at += 1;
        }
        Ok(outline)
    }

    /// Reads the manifest, if there is one. Others' archives may have a file of that name: it is ours when it has our version or a signature.
    fn manifest<R: Read + Seek>(
        &self,
        archive: &mut Archive<R>,
        directory: Directory,
        room: &mut Room,
    ) -> Result<Option<ReadManifest>, Broken> {
        let Some((_, entry)) = &self.manifest else { return Ok(None) };
        // A manifest is as long as the archive has files and sections; a longer one would be there to be held in memory.
        let most = manifest::MAX_MANIFEST.min((4 << 20) + 4096 * directory.entries);
        let bytes = (entry.size <= most).then(|| small(archive, entry, room)).transpose()?;
        let parsed = match &bytes {
            None => Err("is too large to be read".to_owned()),
            Some(bytes) => match serde_json::from_slice::<Manifest>(bytes) {
                Ok(manifest) if manifest.manifest_version == manifest::VERSION => Ok(manifest),
                Ok(manifest) => Err(format!("is of version {}, which this program does not know", manifest.manifest_version)),
                Err(error) => Err(format!("cannot be read: {error}")),
            },
        };
        let bytes = bytes.unwrap_or_default();
        if parsed.is_err() && self.signature.is_none() && !contains(&bytes, b"\"manifest_version\"") {
            return Ok(None);
        }
        Ok(Some(ReadManifest { bytes, parsed }))
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The bytes of a small member.
fn small<R: Read + Seek>(archive: &mut Archive<R>, entry: &Entry, room: &mut Room) -> Result<Vec<u8>, Broken> {
    let (at, _) = archive.local(entry)?;
    let wanted = Wanted { file: None, keep: true, hash: false };
    Ok(content::read(archive, entry, at, &wanted, room)?.bytes)
}

impl Check<'_> {
    fn find(&mut self, file: Option<String>, what: impl Into<String>) {
        if self.report.findings.len() < MOST_FINDINGS {
            self.report.findings.push(Finding { file, what: what.into() });
        }
    }

    fn all<R: Read + Seek>(&mut self, archive: &mut Archive<R>) -> Result<(), Broken> {
        let directory = archive.directory()?;
        self.report.members = directory.entries;
        let outline = Outline::of(archive, directory)?;
        if let Some(name) = &outline.twice {
            self.find(Some(name.clone()), "is there twice");
        }
        let manifest = outline.manifest(archive, directory, &mut self.room)?;
        let manifest = match manifest {
            None => {
                if let Some((_, entry)) = &outline.signature {
                    self.find(Some(entry.shown()), "is there, and what it signs is not");
                }
                None
            }
            Some(ReadManifest { bytes, parsed }) => {
                let parsed = parsed.map_err(|what| self.find(Some(manifest::MANIFEST.to_owned()), what)).ok();
                self.signature(archive, directory, &outline, &bytes, parsed.as_ref())?;
                parsed
            }
        };
        let walked = self.members(archive, directory, manifest.as_ref());
        self.report.manifest = manifest;
        walked
    }

    /// Who signed the manifest.
    fn signature<R: Read + Seek>(
        &mut self,
        archive: &mut Archive<R>,
        directory: Directory,
        outline: &Outline,
        bytes: &[u8],
        manifest: Option<&Manifest>,
    ) -> Result<(), Broken> {
        let named = manifest.and_then(|manifest| manifest.signature.as_ref());
        let kid = named.map(|named| named.kid.clone()).unwrap_or_default();
        let behind = u64::from(outline.signature.is_some());
        if outline.manifest.as_ref().is_some_and(|(at, _)| at + 1 + behind != directory.entries)
            || outline.signature.as_ref().is_some_and(|(at, _)| at + 1 != directory.entries)
        {
            self.find(Some(manifest::MANIFEST.to_owned()), "is not at the archive's end");
        }
        let signature = match &outline.signature {
            Some((_, entry)) if entry.size == 64 => Some(small(archive, entry, &mut self.room)?),
            Some((_, entry)) => {
                self.find(Some(entry.shown()), "is no signature: it must have 64 bytes");
                self.report.signature = Signature::Bad { kid };
                return Ok(());
            }
            None => None,
        };
        self.report.signature = match (named, signature) {
            (None, None) => Signature::None,
            (Some(_), None) => {
                self.find(Some(manifest::SIGNATURE.to_owned()), "is missing, and the manifest says that it is there");
                Signature::Bad { kid }
            }
            (None, Some(_)) if manifest.is_some() => {
                self.find(Some(manifest::SIGNATURE.to_owned()), "is there, and the manifest does not say who signed");
                Signature::Bad { kid }
            }
            (_, Some(_)) if self.keys.is_empty() => Signature::Unchecked { kid },
            (_, Some(signature)) => match self.keys.iter().find(|key| key.verifies(bytes, &signature)) {
                Some(key) if key.kid() == kid => Signature::Good { kid },
                Some(_) => {
                    self.find(Some(manifest::MANIFEST.to_owned()), "was signed by another key than it says");
                    Signature::Bad { kid }
                }
                None => {
                    let known = self.keys.iter().any(|key| key.kid() == kid);
                    let what = if known {
                        "was changed after it was signed: the signature is not over these bytes".to_owned()
                    } else {
                        format!("is signed by a key that is none of the given: {}", zip::shown(kid.as_bytes()))
                    };
                    self.find(Some(manifest::SIGNATURE.to_owned()), what);
                    Signature::Bad { kid }
                }
            },
        };
        Ok(())
    }

    /// Walks over all members.
    fn members<R: Read + Seek>(
        &mut self,
        archive: &mut Archive<R>,
        directory: Directory,
        manifest: Option<&Manifest>,
    ) -> Result<(), Broken> {
        let mut told = manifest.map(Told::new);
        let mut added: Vec<(String, String)> = Vec::new();
        let mut entries = archive.entries(directory);
        let mut at = 0;
        while let Some(entry) = entries.next()? {
            if entry.offset != at {
                let how =
                    if entry.offset < at { "overlaps the one before it, or is out of order" } else { "has something before it" };
                return Err(Broken::Wrong(Some(entry.shown()), how.to_owned()));
            }
            let (begins, local) = entries.archive.local(&entry)?;
            let ends = begins.checked_add(entry.packed).filter(|end| *end <= directory.offset);
            let Some(ends) = ends else {
                return Err(Broken::Wrong(Some(entry.shown()), "promises more than the archive can hold".to_owned()));
            };
            if !is_safe(&entry.name) {
                self.find(Some(entry.shown()), "has a name that leads out of the archive");
            }
            let own = [manifest::MANIFEST, manifest::SIGNATURE].iter().any(|name| name.as_bytes() == entry.name);
            let file = match &mut told {
                Some(told) if !own => match told.place(&entry.name) {
                    Place::There(file) => Some(file),
                    Place::Moved(file) => {
                        self.find(Some(entry.shown()), "is not in the place that the manifest gives it");
                        Some(file)
                    }
                    Place::Unknown => None,
                },
                _ => None,
            };
            if let Some(told) = &told
                && !told.is_written(&entry, &local)
            {
                self.find(Some(entry.shown()), "has a header that is not as it was written: a byte of it was changed");
            }
            let wanted = Wanted { file, keep: false, hash: told.is_some() };
            let found = content::read(entries.archive, &entry, begins, &wanted, &mut self.room)?;
            for what in found.wrong {
                self.find(Some(entry.shown()), what);
            }
            if told.is_some() && !own && file.is_none() && added.len() < MOST_FINDINGS {
                added.push((entry.shown(), found.sha256));
            }
            self.report.content_bytes = self.report.content_bytes.saturating_add(entry.size);
            at = entries.archive.behind(&entry, ends)?;
        }
        if at != directory.offset {
            return Err(Broken::Wrong(None, "there is something between the last member and the directory".to_owned()));
        }
        if let Some(told) = told {
            self.missing(&told, &added);
            let mut wanted = Vec::new();
            end(directory.entries, directory.offset, directory.size, &mut wanted);
            let mut found =
                vec![0; usize::try_from(archive.length - directory.offset - directory.size).unwrap_or_default().min(1 << 17)];
            archive.all_at(directory.offset + directory.size, &mut found)?;
            if found != wanted {
                self.find(None, "its end is not as it was written: a byte of it was changed, or something was added");
            }
        }
        Ok(())
    }

    /// What the manifest tells and the archive has not, and the other way round.
    fn missing(&mut self, told: &Told<'_>, added: &[(String, String)]) {
        let mut renamed = Vec::new();
        for file in told.missing() {
            let name = zip::shown(file.name.as_bytes());
            match added.iter().find(|(_, sha256)| *sha256 == file.sha256 && file.bytes > 0) {
                Some((new, _)) => {
                    renamed.push(new.clone());
                    self.find(Some(name), format!("was renamed: what it held is in \"{new}\""));
                }
                None => self.find(Some(name), "is missing"),
            }
        }
        for (name, _) in added.iter().filter(|(name, _)| !renamed.contains(name)) {
            self.find(Some(name.clone()), "was added: the manifest does not know it");
        }
    }
}

/// A relative path that stays below where it is unpacked.
fn is_safe(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(crate::read::is_safe)
}

/// What a manifest says, and how much of it was met.
struct Told<'m> {
    files: &'m [File],
    by_name: HashMap<&'m [u8], usize>,
    met: Vec<bool>,
    next: usize,
    at: Option<DosTime>,
}

enum Place<'m> {
    There(&'m File),
    Moved(&'m File),
    Unknown,
}

impl<'m> Told<'m> {
    fn new(manifest: &'m Manifest) -> Self {
        let by_name = manifest.files.iter().enumerate().map(|(at, file)| (file.name.as_bytes(), at)).collect();
        Self {
            files: &manifest.files,
            by_name,
            met: vec![false; manifest.files.len()],
            next: 0,
            at: manifest.request.applied_at.parse().ok().map(DosTime::of),
        }
    }

    /// Where the next member belongs.
    fn place(&mut self, name: &[u8]) -> Place<'m> {
        let Some(at) = self.by_name.get(name).copied() else { return Place::Unknown };
        let Some(file) = self.files.get(at) else { return Place::Unknown };
        // What is missing was told as missing; what comes behind it is in its place.
        let there = at >= self.next;
        self.next = self.next.max(at + 1);
        if let Some(met) = self.met.get_mut(at) {
            *met = true;
        }
        if there { Place::There(file) } else { Place::Moved(file) }
    }

    fn missing(&self) -> impl Iterator<Item = &'m File> {
        self.files.iter().zip(&self.met).filter(|(_, met)| !**met).map(|(file, _)| file)
    }

    /// Whether both of a member's headers are, byte for byte, what is written for it.
    fn is_written(&self, entry: &Entry, local: &[u8]) -> bool {
        let (Ok(name), Some(at)) = (String::from_utf8(entry.name.clone()), self.at) else { return false };
        let mut written = Written {
            name,
            stored: entry.is_stored(),
            crc: entry.crc,
            size: entry.size,
            packed: entry.packed,
            offset: entry.offset,
            room: false,
            at,
            small: SMALL,
        };
        let mut bytes = Vec::new();
        written.central(&mut bytes);
        if bytes != entry.raw {
            return false;
        }
        [false, true].iter().any(|room| {
            written.room = *room;
            bytes.clear();
            written.local(&mut bytes);
            bytes == local
        })
    }
}
