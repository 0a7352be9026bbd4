//! The container, walked strictly: one member after another, without gap, overlap or remainder, each header compared with the directory. Nothing is
//! kept of a member once it is passed, so an archive of any size takes the same memory.

use std::io::{self, Read, Seek, SeekFrom};

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
const END64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR: &[u8; 4] = b"PK\x06\x07";
const DESCRIPTOR: &[u8; 4] = b"PK\x07\x08";
const ELSEWHERE: u64 = u32::MAX as u64;

const ENCRYPTED: u16 = 1;
const DESCRIBED: u16 = 1 << 3;

/// Bytes that are read at once.
pub(super) const BLOCK: usize = 64 << 10;

/// Why the container cannot be walked on, or not at all.
#[derive(Debug)]
pub(super) enum Broken {
    Io(io::Error),
    /// What is wrong, and with which member.
    Wrong(Option<String>, String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        // An end that comes too early is the archive's fault.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return wrong("it ends too early: it was cut off");
        }
        Self::Io(error)
    }
}

fn wrong(what: impl Into<String>) -> Broken {
    Broken::Wrong(None, what.into())
}

/// A name as messages show it.
pub(super) fn shown(name: &[u8]) -> String {
    const MOST: usize = 120;
    let text = String::from_utf8_lossy(name);
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("..");
    }
    shown
}

/// A file that is read here and there.
pub(super) struct Archive<R> {
    inner: R,
    pub(super) length: u64,
}

/// Where the directory is, and what it says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    pub(super) entries: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A member, as the directory tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) offset: u64,
    /// Its bytes in the directory.
    pub(super) raw: Vec<u8>,
}

impl Entry {
    pub(super) fn is_stored(&self) -> bool {
        self.method == 0
    }

    pub(super) fn shown(&self) -> String {
        shown(&self.name)
    }

    fn wrong(&self, what: impl Into<String>) -> Broken {
        Broken::Wrong(Some(self.shown()), what.into())
    }
}

impl<R: Read + Seek> Archive<R> {
    pub(super) fn open(mut inner: R) -> io::Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        Ok(Self { inner, length })
    }

    /// Reads at a place. Answers less only at the file's end.
    pub(super) fn some_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.seek(SeekFrom::Start(offset))?;
        let mut read = 0;
        while read < buffer.len() {
            match self.inner.read(&mut buffer[read..]) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    pub(super) fn all_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.some_at(offset, buffer)? < buffer.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Finds the directory. What is behind it must end where the file ends.
    pub(super) fn directory(&mut self) -> Result<Directory, Broken> {
        const PLAIN: u64 = 22;
        let tail = self.length.min(PLAIN + u64::from(u16::MAX));
        let mut bytes = vec![0; tail as usize];
        self.all_at(self.length - tail, &mut bytes)?;
        let fits = |at: &usize| {
            let Some(end) = bytes.get(*at..at + PLAIN as usize) else { return false };
            end.starts_with(END) && at + PLAIN as usize + usize::from(short(end, 20)) == bytes.len()
        };
        let found = (0..bytes.len().saturating_sub(PLAIN as usize - 1)).rev().find(fits);
        let Some(at) = found else {
            return Err(wrong("it has no end that a ZIP archive has: it is none, was cut off, or has something behind its end"));
        };
        let end = &bytes[at..];
        let end_at = self.length - tail + at as u64;
        let disks = (short(end, 4), short(end, 6), short(end, 8) == short(end, 10));
        if disks != (0, 0, true) {
            return Err(wrong("it says that it is a part of several"));
        }
        let (entries, size, offset) = (u64::from(short(end, 10)), long(end, 12), long(end, 16));
        let mut directory = Directory { entries, offset, size };
        let mut behind = end_at;
        let mut locator = [0; 20];
        let has_locator = end_at >= 20 && {
            self.all_at(end_at - 20, &mut locator)?;
            locator.starts_with(LOCATOR)
        };
        if has_locator && (entries == u64::from(u16::MAX) || size == ELSEWHERE || offset == ELSEWHERE) {
            let record_at = wide(&locator, 8);
            let mut record = [0; 56];
            if record_at.checked_add(56) != Some(end_at - 20) {
                return Err(wrong("its end for large archives is not where it says"));
            }
            self.all_at(record_at, &mut record)?;
            if !record.starts_with(END64) || wide(&record, 4) != 44 || wide(&record, 24) != wide(&record, 32) {
                return Err(wrong("its end for large archives is broken"));
            }
            let differs = |small: u64, most: u64, large: u64| small != most && small != large;
            let (entries64, size64, offset64) = (wide(&record, 32), wide(&record, 40), wide(&record, 48));
            if differs(entries, u64::from(u16::MAX), entries64)
                || differs(size, ELSEWHERE, size64)
                || differs(offset, ELSEWHERE, offset64)
            {
                return Err(wrong("its two ends contradict each other"));
            }
            directory = Directory { entries: entries64, offset: offset64, size: size64 };
            behind = record_at;
        }
        if directory.offset.checked_add(directory.size) != Some(behind) {
            return Err(wrong("its directory does not end where its end begins"));
        }
        Ok(directory)
    }

    /// Begins a walk over the directory.
    pub(super) fn entries(&mut self, directory: Directory) -> Entries<'_, R> {
        Entries { archive: self, at: directory.offset, end: directory.offset + directory.size, left: directory.entries }
    }

    /// Looks at what is before a member's bytes; answers where these begin and the bytes of the header.
    pub(super) fn local(&mut self, entry: &Entry) -> Result<(u64, Vec<u8>), Broken> {
        let mut raw = vec![0; 30];
        self.all_at(entry.offset, &mut raw)?;
        if !raw.starts_with(LOCAL) {
            return Err(entry.wrong("does not begin where the directory says"));
        }
        let rest = usize::from(short(&raw, 26)) + usize::from(short(&raw, 28));
        raw.resize(30 + rest, 0);
        self.all_at(entry.offset + 30, &mut raw[30..])?;
        let name_end = 30 + usize::from(short(&raw, 26));
        if raw[30..name_end] != entry.name[..] {
            return Err(entry.wrong("has another name before its bytes than in the directory"));
        }
        let flags = short(&raw, 6);
        if (flags, short(&raw, 8)) != (entry.flags, entry.method) {
            return Err(entry.wrong("has another form before its bytes than in the directory"));
        }
        let told = (long(&raw, 14) as u32, long(&raw, 18), long(&raw, 22));
        let extra = zip64(&raw[name_end..]);
        let large = |small: u64, at: usize| match extra {
            Some(extra) if small == ELSEWHERE && extra.len() >= at + 8 => wide(extra, at),
            _ => small,
        };
        let told = (told.0, large(told.1, if told.2 == ELSEWHERE { 8 } else { 0 }), large(told.2, 0));
        let described = flags & DESCRIBED != 0 && (told.0, told.1) == (0, 0);
        let unknown = flags & DESCRIBED != 0 && told.0 == 0;
        if !described && !unknown && told != (entry.crc, entry.packed, entry.size) {
            return Err(entry.wrong("has another size or checksum before its bytes than in the directory"));
        }
        Ok((entry.offset + raw.len() as u64, raw))
    }

    /// Where the next member begins: some archives tell a member's sizes once more behind its bytes.
    pub(super) fn behind(&mut self, entry: &Entry, end: u64) -> Result<u64, Broken> {
        if entry.flags & DESCRIBED == 0 {
            return Ok(end);
        }
        let mut bytes = [0; 24];
        let read = self.some_at(end, &mut bytes)?;
        let fits = |form: &[u8], wide_sizes: bool| {
            let (packed, size) = match (wide_sizes, form.len()) {
                (true, 20..) => (wide(form, 4), wide(form, 12)),
                (false, 12..) => (long(form, 4), long(form, 8)),
                _ => return false,
            };
            (long(form, 0) as u32, packed, size) == (entry.crc, entry.packed, entry.size)
        };
        let found = &bytes[..read];
        let forms = [(4, true, 24), (4, false, 16), (0, true, 20), (0, false, 12)];
        let form = forms.iter().find(|(head, wide_sizes, length)| {
            read >= *length && (*head == 0 || found.starts_with(DESCRIPTOR)) && fits(&found[*head..*length], *wide_sizes)
        });
        match form {
            Some((_, _, length)) => Ok(end + *length as u64),
            None => Err(entry.wrong("has nothing behind its bytes that tells their size, although it says so")),
        }
    }
}

