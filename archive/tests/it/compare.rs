//! An archive against its source: every row that was deleted, added or changed there is found, and told by section.

use std::sync::Arc;

use archive::compare::{By, Bytes, Compared, Comparison, Question, compare};
use archive::verify::manifest_of;
use archive::write::{Format, Identity, Order};
use tokio_util::sync::CancellationToken;

use crate::documents::{DATA, SECTIONS, asked, make};
use crate::support::{Db, Engine, Made, order};
use crate::{both, three};

async fn against(db: &Db, made: &Made) -> Comparison {
    let catalogue = db.catalogue(SECTIONS);
    let sources = db.sources(&catalogue).await;
    let file = made.file.reopen().unwrap();
    let question = Question {
        person: "7".into(),
        categories: None,
        manifest: manifest_of(file.try_clone().unwrap()).unwrap(),
        at: "2026-04-01T00:00:00Z".parse().unwrap(),
    };
    compare(catalogue, &sources, &file, question).await.unwrap()
}

fn counts(compared: &Compared) -> (u64, u64, u64) {
    (compared.missing, compared.extra, compared.changed)
}

async fn differences_are_told_by_section(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    for documents in [true, false] {
        let mut order = asked(Format::Json, Some(1));
        if !documents {
            // As the wire has it: nothing says what was asked for, so everything is read again.
            order = Order { documents: None, since: None, categories: vec!["all_data".into()], ..order };
        }
        let made = make(&db, order).await;
        let same = against(&db, &made).await;
        assert!(same.is_same(), "{same:?}");
        assert_eq!(same.sections[0].by, By::Key);
        // Pseudonyms are made anew for every grant; what rules leave out is told.
        assert_eq!(same.sections[0].not_compared, ["seller"]);
        assert!(same.sections[0].omitted.iter().any(|omitted| omitted.field == "product" && omitted.left_out));

        db.run("delete from items where order_id = 3; delete from orders where id = 3").await;
        let found = against(&db, &made).await;
        assert_eq!((counts(&found.sections[0]), counts(&found.sections[1])), ((0, 1, 0), (0, 0, 0)), "deleted at the source");
        assert_eq!(found.sections[0].records, ["extra: id=3"]);
        assert_eq!((found.sections[0].archive_rows, found.sections[0].source_rows), (3, 2));

        db.run("insert into orders values (3, 7, 'wed', 'bob', null); insert into items values (3, 1, 7, 'cup')").await;
        assert!(against(&db, &made).await.is_same(), "and it came back");
        db.run("insert into orders values (9, 7, 'sun', 'bob', null)").await;
        let found = against(&db, &made).await;
        assert_eq!((counts(&found.sections[0]), found.sections[0].records.clone()), ((1, 0, 0), vec!["missing: id=9".into()]));
        db.run("delete from orders where id = 9; update orders set day = 'fri' where id = 2").await;
        let found = against(&db, &made).await;
        assert_eq!((counts(&found.sections[0]), found.sections[0].records.clone()), ((0, 0, 1), vec!["changed: id=2".into()]));
        // A row within a row.
        db.run("update orders set day = 'tue' where id = 2; update items set title = 'mug' where order_id = 3").await;
        let found = against(&db, &made).await;
        assert_eq!((counts(&found.sections[0]), found.sections[0].records.clone()), ((0, 0, 1), vec!["changed: id=3".into()]));
        db.run("update items set title = 'cup' where order_id = 3").await;

        // A section without a key that is written: by all that its rows hold.
        db.run("update visits set at = 2001 where id = 2").await;
        let found = against(&db, &made).await;
        assert_eq!((counts(&found.sections[0]), counts(&found.sections[1])), ((0, 0, 0), (1, 1, 0)));
        assert_eq!(found.sections[1].by, By::Content);
        db.run("update visits set at = 2000 where id = 2").await;
        // The same rows in another order.
        db.run("update visits set id = 30 - id where page = 'home'").await;
        let found = against(&db, &made).await;
        assert!(found.sections[1].reordered && !found.is_same());
        db.run("update visits set id = 30 - id where page = 'home'").await;
        assert!(against(&db, &made).await.is_same());
    }
}
both!(differences, super::differences_are_told_by_section);

