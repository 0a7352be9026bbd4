//! What an archive says of itself, and that no change of it goes unseen.

use std::io::Cursor;
use std::sync::Arc;

use archive::manifest::{App, Manifest, OmissionKind, Operator};
use archive::sign::{PublicKey, Signer};
use archive::verify::{Report, Signature, Verdict, verify};
use archive::write::{Documents, Format, Identity, Order};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::both;
use crate::support::{Db, Engine, Made, order};

pub(crate) const DATA: &str = "
    create table orders (id bigint primary key, user_id bigint, day varchar(10), seller varchar(20), product bigint);
    create table items (order_id bigint, pos bigint, user_id bigint, title varchar(80));
    create table products (id bigint, name varchar(80));
    create table visits (id bigint, user_id bigint, page varchar(80), at bigint);
    insert into orders values (1, 7, 'mon', 'bob', 50), (2, 7, 'tue', 'eve', 51), (3, 7, 'wed', 'bob', null), (4, 8, 'thu', 'x', 50);
    insert into items values (1, 1, 7, 'pen'), (1, 2, 7, 'ink'), (3, 1, 7, 'cup');
    insert into products values (50, 'Desk');
    insert into visits values (1, 7, 'home', 1000), (2, 7, 'home', 2000), (3, 7, 'cart', 3000);
";

pub(crate) const SECTIONS: &str = r#"
[[section]]
categories = ["activity"]
path = ["Shop", "Orders"]
source = "db"
shape = "list"
owner = "user_id"
key = ["id"]
query = "select id, user_id, day, seller, product from orders where user_id = :subject order by id"
[section.fields]
id = { type = "integer" }
day = { type = "string" }
seller = { type = "string", whose = "other", rule = "pseudonym" }
product = { type = "integer", whose = "other", rule = "omit" }
Product = { type = "string" }
[[section.nest]]
field = "Items"
owner = "user_id"
on = { id = "order_id" }
query = "select order_id, user_id, title from items where user_id = :subject order by order_id, pos"
[[section.lookup]]
column = "product"
source = "db"
key = "id"
fields = { name = "Product" }
query = "select id, name from products where id in (:keys)"
owner = "unchecked"
owner_reason = "products are not people"
[[section]]
categories = ["activity"]
path = ["Shop", "Visits"]
source = "db"
shape = "groups"
group = "page"
owner = "user_id"
hidden = ["id"]
query = "select id, user_id, page, at from visits where user_id = :subject order by page, id"
"#;

pub(crate) fn signer(seed: u8) -> Signer {
    Signer::new(&[seed; 32])
}

pub(crate) fn documents(seed: Option<u8>) -> Documents {
    Documents {
        request: "4711".into(),
        app: App { name: "Lumen\nLabs".into(), client_key: Some("aw1".into()) },
        operator: Operator { name: "Shop".into(), keys: Some("https://shop.example/.well-known/portward-keys.json".into()) },
        signer: seed.map(signer),
        now: Arc::new(|| "2026-03-01T12:00:05Z".parse().unwrap()),
    }
}

pub(crate) fn asked(format: Format, seed: Option<u8>) -> Order {
    Order {
        since: Some("2020-01-01T00:00:00Z".parse().unwrap()),
        identity: Identity { open_id: Some("open-7".into()), grant_secret: Some([3; 32]), ..Identity::default() },
        documents: Some(documents(seed)),
        ..order("activity", "7", format)
    }
}

pub(crate) async fn make(db: &Db, order: Order) -> Made {
    let catalogue = db.catalogue(SECTIONS);
    let sources = db.sources(&catalogue).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let (out, progress) = (file.reopen().unwrap(), Arc::default());
    archive::write::write(catalogue, &sources, order, out, progress, CancellationToken::new()).await.unwrap();
    Made { file }
}

fn judge(bytes: &[u8], keys: &[PublicKey]) -> Report {
    verify(Cursor::new(bytes), keys).unwrap()
}

fn bytes_of(made: &Made) -> Vec<u8> {
    std::fs::read(made.path()).unwrap()
}

