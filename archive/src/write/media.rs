//! What lies in object stores. While rows are written, the keys of their objects go to a list beside the archive; when all rows are there,
//! the objects are fetched and become members. Where links are wanted, a row holds the link, and nothing is fetched.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Seek, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;
use tokio_util::sync::CancellationToken;

use super::out::{Message, Out};
use super::{ExportError, Failure, Format};
use crate::catalogue::{Absent, Catalogue, Media, MediaType, Placed};
use crate::source::Sources;
use crate::store::{Object, Store, StoreError};

/// Objects that are asked for while another is written.
const AHEAD: usize = 4;
/// What the first bytes tell an object's type by.
const HEAD: usize = 4 << 10;
/// Up to here the list stays in memory.
const IN_MEMORY: usize = 1 << 20;

/// Makes the link to an object: it is given the store's name and the object's key.
pub type Links = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// What became of the media of a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaSummary {
    /// Members of the archive.
    pub members: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many were left out, by reason: `missing`, `too_large`, `type`, `key`.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// The media of one request.
pub(super) struct Collected {
    /// The folder of the members, with a slash at its end.
    folder: String,
    /// Without it media are members.
    links: Option<Links>,
    as_links: bool,
    list: Mutex<List>,
    /// Whether a key was met that is not the person's.
    foreign: AtomicBool,
}

struct List {
    file: SpooledTempFile,
    seen: HashSet<u64>,
    hasher: RandomState,
}

/// What a column's values become.
#[derive(Clone)]
pub(super) struct Placing {
    collected: Arc<Collected>,
    media: Arc<Media>,
    /// The section's place in the catalogue's list.
    section: String,
    within: Option<String>,
}

/// Where media lie in an archive, with a slash at its end.
pub(crate) fn folder(catalogue: &Catalogue, format: Format) -> String {
    match format {
        Format::Text => format!("{}/media/", catalogue.text_root),
        Format::Json | Format::Ndjson | Format::Csv => "media/".to_owned(),
    }
}

impl Collected {
    pub(super) fn new(folder: String, links: Option<Links>, as_links: bool) -> Self {
        let file = SpooledTempFile::new(IN_MEMORY);
        let list = Mutex::new(List { file, seen: HashSet::new(), hasher: RandomState::new() });
        Self { folder, links, as_links, list, foreign: AtomicBool::new(false) }
    }

    /// Whether a key was met that is not the person's. Then nothing may be served.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign.load(Ordering::Relaxed)
    }

    pub(super) fn placing(self: &Arc<Self>, media: &Media, section: String, subject: &str) -> Placing {
        let within = media.within.as_ref().map(|within| within.replace(":subject", subject));
        Placing { collected: self.clone(), media: Arc::new(media.clone()), section, within }
    }
}

impl Placing {
    /// What is written for an object's key.
    pub(super) fn place(&self, key: &str) -> Result<String, &'static str> {
        let collected = &self.collected;
        if let Some(within) = &self.within
            && !key.strip_prefix('/').unwrap_or(key).starts_with(within.as_str())
        {
            collected.foreign.store(true, Ordering::Relaxed);
            return Err("is the key of an object that is not the person's");
        }
        if collected.as_links || self.media.placed == Placed::Links {
            return Ok(match &collected.links {
                Some(links) => links(&self.media.store, key),
                // Nobody who could serve links: as when a catalogue is tried out.
                None => key.to_owned(),
            });
        }
        let name = format!("{}{}", collected.folder, member_name(&self.media.store, key));
        let mut list = collected.list.lock().unwrap_or_else(PoisonError::into_inner);
        // A section that is read again, or two rows with one picture.
        let seen = list.hasher.hash_one(&name);
        if list.seen.insert(seen) {
            let line = [self.section.as_str(), &self.media.store, key, &name].map(hex_of).join(" ");
            writeln!(list.file, "{line}").map_err(|_| "cannot be noted: there is no room beside the archive")?;
        }
        Ok(name)
    }
}

