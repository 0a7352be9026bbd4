//! Every shape, in both formats, byte for byte, the same on both engines.

use std::path::{Path, PathBuf};

use archive::write::Format;
use wire::DataFormat;

use crate::both;
use crate::support::{Db, Engine};

const DATA: &str = "
    create table people (id bigint primary key, user_name text, followers bigint, settings text, interests text);
    create table watch (id bigint primary key, user_id bigint, at_ms bigint, link text, title text, done integer);
    create table messages (id bigint primary key, user_id bigint, chat text, at_s bigint, sender text, content text);
    create table rooms (user_id bigint, room bigint, link text);
    insert into people values (1, 'ada', 12, '{\"Language\":\"en\",\"Push\":{\"Fans\":\"On\",\"Likes\":\"Off\"},\"Words\":[\"a\",\"b\"],\"None\":[]}', 'A | B'),
        (2, 'bob', 0, '{}', '');
    insert into watch values (1, 1, 1767225599999, 'https://v.example/1/', 'Älter \"quoted\"', 1),
        (2, 1, 1767225600000, 'https://v.example/2/', null, 0), (3, 2, 1767225600000, 'https://v.example/3/', 'not hers', 0);
    insert into messages values (1, 1, 'bob', 1767225600, 'bob', 'hi'), (2, 1, 'bob', 1767225660, 'ada', 'two' || chr(10) || 'lines'),
        (3, 1, 'cyd', 1767225600, 'cyd', '🙂 Привет');
    insert into rooms values (1, 7300000000000000001, 'https://l.example/1/'), (1, 7300000000000000002, 'https://l.example/2/');
";

const SECTIONS: &str = r#"
[[section]]
categories = ["activity"]
path = ["Your Activity", "Watch History", "VideoList"]
source = "db"
shape = "list"
empty = "null"
owner = "user_id"
key = ["id"]
hidden = ["id"]
time = "at_ms"
query = """
select id, user_id, at_ms as "Date", link as "VideoLink", title as "Title", done as "Done"
from watch
where user_id = :subject and at_ms >= :since and at_ms < :until
order by at_ms desc, id;
-- newest first"""
[section.fields]
Date = { type = "timestamp", from = "unix_ms" }
Done = { type = "boolean", label = "Watched to the End" }

[[section]]
categories = []
path = ["Profile", "Info", "App"]
shape = "constant"
value = 0

[[section]]
categories = []
path = ["Profile", "Info", "ProfileMap"]
text = "Profile/Profile Info.txt"
source = "db"
shape = "object"
owner = "id"
query = "select id, user_name as \"userName\", followers as \"followerCount\", settings as \"Settings\" from people where id = :subject"
[section.fields]
Settings = { type = "json" }

[[section]]
categories = ["activity"]
path = ["Direct Message", "ChatHistory"]
text = "Direct Message/Direct Messages.txt"
source = "db"
shape = "groups"
group = "chat"
empty = "{}"
owner = "user_id"
text_line = "{Date} {From}: {Content}"
text_group = ">>> {group}:"
query = """select user_id, 'Chat History with ' || chat || ':' as chat, at_s as "Date", sender as "From", content as "Content"
  from messages where user_id = :subject order by 2, id"""
[section.fields]
Date = { type = "timestamp", from = "unix_s", as = "%Y-%m-%d %H:%M:%S UTC" }

[[section]]
categories = []
path = ["Live", "Watch", "WatchLiveMap"]
text = "Live/Watch Live History.txt"
source = "db"
shape = "map"
key = "room"
owner = "user_id"
query = "select user_id, room, link as \"Link\" from rooms where user_id = :subject order by room"

[[section]]
categories = ["activity"]
path = ["Your Activity", "Ad Interests", "AdInterestCategories"]
text = "Your Activity/Ad Interests.txt"
source = "db"
shape = "value"
owner = "id"
query = "select id, interests from people where id = :subject"

[[section]]
categories = []
path = ["Profile", "AISelfImage"]
shape = "constant"
empty = "{}"

[[section]]
categories = ["activity"]
path = ["Your Activity", "Purchases", "SendGifts", "SendGifts"]
text = "Your Activity/Purchases.txt"
text_title = "Send Gifts History:"
source = "db"
shape = "list"
empty = "null"
owner = "user_id"
query = "select user_id, link as \"Gift\" from watch where user_id = :subject and id < 0"

