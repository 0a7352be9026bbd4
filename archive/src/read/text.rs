//! Counting the blocks of a text.

use super::Utf8;

#[derive(Default)]
pub(crate) struct Counter {
    utf8: Utf8,
    blocks: u64,
    lines: u64,
    in_block: bool,
    /// Whether the running line has a character.
    in_line: bool,
}

impl Counter {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        if !self.utf8.push(bytes) {
            return Err("is not UTF-8".to_owned());
        }
        for byte in bytes {
            match byte {
                b'\n' => {
                    self.in_block = self.in_line;
                    self.in_line = false;
                }
                b'\r' => {}
                _ if self.in_line => {}
                _ => {
                    self.in_line = true;
                    self.lines += 1;
                    self.blocks += u64::from(!self.in_block);
                    self.in_block = true;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(u64, u64), String> {
        if self.utf8.is_whole() { Ok((self.blocks, self.lines)) } else { Err("ends within a character".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn blocks_and_lines() {
        for (text, wanted) in [
            ("", (0, 0)),
            ("\n\n", (0, 0)),
            ("a: 1\nb: 2\n\na: 3\nb: 4\n", (2, 4)),
            ("Searches:\n\nYou have no data in this section\n", (2, 2)),
            ("a\r\n\r\nb", (2, 2)),
            ("a\n\n\n\nb", (2, 2)),
        ] {
            for step in [1, 2, 100] {
                let mut counter = Counter::default();
                text.as_bytes().chunks(step).for_each(|piece| counter.push(piece).unwrap());
                assert_eq!(counter.finish().unwrap(), wanted, "{text:?}");
            }
        }
    }
}