fn hex_of(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

/// Ends of names that no system takes for a program.
const ENDINGS: &[&str] = &[
    "jpg", "jpeg", "png", "gif", "webp", "heic", "heif", "avif", "bmp", "tif", "tiff", "mp4", "m4v", "mov", "webm", "mkv", "avi",
    "mpg", "mpeg", "3gp", "mp3", "m4a", "aac", "ogg", "oga", "opus", "flac", "wav", "amr", "pdf",
];

/// A name that every reader takes, is the same for the same object, and tells no folder.
fn member_name(store: &str, key: &str) -> String {
    let code = Sha256::new().chain_update(store).chain_update([0]).chain_update(key).finalize();
    let code: String = code.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let last = key.rsplit('/').next().unwrap_or_default();
    let (stem, ending) = last.rsplit_once('.').unwrap_or((last, ""));
    let ending = ending.to_ascii_lowercase();
    let ending = if ENDINGS.contains(&ending.as_str()) { ending.as_str() } else { "bin" };
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let stem: String = stem.chars().take(60).map(plain).collect();
    if stem.is_empty() { format!("{code}.{ending}") } else { format!("{code}-{stem}.{ending}") }
}

/// An object on its way.
struct Wanted {
    section: String,
    media: Media,
    name: String,
    store: Store,
    key: String,
}

/// Fetches what was noted, and writes it as members, in the order in which the rows named them.
pub(super) async fn write(
    collected: &Collected,
    catalogue: &Catalogue,
    sources: &Sources,
    out: &mut Out,
    cancel: &CancellationToken,
) -> Result<BTreeMap<String, MediaSummary>, ExportError> {
    let mut summary: BTreeMap<String, MediaSummary> = BTreeMap::new();
    let file = {
        let mut list = collected.list.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut list.file, SpooledTempFile::new(0))
    };
    let opened = stream::iter(wanted(file, catalogue, sources)?).map(open).buffered(AHEAD);
    let mut opened = std::pin::pin!(opened);
    loop {
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(ExportError::Cancelled),
            next = opened.next() => next,
        };
        let Some((wanted, found)) = next else { return Ok(summary) };
        let fail = |error| failed(&wanted, error);
        let told = summary.entry(wanted.section.clone()).or_default();
        let reason = match found {
            Ok(object) if object.size > wanted.media.max_object => "too_large",
            Ok(object) => {
                let size = object.size;
                let mut bytes = std::pin::pin!(object.bytes());
                let head = head(&mut bytes).await.map_err(fail)?;
                match stored(&head, &wanted.media.types) {
                    None => "type",
                    Some(stored) => {
                        member(&wanted, head, stored, &mut bytes, out, cancel).await?;
                        told.members += 1;
                        told.bytes += size;
                        continue;
                    }
                }
            }
            Err(StoreError::Missing) if wanted.media.absent == Absent::LeaveOut => "missing",
            Err(StoreError::Key) if wanted.media.absent == Absent::LeaveOut => "key",
            Err(error) => return Err(fail(error)),
        };
        tracing::warn!(section = wanted.section, store = wanted.store.name(), reason, "an object was left out of the archive");
        *told.left_out.entry(reason).or_default() += 1;
    }
}

async fn member(
    wanted: &Wanted,
    head: Vec<Bytes>,
    stored: bool,
    bytes: &mut (impl Stream<Item = Result<Bytes, StoreError>> + Unpin),
    out: &mut Out,
    cancel: &CancellationToken,
) -> Result<(), ExportError> {
    let stopped = |_| ExportError::Cancelled;
    out.flush().await.map_err(stopped)?;
    out.send(Message::Member { name: wanted.name.clone(), stored }).await.map_err(stopped)?;
    for piece in head {
        out.buffer.extend_from_slice(&piece);
    }
    loop {
        if out.is_full() {
            out.flush().await.map_err(stopped)?;
        }
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(ExportError::Cancelled),
            next = bytes.next() => next,
        };
        match next {
            None => return out.flush().await.map_err(stopped),
            Some(piece) => out.buffer.extend_from_slice(&piece.map_err(|error| failed(wanted, error))?),
        }
    }
}

/// Enough of the object to tell its type by.
async fn head(bytes: &mut (impl Stream<Item = Result<Bytes, StoreError>> + Unpin)) -> Result<Vec<Bytes>, StoreError> {
    let mut head = Vec::new();
    let mut length = 0;
    while length < HEAD {
        let Some(piece) = bytes.next().await else { break };
        let piece = piece?;
        length += piece.len();
        head.push(piece);
    }
    Ok(head)
}

/// Whether an object that begins so is stored as it is, since it is compressed already. None for what may not be in the archive.
fn stored(head: &[Bytes], types: &[MediaType]) -> Option<bool> {
    let first: Vec<u8> = head.iter().flat_map(|piece| piece.iter().copied()).take(HEAD).collect();
    let mime = mime(&first)?;
    types.contains(&media_type(mime)?).then_some(!matches!(mime, "image/bmp" | "image/tiff" | "audio/x-wav" | "audio/x-aiff"))
}

