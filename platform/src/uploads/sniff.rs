//! What a file is, by its bytes: whatever its name and its sender say. Nothing here decodes an image, so none can be a bomb.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::{Kind, Purpose, Refusal};

/// How much of the beginning is looked at: readers of PDF take a header within the first kilobyte, and browsers sniff less.
const HEAD: u64 = 4096;
/// How much of the end: a ZIP's directory ends at most this far before the end of the file.
const TAIL: u64 = 65_557;
/// The longest side of an image: what scanners give at 600 dpi from A3.
const LONGEST_SIDE: usize = 10_000;
/// The most pixels of an image.
const MOST_PIXELS: usize = 40_000_000;
/// The side of an app's icon (contract 1.4).
const ICON_SIDE: usize = 1024;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sniffed {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Width and height of an image.
    pub pixels: Option<(usize, usize)>,
}

/// Looks at a file from its beginning to its end. It must be one of the purpose's kinds, whole, and nothing else besides.
pub fn sniff(purpose: Purpose, file: &mut (impl Read + Seek)) -> Result<Sniffed, Refusal> {
    let size = file.seek(SeekFrom::End(0)).map_err(broken)?;
    if size == 0 {
        return Err(Refusal::Empty);
    }
    if size > purpose.limit() {
        return Err(Refusal::TooLarge(purpose.limit()));
    }
    let head = piece(file, 0, HEAD)?;
    let kind = Kind::of(&head).filter(|kind| purpose.kinds().contains(kind)).ok_or(Refusal::WrongType(purpose))?;
    let tail = piece(file, size.saturating_sub(TAIL), TAIL)?;
    if has_markup(&head) || (kind != Kind::Pdf && holds(&head, b"%PDF-")) || ends_as_archive(&tail) {
        return Err(Refusal::Mixed(kind));
    }
    match kind {
        Kind::Pdf => pdf_ends(&tail)?,
        Kind::Png => png_is_whole(file, size)?,
        Kind::Jpeg => jpeg_ends(&tail)?,
        Kind::Mp4 | Kind::Mov => video_is_whole(kind, file, size)?,
    }
    let pixels = if matches!(kind, Kind::Png | Kind::Jpeg) { Some(pixels(purpose, kind, file)?) } else { None };
    Ok(Sniffed { kind, size, pixels })
}

impl Kind {
    /// By magic numbers; none for anything that nobody may hand in.
    fn of(head: &[u8]) -> Option<Self> {
        match infer::get(head)?.mime_type() {
            // Readers take a header somewhat later too; what stands before it is what makes a polyglot.
            "application/pdf" if head.starts_with(b"%PDF-") => Some(Self::Pdf),
            "image/png" => Some(Self::Png),
            "image/jpeg" => Some(Self::Jpeg),
            "video/mp4" | "video/x-m4v" => Some(Self::Mp4),
            "video/quicktime" => Some(Self::Mov),
            _ => None,
        }
    }
}

fn broken(_: std::io::Error) -> Refusal {
    Refusal::Unreadable
}

fn piece(file: &mut (impl Read + Seek), from: u64, most: u64) -> Result<Vec<u8>, Refusal> {
    file.seek(SeekFrom::Start(from)).map_err(broken)?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// Words by which a browser would take the file for a page.
fn has_markup(head: &[u8]) -> bool {
    let head = head.get(..1024).unwrap_or(head).to_ascii_lowercase();
    [&b"<html"[..], b"<!doctype html", b"<script", b"<svg", b"<body", b"<iframe", b"<?php"].iter().any(|word| holds(&head, word))
}

/// Whether a ZIP's directory ends the file, or another archive hangs on its end: such a file opens as an archive whatever it begins with.
fn ends_as_archive(tail: &[u8]) -> bool {
    let zip = tail.windows(22).enumerate().any(|(at, end)| {
        let comment = usize::from(u16::from_le_bytes([end[20], end[21]]));
        end.starts_with(b"PK\x05\x06") && at + 22 + comment <= tail.len()
    });
    let others = [&b"Rar!\x1a\x07"[..], b"7z\xbc\xaf\x27\x1c", b"\xfd7zXZ\x00"];
    zip || others.iter().any(|magic| holds(tail, magic))
}

/// Writers end a file by this mark and a line's end; some pad.
fn pdf_ends(tail: &[u8]) -> Result<(), Refusal> {
    let end = tail.windows(5).rposition(|window| window == b"%%EOF").ok_or(Refusal::Broken(Kind::Pdf))?;
    let rest = tail.get(end + 5..).unwrap_or_default();
    if rest.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0) { Ok(()) } else { Err(Refusal::Mixed(Kind::Pdf)) }
}