async fn it_says_what_it_is(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    for format in Format::ALL {
        if matches!(format, Format::Ndjson | Format::Csv) {
            continue;
        }
        let made = make(&db, asked(format, Some(1))).await;
        let bytes = bytes_of(&made);
        assert!(bytes == bytes_of(&make(&db, asked(format, Some(1))).await), "the same order, the same bytes");
        let report = judge(&bytes, &[signer(9).public(), signer(1).public()]);
        assert_eq!(report.findings, [], "{format}");
        assert_eq!(report.verdict(), Verdict::Verified);
        assert_eq!(report.signature, Signature::Good { kid: signer(1).public().kid() });

        // What the wire's archive holds stays as it is, member by member.
        let members = made.members_raw();
        let plain = make(&db, Order { documents: None, ..asked(format, None) }).await.members_raw();
        assert_eq!(members[..plain.len()], plain);
        let behind: Vec<&str> = members[plain.len()..].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(behind.first(), Some(&"README.txt"));
        assert_eq!(behind[behind.len() - 2..], ["manifest.json", "manifest.sig"]);

        let manifest: Manifest = serde_json::from_slice(&members[members.len() - 2].1).unwrap();
        assert_eq!(report.manifest.as_ref(), Some(&manifest));
        assert_eq!(manifest.person.open_id.as_deref(), Some("open-7"));
        assert_eq!(
            (manifest.sources[0].snapshot.as_str(), manifest.sources[0].from.as_str()),
            ("request", "2026-03-01T12:00:05Z")
        );
        assert_eq!(manifest.request.since.as_deref(), Some("2020-01-01T00:00:00Z"));
        let sections: Vec<_> = manifest.files.iter().flat_map(|file| &file.sections).collect();
        assert_eq!((sections[0].rows, sections[0].nested[0].rows, sections[1].rows), (3, 3, 3));
        let omissions: Vec<_> = manifest.omissions.iter().map(|one| (one.kind, one.field.as_deref(), one.values)).collect();
        for wanted in [
            (OmissionKind::FieldAltered, Some("seller"), None),
            (OmissionKind::FieldLeftOut, Some("product"), None),
            (OmissionKind::LookupMissing, Some("product"), Some(1)),
            (OmissionKind::NotRanged, None, None),
        ] {
            assert!(omissions.contains(&wanted), "{wanted:?} in {omissions:?}");
        }
        let text = String::from_utf8(members[plain.len()].1.clone()).unwrap();
        assert!(text.contains("for the app \"Lumen Labs\"") && text.contains("Shop / Orders: 3 records"), "{text}");
        // The operator's own name for the person is nowhere but where the catalogue puts it.
        assert!(!String::from_utf8_lossy(&members[members.len() - 2].1).contains("\"7\""));
    }
}
both!(says_what_it_is, super::it_says_what_it_is);

