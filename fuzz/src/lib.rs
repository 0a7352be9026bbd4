//! Everything that parses outsiders' bytes, one plain function a target: it takes any bytes and must not panic.
//!
//! `cargo nextest run -p portward-fuzz` runs each target on its corpus (`corpus/NAME/`) and on a bounded number of inputs made from it.
//! A new target is a function here and a line in [`TARGETS`]. Where cargo-fuzz is at hand, its `fuzz_target!` calls the same functions.

use std::io::Cursor;

/// A function that must not panic, and where its corpus is.
pub struct Target {
    /// The name, which is also the corpus' folder.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "catalogue", run: catalogue },
    Target { name: "archive", run: archive },
    Target { name: "verify", run: verify },
    Target { name: "upload", run: upload },
    Target { name: "form", run: form },
    Target { name: "deflate", run: deflate },
];

/// The catalogue file, which an operator writes; its query scanner comes with it.
pub fn catalogue(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let include = |pattern: &str| match pattern {
        // A catalogue that includes itself is one file, not endless.
        "self.toml" => Ok(vec![("self.toml".to_owned(), text.to_string())]),
        _ => Err("there is none".to_owned()),
    };
    match archive::catalogue::Catalogue::parse("catalog.toml", &text, &mut { include }) {
        Ok(catalogue) => {
            let _ = catalogue.sections_of(&["all_data"]).count();
        }
        Err(error) => assert!(!error.to_string().is_empty(), "a refusal without a word"),
    }
}

/// An archive, which anybody may hand to `portward archive verify`.
pub fn archive(bytes: &[u8]) {
    if let Err(error) = archive::read::inspect_reader(Cursor::new(bytes), None) {
        assert!(!error.to_string().is_empty(), "a refusal without a word");
    }
}

/// The same archive, judged by `portward archive verify`: it ends in a verdict, whatever it is, and a good signature of nobody is none.
pub fn verify(bytes: &[u8]) {
    use archive::verify::{Verdict, manifest_of, verify};
    let report = verify(Cursor::new(bytes), &[]).expect("bytes in memory can be read");
    assert_ne!(report.verdict(), Verdict::Verified, "without a key");
    assert!(report.findings.iter().all(|finding| !finding.what.is_empty()), "a refusal without a word");
    let _ = manifest_of(Cursor::new(bytes));
}

/// A file that somebody hands in, before anything of it is kept. What is taken has a kind that its purpose takes.
pub fn upload(bytes: &[u8]) {
    use platform::uploads::{Kind, Purpose, clean_name, sniff};
    for purpose in Purpose::ALL {
        match sniff::sniff(*purpose, &mut Cursor::new(bytes)) {
            Ok(found) => assert!(purpose.kinds().contains(&found.kind) && found.size == bytes.len() as u64),
            Err(refusal) => assert!(!refusal.to_string().is_empty(), "a refusal without a word"),
        }
    }
    let name = clean_name(&String::from_utf8_lossy(bytes), Kind::Pdf);
    assert!(name.chars().count() <= 150 && name.to_lowercase().ends_with(".pdf"), "{name:?}");
    assert!(!name.contains(['/', '\\', '\0', '\n', '"']), "{name:?}");
}

/// An application form's file, which an operator writes.
pub fn form(bytes: &[u8]) {
    match platform::forms::parse("form.toml", &String::from_utf8_lossy(bytes), "Clips") {
        Ok(form) => assert!(form.fields().count() > 0),
        Err(error) => assert!(!error.to_string().is_empty(), "a refusal without a word"),
    }
}

/// What an archive is compressed from: operators' data, of which nothing is known. The first bytes say how it is cut; any inflater gives back
/// the rest.
pub fn deflate(bytes: &[u8]) {
    use archive::deflate::{Level, Packer, Window};
    let (head, body) = bytes.split_at(bytes.len().min(4));
    let [one, two, times, level] = std::array::from_fn(|at| usize::from(head.get(at).copied().unwrap_or(0)));
    let piece = 1 + one * 256 + two;
    let level = if level % 4 == 3 { Level::Zlib(2 + level as u32 / 32) } else { Level::Fast };
    // Repetition makes matches of what is made of dice, and pieces of more than a window.
    let body = body.repeat(1 + times % 64);
    let (mut window, mut next) = (Window::default(), Window::default());
    let (mut packer, mut packed) = (Packer::default(), Vec::new());
    let mut rest = body.as_slice();
    loop {
        let (now, later) = rest.split_at(rest.len().min(piece));
        let unfit = window.fill(now).len();
        rest = &rest[now.len() - unfit..];
        let last = later.is_empty() && unfit == 0;
        packer.pack(&window, level, last).expect("every piece fits");
        packed.extend_from_slice(packer.packed());
        if last {
            break;
        }
        next.follow(&window);
        std::mem::swap(&mut window, &mut next);
    }
    let mut back = Vec::new();
    let mut decoder = flate2::read::DeflateDecoder::new(packed.as_slice());
    std::io::Read::read_to_end(&mut decoder, &mut back).expect("a whole stream");
    assert!(back == body, "{} bytes are not what went in", body.len());
    assert_eq!(decoder.total_in(), packed.len() as u64, "nothing follows the stream");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{TARGETS, Target};

    /// Inputs made for each target beside its corpus; they take a few seconds in a debug build.
    const INPUTS: u64 = 1_500;

    /// A small generator with a fixed seed: a failure is found again.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, limit: usize) -> usize {
            (self.roll() % limit.max(1) as u64) as usize
        }
    }

    fn corpus(target: &Target) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} is empty", folder.display());
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }

    fn change(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
        const INTERESTING: &[&[u8]] = &[
            b"\0",
            b"\xff\xff\xff\xff",
            b"\"",
            b"\\",
            b"\n",
            b"[[",
            b"]]",
            b"{",
            b"'",
            b"$$",
            b"/*",
            b":subject",
            b"PK\x01\x02",
            b"PK\x05\x06",
        ];
        let at = dice.below(bytes.len() + 1);
        match dice.below(6) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = dice.roll() as u8,
            2 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            3 => {
                let (from, length) = (dice.below(other.len()), dice.below(40));
                let piece: Vec<u8> = other.iter().skip(from).take(length).copied().collect();
                bytes.splice(at..at, piece);
            }
            4 => {
                let end = bytes.len().min(at + dice.below(20));
                bytes.drain(at..end);
            }
            _ => {
                bytes.splice(at..at, INTERESTING[dice.below(INTERESTING.len())].iter().copied());
            }
        }
    }

    #[test]
    fn no_target_panics() {
        for target in TARGETS {
            let corpus = corpus(target);
            for input in &corpus {
                (target.run)(input);
            }
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
            for _ in 0..INPUTS {
                let mut input = corpus[dice.below(corpus.len())].clone();
                for _ in 0..=dice.below(4) {
                    let other = &corpus[dice.below(corpus.len())];
                    change(&mut input, other, &mut dice);
                }
                (target.run)(&input);
            }
        }
    }
}
