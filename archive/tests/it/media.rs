//! Pictures and films from object stores: folders, a real S3 service, and services that misbehave.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use archive::catalogue::Catalogue;
use archive::manifest::OmissionKind;
use archive::source::Sources;
use archive::verify::manifest_of;
use archive::write::{ExportError, Failure, MediaSummary, Order, Progress, Summary};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wire::DataFormat;

use crate::support::{Db, Engine, Made, order, parse};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";

const DATA: &str = "
    create table posts (user_id bigint, n bigint, picture varchar(200));
    insert into posts values
        (7, 1, 'people/7/one.PNG'), (7, 2, null), (7, 3, 'people/7/one.PNG'), (7, 4, '/people/7/flat.bmp'), (7, 5, 'people/7/gone.png'),
        (7, 6, 'people/7/page.jpg'), (7, 7, 'people/7/large.mp4'), (7, 8, ''), (7, 9, 'people/7/film.mp4');
";

fn film(bytes: usize) -> Vec<u8> {
    let mut film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
    let mut dice = 1u64;
    while film.len() < bytes {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        film.extend_from_slice(&dice.to_le_bytes());
    }
    film.truncate(bytes);
    film
}

fn fill(folder: &Path) {
    let people = folder.join("people/7");
    std::fs::create_dir_all(&people).unwrap();
    let flat = [b"BM".to_vec(), vec![0; 100_000]].concat();
    let page = b"<!doctype html><script>alert(1)</script>".to_vec();
    for (name, bytes) in [
        ("one.PNG", PNG.to_vec()),
        ("flat.bmp", flat),
        ("page.jpg", page),
        ("large.mp4", film(2_000_000)),
        ("film.mp4", film(900_000)),
    ] {
        std::fs::write(people.join(name), bytes).unwrap();
    }
}

/// The posts, with their pictures in a store.
fn catalogue(db: &Db, store: &str, media: &str) -> Arc<Catalogue> {
    db.catalogue(&format!(
        "[store.pictures]\n{store}\n[[section]]\ncategories = [\"activity\"]\npath = [\"Posts\"]\nsource = \"db\"\nshape = \"list\"\n\
         owner = \"user_id\"\nhidden = [\"n\"]\n\
         query = '''select user_id, n, picture from posts where user_id = :subject order by n'''\n\
         [section.media]\ncolumn = \"picture\"\nstore = \"pictures\"\nmax_object = \"1 MiB\"\n{media}"
    ))
}

async fn make(db: &Db, catalogue: &Arc<Catalogue>, order: Order) -> Result<(Made, Summary), ExportError> {
    let sources = Sources::open(catalogue, db.folder.path()).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let out = file.reopen().unwrap();
    let progress = Arc::new(Progress::default());
    let summary = archive::write::write(catalogue.clone(), &sources, order, out, progress, CancellationToken::new()).await?;
    Ok((Made { file }, summary))
}

/// Name, whether it is stored, and bytes.
fn members(made: &Made) -> Vec<(String, bool, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(made.file.reopen().unwrap()).unwrap();
    (0..zip.len())
        .map(|at| {
            let mut member = zip.by_index(at).unwrap();
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            (member.name().unwrap().into_owned(), member.compression() == zip::CompressionMethod::Stored, bytes)
        })
        .collect()
}

