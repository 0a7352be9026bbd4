//! The open books, read by somebody who is not signed in.

use std::io::Cursor;

use testkit::page::text_of;

use crate::support::{Archive, CATALOGUE, Engine, Plan, both};

async fn anyone_reads_what_can_be_exported_and_how_it_changed(engine: Engine) {
    let mut portward = Plan::new(engine).install();
    portward.serve(&[]);
    let get = async |portward: &crate::support::Portward, path: &str| {
        let response = portward.http.get(format!("{}{path}", portward.base)).send().await.expect("an answer");
        let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
        (response.status().as_u16(), kind, response.bytes().await.expect("a body"))
    };
    let (status, _, page) = get(&portward, "/developers/catalogue").await;
    let html = String::from_utf8_lossy(&page).into_owned();
    let text = text_of(&html);
    assert_eq!(status, 200);
    for wanted in [
        "Your activity",
        "What you watched",
        "portability.activity",
        "Watch History / VideoList",
        "Link, Title",
        "2027-01-01",
        "user.info.stats",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert!(!text.contains("user_id"), "hidden columns are nobody's business");

    // An operator's own catalogue has a sample too: in the real layout, with made-up values, and nothing of anybody.
    let (status, kind, sample) = get(&portward, "/developers/catalogue/sample/2027-01-01.zip").await;
    assert_eq!((status, kind.as_str()), (200, "application/zip"));
    Archive::open(&sample);
    let contents = archive::read::inspect_reader(Cursor::new(&sample[..]), None).expect("an archive");
    assert_eq!(contents.rows(&["Your Activity", "Watch History", "VideoList"]), 3);
    assert_eq!(contents.rows(&["Direct Message", "Messages", "List"]), 3);
    let mut plain = String::new();
    std::io::Read::read_to_string(
        &mut zip::ZipArchive::new(Cursor::new(&sample[..])).expect("a ZIP").by_index(0).expect("a member"),
        &mut plain,
    )
    .expect("text");
    assert!(plain.contains("Made-up Title 1") && !plain.contains("clips.example") && !plain.contains("message of"), "{plain}");

    let (status, kind, feed) = get(&portward, "/developers/catalogue/feed.atom").await;
    assert_eq!((status, kind.as_str()), (200, "application/atom+xml; charset=utf-8"));
    assert!(String::from_utf8_lossy(&feed).contains("Edition 2027-01-01"));
    for unknown in ["2026-01-01.zip", "2027-01-01", "..%2Fportward.toml.zip", "%00.zip"] {
        assert_eq!(get(&portward, &format!("/developers/catalogue/sample/{unknown}")).await.0, 404, "{unknown}");
    }

    // Another edition: what changed is told, and the earlier sample stays.
    let later = CATALOGUE.replace("2027-01-01", "2027-06-01 <b>").replace("What you wrote", "What you wrote and got");
    let later = later.replace(r#"title as "Title""#, r#"title as "Title", 1 as "Seen""#);
    std::fs::write(portward.path("catalog.toml"), later).expect("a catalogue");
    portward.serve(&[]);
    let (_, _, page) = get(&portward, "/developers/catalogue").await;
    let html = String::from_utf8_lossy(&page).into_owned();
    let text = text_of(&html);
    assert!(text.contains("Category direct_message is described in other words."), "{text}");
    assert!(text.contains("Section Your Activity / Watch History / VideoList has more fields: Seen."), "{text}");
    assert!(!html.contains("2027-06-01 <b>"), "the name of an edition stays text");
    assert_eq!(get(&portward, "/developers/catalogue/sample/2027-01-01.zip").await.2, sample);
    assert_eq!(get(&portward, "/developers/catalogue/sample/2027-06-01%20%3Cb%3E.zip").await.0, 200);
    let (_, _, feed) = get(&portward, "/developers/catalogue/feed.atom").await;
    let feed = String::from_utf8_lossy(&feed).into_owned();
    assert!(
        feed.find("2027-06-01").is_some_and(|new| feed.find("Edition 2027-01-01").is_some_and(|old| new < old)),
        "newest first: {feed}"
    );
    assert!(!feed.contains("<b>"), "{feed}");

    // The same name for something else is noticed.
    let renamed = CATALOGUE.replace("What you wrote", "Something else");
    std::fs::write(portward.path("catalog.toml"), renamed).expect("a catalogue");
    portward.serve(&[]);
    assert!(portward.log_of_this_life().contains("give it another `edition`"));
}

both!(anyone_reads_what_can_be_exported_and_how_it_changed);

async fn sizes_are_told_only_of_many_people(engine: Engine) {
    let mut portward = Plan::new(engine).install();
    portward.serve(&[]);
    let app = portward.number("select app_id from apps where name = 'Clipkeeper'").await;
    let anna = portward.number("select person_id from people").await;
    let read = async |portward: &crate::support::Portward| {
        let page = portward.http.get(format!("{}/developers/catalogue", portward.base)).send().await.expect("a page");
        text_of(&page.text().await.expect("a body"))
    };
    // Archives as they lie after downloads of many people: 19 are too few, and the many archives of one person are one.
    let archive = |number: i64, person: i64| {
        format!(
            "insert into grants (grant_id, app_id, person_id, open_id, created_at, touched_at) values ({number}, {app}, {person}, 'o{number}', 1, 1);
             insert into requests (request_id, grant_id, app_id, person_id, format, categories, category_key, status, attempt, applied_at)
               values ({number}, {number}, {app}, {person}, 'json', '[\"activity\"]', 'json activity', 'ready', 1, 1);
             insert into archives (request_id, attempt, object, sealed_key, size, sha256, created_at)
               values ({number}, 1, 'none/{number}', {}, {}, '', 1);",
            if engine == Engine::Sqlite { "x'00'" } else { "'\\x00'" },
            1_234_567 + number
        )
    };
    for number in 1..=18 {
        portward.add_person(&format!("p{number}"), &(100 + number).to_string(), "DE");
    }
    let people = portward.rows(&format!("select person_id from people where person_id <> {anna}")).await;
    for (number, person) in people.iter().enumerate() {
        portward.execute(&archive(number as i64 + 1, person["person_id"].as_i64().expect("an id")));
    }
    for number in 100..120 {
        portward.execute(&archive(number, anna));
    }
    assert!(!read(&portward).await.contains("an archive has about"), "19 people");
    portward.add_person("p19", "119", "DE");
    let last = portward.number("select person_id from people where username = 'p19'").await;
    portward.execute(&archive(200, last));
    // What was counted is told again for some minutes; a new start counts anew.
    portward.serve(&[]);
    let text = read(&portward).await;
    assert!(text.contains("an archive has about 2.0 MB, nine of ten at most 2.0 MB"), "{text}");
}

both!(sizes_are_told_only_of_many_people);

async fn anyone_reads_how_applications_are_reviewed(engine: Engine) {
    let toml = "[review]\nusual = 7\nlimit = 12\ntriage = 1\nholidays = [\"2099-12-25\"]\ntime_zone = \"Europe/Dublin\"\n";
    let mut portward = Plan::new(engine).toml(toml).install();
    portward.serve(&[]);
    let page = portward.http.get(format!("{}/developers/review", portward.base)).send().await.expect("a page");
    assert_eq!(page.status(), 200);
    let html = page.text().await.expect("a body");
    let text = text_of(&html);
    for wanted in [
        "Usual",
        "7 working days",
        "12 working days",
        "Within 1 working day",
        "Europe/Dublin",
        "Friday, 25 December 2099",
        "SCOPE_NOT_NEEDED",
        "LANGUAGE_NOT_ENABLED",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert!(text.contains("Nothing was decided in the last 90 days"), "{text}");
    // Every code that the checklist names leads to its cure.
    for code in html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(html.contains(&format!("id=\"{code}\"")), "{code}");
    }
}

both!(anyone_reads_how_applications_are_reviewed);
