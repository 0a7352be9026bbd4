//! The archive's file, written on a thread of its own. A member that fits one piece is compressed before its header is written;
//! a larger one's header is patched at its end, which is why the file must be able to seek.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::out::{Message, Spare, give_back};
use super::pieces::{Helpers, Pieces, Work};
use super::zip::{self, DosTime, Entry};
use super::{Digests, FileSummary};
use crate::deflate::Level;
use crate::read::text::Counter;

pub(super) use super::zip::SMALL;

/// How the container is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) at: jiff::Timestamp,
    pub(super) level: u32,
    /// The size up to which a member has a plain header.
    pub(super) small: u64,
    /// Whether members are hashed.
    pub(super) digests: bool,
    /// Who else may compress.
    pub(super) helpers: &'static Helpers,
}

#[derive(Debug)]
pub(super) enum ContainerError {
    /// The rendering side gave up; it knows why.
    Abandoned,
    Io(io::Error),
}

impl From<io::Error> for ContainerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes what it is told until it is told to finish. Answers what the members are.
pub(super) fn write(
    file: File,
    form: Form,
    mut from: mpsc::Receiver<Message>,
    spare: &Spare,
) -> Result<Vec<FileSummary>, ContainerError> {
    let mut container = Container::new(file, form);
    loop {
        match from.blocking_recv() {
            Some(Message::Member { name, stored }) => {
                container.end_member()?;
                container.begin_member(name, stored)?;
            }
            Some(Message::Bytes(bytes)) => {
                container.bytes(&bytes)?;
                give_back(spare, bytes);
            }
            Some(Message::Report(to)) => {
                container.end_member()?;
                // Whoever asked may have gone.
                let _ = to.send(container.files.clone());
            }
            Some(Message::Finish) => return Ok(container.finish()?),
            None => return Err(ContainerError::Abandoned),
        }
    }
}

/// The member being written.
struct Member {
    entry: Entry,
    crc: crc32fast::Hasher,
    hashes: Option<Box<Hashes>>,
    /// The piece being filled; a stored member has none once its header is written.
    work: Option<Box<Work>>,
}

/// What is hashed of a member.
struct Hashes {
    plain: Sha256,
    packed: Sha256,
    text: Option<Counter>,
}

impl Hashes {
    fn of(name: &str) -> Box<Self> {
        let text = name.ends_with(".txt").then(Counter::default);
        Box::new(Self { plain: Sha256::new(), packed: Sha256::new(), text })
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.plain.update(bytes);
        // What is not UTF-8 is not counted; we write none.
        self.text.take_if(|text| text.push(bytes).is_err());
    }

    fn finish(self, stored: bool) -> Digests {
        let counts = self.text.and_then(|text| text.finish().ok());
        let sha256 = hex(&self.plain.finalize());
        let packed_sha256 = if stored { sha256.clone() } else { hex(&self.packed.finalize()) };
        Digests { sha256, packed_sha256, blocks: counts.map(|counts| counts.0), lines: counts.map(|counts| counts.1) }
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or_default());
        }
        text
    })
}

struct Container {
    sink: Sink,
    form: Form,
    level: Option<Level>,
    pieces: Pieces,
    member: Option<Member>,
    entries: Vec<Entry>,
    /// What they are, as told to others.
    files: Vec<FileSummary>,
    scratch: Vec<u8>,
}

impl Container {
    fn new(file: File, form: Form) -> Self {
        let level = Level::of(form.level);
        Self {
            sink: Sink { file, held: Vec::with_capacity(Sink::HELD), at: 0 },
            form,
            level,
            // Nothing is pushed where nothing is compressed.
            pieces: Pieces::new(level.unwrap_or(Level::Fast), form.helpers),
            member: None,
            entries: Vec::new(),
            files: Vec::new(),
            scratch: Vec::new(),
        }
    }