fn jpeg_ends(tail: &[u8]) -> Result<(), Refusal> {
    let padding = tail.iter().rev().take_while(|byte| **byte == 0 || byte.is_ascii_whitespace()).count();
    let end = tail.get(..tail.len() - padding).unwrap_or_default();
    if end.ends_with(b"\xff\xd9") {
        Ok(())
    } else if tail.windows(2).any(|window| window == b"\xff\xd9") {
        Err(Refusal::Mixed(Kind::Jpeg))
    } else {
        Err(Refusal::Broken(Kind::Jpeg))
    }
}

/// Walks from chunk to chunk; the last one is `IEND`, and it ends the file.
fn png_is_whole(file: &mut (impl Read + Seek), size: u64) -> Result<(), Refusal> {
    let mut file = BufReader::new(file);
    let mut at = 8;
    loop {
        file.seek(SeekFrom::Start(at)).map_err(broken)?;
        let mut head = [0; 8];
        file.read_exact(&mut head).map_err(|_| Refusal::Broken(Kind::Png))?;
        let [a, b, c, d, name @ ..] = head;
        at += 12 + u64::from(u32::from_be_bytes([a, b, c, d]));
        if at > size {
            return Err(Refusal::Broken(Kind::Png));
        }
        if &name == b"IEND" {
            return if at == size { Ok(()) } else { Err(Refusal::Mixed(Kind::Png)) };
        }
    }
}

/// Walks from box to box to the end of the file; one of them describes the film.
fn video_is_whole(kind: Kind, file: &mut (impl Read + Seek), size: u64) -> Result<(), Refusal> {
    let mut file = BufReader::new(file);
    let (mut at, mut described) = (0, false);
    while at < size {
        file.seek(SeekFrom::Start(at)).map_err(broken)?;
        let mut head = [0; 8];
        file.read_exact(&mut head).map_err(|_| Refusal::Broken(kind))?;
        let [a, b, c, d, name @ ..] = head;
        if !name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
            return Err(if described { Refusal::Mixed(kind) } else { Refusal::Broken(kind) });
        }
        described |= &name == b"moov";
        let length = match u32::from_be_bytes([a, b, c, d]) {
            // To the end of the file.
            0 => size - at,
            1 => {
                let mut long = [0; 8];
                file.read_exact(&mut long).map_err(|_| Refusal::Broken(kind))?;
                u64::from_be_bytes(long)
            }
            length => u64::from(length),
        };
        if length < 8 || length > size - at {
            return Err(Refusal::Broken(kind));
        }
        at += length;
    }
    if described { Ok(()) } else { Err(Refusal::Broken(kind)) }
}

