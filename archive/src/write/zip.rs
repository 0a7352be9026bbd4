//! The ZIP format (APPNOTE 6.3), as far as an archive needs it: no data descriptors, which Apple's reader mistakes together with ZIP64, and no
//! flags but the one that says that a name is UTF-8.

use jiff::tz::TimeZone;

/// What 32 and 16 bits say when the number stands elsewhere.
const ELSEWHERE: u32 = u32::MAX;
/// Sizes up to here fit a plain header.
pub(crate) const SMALL: u64 = ELSEWHERE as u64 - 1;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Versions of the format that a reader must know: 2.0 for deflate, 4.5 for sizes of 64 bits.
const PLAIN: u16 = 20;
const ZIP64: u16 = 45;
/// Made on Unix, so that the mode below counts.
const UNIX: u16 = 3 << 8;
/// An ordinary file that its owner may write and everybody read.
const MODE: u32 = 0o100_644 << 16;
const UTF8: u16 = 1 << 11;

/// The extra field with sizes of 64 bits.
const EXTRA_ZIP64: u16 = 0x0001;
/// Android's field for alignment, which is padding by its purpose: readers pass over it. It keeps the room for the other one.
const EXTRA_ROOM: u16 = 0xd935;
/// Two sizes of 64 bits.
const EXTRA_SIZE: u16 = 16;

/// A time as ZIP has it: no zone, two seconds' precision; it is written in UTC, within the years that it knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DosTime {
    date: u16,
    time: u16,
}

impl DosTime {
    pub(crate) fn of(at: jiff::Timestamp) -> Self {
        let civil = at.to_zoned(TimeZone::UTC).datetime();
        let number = |part: i8| u16::try_from(part).unwrap_or_default();
        match u16::try_from(civil.year()).ok().and_then(|year| year.checked_sub(1980)) {
            Some(year) if year < 128 => Self {
                date: year << 9 | number(civil.month()) << 5 | number(civil.day()),
                time: number(civil.hour()) << 11 | number(civil.minute()) << 5 | number(civil.second()) >> 1,
            },
            // The first of January 1980.
            _ => Self { date: 1 << 5 | 1, time: 0 },
        }
    }
}

/// One member, as its headers tell it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) stored: bool,
    pub(crate) crc: u32,
    pub(crate) size: u64,
    pub(crate) packed: u64,
    /// Where its local header is.
    pub(crate) offset: u64,
    /// Whether the local header was written before the sizes were known, with room for large ones.
    pub(crate) room: bool,
    pub(crate) at: DosTime,
    /// The size up to which a plain header serves; [`SMALL`] outside tests.
    pub(crate) small: u64,
}

impl Entry {
    /// Whether it needs sizes of 64 bits. Old readers know nothing of them, and hardly a member does.
    fn is_large(&self) -> bool {
        self.size.max(self.packed) > self.small
    }

    /// What both headers have, from the version on.
    fn common(&self, version: u16, out: &mut Vec<u8>) {
        let flags = if self.name.is_ascii() { 0 } else { UTF8 };
        let method = if self.stored { STORED } else { DEFLATED };
        for short in [version, flags, method, self.at.time, self.at.date] {
            out.extend_from_slice(&short.to_le_bytes());
        }
        out.extend_from_slice(&self.crc.to_le_bytes());
        for size in [self.packed, self.size] {
            let size = if self.is_large() { ELSEWHERE } else { size as u32 };
            out.extend_from_slice(&size.to_le_bytes());
        }
        out.extend_from_slice(&(self.name.len() as u16).to_le_bytes());
    }

    /// The header before the member's bytes. It is as long when the sizes are known as it was before.
    pub(crate) fn local(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PK\x03\x04");
        self.common(if self.is_large() { ZIP64 } else { PLAIN }, out);
        let extra = if self.is_large() || self.room { 4 + EXTRA_SIZE } else { 0 };
        out.extend_from_slice(&extra.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
        if self.is_large() {
            out.extend_from_slice(&EXTRA_ZIP64.to_le_bytes());
            out.extend_from_slice(&EXTRA_SIZE.to_le_bytes());
            out.extend_from_slice(&self.size.to_le_bytes());
            out.extend_from_slice(&self.packed.to_le_bytes());
        } else if self.room {
            out.extend_from_slice(&EXTRA_ROOM.to_le_bytes());
            out.extend_from_slice(&EXTRA_SIZE.to_le_bytes());
            // Aligned to one byte, and padding.
            out.extend_from_slice(&1u128.to_le_bytes());
        }
    }

    /// Its entry in the directory at the end.
    pub(crate) fn central(&self, out: &mut Vec<u8>) {
        let far = self.offset >= u64::from(ELSEWHERE);
        let version = if self.is_large() || far { ZIP64 } else { PLAIN };
        out.extend_from_slice(b"PK\x01\x02");
        out.extend_from_slice(&(UNIX | version).to_le_bytes());
        self.common(version, out);
        let mut extra = Vec::new();
        if self.is_large() {
            extra.extend_from_slice(&self.size.to_le_bytes());
            extra.extend_from_slice(&self.packed.to_le_bytes());
        }
        if far {
            extra.extend_from_slice(&self.offset.to_le_bytes());
        }
        let length = extra.len() as u16;
        out.extend_from_slice(&(if length > 0 { 4 + length } else { 0 }).to_le_bytes());
        // No comment, the first disk, nothing said of the content.
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&MODE.to_le_bytes());
        out.extend_from_slice(&(if far { ELSEWHERE } else { self.offset as u32 }).to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
        if length > 0 {
            out.extend_from_slice(&EXTRA_ZIP64.to_le_bytes());
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&extra);
        }
    }
}

/// The end of the file: how many entries the directory has, where it begins and how long it is.
pub(crate) fn end(entries: u64, offset: u64, size: u64, out: &mut Vec<u8>) {
    let many = entries >= u64::from(u16::MAX);
    let far = offset >= u64::from(ELSEWHERE) || size >= u64::from(ELSEWHERE);
    if many || far {
        let record = offset + size;
        out.extend_from_slice(b"PK\x06\x06");
        // The length of the rest of it.
        out.extend_from_slice(&44u64.to_le_bytes());
        out.extend_from_slice(&(UNIX | ZIP64).to_le_bytes());
        out.extend_from_slice(&ZIP64.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        for number in [entries, entries, size, offset] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(b"PK\x06\x07");
        out.extend_from_slice(&0u32.to_le_bytes());
        out.extend_from_slice(&record.to_le_bytes());
        out.extend_from_slice(&1u32.to_le_bytes());
    }
    out.extend_from_slice(b"PK\x05\x06");
    out.extend_from_slice(&[0; 4]);
    let count = if many { u16::MAX } else { entries as u16 };
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    for number in [size, offset] {
        out.extend_from_slice(&(if far { ELSEWHERE } else { number as u32 }).to_le_bytes());
    }
    out.extend_from_slice(&[0; 2]);
}
