//! The ZIP, written on a thread of its own to a file that can seek: so no data descriptors, which Apple's reader mistakes
//! together with ZIP64.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use super::out::{Message, Spare, give_back};

/// Up to here a member fits the 32 bits of a plain ZIP header, also when its bytes cannot be compressed and deflate adds its few
/// bytes a block.
pub(super) const SMALL: u64 = u32::MAX as u64 - (16 << 20);

/// How the container is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) at: jiff::Timestamp,
    pub(super) level: u32,
    /// Whether members get room for sizes of 64 bits. Only a second attempt does: old readers know nothing of it, and hardly
    /// an archive needs it.
    pub(super) large: bool,
    /// The size from which a member is large.
    pub(super) small: u64,
}

#[derive(Debug)]
pub(super) enum ContainerError {
    /// A member has outgrown a plain header: begin again with `large`.
    TooLarge,
    /// The rendering side gave up; it knows why.
    Abandoned,
    Io(io::Error),
}

impl From<io::Error> for ContainerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<zip::result::ZipError> for ContainerError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Io(match error {
            zip::result::ZipError::Io(error) => error,
            other => io::Error::other(other),
        })
    }
}

/// Writes what it is told until it is told to finish. Answers how many members there are.
pub(super) fn write(file: File, form: Form, mut from: mpsc::Receiver<Message>, spare: &Spare) -> Result<u64, ContainerError> {
    let mut zip = ZipWriter::new(BufWriter::with_capacity(64 << 10, file));
    let options = options(form);
    let (mut members, mut size) = (0u64, 0u64);
    loop {
        match from.blocking_recv() {
            Some(Message::Member(name)) => {
                zip.start_file(name, options)?;
                members += 1;
                size = 0;
            }
            Some(Message::Bytes(bytes)) => {
                size += bytes.len() as u64;
                if size > form.small && !form.large {
                    return Err(ContainerError::TooLarge);
                }
                zip.write_all(&bytes)?;
                give_back(spare, bytes);
            }
            Some(Message::Finish) => {
                let mut file = zip.finish()?;
                file.flush()?;
                // Whoever reads it next begins at the beginning.
                file.rewind()?;
                return Ok(members);
            }
            None => return Err(ContainerError::Abandoned),
        }
    }
}

fn options(form: Form) -> SimpleFileOptions {
    let method = if form.level == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
    SimpleFileOptions::default()
        .compression_method(method)
        .compression_level((form.level > 0).then_some(i64::from(form.level.min(9))))
        .last_modified_time(dos_time(form.at))
        .unix_permissions(0o644)
        // The same bytes on every machine.
        .system(System::Unix)
        .large_file(form.large)
}

/// ZIP's time has no zone and two seconds' precision; it is written in UTC, within the years that it knows.
fn dos_time(at: jiff::Timestamp) -> DateTime {
    let civil = at.to_zoned(TimeZone::UTC).datetime();
    u16::try_from(civil.year())
        .ok()
        .and_then(|year| {
            let [month, day, hour, minute, second] =
                [civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second()].map(|n| n as u8);
            DateTime::from_date_and_time(year, month, day, hour, minute, second).ok()
        })
        .unwrap_or_default()
}