/// Width and height, as the header says.
fn pixels(purpose: Purpose, kind: Kind, file: &mut (impl Read + Seek)) -> Result<(usize, usize), Refusal> {
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    let found = imagesize::reader_size(BufReader::new(file)).map_err(|_| Refusal::Broken(kind))?;
    let (width, height) = (found.width, found.height);
    if purpose == Purpose::Icon && (width, height) != (ICON_SIDE, ICON_SIDE) {
        return Err(Refusal::IconSize { width, height });
    }
    let fits = (1..=LONGEST_SIDE).contains(&width) && (1..=LONGEST_SIDE).contains(&height) && width * height <= MOST_PIXELS;
    if fits { Ok((width, height)) } else { Err(Refusal::ImageSize { width, height }) }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        // Nobody here checks the sum.
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], name, data, &[0; 4]].concat()
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", b"x"), &chunk(b"IEND", b"")].concat()
    }

    fn atom(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        [&u32::try_from(data.len() + 8).unwrap().to_be_bytes()[..], name, data].concat()
    }

    fn film() -> Vec<u8> {
        [atom(b"ftyp", b"isom\0\0\x02\0isomiso2"), atom(b"moov", b"0123"), atom(b"mdat", b"pictures")].concat()
    }

    const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n";
    const ZIP_END: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    fn look(purpose: Purpose, bytes: &[u8]) -> Result<Kind, Refusal> {
        sniff(purpose, &mut Cursor::new(bytes)).map(|sniffed| sniffed.kind)
    }

    #[test]
    fn what_may_be_handed_in_is_told_by_its_bytes() {
        assert_eq!(look(Purpose::Mockups, PDF).unwrap(), Kind::Pdf);
        assert_eq!(look(Purpose::Evidence, &png(10, 10)).unwrap(), Kind::Png);
        assert_eq!(look(Purpose::Icon, &png(1024, 1024)).unwrap(), Kind::Png);
        assert_eq!(look(Purpose::DemoVideo, &film()).unwrap(), Kind::Mp4);
        let mov = [atom(b"ftyp", b"qt  \0\0\x02\0qt  "), atom(b"mdat", b"x"), atom(b"moov", b"y")].concat();
        assert_eq!(look(Purpose::DemoVideo, &mov).unwrap(), Kind::Mov);
    }

    #[test]
    fn another_kind_than_the_purposes_is_refused() {
        for bytes in [
            &png(10, 10)[..],
            b"just words",
            b"PK\x03\x04zip",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<!doctype html><p>",
            b"MZ\x90\0",
            b"\x7fELF",
        ] {
            assert!(matches!(look(Purpose::Mockups, bytes), Err(Refusal::WrongType(_))), "{bytes:?}");
        }
        assert!(matches!(look(Purpose::Evidence, b"GIF89a\x01\0\x01\0"), Err(Refusal::WrongType(_))));
        assert!(matches!(look(Purpose::Mockups, b""), Err(Refusal::Empty)));
    }

    #[test]
    fn files_that_are_two_things_at_once_are_refused() {
        let cases = [
            (Purpose::Mockups, [b"<html><script>alert(1)</script>", PDF].concat()),
            (Purpose::Mockups, [b"PK\x03\x04", PDF].concat()),
            (Purpose::Mockups, [PDF, b"PK\x03\x04", ZIP_END].concat()),
            (Purpose::Mockups, [b"%PDF-1.7\n<script>alert(1)</script>", PDF].concat()),
            (Purpose::Mockups, [PDF, b"MZ another program"].concat()),
            // The directory of a ZIP as the comment before the mark.
            (Purpose::Mockups, [b"%PDF-1.7\n%", ZIP_END, b"\n%%EOF"].concat()),
            (Purpose::Evidence, [&png(10, 10)[..], b"PK\x03\x04", ZIP_END].concat()),
            (Purpose::Evidence, [&png(10, 10)[..], b"anything"].concat()),
            (Purpose::Evidence, [&b"\xff\xd8\xff\xe0 \xff\xd9"[..], b"Rar!\x1a\x07"].concat()),
            (Purpose::Evidence, [&b"\xff\xd8\xff\xe0"[..], b"%PDF-1.7 ", b"\xff\xd9"].concat()),
            (Purpose::DemoVideo, [film(), ZIP_END.to_vec()].concat()),
            (Purpose::DemoVideo, [film(), b"1234\x00\x01\x02\x03".to_vec()].concat()),
        ];
        for (purpose, bytes) in cases {
            let refused = look(purpose, &bytes);
            assert!(matches!(refused, Err(Refusal::Mixed(_) | Refusal::WrongType(_))), "{refused:?} for {bytes:?}");
        }
    }

    #[test]
    fn images_are_measured_and_never_opened() {
        assert!(matches!(look(Purpose::Icon, &png(1023, 1024)), Err(Refusal::IconSize { width: 1023, height: 1024 })));
        assert!(matches!(look(Purpose::Evidence, &png(60_000, 60_000)), Err(Refusal::ImageSize { .. })));
        assert!(matches!(look(Purpose::Evidence, &png(10_000, 4_001)), Err(Refusal::ImageSize { .. })));
        assert!(matches!(look(Purpose::Evidence, &png(0, 10)), Err(Refusal::ImageSize { .. })));
        look(Purpose::Evidence, &png(10_000, 4_000)).unwrap();
    }

    #[test]
    fn what_breaks_off_is_refused() {
        let (png, film) = (png(10, 10), film());
        for length in 34..png.len() {
            assert!(look(Purpose::Evidence, &png[..length]).is_err(), "{length}");
        }
        for length in 12..film.len() {
            // One box less is a whole film still.
            let whole = [38, 26].contains(&length);
            let kept = look(Purpose::DemoVideo, &film[..length]);
            assert!(kept.is_err() || whole || length == film.len() - 16, "{length}: {kept:?}");
        }
        assert!(matches!(look(Purpose::Mockups, b"%PDF-1.7 and no end"), Err(Refusal::Broken(Kind::Pdf))));
        assert!(matches!(look(Purpose::Evidence, b"\xff\xd8\xff\xe0 no end"), Err(Refusal::Broken(Kind::Jpeg))));
    }
}