    fn begin_member(&mut self, name: String, stored: bool) -> io::Result<()> {
        if name.len() > usize::from(u16::MAX) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name of a member is too long"));
        }
        let entry = Entry {
            name,
            stored: stored || self.level.is_none(),
            crc: 0,
            size: 0,
            packed: 0,
            offset: self.sink.at,
            room: false,
            at: DosTime::of(self.form.at),
            small: self.form.small,
        };
        let hashes = self.form.digests.then(|| Hashes::of(&entry.name));
        self.member = Some(Member { entry, crc: crc32fast::Hasher::new(), hashes, work: Some(Work::new()) });
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(member) = &mut self.member else { return Err(io::Error::other("bytes before a member")) };
        member.crc.update(bytes);
        if let Some(hashes) = &mut member.hashes {
            hashes.plain(bytes);
        }
        member.entry.size += bytes.len() as u64;
        let mut rest = bytes;
        while let Some(work) = &mut member.work {
            rest = work.window.fill(rest);
            if rest.is_empty() {
                return Ok(());
            }
            // There is more than a piece: the member's size is not known now.
            if !member.entry.room {
                member.entry.room = true;
                self.sink.header(&member.entry, &mut self.scratch)?;
            }
            let Some(full) = member.work.take() else { break };
            if member.entry.stored {
                self.sink.write(full.window.piece())?;
                full.rest();
            } else {
                let mut next = Work::new();
                next.window.follow(&full.window);
                member.work = Some(next);
                self.pieces.push(full, false)?;
                while let Some(done) = self.pieces.next(false)? {
                    self.sink.packed(&mut member.entry, &mut member.hashes, done)?;
                }
            }
        }
        self.sink.write(rest)
    }

    fn end_member(&mut self) -> io::Result<()> {
        let Some(Member { mut entry, crc, mut hashes, work }) = self.member.take() else { return Ok(()) };
        entry.crc = crc.finalize();
        if entry.stored {
            entry.packed = entry.size;
        }
        match work {
            // All of it is here: no patch, and no thread is asked.
            Some(mut work) if !entry.room => {
                if !entry.stored {
                    entry.packed = work.pack(self.pieces.level(), true)?.len() as u64;
                }
                self.sink.header(&entry, &mut self.scratch)?;
                let packed = if entry.stored { work.window.piece() } else { work.packed() };
                if let Some(hashes) = &mut hashes {
                    hashes.packed.update(packed);
                }
                self.sink.write(packed)?;
                work.rest();
            }
            work => {
                if let Some(work) = work {
                    self.pieces.push(work, true)?;
                    while let Some(done) = self.pieces.next(true)? {
                        self.sink.packed(&mut entry, &mut hashes, done)?;
                    }
                }
                self.scratch.clear();
                entry.local(&mut self.scratch);
                self.sink.patch(entry.offset, &self.scratch)?;
            }
        }
        self.files.push(FileSummary {
            name: entry.name.clone(),
            bytes: entry.size,
            packed: entry.packed,
            crc: entry.crc,
            digests: hashes.map(|hashes| hashes.finish(entry.stored)),
        });
        self.entries.push(entry);
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<FileSummary>> {
        self.end_member()?;
        let offset = self.sink.at;
        for entry in &self.entries {
            self.scratch.clear();
            entry.central(&mut self.scratch);
            self.sink.write(&self.scratch)?;
        }
        self.scratch.clear();
        zip::end(self.entries.len() as u64, offset, self.sink.at - offset, &mut self.scratch);
        self.sink.write(&self.scratch)?;
        self.sink.flush()?;
        // Whoever reads it next begins at the beginning.
        self.sink.file.rewind()?;
        Ok(self.files)
    }
}

/// The file, with small writes put together.
struct Sink {
    file: File,
    held: Vec<u8>,
    /// Where the next byte goes, those held counted.
    at: u64,
}

impl Sink {
    const HELD: usize = 64 << 10;

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.held.len() + bytes.len() > Self::HELD {
            self.flush()?;
        }
        if bytes.len() > Self::HELD {
            self.file.write_all(bytes)?;
        } else {
            self.held.extend_from_slice(bytes);
        }
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn header(&mut self, entry: &Entry, scratch: &mut Vec<u8>) -> io::Result<()> {
        scratch.clear();
        entry.local(scratch);
        self.write(scratch)
    }

    fn packed(&mut self, entry: &mut Entry, hashes: &mut Option<Box<Hashes>>, work: Box<Work>) -> io::Result<()> {
        if let Some(hashes) = hashes {
            hashes.packed.update(work.packed());
        }
        self.write(work.packed())?;
        entry.packed += work.packed().len() as u64;
        work.rest();
        Ok(())
    }

