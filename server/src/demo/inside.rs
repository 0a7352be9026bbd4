//! What is in an archive, as a table for reading.

use archive::read::{Contents, MemberKind, SectionRows, Shape};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::tell::{Tell, size, thousands};

/// Tells the members of an archive and, for JSON, the rows of each section that has any.
pub(crate) fn tell(contents: &Contents, tell: &mut Tell) {
    for member in &contents.members {
        if let MemberKind::Json(sections) = &member.kind {
            let total: u64 = sections.iter().filter(|section| holds_rows(section)).map(|section| section.rows).sum();
            tell.fact("member", &member.name);
            tell.fact("size", &format!("{}, compressed to {}", size(member.size), size(member.compressed)));
            tell.fact("rows", &thousands(total));
            if total > 0 {
                let table = sections_table(sections, tell.is_live());
                tell.lines(&format!("\n{table}"));
            }
            tell.lines(&rest(sections));
        }
    }
    let others: Vec<_> = contents.members.iter().filter(|member| !matches!(member.kind, MemberKind::Json(_))).collect();
    if !others.is_empty() {
        let mut table = table(&["file", "size", "blocks"], tell.is_live());
        for member in others {
            let blocks = match member.kind {
                MemberKind::Text { blocks, .. } => thousands(blocks),
                _ => String::new(),
            };
            table.add_row([printable(&member.name), size(member.size), blocks]);
        }
        align(&mut table, 1);
        tell.lines(&format!("\n{table}"));
    }
}

/// One line for each section with rows; a root is named once.
fn sections_table(sections: &[SectionRows], live: bool) -> Table {
    let mut table = table(&["part", "section", "rows"], live);
    let mut last = "";
    let listed: Vec<_> = sections.iter().filter(|section| holds_rows(section)).collect();
    for section in &listed {
        let (root, rest) = section.path.split_first().map_or(("", &[][..]), |(root, rest)| (root.as_str(), rest));
        // The last key names the list, not what is in it: it is told only where it is needed to tell two apart.
        let siblings = listed
            .iter()
            .filter(|other| other.path.split_last().map(|(_, path)| path) == section.path.split_last().map(|(_, path)| path));
        let rest = if rest.len() > 1 && siblings.count() == 1 { &rest[..rest.len() - 1] } else { rest };
        let shown = if root == last { String::new() } else { printable(root) };
        last = root;
        table.add_row([shown, printable(&rest.join(" › ")), thousands(section.rows)]);
    }
    align(&mut table, 2);
    table
}

fn holds_rows(section: &SectionRows) -> bool {
    section.rows > 0 && section.shape != Shape::Value
}

fn rest(sections: &[SectionRows]) -> String {
    let values = sections.iter().filter(|section| section.shape == Shape::Value).count();
    let empty = sections.iter().filter(|section| section.rows == 0 && section.shape != Shape::Value).count();
    let counted = [(values, "single value"), (empty, "empty section")].into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<_> = counted.map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" })).collect();
    if words.is_empty() { String::new() } else { format!("and {}", words.join(" and ")) }
}

fn table(head: &[&str], live: bool) -> Table {
    let mut table = Table::new();
    let ruled = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
    table.load_style(if live { ruled } else { ASCII_MARKDOWN });
    table.set_header(head.iter().copied());
    table
}

fn align(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Names come out of the archive, which may be the user's own: nothing in them may move the cursor.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use archive::read::Member;

    use super::*;

    struct Sent(mpsc::Sender<Vec<u8>>);

    impl std::io::Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.into()).map(|()| bytes.len()).map_err(std::io::Error::other)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn sections_with_rows_are_listed_and_the_others_counted() {
        let section =
            |path: &[&str], shape, rows| SectionRows { path: path.iter().map(|key| (*key).into()).collect(), shape, rows };
        let sections = vec![
            section(&["Comment", "Comments", "App"], Shape::Value, 1),
            section(&["Comment", "Comments\x1b[2J", "List"], Shape::List, 1234),
            section(&["Post", "Posts", "VideoList"], Shape::List, 5),
            section(&["Post", "Gifts", "Sent"], Shape::List, 2),
            section(&["Post", "Gifts", "Got"], Shape::List, 3),
            section(&["orders"], Shape::List, 6),
            section(&["Post", "Empty", "VideoList"], Shape::Null, 0),
        ];
        let json = Member { name: "data.json".into(), size: 2_000_000, compressed: 1_000, kind: MemberKind::Json(sections) };
        let text = Member { name: "A/B.txt".into(), size: 10, compressed: 5, kind: MemberKind::Text { blocks: 7, lines: 14 } };
        let (sender, receiver) = mpsc::channel();
        tell(&Contents { members: vec![json, text] }, &mut Tell::plain(Sent(sender)));
        let told = String::from_utf8(receiver.into_iter().flatten().collect()).unwrap();
        let expected = "   member          data.json
   size            2.0 MB, compressed to 1.0 kB
   rows            1,250

   | part    | section      |  rows |
   |---------|--------------|-------|
   | Comment | Comments\u{fffd}[2J | 1,234 |
   | Post    | Posts        |     5 |
   |         | Gifts › Sent |     2 |
   |         | Gifts › Got  |     3 |
   | orders  |              |     6 |
   and 1 single value and 1 empty section

   | file    | size | blocks |
   |---------|------|--------|
   | A/B.txt | 10 B |      7 |
";
        assert_eq!(told, expected);
    }
}
