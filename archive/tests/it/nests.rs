//! Rows within rows: merged while they stream, and never put where they do not belong.

use std::fmt::Write;

use serde_json::json;
use wire::DataFormat;

use crate::both;
use crate::support::{Db, Engine};

const DATA: &str = "
    create table orders (id bigint primary key, user_id bigint, day varchar(10));
    create table lines (order_id bigint, pos bigint, user_id bigint, title varchar(80));
    create table notes (order_id bigint, user_id bigint, words varchar(80));
    insert into orders values (1, 7, 'mon'), (2, 7, 'tue'), (3, 7, 'wed'), (4, 8, 'thu');
    insert into lines values (1, 1, 7, 'pen'), (1, 2, 7, 'ink'), (3, 1, 7, 'cup'), (4, 1, 8, 'his secret');
    insert into notes values (2, 7, 'hello'), (3, 7, 'again');
";

const ORDERS: &str = "select id, user_id, day from orders where user_id = :subject order by id";
const LINES: &str = "select order_id, user_id, title from lines where user_id = :subject order by order_id, pos";

fn section(query: &str, nests: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"Orders\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"user_id\"\n\
         hidden = [\"id\"]\nquery = '''{query}'''\n{nests}"
    )
}

fn nest(field: &str, query: &str) -> String {
    format!("[[section.nest]]\nfield = \"{field}\"\nowner = \"user_id\"\non = {{ id = \"order_id\" }}\nquery = '''{query}'''\n")
}

async fn of(db: &Db, source: &str, text: &str) -> Result<serde_json::Value, (String, String)> {
    let catalogue = db.catalogue_with(source, text);
    let sources = db.sources(&catalogue).await;
    assert_eq!(sources.check(&catalogue).await, []);
    match crate::support::export(&catalogue, &sources, "activity", "7", DataFormat::Json).await {
        Ok((made, summary)) => {
            assert!(summary.sections[0].nested.iter().all(|(field, _)| ["Items", "Notes"].contains(&field.as_str())));
            Ok(made.value())
        }
        Err(error) => {
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(!error.retryable(), "{error}");
            Err((error.reason().to_owned(), error.to_string()))
        }
    }
}

async fn rows_stand_where_they_belong(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let notes = nest("Notes", "select order_id, user_id, words from notes where user_id = :subject order by order_id");
    let text = section(ORDERS, &(nest("Items", LINES) + &notes));
    let wanted = json!({"Orders": [
        {"day": "mon", "Items": [{"title": "pen"}, {"title": "ink"}], "Notes": []},
        {"day": "tue", "Items": [], "Notes": [{"words": "hello"}]},
        {"day": "wed", "Items": [{"title": "cup"}], "Notes": [{"words": "again"}]},
    ]});
    for snapshot in ["request", "section", "none"] {
        let source = format!("snapshot = \"{snapshot}\"");
        assert_eq!(of(&db, &source, &text).await, Ok(wanted.clone()), "{snapshot}");
    }
    let catalogue = db.catalogue(&text);
    let (made, summary) = db.export(&catalogue, "activity", "7", DataFormat::Text).await.unwrap();
    assert_eq!(
        made.text("Data/Orders.txt"),
        "Day: mon\n\nItems:\nTitle: pen\n\nItems:\nTitle: ink\n\nDay: tue\n\nNotes:\nWords: hello\n\nDay: wed\n\n\
         Items:\nTitle: cup\n\nNotes:\nWords: again\n"
    );
    assert_eq!(summary.sections[0].nested, [("Items".to_owned(), 3), ("Notes".to_owned(), 2)]);
    assert_eq!(summary.sections[0].rows, 3);
    // A map's rows hold them too.
    let map =
        section("select id, user_id, day, day as d from orders where user_id = :subject order by id", &nest("Items", LINES))
            .replace("shape = \"list\"", "shape = \"map\"\ngroup = \"d\"");
    let value = of(&db, "", &map).await.unwrap();
    assert_eq!(value["Orders"]["wed"], json!({"day": "wed", "Items": [{"title": "cup"}]}));
}

async fn what_finds_no_place_fails_the_request(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    for (orders, lines, words) in [
        // In another order.
        (ORDERS, LINES.replace("order by order_id, pos", "order by order_id desc, pos"), "found no row to stand in"),
        // Of an order that is not there.
        (
            "select id, user_id, day from orders where user_id = :subject and id <> 3 order by id",
            LINES.to_owned(),
            "found no row",
        ),
        ("select id, user_id, day from orders where user_id = :subject and id > 9", LINES.to_owned(), "found no row"),
        // Of none.
        (
            ORDERS,
            "select null as order_id, user_id, title from lines where user_id = :subject order by pos".to_owned(),
            "found no row",
        ),
        // Of two.
        (
            "select o.id, o.user_id, o.day from orders o, lines l where o.user_id = :subject and l.order_id = 1 order by o.id",
            LINES.to_owned(),
            "two rows have the same values",
        ),
    ] {
        let (reason, told) = of(&db, "", &section(orders, &nest("Items", &lines))).await.unwrap_err();
        assert_eq!(reason, "order_mismatch", "{lines}");
        assert!(told.contains(words), "{told}");
    }
    // Somebody else's line in the person's own order.
    db.run("insert into lines values (3, 2, 8, 'his secret')").await;
    let joined = "select l.order_id, l.user_id, l.title from lines l join orders o on o.id = l.order_id where o.user_id = :subject order by l.order_id, l.pos";
    let (reason, told) = of(&db, "", &section(ORDERS, &nest("Items", joined))).await.unwrap_err();
    assert_eq!(reason, "owner_mismatch");
    assert!(told.contains("Orders / Items"), "{told}");
}