    /// Writes over what was written.
    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.held)?;
        self.held.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::LazyLock;

    use super::*;
    use crate::deflate::PIECE;

    static NONE: LazyLock<Helpers> = LazyLock::new(|| Helpers::new(0));
    static SEVEN: LazyLock<Helpers> = LazyLock::new(|| Helpers::new(7));

    fn rows(bytes: usize, seed: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut dice = seed;
        while out.len() < bytes {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            out.extend_from_slice(
                format!("{{\"Date\":\"2026-11-{:02}\",\"Link\":\"https://clips.example/{dice}/\"}},", dice >> 60).as_bytes(),
            );
        }
        out.truncate(bytes);
        out
    }

    /// Writes members in one go, handed over in buffers of a size, and gives the file's bytes.
    async fn make(
        members: &[(&str, bool, Vec<u8>)],
        level: u32,
        small: u64,
        helpers: &'static Helpers,
        buffer: usize,
    ) -> Vec<u8> {
        let file = tempfile::tempfile().unwrap();
        let (to, from) = mpsc::channel(4);
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        let writing = file.try_clone().unwrap();
        let writer = tokio::task::spawn_blocking(move || {
            write(writing, Form { at, level, small, digests: false, helpers }, from, &Spare::default())
        });
        for (name, stored, bytes) in members {
            to.send(Message::Member { name: (*name).to_owned(), stored: *stored }).await.unwrap();
            for buffer in bytes.chunks(buffer) {
                to.send(Message::Bytes(buffer.to_vec())).await.unwrap();
            }
        }
        to.send(Message::Finish).await.unwrap();
        let files = writer.await.unwrap().unwrap();
        for (file, (name, _, bytes)) in files.iter().zip(members) {
            let told = (file.name.as_str(), file.bytes, file.crc);
            assert_eq!(told, (*name, bytes.len() as u64, crc32fast::hash(bytes)));
        }
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn same(bytes: &[u8], members: &[(&str, bool, Vec<u8>)]) {
        let mut archive = ::zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
        assert_eq!(archive.len(), members.len());
        for (at, (name, _, wanted)) in members.iter().enumerate() {
            let mut member = archive.by_index(at).unwrap();
            assert_eq!(member.name().unwrap(), *name);
            let mut found = Vec::new();
            member.read_to_end(&mut found).unwrap();
            assert!(found == *wanted, "{name}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_bytes_are_the_same_however_many_build_it() {
        let members = [
            ("empty", false, vec![]),
            ("small.json", false, rows(1000, 1)),
            ("one piece.json", false, rows(PIECE, 2)),
            ("one more.json", false, rows(PIECE + 1, 3)),
            ("große.json", false, rows(8 * PIECE + 77, 4)),
            ("film.mp4", true, rows(3 * PIECE, 5)),
            ("picture.jpeg", true, rows(100, 6)),
            ("last.json", false, rows(2 * PIECE, 7)),
        ];
        for level in [0, 1, 6] {
            for small in [SMALL, 0, 1000] {
                let alone = make(&members, level, small, &NONE, 128 << 10).await;
                same(&alone, &members);
                assert!(alone == make(&members, level, small, &SEVEN, 128 << 10).await, "level {level}");
                assert!(alone == make(&members, level, small, &SEVEN, 999).await, "level {level}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_members_than_sixteen_bits_count() {
        for count in [65_534usize, 65_535, 70_000] {
            let names: Vec<String> = (0..count).map(|at| format!("{at}.json")).collect();
            let members: Vec<_> = names.iter().map(|name| (name.as_str(), count < 70_000, name.clone().into_bytes())).collect();
            let bytes = make(&members, 1, SMALL, &NONE, 128 << 10).await;
            let archive = ::zip::ZipArchive::new(io::Cursor::new(&bytes)).unwrap();
            assert_eq!(archive.len(), count);
            assert_eq!(bytes.windows(4).rev().take(100).any(|four| four == b"PK\x06\x06"), count >= 65_535, "{count}");
        }
    }
}
