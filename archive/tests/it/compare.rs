//! An archive against its source: every row that was deleted, added or changed there is found, and told by section.

use archive::compare::{By, Compared, Comparison, Question, compare};
use archive::verify::manifest_of;
use archive::write::{Format, Order};

use crate::both;
use crate::documents::{DATA, SECTIONS, asked, make};
use crate::support::{Db, Engine, Made};

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

        db.run("delete from lines where order_id = 3; delete from orders where id = 3").await;
        let found = against(&db, &made).await;
        assert_eq!((counts(&found.sections[0]), counts(&found.sections[1])), ((0, 1, 0), (0, 0, 0)), "deleted at the source");
        assert_eq!(found.sections[0].records, ["extra: id=3"]);
        assert_eq!((found.sections[0].archive_rows, found.sections[0].source_rows), (3, 2));

        db.run("insert into orders values (3, 7, 'wed', 'bob', null); insert into lines values (3, 1, 7, 'cup')").await;
        assert!(against(&db, &made).await.is_same(), "and it came back");
        db.run("insert into orders values (9, 7, 'sun', 'bob', null)").await;
        let found = against(&db, &made).await;
        assert_eq!((counts(&found.sections[0]), found.sections[0].records.clone()), ((1, 0, 0), vec!["missing: id=9".into()]));
        db.run("delete from orders where id = 9; update orders set day = 'fri' where id = 2").await;
        let found = against(&db, &made).await;
        assert_eq!((counts(&found.sections[0]), found.sections[0].records.clone()), ((0, 0, 1), vec!["changed: id=2".into()]));
        // A row within a row.
        db.run("update orders set day = 'tue' where id = 2; update lines set title = 'mug' where order_id = 3").await;
        let found = against(&db, &made).await;
        assert_eq!((counts(&found.sections[0]), found.sections[0].records.clone()), ((0, 0, 1), vec!["changed: id=3".into()]));
        db.run("update lines set title = 'cup' where order_id = 3").await;

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
        ("delete from lines where pos = 2", "insert into lines values (1, 2, 7, 'ink')", (0, 1, 0)),
    ] {
        db.run(change).await;
        let found = against(&db, &made).await;
        assert_eq!(counts(&found.sections[0]), wanted, "{change}: {found:?}");
        assert_eq!(found.is_same(), wanted == (0, 0, 0));
        db.run(back).await;
    }
}
both!(texts, super::texts_are_compared_by_their_blocks);