async fn texts_are_compared_by_their_blocks(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let made = make(&db, asked(Format::Text, None)).await;
    assert!(against(&db, &made).await.is_same());
    for (change, back, wanted) in [
        ("update orders set seller = 'zoe' where id = 1", "update orders set seller = 'bob' where id = 1", (0, 0, 0)),
        ("update orders set day = 'fri' where id = 2", "update orders set day = 'tue' where id = 2", (1, 1, 0)),
        ("delete from items where pos = 2", "insert into items values (1, 2, 7, 'ink')", (0, 1, 0)),
    ] {
        db.run(change).await;
        let found = against(&db, &made).await;
        assert_eq!(counts(&found.sections[0]), wanted, "{change}: {found:?}");
        assert_eq!(found.is_same(), wanted == (0, 0, 0));
        db.run(back).await;
    }
}
both!(texts, super::texts_are_compared_by_their_blocks);

/// The same sections on every engine: where two connections cannot see one state, what is nested and looked up comes from sources of other names.
fn sections(db: &Db) -> String {
    if db.engine != Engine::Mysql {
        return SECTIONS.to_owned();
    }
    let apart = SECTIONS
        .replace("[[section.nest]]", "[[section.nest]]\nsource = \"beside\"")
        .replace("column = \"product\"\nsource = \"db\"", "column = \"product\"\nsource = \"behind\"");
    let source = |name: &str| format!("[source.{name}]\nkind = \"mysql\"\nurl = \"{}\"\n", db.url());
    source("beside") + &source("behind") + &apart
}

async fn everything_is_found_in_every_form(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let catalogue = db.catalogue(&sections(&db));
    let sources = db.sources(&catalogue).await;
    for format in Format::ALL {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (out, progress) = (file.reopen().unwrap(), Arc::default());
        archive::write::write(catalogue.clone(), &sources, asked(format, None), out, progress, CancellationToken::new())
            .await
            .unwrap();
        let again = || async {
            let file = file.reopen().unwrap();
            let question = Question {
                person: "7".into(),
                categories: None,
                manifest: manifest_of(file.try_clone().unwrap()).unwrap(),
                at: "2026-04-01T00:00:00Z".parse().unwrap(),
            };
            compare(catalogue.clone(), &sources, &file, question).await.unwrap()
        };
        let keyed = format != Format::Text;
        // A record that is told apart by its key is changed; one that is not is missing and extra.
        let changed = if keyed { (0, 0, 1) } else { (1, 1, 0) };
        for (what, change, back, orders, visits) in [
            ("nothing", "delete from visits where id = 77", "delete from visits where id = 77", (0, 0, 0), (0, 0, 0)),
            (
                "deleted",
                "delete from orders where id = 2",
                "insert into orders values (2, 7, 'tue', 'eve', 51)",
                (0, 1, 0),
                (0, 0, 0),
            ),
            (
                "added",
                "insert into orders values (9, 7, 'sun', null, null)",
                "delete from orders where id = 9",
                (1, 0, 0),
                (0, 0, 0),
            ),
            (
                "changed",
                "update orders set day = 'fri' where id = 2",
                "update orders set day = 'tue' where id = 2",
                changed,
                (0, 0, 0),
            ),
            (
                "changed within",
                "update items set title = 'mug' where order_id = 3",
                "update items set title = 'cup' where order_id = 3",
                if keyed { (0, 0, 1) } else { (1, 1, 0) },
                (0, 0, 0),
            ),
            (
                "looked up",
                "update products set name = 'Table' where id = 50",
                "update products set name = 'Desk' where id = 50",
                changed,
                (0, 0, 0),
            ),
            (
                "another person's pseudonym, which differs anyway",
                "update orders set seller = 'zoe' where id = 2",
                "update orders set seller = 'eve' where id = 2",
                (0, 0, 0),
                (0, 0, 0),
            ),
            (
                "nobody in the place of a pseudonym",
                "update orders set seller = null where id = 2",
                "update orders set seller = 'eve' where id = 2",
                changed,
                (0, 0, 0),
            ),
            (
                "in a group",
                "update visits set at = 2001 where id = 2",
                "update visits set at = 2000 where id = 2",
                (0, 0, 0),
                (1, 1, 0),
            ),
        ] {
            db.run(change).await;
            let found = again().await;
            assert_eq!(
                (counts(&found.sections[0]), counts(&found.sections[1])),
                (orders, visits),
                "{format}, {what}: {found:#?}"
            );
            assert_eq!(found.is_same(), (orders, visits) == ((0, 0, 0), (0, 0, 0)), "{format}, {what}");
            db.run(back).await;
        }
        assert!(again().await.is_same(), "{format}");
    }
}
three!(every_form, super::everything_is_found_in_every_form);