[[section]]
categories = ["activity"]
path = ["Your Activity", "Purchases", "BuyGifts", "BuyGifts"]
text = "Your Activity/Purchases.txt"
text_title = "Buy Gifts History:"
source = "db"
shape = "list"
empty = "null"
owner = "user_id"
query = "select user_id, link as \"Gift\" from watch where user_id = :subject and id = 1"
"#;

async fn db(engine: Engine) -> Db {
    let data = match engine {
        Engine::Sqlite => DATA.replace("chr(10)", "char(10)"),
        Engine::Postgres | Engine::Mysql => DATA.to_owned(),
    };
    Db::new(engine, &data).await
}

async fn everything_as_json(engine: Engine) {
    let db = db(engine).await;
    let catalogue = db.catalogue(SECTIONS);
    assert_eq!(db.sources(&catalogue).await.check(&catalogue).await, []);
    let (made, summary) = db.export(&catalogue, "all_data", "1", DataFormat::Json).await.unwrap();
    let wanted = concat!(
        r#"{"Your Activity":{"Watch History":{"VideoList":[{"Date":"2026-01-01 00:00:00","VideoLink":"https://v.example/2/","Title":null,"Done":false},"#,
        r#"{"Date":"2025-12-31 23:59:59","VideoLink":"https://v.example/1/","Title":"Älter \"quoted\"","Done":true}]},"#,
        r#""Ad Interests":{"AdInterestCategories":"A | B"},"#,
        r#""Purchases":{"SendGifts":{"SendGifts":null},"BuyGifts":{"BuyGifts":[{"Gift":"https://v.example/1/"}]}}},"#,
        r#""Profile":{"Info":{"App":0,"ProfileMap":{"userName":"ada","followerCount":12,"#,
        r#""Settings":{"Language":"en","Push":{"Fans":"On","Likes":"Off"},"Words":["a","b"],"None":[]}}},"AISelfImage":{}},"#,
        r#""Direct Message":{"ChatHistory":{"Chat History with bob:":[{"Date":"2026-01-01 00:00:00 UTC","From":"bob","Content":"hi"},"#,
        r#"{"Date":"2026-01-01 00:01:00 UTC","From":"ada","Content":"two\nlines"}],"#,
        r#""Chat History with cyd:":[{"Date":"2026-01-01 00:00:00 UTC","From":"cyd","Content":"🙂 Привет"}]}},"#,
        r#""Live":{"Watch":{"WatchLiveMap":{"7300000000000000001":{"Link":"https://l.example/1/"},"7300000000000000002":{"Link":"https://l.example/2/"}}}}}"#,
    );
    assert_eq!(made.json(), wanted);
    assert_eq!(summary.files.len(), 1);
    assert_eq!(summary.json_bytes, wanted.len() as u64);
    let rows: Vec<_> = summary.sections.iter().map(|section| (section.path.last().unwrap().as_str(), section.rows)).collect();
    assert_eq!(
        rows,
        [
            ("VideoList", 2),
            ("AdInterestCategories", 1),
            ("SendGifts", 0),
            ("BuyGifts", 1),
            ("ProfileMap", 1),
            ("ChatHistory", 3),
            ("WatchLiveMap", 2)
        ]
    );
}

async fn a_category_takes_its_roots_only(engine: Engine) {
    let db = db(engine).await;
    let catalogue = db.catalogue(SECTIONS);
    let (by_name, _) = db.export(&catalogue, "activity", "1", DataFormat::Json).await.unwrap();
    let roots: Vec<String> = by_name.value().as_object().unwrap().keys().cloned().collect();
    assert_eq!(roots, ["Your Activity", "Direct Message"]);
    let (by_alias, _) = db.export(&catalogue, "activities", "1", DataFormat::Json).await.unwrap();
    assert_eq!(by_alias.json(), by_name.json());
}