/// What a file is, by its first bytes.
pub fn mime(first: &[u8]) -> Option<&'static str> {
    Some(infer::get(first)?.mime_type())
}

/// The type of media; none for what is none.
fn media_type(mime: &str) -> Option<MediaType> {
    match mime.split_once('/')? {
        // Drawings that hold scripts are pages.
        ("image", "svg+xml") => None,
        ("image", _) => Some(MediaType::Image),
        ("video", _) => Some(MediaType::Video),
        ("audio", _) => Some(MediaType::Audio),
        ("application", "pdf") => Some(MediaType::Pdf),
        _ => None,
    }
}

async fn open(wanted: Wanted) -> (Wanted, Result<Object, StoreError>) {
    let found = wanted.store.get(&wanted.key, None).await;
    (wanted, found)
}

/// Reads the list back, line by line.
fn wanted(
    mut file: SpooledTempFile,
    catalogue: &Catalogue,
    sources: &Sources,
) -> Result<impl Iterator<Item = Wanted>, ExportError> {
    file.rewind().map_err(ExportError::from_io)?;
    let media: BTreeMap<String, (Media, Option<Store>)> = catalogue
        .with_media()
        .map(|(section, media)| (section.name(), (media.clone(), sources.store(&media.store).cloned())))
        .collect();
    Ok(BufReader::new(file).lines().map_while(Result::ok).filter_map(move |line| {
        let mut words = line.split(' ').map(from_hex);
        let (section, _, key, name) = (words.next()??, words.next()??, words.next()??, words.next()??);
        let (media, store) = media.get(&section)?;
        Some(Wanted { media: media.clone(), store: store.clone()?, section, name, key })
    }))
}

fn failed(wanted: &Wanted, error: StoreError) -> ExportError {
    let failure = match error {
        StoreError::Down(what) => Failure::Down(what),
        StoreError::Timeout => Failure::Timeout("timeout"),
        StoreError::Broken(what) => Failure::Broken(what),
        // Nothing that another attempt would change.
        StoreError::Missing | StoreError::Key | StoreError::Refused(_) => Failure::Query(error.to_string()),
    };
    let source_name = wanted.store.name().to_owned();
    ExportError::Section { source_name, section: wanted.section.clone(), failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_harmless_and_the_same() {
        let name = member_name("pictures", "people/7/../../Über mich?.JPG");
        assert!(name.ends_with("-_ber_mich_.jpg"), "{name}");
        assert_eq!(name, member_name("pictures", "people/7/../../Über mich?.JPG"));
        for key in ["a/b.exe", "a/b.html", "a/b", "..", "", "con", "a/.htaccess"] {
            let name = member_name("s", key);
            assert!(name.ends_with(".bin") && !name.contains('/') && name.len() > 16, "{key}: {name}");
        }
        assert_ne!(member_name("a", "b.jpg"), member_name("b", "b.jpg"));
        assert!(member_name("a", &"x".repeat(5000)).len() < 100);
    }

    #[test]
    fn types_are_told_by_bytes() {
        let all = [MediaType::Image, MediaType::Video, MediaType::Audio, MediaType::Pdf];
        let of = |bytes: &[u8], types: &[MediaType]| stored(&[Bytes::copy_from_slice(bytes)], types);
        assert_eq!(of(b"\x89PNG\r\n\x1a\n0000", &all), Some(true));
        assert_eq!(of(b"\x89PNG\r\n\x1a\n0000", &[MediaType::Pdf]), None);
        assert_eq!(of(b"BM0000000000", &all), Some(false), "what is not compressed is deflated");
        assert_eq!(of(b"%PDF-1.7", &all), Some(true));
        for page in
            [&b"<svg xmlns='http://www.w3.org/2000/svg'>"[..], b"<!doctype html><script>", b"MZ\x90\0", b"", b"PK\x03\x04"]
        {
            assert_eq!(of(page, &all), None);
        }
    }

    #[test]
    fn a_line_comes_back() {
        for text in ["", "a b", "ü\n", "🦀"] {
            assert_eq!(from_hex(&hex_of(text)).as_deref(), Some(text));
        }
        assert_eq!(from_hex("0"), None);
    }
}
