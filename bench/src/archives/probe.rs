//! The floors: the same queries on SQLite in one plain loop, with nothing but what the name says. No owner is compared, no limit kept, no ZIP made;
//! what an archive costs above this is what Portward's certainty costs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use archive::deflate::{Level, Packer, Window};
use clap::{Args, ValueEnum};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    #[arg(long)]
    mode: Mode,
    #[arg(long)]
    plan: PathBuf,
    #[arg(long)]
    database: PathBuf,
    #[arg(long)]
    subject: i64,
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Read,
    Render,
    Pack,
}

/// How a column is written.
enum Column {
    Hidden,
    /// The key with what stands around it.
    Plain(Vec<u8>),
    /// A time in units of a second's part.
    Time(Vec<u8>, i64),
    /// JSON, as it is.
    Json(Vec<u8>),
}

/// The way out: compressed piece by piece, or only counted.
struct Out {
    mode: Mode,
    buffer: Vec<u8>,
    bytes: u64,
    crc: crc32fast::Hasher,
    window: Window,
    next: Window,
    packer: Packer,
    file: BufWriter<File>,
}

impl Out {
    fn flush(&mut self) -> anyhow::Result<()> {
        self.bytes += self.buffer.len() as u64;
        if self.mode == Mode::Pack {
            self.crc.update(&self.buffer);
            let mut rest = self.window.fill(&self.buffer);
            while !rest.is_empty() {
                self.packer.pack(&self.window, Level::Fast, false)?;
                self.file.write_all(self.packer.packed())?;
                self.next.follow(&self.window);
                std::mem::swap(&mut self.window, &mut self.next);
                rest = self.window.fill(rest);
            }
        }
        std::hint::black_box(&self.buffer);
        self.buffer.clear();
        Ok(())
    }
}

pub(crate) fn probe(args: ProbeArgs) -> anyhow::Result<()> {
    let plan: Value = serde_json::from_slice(&std::fs::read(&args.plan)?)?;
    let database = Connection::open_with_flags(&args.database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut out = Out {
        mode: args.mode,
        buffer: Vec::with_capacity(160 << 10),
        bytes: 0,
        crc: crc32fast::Hasher::new(),
        window: Window::default(),
        next: Window::default(),
        packer: Packer::default(),
        file: BufWriter::new(File::create(&args.out)?),
    };
    for section in plan["sections"].as_array().context("sections")? {
        if let Some(query) = section["query"].as_str() {
            rows(&database, section, query, args.subject, &mut out)?;
        }
    }
    out.flush()?;
    if args.mode == Mode::Pack {
        out.packer.pack(&out.window, Level::Fast, true)?;
        out.file.write_all(out.packer.packed())?;
        out.file.flush()?;
        std::hint::black_box(out.crc.finalize());
    }
    println!("{{\"json_bytes\":{}}}", out.bytes);
    Ok(())
}

fn rows(database: &Connection, section: &Value, query: &str, subject: i64, out: &mut Out) -> anyhow::Result<()> {
    let mut statement = database.prepare(query)?;
    for (at, extreme) in [(0, ":since"), (1, ":until")] {
        if let Some(index) = statement.parameter_index(extreme)? {
            match &section["extremes"][at] {
                Value::String(text) => statement.raw_bind_parameter(index, text)?,
                number => statement.raw_bind_parameter(index, number.as_i64())?,
            }
        }
    }
    if let Some(index) = statement.parameter_index(":subject")? {
        statement.raw_bind_parameter(index, subject)?;
    }
    let columns = columns(section, &statement.column_names());
    let mut rows = statement.raw_query();
    let mut seen = 0usize;
    while let Some(row) = rows.next()? {
        for (at, column) in columns.iter().enumerate() {
            let value = row.get_ref(at)?;
            if out.mode == Mode::Read {
                seen += value.as_str().map_or(8, str::len);
                continue;
            }
            match (column, value) {
                (Column::Hidden, _) => {}
                (Column::Time(key, unit), ValueRef::Integer(time)) => {
                    out.buffer.extend_from_slice(key);
                    moment(time.div_euclid(*unit), &mut out.buffer);
                }
                (Column::Json(key), ValueRef::Text(json)) => {
                    out.buffer.extend_from_slice(key);
                    out.buffer.extend_from_slice(json);
                }
                (Column::Plain(key) | Column::Time(key, _) | Column::Json(key), value) => {
                    out.buffer.extend_from_slice(key);
                    plain(value, &mut out.buffer)?;
                }
            }
        }
        if out.mode == Mode::Read {
            continue;
        }
        out.buffer.extend_from_slice(b"},");
        if out.buffer.len() > 128 << 10 {
            out.flush()?;
        }
    }
    std::hint::black_box(seen);
    Ok(())
}

fn columns(section: &Value, names: &[&str]) -> Vec<Column> {
    let mut begin = b'{';
    let hidden = |name: &str| {
        let listed = section["hidden"].as_array().is_some_and(|hidden| hidden.iter().any(|hidden| hidden == name));
        listed || [&section["owner"], &section["group"], &section["key"]].into_iter().any(|own| own == name)
    };
    names
        .iter()
        .map(|name| {
            if hidden(name) {
                return Column::Hidden;
            }
            let mut key = vec![begin];
            begin = b',';
            key.extend_from_slice(Value::from(*name).to_string().as_bytes());
            key.push(b':');
            let field = &section["fields"][*name];
            match (field["type"].as_str(), field["from"].as_str()) {
                (Some("timestamp" | "date"), Some("unix_s")) => Column::Time(key, 1),
                (Some("timestamp" | "date"), Some("unix_ms")) => Column::Time(key, 1000),
                (Some("timestamp" | "date"), Some("unix_us")) => Column::Time(key, 1_000_000),
                (Some("json"), _) => Column::Json(key),
                _ => Column::Plain(key),
            }
        })
        .collect()
}

fn plain(value: ValueRef<'_>, out: &mut Vec<u8>) -> anyhow::Result<()> {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        ValueRef::Integer(number) => write!(out, "{number}")?,
        ValueRef::Real(number) => write!(out, "{number}")?,
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            // The probe's best case: nothing to escape is found by one look at all bytes.
            if text.iter().fold(false, |dirty, byte| dirty | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\')) {
                serde_json::to_writer(out, &String::from_utf8_lossy(text))?;
            } else {
                out.push(b'"');
                out.extend_from_slice(text);
                out.push(b'"');
            }
        }
    }
    Ok(())
}

/// `"2026-11-22 20:15:00"`, by days since 1970 in the proleptic calendar, from the first of March on.
fn moment(seconds: i64, out: &mut Vec<u8>) {
    let (days, second) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day + 2) / 153;
    let year = year_of_era + era * 400 + i64::from(month >= 10);
    let two = |number: i64| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    let [y, m, d] = [year % 100, if month < 10 { month + 3 } else { month - 9 }, day - (153 * month + 2) / 5 + 1].map(two);
    let [c, hour, minute, second] = [year / 100, second / 3_600, second / 60 % 60, second % 60].map(two);
    out.extend_from_slice(&[
        b'"', c[0], c[1], y[0], y[1], b'-', m[0], m[1], b'-', d[0], d[1], b' ', hour[0], hour[1], b':', minute[0], minute[1],
        b':', second[0], second[1], b'"',
    ]);
}