/// A field that the archive does not have, because there was no secret for it, says nothing of the source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_without_secrets_can_be_compared() {
    let db = Db::new(Engine::Sqlite, DATA).await;
    db.run("update orders set seller = null where id = 1").await;
    for format in Format::ALL {
        let bare = Order { identity: Identity::default(), documents: None, since: None, ..asked(format, None) };
        let made = make(&db, Order { categories: vec!["all_data".into()], ..bare }).await;
        let found = against(&db, &made).await;
        assert!(found.is_same(), "{format}: {found:#?}");
        db.run("update orders set day = 'sat' where id = 1").await;
        assert!(!against(&db, &made).await.is_same(), "{format}");
        db.run("update orders set day = 'mon' where id = 1").await;
    }
}

const POSTS: &str = "
[store.pictures]
url = \"file:objects\"
[[section]]
categories = [\"activity\"]
path = [\"Posts\"]
source = \"db\"
shape = \"list\"
owner = \"user_id\"
key = [\"id\"]
query = \"select id, user_id, picture from posts where user_id = :subject order by id\"
[section.media]
column = \"picture\"
store = \"pictures\"
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_are_compared_by_their_bytes() {
    let data = "create table posts (id bigint, user_id bigint, picture varchar(40));
        insert into posts values (1, 7, 'a.png'), (2, 7, 'b.png'), (3, 7, null), (4, 7, 'c.png');";
    let db = Db::new(Engine::Sqlite, data).await;
    let objects = db.folder.path().join("objects");
    std::fs::create_dir_all(&objects).unwrap();
    let picture = |end: &str| [&b"\x89PNG\r\n\x1a\n"[..], end.as_bytes()].concat();
    let put = |name: &str, end: &str| std::fs::write(objects.join(name), picture(end)).unwrap();
    put("a.png", "one");
    put("b.png", "two");
    let catalogue = db.catalogue(POSTS);
    let sources = db.sources(&catalogue).await;
    for format in Format::ALL {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (out, progress) = (file.reopen().unwrap(), Arc::default());
        let mut order = order("activity", "7", format);
        order.identity.links = Some(Arc::new(|_, key| format!("https://gate.example/sealed/{}", key.len())));
        archive::write::write(catalogue.clone(), &sources, order, out, progress, CancellationToken::new()).await.unwrap();
        let again = || async {
            let categories = Some(vec!["activity".to_owned()]);
            let at = "2026-04-01T00:00:00Z".parse().unwrap();
            let question = Question { person: "7".into(), categories, manifest: None, at };
            compare(catalogue.clone(), &sources, &file.reopen().unwrap(), question).await.unwrap()
        };
        let same = again().await;
        assert!(same.is_same(), "{format}: {same:#?}");
        if format == Format::Json {
            // Links are sealed for their archive; whether there is one can be seen.
            assert_eq!((same.sections.len(), same.sections[0].not_compared.clone()), (1, vec!["picture".to_owned()]));
            db.run("update posts set picture = null where id = 1").await;
            assert_eq!(again().await.sections[0].records, ["changed: id=1"]);
            db.run("update posts set picture = 'a.png' where id = 1").await;
            continue;
        }
        let bytes = |archive, source| Some(Bytes { archive, source });
        let files = same.sections.last().unwrap();
        assert_eq!((files.archive_rows, files.by, files.bytes), (2, By::Key, bytes(22, 22)), "{format}: {same:#?}");
        for (what, name, with, wanted, size) in [
            ("as long, and another", "b.png", Some("TWO"), (0, 0, 1), 22),
            ("longer", "b.png", Some("three"), (0, 0, 1), 24),
            ("gone", "b.png", None, (0, 1, 0), 11),
            ("new", "c.png", Some("six"), (1, 0, 0), 33),
        ] {
            match with {
                Some(end) => put(name, end),
                None => std::fs::remove_file(objects.join(name)).unwrap(),
            }
            let found = again().await;
            let files = found.sections.last().unwrap();
            assert_eq!((counts(files), files.bytes), (wanted, bytes(22, size)), "{format}, {what}: {found:#?}");
            assert_eq!(files.records.len(), 1);
            assert!(files.records[0].contains("media/") && !found.is_same(), "{:?}", files.records);
            put("b.png", "two");
            let _ = std::fs::remove_file(objects.join("c.png"));
        }
    }
}