#[tokio::test(flavor = "multi_thread")]
async fn others_can_verify_it_with_openssl() {
    let db = Db::new(Engine::Sqlite, DATA).await;
    let members = make(&db, asked(Format::Json, Some(1))).await.members_raw();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in members.iter().filter(|(name, _)| name.starts_with("manifest.")) {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let check = |key: PublicKey| {
        std::fs::write(folder.path().join("key.pem"), key.to_pem()).unwrap();
        let arguments =
            ["pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "manifest.json", "-sigfile", "manifest.sig"];
        let run = std::process::Command::new("openssl").args(arguments).current_dir(folder.path()).output();
        run.unwrap_or_else(|error| panic!("openssl is not installed: {error}")).status.success()
    };
    assert!(check(signer(1).public()));
    assert!(!check(signer(2).public()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_proves_an_archive_without_a_key() {
    let db = Db::new(Engine::Sqlite, DATA).await;
    let key = signer(1).public();
    let signed = bytes_of(&make(&db, asked(Format::Json, Some(1))).await);
    let report = judge(&signed, &[]);
    assert_eq!((report.signature, report.findings.len()), (Signature::Unchecked { kid: key.kid() }, 0));
    let unsigned = bytes_of(&make(&db, asked(Format::Json, None)).await);
    let wire = bytes_of(&make(&db, Order { documents: None, ..asked(Format::Json, None) }).await);
    for bytes in [unsigned, wire] {
        let report = judge(&bytes, &[key]);
        assert_eq!((report.verdict(), report.signature, report.findings), (Verdict::Unproven, Signature::None, vec![]));
    }
}

/// An archive taken apart: what is before each member's bytes and these, and its entry in the directory.
#[derive(Clone)]
struct Parts(Vec<(Vec<u8>, Vec<u8>)>);

fn long(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn short(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()))
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.len() - 22;
        let (mut at, directory) = (long(bytes, end + 16), long(bytes, end + 16));
        let mut offsets = Vec::new();
        let mut entries = Vec::new();
        while at < end {
            let length = 46 + short(bytes, at + 28) + short(bytes, at + 30) + short(bytes, at + 32);
            offsets.push(long(bytes, at + 42));
            entries.push(bytes[at..at + length].to_vec());
            at += length;
        }
        offsets.push(directory);
        let local = |at: usize| bytes[offsets[at]..offsets[at + 1]].to_vec();
        Self(entries.into_iter().enumerate().map(|(at, entry)| (local(at), entry)).collect())
    }

    /// A whole archive of them, in which everything but the manifest fits.
    fn whole(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut directory: Vec<u8> = Vec::new();
        for (local, entry) in &self.0 {
            let mut entry = entry.clone();
            entry[42..46].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
            bytes.extend_from_slice(local);
            directory.extend_from_slice(&entry);
        }
        let (offset, count) = (bytes.len() as u32, self.0.len() as u16);
        bytes.extend_from_slice(&directory);
        bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        for number in [count, count] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [directory.len() as u32, offset] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&[0, 0]);
        bytes
    }

    fn rename(&mut self, at: usize, name: &str) {
        let (local, entry) = &mut self.0[at];
        let old = short(local, 26);
        local.splice(30..30 + old, name.bytes());
        entry.splice(46..46 + old, name.bytes());
        local[26..28].copy_from_slice(&(name.len() as u16).to_le_bytes());
        entry[28..30].copy_from_slice(&(name.len() as u16).to_le_bytes());
    }

    /// Puts other bytes into a stored member, with everything that the container says of them.
    fn fill(&mut self, at: usize, bytes: &[u8]) {
        let (local, entry) = &mut self.0[at];
        let head = 30 + short(local, 26) + short(local, 28);
        local.truncate(head);
        local.extend_from_slice(bytes);
        let crc = crc32fast::hash(bytes).to_le_bytes();
        for (header, crc_at) in [(local, 14), (entry, 16)] {
            header[crc_at..crc_at + 4].copy_from_slice(&crc);
            for size in [crc_at + 4, crc_at + 8] {
                header[size..size + 4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
            }
        }
    }

    fn at(&self, name: &str) -> usize {
        self.0.iter().position(|(_, entry)| &entry[46..46 + short(entry, 28)] == name.as_bytes()).unwrap()
    }
}

fn found(bytes: &[u8], key: u8, file: &str, what: &str) {
    let report = judge(bytes, &[signer(key).public()]);
    assert_eq!(report.verdict(), Verdict::Broken);
    let met = |finding: &archive::verify::Finding| finding.file.as_deref().unwrap_or("") == file && finding.what.contains(what);
    assert!(report.findings.iter().any(met), "{file} {what}: {:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_it_is_told() {
    let db = Db::new(Engine::Sqlite, DATA).await;
    let made = make(&db, asked(Format::Text, Some(1))).await;
    let whole = bytes_of(&made);
    let parts = Parts::of(&whole);
    assert!(parts.whole() == whole, "taken apart and put together it is the same");
    let first = made.members_raw()[0].0.clone();
    let second = made.members_raw()[1].0.clone();

    let mut removed = parts.clone();
    removed.0.remove(0);
    found(&removed.whole(), 1, &first, "is missing");

    let mut added = parts.clone();
    added.0.insert(1, added.0[0].clone());
    added.rename(1, "Data/more.txt");
    found(&added.whole(), 1, "Data/more.txt", "was added");

    let mut twice = parts.clone();
    twice.0.insert(1, twice.0[0].clone());
    found(&twice.whole(), 1, &first, "is there twice");

    let mut renamed = parts.clone();
    renamed.rename(0, "Data/x.txt");
    found(&renamed.whole(), 1, &first, "was renamed: what it held is in \"Data/x.txt\"");

    let mut reordered = parts.clone();
    reordered.0.swap(0, 1);
    found(&reordered.whole(), 1, &first, "is not in the place");
    let mut directory = whole.clone();
    let (one, two) = (parts.0[0].1.clone(), parts.0[1].1.clone());
    let at = long(&whole, whole.len() - 6);
    directory.splice(at..at + one.len() + two.len(), [two, one].concat());
    found(&directory, 1, &second, "has something before it");

    // A manifest that says other counts, signed by nobody who could.
    let manifest = parts.at("manifest.json");
    let text = String::from_utf8(made.members_raw()[manifest].1.clone()).unwrap();
    let mut counts = parts.clone();
    counts.fill(manifest, text.replace("\"blocks\": ", "\"blocks\": 1").as_bytes());
    found(&counts.whole(), 1, "manifest.sig", "the signature is not over these bytes");
    found(&counts.whole(), 1, &first, "blocks");

    // The same archive, signed by somebody else.
    let foreign = bytes_of(&make(&db, asked(Format::Text, Some(2))).await);
    found(&foreign, 1, "manifest.sig", "is none of the given");
    // Somebody else's signature under the operator's name.
    let mut forged = parts.clone();
    let signature = forged.at("manifest.sig");
    forged.fill(signature, &signer(2).sign(text.as_bytes()));
    found(&forged.whole(), 1, "manifest.sig", "the signature is not over these bytes");
    let mut stripped = parts.clone();
    stripped.0.pop();
    found(&stripped.whole(), 1, "manifest.sig", "is missing");

    // The signature stays, and what it is over does not.
    let mut beheaded = parts.clone();
    beheaded.0.remove(manifest);
    found(&beheaded.whole(), 1, "manifest.sig", "what it signs is not");
    // Somebody else's, whose key the reader trusts as well: it is not who the manifest names.
    let report = judge(&forged.whole(), &[signer(1).public(), signer(2).public()]);
    assert_eq!(report.signature, Signature::Bad { kid: signer(1).public().kid() });
    assert!(report.findings.iter().any(|finding| finding.what.contains("another key than it says")), "{:?}", report.findings);
    // A signature that nobody promised.
    let mut unsigned = Parts::of(&bytes_of(&make(&db, asked(Format::Text, None)).await));
    unsigned.0.push(parts.0[signature].clone());
    found(&unsigned.whole(), 1, "manifest.sig", "does not say who signed");
    // Something behind what says that there is nothing more.
    let mut last = parts.clone();
    let schema = last.0.remove(manifest - 1);
    last.0.push(schema);
    found(&last.whole(), 1, "manifest.json", "is not at the archive's end");
    let mut later = parts.clone();
    later.fill(manifest, text.replace("\"manifest_version\": 1", "\"manifest_version\": 2").as_bytes());
    found(&later.whole(), 1, "manifest.json", "is of version 2");
    // Words at the very end, where a container may have some.
    let mut words = whole.clone();
    let length = words.len() - 2;
    words[length] = 2;
    found(&[&words[..], b"hi"].concat(), 1, "", "its end is not as it was written");

    for cut in [whole.len() - 1, whole.len() - 22, whole.len() / 2, 10, 1] {
        found(&whole[..cut], 1, "", "was cut off");
    }
    for more in [[&whole[..], b"x"].concat(), [b"x", &whole[..]].concat()] {
        assert_eq!(judge(&more, &[signer(1).public()]).verdict(), Verdict::Broken);
    }
    // An archive within the archive, behind everything: whichever end a reader takes, this one is refused.
    assert_eq!(judge(&[&whole[..], &whole[..]].concat(), &[signer(1).public()]).verdict(), Verdict::Broken);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_counted_again() {
    let db = Db::new(Engine::Sqlite, DATA).await;
    let made = make(&db, asked(Format::Json, None)).await;
    let parts = Parts::of(&bytes_of(&made));
    let manifest = parts.at("manifest.json");
    let told: serde_json::Value = serde_json::from_slice(&made.members_raw()[manifest].1).unwrap();
    for (place, value, what) in [
        ("/files/0/sections/0/rows", serde_json::json!(4), "has 3 rows in Shop / Orders, and the manifest says 4"),
        (
            "/files/0/sections/0/nested/0/rows",
            serde_json::json!(2),
            "has 3 rows in Shop / Orders's \"Items\", and the manifest says 2",
        ),
        ("/files/0/sections/1/rows", serde_json::json!(0), "has 3 rows in Shop / Visits, and the manifest says 0"),
        ("/files/0/sections/1/path/1", serde_json::json!("Visit"), "has no section Shop / Visit"),
    ] {
        let mut other = told.clone();
        *other.pointer_mut(place).unwrap() = value;
        let mut changed = parts.clone();
        changed.fill(manifest, &serde_json::to_vec_pretty(&other).unwrap());
        found(&changed.whole(), 1, "data.json", what);
    }
}

/// One archive for all flips.
async fn flipped(format: Format, signed: bool) -> (Vec<u8>, Vec<PublicKey>) {
    let db = Db::new(Engine::Sqlite, DATA).await;
    let bytes = bytes_of(&make(&db, asked(format, signed.then_some(1))).await);
    (bytes, vec![signer(1).public()])
}

#[test]
fn any_flipped_byte_is_found() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (format, signed) in [(Format::Json, true), (Format::Text, true), (Format::Json, false)] {
        let (bytes, keys) = runtime.block_on(flipped(format, signed));
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(80) };
        proptest!(config, |(at in 0..bytes.len(), bits in 1u8..=255)| {
            let mut changed = bytes.clone();
            changed[at] ^= bits;
            let report = judge(&changed, &keys);
            prop_assert_eq!(report.verdict(), Verdict::Broken, "byte {} of {}", at, bytes.len());
        });
    }
}
