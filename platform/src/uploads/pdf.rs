//! Reading a PDF: in a process of its own, which has given up files, much memory and much time before it reads the first byte. One that crashes
//! or runs into its limits was a PDF that cannot be read.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lopdf::{Dictionary, Document, LoadOptions, Object};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{Kind, Refusal};

/// The hidden command of the program that reads a PDF from its standard input and prints a [`Report`].
pub const COMMAND: &str = "inspect-pdf";
/// The most text that is kept.
const TEXT: usize = 200 * 1024;
/// The most that one stream may inflate to.
const STREAM: usize = 64 * 1024 * 1024;
/// The most pages whose text is read: a PDF of 5 MB that has more is no set of mockups.
const PAGES: usize = 500;
/// The most that is taken from the reading process: the text as JSON, every character of it escaped.
const ANSWER: u64 = 2 * 1024 * 1024;
/// How long the reading process may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked after.
const LOOK: Duration = Duration::from_millis(10);
/// How long one file waits for its turn.
const TURN: Duration = Duration::from_secs(60);

/// What is in a PDF.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Pages.
    pub pages: usize,
    /// Its text, bounded; empty if it is all pictures.
    pub text: String,
    /// Whether it needs a password, even an empty one.
    pub encrypted: bool,
    /// Whether it holds scripts.
    pub scripts: bool,
    /// Whether it would start programs, send forms or open others' files.
    pub launches: bool,
    /// Whether it holds other files.
    pub embedded: bool,
}

/// Reads a PDF; none if it is not one.
pub fn inspect(bytes: &[u8]) -> Option<Report> {
    let options = LoadOptions { max_decompressed_size: Some(STREAM), ..LoadOptions::default() };
    // A reader that mends a broken table finds objects that ours does not: their names are looked for in the bytes as well.
    let mut report = Report {
        scripts: has_name(bytes, b"JavaScript"),
        launches: has_name(bytes, b"Launch"),
        embedded: has_name(bytes, b"EmbeddedFile") || has_name(bytes, b"RichMedia"),
        ..Report::default()
    };
    let Ok(document) = Document::load_mem_with_options(bytes, options) else {
        // What needs a password is not read, and that is worth its own word.
        report.encrypted = has_name(bytes, b"Encrypt");
        return report.encrypted.then_some(report);
    };
    report.encrypted = document.is_encrypted() || document.was_encrypted();
    report.look_through(&document.trailer, 0);
    for object in document.objects.values() {
        report.look_at(object, 0);
    }
    let pages = document.get_pages();
    report.pages = pages.len();
    for number in pages.keys().take(PAGES) {
        let Ok(text) = document.extract_text_with_limit(&[*number], STREAM) else { continue };
        let left = TEXT.saturating_sub(report.text.len());
        if left == 0 {
            break;
        }
        let mut end = text.len().min(left);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        report.text.extend(text.get(..end).unwrap_or_default().chars().filter(|c| *c != '\0'));
        report.text.push('\n');
    }
    Some(report)
}

/// Whether a name stands in the bytes and is not the beginning of a longer one.
fn has_name(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len() + 2).any(|window| {
        let (slash, rest) = (window[0] == b'/', &window[1..]);
        slash && rest.starts_with(name) && !rest[name.len()].is_ascii_alphanumeric()
    })
}

impl Report {
    fn look_at(&mut self, object: &Object, depth: usize) {
        // Deeper than any writer nests; what is deeper was made to exhaust us.
        if depth > 200 {
            self.scripts = true;
            return;
        }
        match object {
            Object::Dictionary(dictionary) => self.look_through(dictionary, depth),
            Object::Stream(stream) => self.look_through(&stream.dict, depth),
            Object::Array(items) => items.iter().for_each(|item| self.look_at(item, depth + 1)),
            _ => {}
        }
    }

    fn look_through(&mut self, dictionary: &Dictionary, depth: usize) {
        for (key, value) in dictionary {
            match key.as_slice() {
                b"JS" | b"JavaScript" => self.scripts = true,
                b"EmbeddedFiles" | b"EF" | b"RichMediaContent" | b"RichMediaSettings" => self.embedded = true,
                b"XFA" => self.scripts = true,
                b"S" | b"Type" | b"Subtype" => {
                    if let Object::Name(name) = value {
                        match name.as_slice() {
                            b"JavaScript" => self.scripts = true,
                            b"Launch" | b"ImportData" | b"SubmitForm" | b"GoToR" | b"GoToE" => self.launches = true,
                            b"EmbeddedFile" | b"FileAttachment" | b"RichMedia" | b"3D" => self.embedded = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
            self.look_at(value, depth + 1);
        }
    }

    /// Refuses what must not be handed in.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        if self.encrypted {
            Err(Refusal::Encrypted)
        } else if self.scripts {
            Err(Refusal::Scripts)
        } else if self.launches {
            Err(Refusal::Launches)
        } else if self.embedded {
            Err(Refusal::Embedded)
        } else if self.pages == 0 {
            Err(Refusal::Broken(Kind::Pdf))
        } else {
            Ok(())
        }
    }
}

/// What reads PDFs, some at a time.
#[derive(Clone, Debug)]
pub struct Inspector {
    /// The program that knows [`COMMAND`]; none to read in this process, which is for tests of other rules.
    program: Option<PathBuf>,
    /// How many at once.
    turns: Arc<Semaphore>,
    /// How long one may take.
    patience: Duration,
}

impl Inspector {
    /// By a program of its own, so many at once.
    pub fn program(program: PathBuf, at_once: usize) -> Self {
        Self { program: Some(program), turns: Arc::new(Semaphore::new(at_once.max(1))), patience: PATIENCE }
    }

    /// In this process, without limits: for tests, where there is no program.
    pub fn in_process() -> Self {
        Self { program: None, turns: Arc::new(Semaphore::new(1)), patience: PATIENCE }
    }

    /// With another limit to how long one may take.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Reads a PDF; the file's position is at its beginning.
    pub(super) async fn inspect(&self, file: std::fs::File) -> Result<Report, Refusal> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Refusal::Busy) };
        let (program, patience) = (self.program.clone(), self.patience);
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            match program {
                Some(program) => by_program(&program, file, patience),
                None => {
                    let mut bytes = Vec::new();
                    let mut file = file;
                    file.read_to_end(&mut bytes).ok()?;
                    inspect(&bytes)
                }
            }
        });
        // One that panics in this process cannot be read either.
        reading.await.ok().flatten().ok_or(Refusal::Broken(Kind::Pdf))
    }
}

