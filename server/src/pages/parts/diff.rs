//! What changed between two texts, word by word.

use askama::Template;

/// The words of two texts, in order, each kept, gone or new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "parts/diff.html")]
pub(crate) struct Diff(pub Vec<(Mark, String)>);

/// What became of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Kept,
    Gone,
    New,
}

/// Texts of more words than this are shown as replaced as a whole: the table grows with the square.
const WORDS: usize = 1500;

impl Diff {
    /// Compares two texts.
    pub(crate) fn of(before: &str, after: &str) -> Self {
        let (old, new) = (words(before), words(after));
        let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let (old_rest, new_rest) = (old.get(same_start..).unwrap_or_default(), new.get(same_start..).unwrap_or_default());
        let same_end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
        let old_middle = old_rest.get(..old_rest.len() - same_end).unwrap_or_default();
        let new_middle = new_rest.get(..new_rest.len() - same_end).unwrap_or_default();
        let mut diff = Self::default();
        old.iter().take(same_start).for_each(|word| diff.push(Mark::Kept, word));
        diff.middle(old_middle, new_middle);
        old_rest.iter().skip(old_middle.len()).for_each(|word| diff.push(Mark::Kept, word));
        diff
    }

    fn push(&mut self, mark: Mark, word: &str) {
        match self.0.last_mut() {
            Some((last, text)) if *last == mark => text.push_str(word),
            _ => self.0.push((mark, word.to_owned())),
        }
    }

    fn middle(&mut self, old: &[&str], new: &[&str]) {
        if old.len() > WORDS || new.len() > WORDS {
            old.iter().for_each(|word| self.push(Mark::Gone, word));
            new.iter().for_each(|word| self.push(Mark::New, word));
            return;
        }
        // The longest common subsequence, from the ends: common[i][j] of old[i..] and new[j..], rows laid one after the other.
        let wide = new.len() + 1;
        let mut common = vec![0_u16; (old.len() + 1) * wide];
        let at = |table: &[u16], i: usize, j: usize| table.get(i * wide + j).copied().unwrap_or_default();
        for (i, gone) in old.iter().enumerate().rev() {
            for (j, come) in new.iter().enumerate().rev() {
                let best =
                    if gone == come { at(&common, i + 1, j + 1) + 1 } else { at(&common, i + 1, j).max(at(&common, i, j + 1)) };
                if let Some(cell) = common.get_mut(i * wide + j) {
                    *cell = best;
                }
            }
        }
        let (mut i, mut j) = (0, 0);
        loop {
            match (old.get(i), new.get(j)) {
                (Some(gone), Some(come)) if gone == come => {
                    self.push(Mark::Kept, gone);
                    (i, j) = (i + 1, j + 1);
                }
                (Some(gone), come) if come.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                    self.push(Mark::Gone, gone);
                    i += 1;
                }
                (_, Some(come)) => {
                    self.push(Mark::New, come);
                    j += 1;
                }
                (_, None) => return,
            }
        }
    }
}

/// Words, each with the white space after it.
fn words(text: &str) -> Vec<&str> {
    text.split_inclusive(char::is_whitespace).collect()
}

super::parts!(Diff);

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(diff: &Diff) -> (String, String) {
        let of = |wanted: Mark| diff.0.iter().filter(|(mark, _)| *mark != wanted).map(|(_, text)| text.as_str()).collect();
        (of(Mark::New), of(Mark::Gone))
    }

    #[test]
    fn both_texts_can_be_read_off_their_difference() {
        let pairs = [
            ("", ""),
            ("", "all new"),
            ("all gone", ""),
            ("we keep it for a year", "we keep it for ninety days"),
            ("a b c d e", "a x c y e"),
            ("one two", "two one"),
            ("the same text", "the same text"),
            ("line\r\nbreaks  stay", "line\nbreaks stay"),
        ];
        for (before, after) in pairs {
            assert_eq!(texts(&Diff::of(before, after)), (before.to_owned(), after.to_owned()));
        }
        let long = "word ".repeat(4000);
        assert_eq!(texts(&Diff::of(&long, &format!("x {long} y"))).1, format!("x {long} y"));
    }

    #[test]
    fn what_stayed_is_not_marked() {
        let diff = Diff::of("we keep it for a year", "we keep it for ninety days");
        assert_eq!(diff.0.first(), Some(&(Mark::Kept, "we keep it for ".to_owned())));
        assert!(Diff::of("same", "same").0.iter().all(|(mark, _)| *mark == Mark::Kept));
        let html = diff.render().unwrap_or_default();
        assert!(html.contains("<del>") && html.contains("<ins>"), "{html}");
    }
}
