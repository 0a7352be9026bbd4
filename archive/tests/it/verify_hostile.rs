//! Archives that mean harm, and archives of others: each ends in a verdict.

use std::io::{Cursor, Write};
use std::path::Path;

use archive::verify::{Report, Signature, Verdict, verify};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn judge(bytes: &[u8]) -> Report {
    verify(Cursor::new(bytes), &[]).unwrap()
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn made(members: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn is_broken(bytes: &[u8], what: &str) {
    let report = judge(bytes);
    assert_eq!(report.verdict(), Verdict::Broken, "{what}");
    assert!(report.findings.iter().any(|finding| finding.what.contains(what)), "{what}: {:?}", report.findings);
    // Whatever an archive calls its members, what is told stays readable.
    let told = |finding: &archive::verify::Finding| finding.what.len() + finding.file.as_deref().unwrap_or_default().len();
    assert!(report.findings.iter().all(|finding| told(finding) < 1_000));
}

fn find(bytes: &[u8], part: &[u8], nth: usize) -> usize {
    bytes.windows(part.len()).enumerate().filter(|(_, window)| *window == part).nth(nth).unwrap().0
}

#[test]
fn others_archives_are_judged_as_archives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/archive");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let report = judge(&std::fs::read(&path).unwrap());
        assert_eq!(
            (report.verdict(), report.findings.len()),
            (Verdict::Unproven, 0),
            "{}: {:?}",
            path.display(),
            report.findings
        );
        assert_eq!(report.signature, Signature::None);
    }
    // Somebody else's file of that name says nothing of the archive.
    let theirs = made(&[("manifest.json", b"{\"name\":\"an app\"}"), ("a.txt", b"a")], stored());
    assert_eq!((judge(&theirs).verdict(), judge(&theirs).manifest), (Verdict::Unproven, None));
}

#[test]
fn seventy_thousand_members_are_no_more_than_that() {
    let names: Vec<String> = (0..70_000).map(|at| format!("{at}.bin")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let report = judge(&made(&members, stored()));
    assert_eq!((report.members, report.content_bytes, report.findings.len()), (70_000, 70_000, 0));
}

#[test]
fn a_container_that_lies_is_told() {
    let plain = made(&[("a.bin", b"aaaa"), ("b.bin", b"aaaa")], stored());
    assert_eq!(judge(&plain).findings, []);
    let end = plain.len() - 22;
    // Both entries of the directory are one member.
    let mut overlapping = plain.clone();
    let (one, two) = (find(&plain, b"PK\x01\x02", 0), find(&plain, b"PK\x01\x02", 1));
    overlapping.copy_within(one..two, two);
    is_broken(&overlapping, "is there twice");
    is_broken(&overlapping, "overlaps");
    // More, or fewer, than there are.
    for (count, what) in [(3u8, "less than it counts"), (1, "more than it counts")] {
        let mut counted = plain.clone();
        (counted[end + 8], counted[end + 10]) = (count, count);
        is_broken(&counted, what);
    }
    // Something that no directory tells.
    let mut between = plain.clone();
    let directory = find(&plain, b"PK\x01\x02", 0);
    between.splice(directory..directory, *b"hidden");
    let at = between.len() - 6;
    between[at] += 6;
    is_broken(&between, "between the last member and the directory");
    // A member that is larger than the archive.
    let mut large = plain.clone();
    for header in [find(&plain, b"PK\x03\x04", 1) + 18, two + 20] {
        large[header..header + 4].copy_from_slice(&1_000_000u32.to_le_bytes());
    }
    is_broken(&large, "promises more than the archive can hold");
    let mut encrypted = plain.clone();
    (encrypted[6], encrypted[one + 8]) = (1, 1);
    is_broken(&encrypted, "is encrypted");
    for (name, evil) in [("xx/xx/etc/passwd", "../../etc/passwd"), ("xetc/passwd", "/etc/passwd"), ("axxb", "a//b")] {
        let mut bytes = made(&[(name, b"a")], stored());
        // Before its bytes, and in the directory.
        for _ in 0..2 {
            let at = find(&bytes, name.as_bytes(), 0);
            bytes[at..at + name.len()].copy_from_slice(evil.as_bytes());
        }
        is_broken(&bytes, "leads out of the archive");
    }
    let long = "n".repeat(60_000);
    let mut long = made(&[(&long, b"a")], stored());
    let last = long.len() - 1;
    let data = find(&long, b"PK\x01\x02", 0) - 1;
    long[data] ^= 1;
    is_broken(&long, "a byte of it was changed");
    long.truncate(last);
    is_broken(&long, "was cut off");
    for bytes in [&b""[..], b"PK", b"PK\x05\x06", &[0; 100_000]] {
        is_broken(bytes, "it has no end");
    }
}

#[test]
fn a_bomb_is_read_without_being_kept() {
    let zeros = vec![0u8; 40 << 20];
    let bomb = made(&[("zeros.json", &zeros)], SimpleFileOptions::default());
    assert!(bomb.len() < 200_000);
    assert_eq!(judge(&bomb).content_bytes, 40 << 20);
    // One that says to be small is read no further.
    let mut liar = bomb.clone();
    for (header, size) in [(b"PK\x03\x04", 22), (b"PK\x01\x02", 24)] {
        let at = find(&bomb, header, 0) + size;
        liar[at..at + 4].copy_from_slice(&1000u32.to_le_bytes());
    }
    is_broken(&liar, "is larger than it says");
    // Nor is a manifest that is one.
    let mut text = b"{\"manifest_version\": 1, \"x\": \"".to_vec();
    text.resize(40 << 20, b'x');
    let manifest = made(&[("manifest.json", &text), ("manifest.sig", &[0; 64])], SimpleFileOptions::default());
    is_broken(&manifest, "is too large to be read");
}
