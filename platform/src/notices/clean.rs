//! What outsiders wrote, before it goes into a mail: names, subjects, texts. Line breaks in a name would be a second header; characters that turn
//! the direction of writing would let one address look like another.

/// Longer names and subjects are cut.
const LONGEST_LINE: usize = 200;
/// Longer texts are cut: a mail is not the place for a book.
const LONGEST_TEXT: usize = 20_000;

/// Whether a character has no business in a mail: controls, and those that turn or hide.
fn is_foul(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line: a name, a subject.
pub(super) fn line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_whitespace() || is_foul(c) { ' ' } else { c }).collect();
    cut(&spaced.split_whitespace().collect::<Vec<_>>().join(" "), LONGEST_LINE)
}

/// A name within a sentence. One that is written from right to left is kept to itself, so that it does not turn the words around it. What reads as
/// an address is broken, so that mail programs make no link of it: anybody can have a name of theirs mailed to anybody.
pub(super) fn name(text: &str) -> String {
    let name = line(text).replace("://", ": ");
    let name = name.split(' ').map(|word| if starts_as_site(word) { word.replace('.', " ") } else { word.to_owned() });
    let name = name.collect::<Vec<_>>().join(" ");
    if name.chars().any(runs_left) { format!("\u{2068}{name}\u{2069}") } else { name }
}

/// A text of several lines.
pub(super) fn text(text: &str) -> String {
    let unbroken = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n").replace('\t', " ");
    let kept: String = unbroken.chars().filter(|c| *c == '\n' || !is_foul(*c)).collect();
    cut(kept.trim(), LONGEST_TEXT)
}

fn starts_as_site(word: &str) -> bool {
    word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."))
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Hebrew, Arabic and their neighbours.
fn runs_left(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{08ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_begin_a_header_turn_the_line_or_grow() {
        assert_eq!(line("Anna\r\nBcc: all@example.org"), "Anna Bcc: all@example.org");
        assert_eq!(line(" Mo\u{202e}gpj.exe\u{0}\u{2066} "), "Mo gpj.exe");
        assert_eq!(line(&"x".repeat(5000)).chars().count(), 200);
        assert_eq!(name("שלום"), "\u{2068}שלום\u{2069}");
        assert_eq!(name("Anna"), "Anna");
        assert_eq!(name("Win: https://evil.example/x or WWW.evil.example"), "Win: https: evil.example/x or WWW evil example");
    }

    #[test]
    fn a_text_keeps_its_lines_and_nothing_else() {
        assert_eq!(text("one\r\ntwo\u{2028}three\u{202e}\u{7}\n"), "one\ntwo\nthree");
    }
}
