//! Files of one section: a JSON object a line, or a table.

use super::{Form, Plan, Render, csv, json};
use crate::catalogue::{Section, Shape};
use crate::source::Cell;
use crate::write::{Failure, Format};

impl Render {
    /// What every row begins with: the name of its group, or its key.
    fn begins(&mut self, cells: &[Cell<'_>]) -> Result<bool, Failure> {
        match self.form {
            Form::List => {}
            Form::Object => self.only_row("the query returned a second row for an object")?,
            Form::Value => self.only_row("the query returned a second row for a value")?,
            Form::Groups => {
                self.next_group(cells)?;
            }
            Form::Map => self.next_key(cells)?,
            Form::Constant => return Err(Failure::Shape("a constant has no rows")),
        }
        Ok(matches!(self.form, Form::Groups | Form::Map))
    }

    pub(super) fn ndjson_row(&mut self, cells: &[Cell<'_>]) -> Result<(), Failure> {
        let grouped = self.begins(cells)?;
        let from = self.out.buffer.len();
        if let (true, Some(column)) = (grouped, self.section.group_column()) {
            self.out.buffer.push(b'{');
            json::string(column, &mut self.out.buffer);
            self.out.buffer.push(b':');
            json::string(&self.shown, &mut self.out.buffer);
        }
        for (at, column) in self.plan.columns.iter().enumerate() {
            if self.form == Form::Value {
                self.out.buffer.push(b'{');
                json::string(self.section.path.last().map_or("", String::as_str), &mut self.out.buffer);
                self.out.buffer.push(b':');
            } else {
                self.out.buffer.extend_from_slice(&column.json);
                if grouped && at == 0 {
                    // It is not the first any more.
                    let start = self.out.buffer.len() - column.json.len();
                    self.out.buffer[start] = b',';
                }
            }
            super::value(column, cells, &mut self.clock, &mut self.out.buffer)?;
        }
        one_line(&mut self.out.buffer, from);
        Ok(())
    }

    pub(super) fn csv_row(&mut self, cells: &[Cell<'_>]) -> Result<(), Failure> {
        let grouped = self.begins(cells)?;
        if grouped {
            csv::text(&self.shown, &mut self.out.buffer);
        }
        for (at, column) in self.plan.columns.iter().enumerate() {
            if grouped || at > 0 {
                self.out.buffer.push(b',');
            }
            let cell = cells.get(column.at).unwrap_or(&Cell::Null);
            csv::cell(column, cell, &mut self.clock, &mut self.out.buffer)
                .map_err(|what| Failure::Value { column: column.name.clone(), what })?;
        }
        Ok(())
    }

    /// The first line of a table.
    pub(super) fn header(&mut self) {
        self.headed = true;
        let section = &self.section;
        let last = section.path.last().map(String::as_str);
        let columns = self.plan.columns.iter().map(|column| match self.form {
            // A value is named by its place, not by its column.
            Form::Value => last.unwrap_or_default(),
            _ => column.name.as_str(),
        });
        let nests = section.nests.iter().map(|nest| nest.field.as_str());
        line(section.group_column().into_iter().chain(columns).chain(nests), &mut self.out.buffer);
    }

    /// The same where the source was not asked, because there was nothing to ask it with: as far as the query's text says the columns.
    pub(super) fn header_by_text(&mut self) {
        let Some(names) = &self.by_text else { return };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Ok(plan) = Plan::new(&self.section, &names, Some(&self.guise)) {
            self.plan = plan;
            self.header();
        }
    }
}

fn line<'n>(names: impl Iterator<Item = &'n str>, out: &mut Vec<u8>) {
    for (at, name) in names.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        csv::text(name, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// A constant as a file of its own: one row, or none where it holds nothing.
pub(in crate::write) fn constant(section: &Section, format: Format, out: &mut Vec<u8>) {
    let (Shape::Constant(value), Some(key)) = (&section.shape, section.path.last()) else { return };
    let nothing = matches!(value.as_str(), "null" | "[]" | "{}");
    match format {
        Format::Csv => {
            line(std::iter::once(key.as_str()), out);
            if !nothing {
                match serde_json::from_str::<String>(value) {
                    Ok(text) => csv::text(&text, out),
                    Err(_) => csv::as_json(value, out),
                }
                out.extend_from_slice(b"\r\n");
            }
        }
        _ if nothing => {}
        _ => {
            let from = out.len();
            out.push(b'{');
            json::string(key, out);
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
            one_line(out, from);
            out.extend_from_slice(b"}\n");
        }
    }
}

/// Makes one line of the JSON from there on. Line breaks between its signs become blanks; U+2028 and U+2029 in its texts, which some readers take for
/// line breaks, are escaped. The values stay the same.
pub(super) fn one_line(out: &mut Vec<u8>, from: usize) {
    let breaks = |window: &[u8]| matches!(window, [b'\n' | b'\r', ..] | [0xe2, 0x80, 0xa8 | 0xa9]);
    let Some(rendered) = out.get(from..) else { return };
    if !rendered.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0xe2)) {
        return;
    }
    let rendered = rendered.to_vec();
    out.truncate(from);
    let mut at = 0;
    while let Some(byte) = rendered.get(at) {
        let window = rendered.get(at..at + 3).unwrap_or(&rendered[at..at + 1]);
        if !breaks(window) {
            out.push(*byte);
            at += 1;
        } else if *byte == 0xe2 {
            out.extend_from_slice(if window.ends_with(&[0xa8]) { b"\\u2028" } else { b"\\u2029" });
            at += 3;
        } else {
            out.push(b' ');
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_line_break() {
        for (json, wanted) in [
            ("{\"a\":1}", "{\"a\":1}"),
            ("{\"a\":[1,\r\n 2]}", "{\"a\":[1,   2]}"),
            ("{\"a\":\"x\u{2028}y\u{2029}\"}", "{\"a\":\"x\\u2028y\\u2029\"}"),
            ("{\"a\":\"€ → \u{2027}\"}", "{\"a\":\"€ → \u{2027}\"}"),
            ("{\"a\":\"\n", "{\"a\":\" "),
        ] {
            let mut out = b"\n".to_vec();
            out.extend_from_slice(json.as_bytes());
            one_line(&mut out, 1);
            assert_eq!(String::from_utf8(out).unwrap(), format!("\n{wanted}"));
        }
    }
}