async fn nobody_has_empties(engine: Engine) {
    let db = db(engine).await;
    let catalogue = db.catalogue(SECTIONS);
    let (made, _) = db.export(&catalogue, "all_data", "99", DataFormat::Json).await.unwrap();
    assert_eq!(
        made.json(),
        concat!(
            r#"{"Your Activity":{"Watch History":{"VideoList":null},"Ad Interests":{"AdInterestCategories":null},"#,
            r#""Purchases":{"SendGifts":{"SendGifts":null},"BuyGifts":{"BuyGifts":null}}},"#,
            r#""Profile":{"Info":{"App":0,"ProfileMap":{}},"AISelfImage":{}},"Direct Message":{"ChatHistory":{}},"Live":{"Watch":{"WatchLiveMap":{}}}}"#,
        )
    );
    let (made, _) = db.export(&catalogue, "all_data", "99", DataFormat::Text).await.unwrap();
    assert_eq!(made.text("Data/Your Activity/Watch History.txt"), "Watch History:\n\nYou have no data in this section\n");
    assert_eq!(
        made.text("Data/Your Activity/Purchases.txt"),
        "Send Gifts History:\n\nYou have no data in this section\n\nBuy Gifts History:\n\nYou have no data in this section\n"
    );
}

async fn everything_as_text(engine: Engine) {
    let db = db(engine).await;
    let catalogue = db.catalogue(SECTIONS);
    let (made, summary) = db.export(&catalogue, "all_data", "1", DataFormat::Text).await.unwrap();
    assert_eq!(summary.files.len(), 6);
    let wanted = [
        (
            "Data/Your Activity/Watch History.txt",
            "Date: 2026-01-01 00:00:00 UTC\nVideo Link: https://v.example/2/\nTitle: N/A\nWatched to the End: false\n\n\
             Date: 2025-12-31 23:59:59 UTC\nVideo Link: https://v.example/1/\nTitle: Älter \"quoted\"\nWatched to the End: true\n",
        ),
        (
            "Data/Profile/Profile Info.txt",
            "User Name: ada\nFollower Count: 12\n\nSettings:\nLanguage: en\nWords: [a, b]\nNone: []\n\nPush:\nFans: On\nLikes: Off\n",
        ),
        (
            "Data/Direct Message/Direct Messages.txt",
            ">>> Chat History with bob::\n\n2026-01-01 00:00:00 UTC bob: hi\n2026-01-01 00:01:00 UTC ada: two\n    lines\n\n\
             >>> Chat History with cyd::\n\n2026-01-01 00:00:00 UTC cyd: 🙂 Привет\n",
        ),
        (
            "Data/Live/Watch Live History.txt",
            ">>> 7300000000000000001:\n\nLink: https://l.example/1/\n\n>>> 7300000000000000002:\n\nLink: https://l.example/2/\n",
        ),
        ("Data/Your Activity/Ad Interests.txt", "Ad Interest Categories: A | B\n"),
        (
            "Data/Your Activity/Purchases.txt",
            "Send Gifts History:\n\nYou have no data in this section\n\nBuy Gifts History:\n\nGift: https://v.example/1/\n",
        ),
    ];
    let wanted: Vec<(String, String)> = wanted.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    assert_eq!(made.members(), wanted);
}

/// Compares with the files under `golden/`, or writes them when `UPDATE_SNAPSHOTS=1`. The client's reader of rows is tried on the same files.
async fn everything_as_files(engine: Engine) {
    let db = db(engine).await;
    let catalogue = db.catalogue(SECTIONS);
    for format in [Format::Ndjson, Format::Csv] {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/it/golden", format.as_str()].iter().collect();
        let (made, _) = db.export(&catalogue, "all_data", "1", format).await.unwrap();
        let members = made.members();
        if std::env::var("UPDATE_SNAPSHOTS").as_deref() == Ok("1") {
            for (name, text) in &members {
                let path = folder.join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
        }
        for (name, text) in &members {
            let wanted = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert_eq!(*text, wanted, "{name}: look at it, then run with UPDATE_SNAPSHOTS=1");
        }
        assert_eq!(files_below(&folder), members.len(), "{format}: a file that no archive has any more");
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

both!(files, super::everything_as_files);
both!(json, super::everything_as_json);
both!(roots, super::a_category_takes_its_roots_only);
both!(empties, super::nobody_has_empties);
both!(text, super::everything_as_text);
