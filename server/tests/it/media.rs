//! Links to media in the compatible archive: they lead to the object, for as long as the archive is there.

use serde_json::Value;
use testkit::person::Answer;

use crate::support::{Engine, Plan, Portward, both, clips};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture, and long enough for ranges";

fn plan(engine: Engine) -> Portward {
    let catalogue = crate::support::CATALOGUE.to_owned()
        + "\n[store.pictures]\nurl = \"file:objects\"\n\
           [[section]]\ncategories = [\"activity\"]\npath = [\"Pictures\"]\nsource = \"clips\"\nshape = \"list\"\nowner = \"user_id\"\n\
           query = '''select user_id, picture from pictures where user_id = :subject order by picture'''\n\
           [section.media]\ncolumn = \"picture\"\nstore = \"pictures\"\nwithin = \"people/:subject/\"\n";
    let clips = clips()
        + "; create table pictures (user_id integer, picture text);
             insert into pictures values (7, 'people/7/one.png'), (7, 'people/7/two.png'), (8, 'people/8/theirs.png');";
    let portward = Plan::new(engine).catalogue(catalogue).clips(clips).install();
    for (person, name) in [("7", "one.png"), ("8", "theirs.png")] {
        let folder = portward.path("objects").join("people").join(person);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), PNG).unwrap();
    }
    portward
}

fn document(archive: &[u8]) -> Value {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).expect("a ZIP");
    assert_eq!(zip.len(), 1, "the compatible archive has one member");
    serde_json::from_reader(zip.by_name("data.json").expect("the document")).expect("JSON")
}

async fn get(link: &str, range: Option<&str>) -> Answer {
    let client = testkit::person::http();
    let call = client.get(link);
    let call = match range {
        Some(range) => call.header("range", range),
        None => call,
    };
    Answer::read(call.send().await.expect("an answer")).await
}

both!(a_link_ends_with_its_archive, somebody_elses_picture_ends_the_request);

async fn a_link_ends_with_its_archive(engine: Engine) {
    let mut portward = plan(engine);
    portward.serve(&[]);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, request_id).await, "downloading");
    let body = serde_json::json!({ "request_id": request_id });
    let archive = Answer::read(portward.call("download", &tokens.access, &body).send().await.expect("an answer")).await;
    let document = document(&archive.bytes);
    let pictures = &document["Pictures"];
    let links: Vec<&str> = pictures.as_array().unwrap().iter().map(|row| row["picture"].as_str().unwrap()).collect();
    let [one, two] = links.as_slice() else { panic!("{links:?}") };
    assert!(one.starts_with(&portward.url(&format!("/media/{request_id}/"))) && !one.contains("one.png"), "{one}");

    let whole = get(one, None).await;
    assert_eq!((whole.status, &whole.bytes[..]), (200, PNG));
    for (header, wanted) in [
        ("content-disposition", "attachment"),
        ("content-type", "application/octet-stream"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", "sandbox; default-src 'none'"),
    ] {
        assert_eq!(whole.headers[header], wanted, "{header}");
    }
    let part = get(one, Some("bytes=1-3")).await;
    assert_eq!((part.status, &part.bytes[..]), (206, &PNG[1..4]));
    assert_eq!(get(one, Some("bytes=1000-")).await.status, 416);
    assert_eq!(get(two, None).await.status, 404, "the store has no such object");
    let head = testkit::person::http().head(*one).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()),
        (200, PNG.len().to_string().as_str())
    );

    // Neither another request nor an altered link opens it.
    let token = one.rsplit('/').next().unwrap();
    let altered = format!("{}{}", &token[..token.len() - 3], "AAA");
    for link in
        [format!("/media/{}/{token}", request_id + 1), format!("/media/{request_id}/{altered}"), format!("/media/x/{token}")]
    {
        assert!([400, 404].contains(&get(&portward.url(&link), None).await.status), "{link}");
    }
    let noted = "select count(*) from access_log where call = 'media'";
    let noted = crate::support::eventually(10, async || (portward.number(noted).await == 2).then_some(())).await;
    assert!(noted.is_some(), "what was sent is on record");

    let cancelled = portward.data("cancel", &tokens.access, &serde_json::json!({ "request_id": request_id })).await;
    assert_eq!(cancelled.status, 200);
    assert_eq!(get(one, None).await.status, 404, "the link ended with the archive");
}

async fn somebody_elses_picture_ends_the_request(engine: Engine) {
    let mut portward = plan(engine);
    crate::support::sqlite(&portward.path("clips.db"), "insert into pictures values (7, 'people/8/theirs.png')");
    portward.serve(&[]);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, request_id).await, "expired");
    assert!(portward.log().contains("owner_mismatch"));
}