/// What everybody must find who reads the posts as text files, from whatever store.
fn as_members(made: &Made, summary: &Summary) {
    let members = members(made);
    let [(text, _, words), (one, one_stored, one_bytes), (flat, flat_stored, flat_bytes), (last, last_stored, last_bytes)] =
        members.as_slice()
    else {
        panic!("{:?}", members.iter().map(|(name, ..)| name).collect::<Vec<_>>());
    };
    assert_eq!(text, "Data/Posts.txt");
    assert!(one.starts_with("Data/media/") && one.ends_with("-one.png"), "{one}");
    assert!(flat.ends_with("-flat.bmp") && last.ends_with("-film.mp4"), "{flat} {last}");
    assert_eq!((*one_stored, *flat_stored, *last_stored), (true, false, true), "what is compressed already is stored");
    assert!(one_bytes == PNG && flat_bytes.len() == 100_002 && *last_bytes == film(900_000));
    let words = String::from_utf8(words.clone()).unwrap();
    assert_eq!(words.matches(one.as_str()).count(), 2, "two posts with one picture: {words}");
    assert!(!words.contains("people/7"), "{words}");
    let left_out = [("missing", 1), ("too_large", 1), ("type", 1)].into_iter().collect();
    assert_eq!(summary.media["Posts"], MediaSummary { members: 3, bytes: (PNG.len() + 100_002 + 900_000) as u64, left_out });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_become_members_of_a_text_archive() {
    let db = Db::new(Engine::Sqlite, DATA).await;
    fill(&db.folder.path().join("objects"));
    let catalogue = catalogue(&db, "url = \"file:objects\"", "within = \"people/:subject/\"");
    let sources = Sources::open(&catalogue, db.folder.path()).await.unwrap();
    assert_eq!(sources.check(&catalogue).await.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    let (made, summary) = make(&db, &catalogue, order("activity", "7", DataFormat::Text)).await.unwrap();
    as_members(&made, &summary);
    let (again, _) = make(&db, &catalogue, order("activity", "7", DataFormat::Text)).await.unwrap();
    assert!(std::fs::read(made.path()).unwrap() == std::fs::read(again.path()).unwrap(), "the same bytes each time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_come_from_a_real_s3_service() {
    let (Ok(endpoint), Ok(folder)) = (std::env::var("TEST_S3_URL"), std::env::var("TEST_S3_FOLDER")) else {
        assert!(
            std::env::var("PORTWARD_SKIP_S3").as_deref() == Ok("1"),
            "TEST_S3_URL and TEST_S3_FOLDER are not set. Run ./test, which starts an S3 service, or set PORTWARD_SKIP_S3=1"
        );
        return;
    };
    let db = Db::new(Engine::Sqlite, DATA).await;
    let bucket = format!("media-{}", std::process::id());
    fill(&Path::new(&folder).join(&bucket).join("some where"));
    std::fs::write(db.folder.path().join("id"), "portward\n").unwrap();
    std::fs::write(db.folder.path().join("secret"), "portward-secret\n").unwrap();
    std::fs::write(db.folder.path().join("wrong"), "another-secret\n").unwrap();
    let store = |secret: &str| {
        format!(
            "url = \"s3://{bucket}/some where\"\nendpoint = \"{endpoint}\"\nregion = \"us-east-1\"\n\
             access_key_file = \"id\"\nsecret_key_file = \"{secret}\""
        )
    };
    let right = catalogue(&db, &store("secret"), "");
    let sources = Sources::open(&right, db.folder.path()).await.unwrap();
    assert_eq!(sources.check(&right).await.len(), 0);
    let (made, summary) = make(&db, &right, order("activity", "7", DataFormat::Text)).await.unwrap();
    as_members(&made, &summary);
    let wrong = catalogue(&db, &store("wrong"), "");
    let sources = Sources::open(&wrong, db.folder.path()).await.unwrap();
    let faults = sources.check(&wrong).await;
    assert!(faults.len() == 1 && faults[0].what.contains("refuses access"), "{faults:?}");
    assert!(make(&db, &wrong, order("activity", "7", DataFormat::Text)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_compatible_archive_has_links_and_one_member() {
    let db = Db::new(Engine::Sqlite, DATA).await;
    fill(&db.folder.path().join("objects"));
    let catalogue = catalogue(&db, "url = \"file:objects\"", "");
    let mut wanted = order("activity", "7", DataFormat::Json);
    wanted.identity.links = Some(Arc::new(|store, key| format!("https://gate.example/{store}/{key}")));
    let (made, summary) = make(&db, &catalogue, wanted).await.unwrap();
    let value: Value = made.value();
    assert_eq!(value["Posts"][0]["picture"], "https://gate.example/pictures/people/7/one.PNG");
    assert_eq!((&value["Posts"][1]["picture"], &value["Posts"][7]["picture"]), (&Value::Null, &Value::Null));
    assert!(summary.media.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_object_ends_the_request() {
    let db = Db::new(Engine::Sqlite, DATA).await;
    fill(&db.folder.path().join("objects"));
    let catalogue = catalogue(&db, "url = \"file:objects\"", "within = \"people/:subject/\"");
    for key in ["people/77/one.png", "people/7", "Xpeople/7/one.png", "//people/7/one.png"] {
        db.run(&format!("insert into posts values (7, 10, '{key}')")).await;
        for format in [DataFormat::Text, DataFormat::Json] {
            let failed = make(&db, &catalogue, order("activity", "7", format)).await.err().unwrap();
            assert!(matches!(failed, ExportError::Section { failure: Failure::Owner, .. }), "{key}: {failed:?}");
            assert_eq!((failed.reason(), failed.retryable()), ("owner_mismatch", false));
        }
        db.run("delete from posts where n = 10").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_leads_out_of_the_store_is_none() {
    let db = Db::new(Engine::Sqlite, "create table posts (user_id bigint, n bigint, picture varchar(200));").await;
    fill(&db.folder.path().join("objects/below"));
    std::fs::write(db.folder.path().join("objects/secret.png"), PNG).unwrap();
    let catalogue = catalogue(&db, "url = \"file:objects/below\"", "");
    for key in ["../secret.png", "people/../../secret.png", "people//one.png", "./people/7/one.PNG", "a\tb"] {
        db.run(&format!("delete from posts; insert into posts values (7, 1, '{key}')")).await;
        let (made, summary) = make(&db, &catalogue, order("activity", "7", DataFormat::Text)).await.unwrap();
        assert_eq!(members(&made).len(), 1, "{key}");
        assert_eq!(summary.media["Posts"].left_out, [("key", 1)].into_iter().collect(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_be_there_and_is_not_ends_the_request() {
    let db = Db::new(Engine::Sqlite, DATA).await;
    fill(&db.folder.path().join("objects"));
    let catalogue = catalogue(&db, "url = \"file:objects\"", "missing = \"fail\"");
    let failed = make(&db, &catalogue, order("activity", "7", DataFormat::Text)).await.err().unwrap();
    assert!(failed.to_string().contains("there is no such object") && !failed.to_string().contains("gone.png"), "{failed}");
    assert!(!failed.retryable());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_rows_have_pictures_too() {
    let data = "create table albums (id bigint, user_id bigint);
        create table pictures (album bigint, user_id bigint, n bigint, file varchar(40));
        insert into albums values (1, 7), (2, 7);
        insert into pictures values (1, 7, 1, 'people/7/one.PNG'), (1, 7, 2, 'people/7/gone.png'), (2, 7, 1, 'people/7/film.mp4');";
    let db = Db::new(Engine::Sqlite, data).await;
    fill(&db.folder.path().join("objects"));
    let catalogue = db.catalogue(
        r#"
[store.pictures]
url = "file:objects"
[[section]]
categories = ["activity"]
path = ["Albums"]
source = "db"
shape = "list"
owner = "user_id"
query = "select id, user_id from albums where user_id = :subject order by id"
[[section.nest]]
field = "Pictures"
on = { id = "album" }
owner = "user_id"
query = "select album, user_id, file from pictures where user_id = :subject order by album, n"
[section.nest.media]
column = "file"
store = "pictures"
within = "people/:subject/"
"#,
    );
    let (made, summary) = make(&db, &catalogue, order("activity", "7", archive::write::Format::Ndjson)).await.unwrap();
    let members = members(&made);
    let lines: Vec<Value> =
        String::from_utf8(members[0].2.clone()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = members[1..].iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(
        (lines[0]["Pictures"][0]["file"].as_str(), lines[1]["Pictures"][0]["file"].as_str()),
        (Some(names[0]), Some(names[1]))
    );
    assert!(names.len() == 2 && members[1].2 == PNG && members[2].2 == film(900_000));
    assert_eq!(summary.media["Albums / Pictures"].left_out, [("missing", 1)].into_iter().collect());
    // The manifest says of which field.
    let documents = Some(crate::documents::documents(None));
    for (format, wanted) in [
        (archive::write::Format::Ndjson, (OmissionKind::MediaLeftOut, Some("Pictures".to_owned()), Some(1))),
        (archive::write::Format::Json, (OmissionKind::MediaLinked, Some("Pictures.file".to_owned()), None)),
    ] {
        let (made, _) =
            make(&db, &catalogue, Order { documents: documents.clone(), ..order("activity", "7", format) }).await.unwrap();
        let omissions = manifest_of(made.file.reopen().unwrap()).unwrap().unwrap().omissions;
        let told: Vec<_> = omissions.into_iter().map(|one| (one.kind, one.field, one.values)).collect();
        assert_eq!(told, [wanted]);
    }
    // Another's picture in an own album.
    db.run("update pictures set file = 'people/8/one.PNG' where album = 2").await;
    let failed = make(&db, &catalogue, order("activity", "7", DataFormat::Json)).await.err().unwrap();
    assert_eq!(failed.reason(), "owner_mismatch");
}

/// How a service misbehaves.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It has an error of its own.
    Error,
    /// It takes the question and never answers.
    Silent,
    /// It begins, and says no more.
    Stuck,
    /// It closes in the middle, each time.
    Closes,
    /// It closes in the middle, and has another object when it is asked for the rest.
    Changes,
    /// It says that the object is longer than it is.
    Short,
    /// It answers with a page.
    Page,
}

/// A service that has one film for every key.
async fn service(trouble: Trouble, asked: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, trouble, asked.clone()));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, trouble: Trouble, asked: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    asked.fetch_add(1, Ordering::Relaxed);
    let film = film(900_000);
    let from = head
        .lines()
        .find_map(|line| line.strip_prefix("range: bytes="))
        .and_then(|range| range.split('-').next()?.parse::<usize>().ok());
    let told = |status: &str, headers: String| {
        format!(
            "HTTP/1.1 {status}\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nETag: \"e\"\r\nConnection: close\r\n{headers}\r\n"
        )
    };
    let rest = &film[from.unwrap_or(0)..];
    let whole = match from {
        None => told("200 OK", format!("Content-Length: {}\r\n", film.len())),
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{}\r\n", film.len() - 1, film.len());
            told("206 Partial Content", format!("Content-Length: {}\r\n{range}", rest.len()))
        }
    };
    let answer: Vec<u8> = match (trouble, from) {
        (Trouble::Error, _) => told("500 Internal Server Error", "Content-Length: 0\r\n".into()).into(),
        (Trouble::Silent, _) => {
            tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
            return;
        }
        (Trouble::Stuck, _) => {
            let _ = stream.write_all(&[whole.as_bytes(), &rest[..100_000]].concat()).await;
            tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
            return;
        }
        (Trouble::Changes, Some(_)) => told("412 Precondition Failed", "Content-Length: 0\r\n".into()).into(),
        (Trouble::Closes | Trouble::Changes, _) => [whole.as_bytes(), &rest[..rest.len().min(300_000)]].concat(),
        (Trouble::Short, _) => {
            let head = told("200 OK", "Content-Length: 1000000\r\n".into());
            [head.as_bytes(), &film].concat()
        }
        (Trouble::Page, _) => {
            let page = "<html><body>Please sign in</body></html>";
            told("200 OK", format!("Content-Length: {}\r\n", page.len())).into_bytes().into_iter().chain(page.bytes()).collect()
        }
    };
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

async fn from_service(trouble: Trouble) -> (Result<(Made, Summary), ExportError>, usize) {
    let data =
        "create table posts (user_id bigint, n bigint, picture varchar(200)); insert into posts values (7, 1, 'film.mp4');";
    let db = Db::new(Engine::Sqlite, data).await;
    for name in ["id", "secret"] {
        std::fs::write(db.folder.path().join(name), "x").unwrap();
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let endpoint = service(trouble, asked.clone()).await;
    let store = format!(
        "url = \"s3://bucket\"\nendpoint = \"{endpoint}\"\nregion = \"r\"\naccess_key_file = \"id\"\nsecret_key_file = \"secret\"\ntimeout = \"500 ms\""
    );
    let made = make(&db, &catalogue(&db, &store, ""), order("activity", "7", DataFormat::Text)).await;
    (made, asked.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_fails_the_attempt_and_another_may_succeed() {
    for (trouble, reason) in [
        (Trouble::Error, "source_down"),
        (Trouble::Silent, "timeout"),
        (Trouble::Stuck, "timeout"),
        (Trouble::Short, "query_failed"),
        (Trouble::Changes, "query_failed"),
    ] {
        let (made, _) = from_service(trouble).await;
        let failed = made.err().unwrap_or_else(|| panic!("{trouble:?} was taken for whole"));
        assert!(failed.retryable(), "{trouble:?}: {failed}");
        assert!(failed.reason() == reason || failed.reason() == "source_down", "{trouble:?}: {failed}");
        assert!(!failed.to_string().contains("film.mp4") && !failed.to_string().contains("127.0.0.1"), "{failed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_breaks_off_is_gone_on_with() {
    let (made, asked) = from_service(Trouble::Closes).await;
    let (made, summary) = made.unwrap();
    assert!(members(&made)[1].2 == film(900_000));
    assert_eq!((summary.media["Posts"].members, asked), (1, 3), "three pieces, asked for one after another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_in_the_place_of_a_film_is_left_out() {
    let (made, _) = from_service(Trouble::Page).await;
    let (made, summary) = made.unwrap();
    assert_eq!(members(&made).len(), 1);
    assert_eq!(summary.media["Posts"].left_out, [("type", 1)].into_iter().collect());
}

#[test]
fn what_the_catalogue_says_of_media_is_checked() {
    let told = |store: &str, media: &str| {
        let text = crate::support::head(Engine::Sqlite, "sqlite:data.db", "")
            + store
            + "\n[[section]]\ncategories = [\"activity\"]\npath = [\"Posts\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"user_id\"\n\
               query = '''select user_id, picture from posts where user_id = :subject'''\n"
            + media;
        parse(&text).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let store = "[store.pictures]\nurl = \"file:objects\"";
    let media = "[section.media]\ncolumn = \"picture\"\nstore = \"pictures\"\n";
    assert_eq!(told(store, media), "");
    for (store, media, wanted) in [
        ("", media, "a store `pictures` that is not declared"),
        ("[store.pictures]", media, "has no `url`"),
        ("[store.pictures]\nurl = \"ftp://x\"", media, "names no store"),
        ("[store.pictures]\nurl = \"s3://b\"\naccess_key_file = \"a\"", media, "no `secret_key_file`"),
        (store, "[section.media]\nstore = \"pictures\"\n", "has no `column`"),
        (store, &format!("{media}types = [\"html\"]\n"), "is no type of media"),
        (store, &format!("{media}types = []\n"), "allows nothing"),
        (store, &format!("{media}within = \"people/:subject\"\n"), "does not keep one person's objects"),
        (store, &format!("{media}within = \"people/\"\n"), "does not keep one person's objects"),
        (store, &format!("{media}max_object = \"9000 GiB\"\n"), "`max_object` is"),
        (store, &format!("{media}colour = \"red\"\n"), "unknown key `colour`"),
        (
            store,
            &format!("{media}[section.fields]\npicture = {{ type = \"string\", rule = \"omit\" }}\n"),
            "holds media and has a rule",
        ),
    ] {
        let told = told(store, media);
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}