/// Thousands of rows in each, more than any buffer holds, and a connection that is used again.
async fn large_ones_stream(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let mut statements = String::from("delete from orders; delete from lines; ");
    let many = |table: &str, rows: Vec<String>| {
        rows.chunks(500).fold(String::new(), |mut all, chunk| {
            let _ = write!(all, "insert into {table} values {};", chunk.join(", "));
            all
        })
    };
    statements += &many("orders", (0..6_000).map(|id| format!("({id}, 7, 'd{id}')")).collect());
    let lines =
        (0..6_000).flat_map(|id| (0..id % 4).map(move |pos| format!("({id}, {pos}, 7, 'line {pos} of {id} with some words')")));
    statements += &many("lines", lines.collect());
    db.run(&statements).await;
    let text = section(ORDERS, &nest("Items", LINES));
    let catalogue = db.catalogue_with("max_concurrent = 2", &text);
    let sources = db.sources(&catalogue).await;
    for _ in 0..3 {
        let (made, summary) = crate::support::export(&catalogue, &sources, "activity", "7", DataFormat::Json).await.unwrap();
        assert_eq!((summary.sections[0].rows, summary.sections[0].nested[0].1), (6_000, 9_000));
        let value = made.value();
        for (id, order) in value["Orders"].as_array().unwrap().iter().enumerate() {
            assert_eq!(order["day"], format!("d{id}"));
            let lines: Vec<_> = (0..id % 4).map(|pos| json!({"title": format!("line {pos} of {id} with some words")})).collect();
            assert_eq!(order["Items"], json!(lines));
        }
    }
}

/// Orders and their lines are written all the time, each order in one transaction: no order is seen without its lines, nor lines without it.
async fn both_queries_see_one_state(engine: Engine) {
    let db = std::sync::Arc::new(Db::new(engine, DATA).await);
    if engine == Engine::Sqlite {
        db.run("pragma journal_mode = wal").await;
    }
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = tokio::spawn({
        let (db, stop) = (db.clone(), stop.clone());
        async move {
            for id in 100.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                db.run(&format!(
                    "begin; insert into orders values ({id}, 7, 'x'); insert into lines values ({id}, 1, 7, 'of {id}'); commit;"
                ))
                .await;
            }
        }
    });
    let text = section(ORDERS, &nest("Items", LINES));
    for snapshot in ["request", "section", "none"] {
        let catalogue = db.catalogue_with(&format!("snapshot = \"{snapshot}\""), &text);
        let sources = db.sources(&catalogue).await;
        for _ in 0..15 {
            let (made, _) = crate::support::export(&catalogue, &sources, "activity", "7", DataFormat::Json).await.unwrap();
            for order in made.value()["Orders"].as_array().unwrap() {
                assert!(order["day"] != "x" || order["Items"].as_array().unwrap().len() == 1, "{order}");
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.await.unwrap();
}

/// A nest may come from another database, even of another kind; and a request that ends in the middle leaves nothing hanging.
async fn another_source_serves_too(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let other = Db::new(Engine::Sqlite, DATA).await;
    other.run("update lines set title = title || ' elsewhere'").await;
    let file = other.folder.path().join("data.db");
    let nest = nest("Items", LINES).replace("field = \"Items\"", "field = \"Items\"\nsource = \"other\"");
    let text = format!("[source.other]\nkind = \"sqlite\"\nurl = \"sqlite:{}\"\nmax_concurrent = 1\n", file.display());
    let catalogue = db.catalogue_with("max_concurrent = 1", &(text + &section(ORDERS, &nest)));
    let sources = db.sources(&catalogue).await;
    for _ in 0..2 {
        let (made, _) = crate::support::export(&catalogue, &sources, "activity", "7", DataFormat::Json).await.unwrap();
        assert_eq!(made.value()["Orders"][2]["Items"], json!([{"title": "cup elsewhere"}]));
    }
    other.run("insert into lines values (9, 1, 7, 'of nothing')").await;
    for _ in 0..3 {
        let result = crate::support::export(&catalogue, &sources, "activity", "7", DataFormat::Json).await;
        assert_eq!(result.err().map(|error| error.reason()), Some("order_mismatch"));
    }
}

both!(belong, super::rows_stand_where_they_belong);
both!(no_place, super::what_finds_no_place_fails_the_request);
both!(large, super::large_ones_stream);
both!(one_state, super::both_queries_see_one_state);
both!(other, super::another_source_serves_too);