/// A walk over the directory.
pub(super) struct Entries<'a, R> {
    pub(super) archive: &'a mut Archive<R>,
    at: u64,
    end: u64,
    left: u64,
}

impl<R: Read + Seek> Entries<'_, R> {
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Broken> {
        if self.left == 0 {
            return if self.at == self.end { Ok(None) } else { Err(wrong("its directory holds more than it counts")) };
        }
        self.left -= 1;
        let mut raw = vec![0; 46];
        if self.end - self.at < 46 {
            return Err(wrong("its directory holds less than it counts"));
        }
        self.archive.all_at(self.at, &mut raw)?;
        if !raw.starts_with(CENTRAL) {
            return Err(wrong("its directory is broken"));
        }
        let (name, extra) = (usize::from(short(&raw, 28)), usize::from(short(&raw, 30)));
        let rest = name + extra + usize::from(short(&raw, 32));
        if self.end - self.at - 46 < rest as u64 {
            return Err(wrong("its directory is broken"));
        }
        raw.resize(46 + rest, 0);
        self.archive.all_at(self.at + 46, &mut raw[46..])?;
        self.at += raw.len() as u64;
        let mut entry = Entry {
            name: raw[46..46 + name].to_vec(),
            flags: short(&raw, 8),
            method: short(&raw, 10),
            crc: long(&raw, 16) as u32,
            packed: long(&raw, 20),
            size: long(&raw, 24),
            offset: long(&raw, 42),
            raw: Vec::new(),
        };
        let mut elsewhere = zip64(&raw[46 + name..46 + name + extra]).unwrap_or_default();
        for number in [&mut entry.size, &mut entry.packed, &mut entry.offset] {
            if *number == ELSEWHERE
                && let Some((large, rest)) = elsewhere.split_first_chunk::<8>()
            {
                *number = u64::from_le_bytes(*large);
                elsewhere = rest;
            }
        }
        if entry.flags & ENCRYPTED != 0 {
            return Err(entry.wrong("is encrypted"));
        }
        if !matches!(entry.method, 0 | 8) {
            return Err(entry.wrong("is compressed in a way that most programs do not know"));
        }
        if short(&raw, 34) != 0 {
            return Err(entry.wrong("is on another disk"));
        }
        entry.raw = raw;
        Ok(Some(entry))
    }
}

/// The extra field with numbers of 64 bits.
fn zip64(mut extra: &[u8]) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let length = usize::from(short(extra, 2));
        let field = extra.get(4..4 + length)?;
        if short(extra, 0) == 1 {
            return Some(field);
        }
        extra = &extra[4 + length..];
    }
    None
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(number(bytes, at))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(number(bytes, at)))
}

fn wide(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(number(bytes, at))
}