fn by_program(program: &std::path::Path, file: std::fs::File, patience: Duration) -> Option<Report> {
    let child = Command::new(program)
        .arg(COMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(file))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(fault) => {
            tracing::error!(%fault, "no process to read a PDF in");
            return None;
        }
    };
    let stdout = child.stdout.take()?;
    let answer = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.take(ANSWER).read_to_end(&mut bytes).map(|_| bytes)
    });
    let mut waited = Duration::ZERO;
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if waited < patience => {
                std::thread::sleep(LOOK);
                waited += LOOK;
            }
            Ok(None) | Err(_) => {
                tracing::warn!("a PDF took too long to read");
                let _ = child.kill();
                let _ = child.wait();
                break false;
            }
        }
    };
    let bytes = answer.join().ok()?.ok()?;
    if ended { serde_json::from_slice::<Option<Report>>(&bytes).ok().flatten() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PDF of objects, with a table that is right.
    fn pdf(objects: &[&str], trailer: &str) -> Vec<u8> {
        let mut bytes = b"%PDF-1.7\n".to_vec();
        let mut places = Vec::new();
        for (number, object) in (1..).zip(objects) {
            places.push(bytes.len());
            bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
        }
        let table = bytes.len();
        bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
        for place in places {
            bytes.extend(format!("{place:010} 00000 n \n").bytes());
        }
        let size = objects.len() + 1;
        bytes.extend(format!("trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n").bytes());
        bytes
    }

    const PAGES: &str = "<< /Type /Pages /Kids [3 0 R] /Count 1 >>";
    const PAGE: &str =
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>";
    const FONT: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";

    fn with(catalog: &str, more: &[&str], trailer: &str) -> Report {
        let words = "BT /F1 12 Tf 20 100 Td (Connect your account) Tj ET";
        let content = format!("<< /Length {} >>\nstream\n{words}\nendstream", words.len());
        let catalog = format!("<< /Type /Catalog /Pages 2 0 R {catalog} >>");
        let objects: Vec<&str> = [&catalog, PAGES, PAGE, &content, FONT].into_iter().chain(more.iter().copied()).collect();
        inspect(&pdf(&objects, trailer)).unwrap()
    }

    #[test]
    fn pages_and_text_are_read() {
        let report = with("", &[], "");
        assert_eq!(report.pages, 1);
        assert!(report.text.contains("Connect your account"), "{:?}", report.text);
        report.admit().unwrap();
    }

    #[test]
    fn what_acts_is_found_however_it_is_spelt() {
        let script = with("/OpenAction 6 0 R", &["<< /S /JavaScript /JS (app.alert(1)) >>"], "");
        assert!(matches!(script.admit(), Err(Refusal::Scripts)));
        let spelt = with("/OpenAction 6 0 R", &["<< /S /J#61vaScript /J#53 (app.alert(1)) >>"], "");
        assert!(matches!(spelt.admit(), Err(Refusal::Scripts)));
        let launch = with("/OpenAction << /S /Launch /F (calc.exe) >>", &[], "");
        assert!(matches!(launch.admit(), Err(Refusal::Launches)));
        let sent = with("", &["<< /S /SubmitForm /F (https://elsewhere.example) >>"], "");
        assert!(matches!(sent.admit(), Err(Refusal::Launches)));
        let file = with("/Names << /EmbeddedFiles << /Names [(a) 6 0 R] >> >>", &["<< /Type /Filespec /EF << >> >>"], "");
        assert!(matches!(file.admit(), Err(Refusal::Embedded)));
        let nested = with("/A [[[<< /B << /S /JavaScript >> >>]]]", &[], "");
        assert!(matches!(nested.admit(), Err(Refusal::Scripts)));
    }

    #[test]
    fn what_needs_a_password_is_told_apart_from_what_is_broken() {
        let encrypt = "<< /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <00> /U <00> >>";
        let objects = ["<< /Type /Catalog /Pages 2 0 R >>", PAGES, PAGE, "null", FONT, encrypt];
        let report = inspect(&pdf(&objects, "/Encrypt 6 0 R /ID [<00> <00>]")).unwrap();
        assert!(matches!(report.admit(), Err(Refusal::Encrypted)));
        assert_eq!(inspect(b"%PDF-1.7\nnothing\n%%EOF"), None);
    }
}
