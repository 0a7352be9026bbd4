//! What is fetched by batches of values: from any source, each value once, and null where there is nothing.

use serde_json::json;
use wire::DataFormat;

use crate::both;
use crate::support::{Db, Engine};

const DATA: &str = "
    create table orders (user_id bigint, n bigint, product_id bigint);
    create table products (id bigint, name varchar(40), price bigint, colour varchar(10));
    insert into orders values (7, 1, 10), (7, 2, 11), (7, 3, 10), (7, 4, null), (7, 5, 99);
    insert into products values (10, 'pen', 3, 'red'), (11, 'ink', 5, null);
";

const ORDERS: &str = "select user_id, n, product_id, 'end' as last from orders where user_id = :subject order by n";

fn section(more: &str, lookup: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"Orders\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"user_id\"\n\
         hidden = [\"product_id\"]\nquery = '''{ORDERS}'''\n{more}\n[[section.lookup]]\ncolumn = \"product_id\"\nsource = \"db\"\nkey = \"id\"\n\
         owner = \"unchecked\"\nreason = \"products are not people\"\n{lookup}\n"
    )
}

const FETCH: &str =
    "fields = { name = \"Product\", price = \"Price\" }\nquery = \"select id, name, price from products where id in (:keys)\"";

async fn values_are_fetched_and_stand_where_their_column_does(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let wanted = json!({"Orders": [
        {"n": 1, "Product": "pen", "Price": 3, "last": "end"},
        {"n": 2, "Product": "ink", "Price": 5, "last": "end"},
        {"n": 3, "Product": "pen", "Price": 3, "last": "end"},
        {"n": 4, "Product": null, "Price": null, "last": "end"},
        {"n": 5, "Product": null, "Price": null, "last": "end"},
    ]});
    for batch in ["", "\nbatch = 1", "\nbatch = 1000"] {
        let catalogue = db.catalogue(&section("", &format!("{FETCH}{batch}")));
        let sources = db.sources(&catalogue).await;
        assert_eq!(sources.check(&catalogue).await, []);
        let unchecked = archive::source::Sources::unchecked(&catalogue);
        assert!(unchecked.iter().any(|(section, reason)| {
            section.name().contains("look-up of product_id") && *reason == "products are not people"
        }));
        let (made, _) = crate::support::export(&catalogue, &sources, "activity", "7", DataFormat::Json).await.unwrap();
        assert_eq!(made.value(), wanted);
        // In the query's order.
        assert!(made.json().starts_with(r#"{"Orders":[{"n":1,"Product":"pen","Price":3,"last":"end"}"#), "{}", made.json());
    }
    let line = "text_line = \"{n} {Product}\"\n[section.fields]\nPrice = { type = \"string\" }\n";
    let catalogue = db.catalogue(&section(line, FETCH));
    let (made, _) = db.export(&catalogue, "activity", "7", DataFormat::Text).await.unwrap();
    assert_eq!(made.text("Data/Orders.txt"), "1 pen\n2 ink\n3 pen\n4 N/A\n5 N/A\n");
    let (made, _) = db.export(&catalogue, "activity", "7", DataFormat::Json).await.unwrap();
    assert_eq!(made.value()["Orders"][0]["Price"], "3");
}

/// More values than are remembered, in an order that needs them again.
async fn many_values_are_right(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let of = |rows: Vec<String>, table: &str| {
        rows.chunks(500).map(|rows| format!("insert into {table} values {};", rows.join(", "))).collect::<String>()
    };
    let products = (100..10_100).map(|id| format!("({id}, 'product {id}', {id}, null)")).collect();
    let orders = (0..12_000_i64).map(|n| format!("(7, {}, {})", n + 10, 100 + n * 7_919 % 10_000)).collect();
    db.run(&(of(products, "products") + &of(orders, "orders"))).await;
    let catalogue = db.catalogue(&section("", FETCH));
    let (made, summary) = db.export(&catalogue, "activity", "7", DataFormat::Json).await.unwrap();
    assert_eq!(summary.sections[0].rows, 12_005);
    for (n, row) in made.value()["Orders"].as_array().unwrap().iter().skip(5).enumerate() {
        assert_eq!(row["Product"], format!("product {}", 100 + n * 7_919 % 10_000));
    }
}

async fn an_answer_that_was_not_asked_for_fails(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let of = async |query: &str| {
        let lookup = format!("fields = {{ name = \"Product\" }}\nquery = \"{query}\"");
        let result = db.export(&db.catalogue(&section("", &lookup)), "activity", "7", DataFormat::Json).await;
        let error = result.err().unwrap();
        assert!(error.to_string().contains("look-up"), "{error}");
        error.reason()
    };
    assert_eq!(of("select id + 1 as id, name from products where id in (:keys)").await, "shape_mismatch");
    db.run("insert into products values (10, 'pen again', 3, null)").await;
    assert_eq!(of("select id, name from products where id in (:keys)").await, "shape_mismatch");
    assert_eq!(of("select id, nothing as name from products where id in (:keys)").await, "query_failed");
}

/// A value may be a text here and a number there.
async fn types_are_met(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let sources = "[source.other]\nkind = \"sqlite\"\nurl = \"sqlite:other.db\"\n";
    let connection = rusqlite::Connection::open(db.folder.path().join("other.db")).unwrap();
    connection
        .execute_batch(
            "create table names (code text, name text); insert into names values ('10', 'ten'), ('99', 'ninety-nine');",
        )
        .unwrap();
    let lookup =
        "type = \"text\"\nfields = { name = \"Name\" }\nquery = \"select code as id, name from names where code in (:keys)\"";
    let text =
        section("", lookup).replace("column = \"product_id\"\nsource = \"db\"", "column = \"product_id\"\nsource = \"other\"");
    let catalogue = db.catalogue(&(sources.to_owned() + &text));
    let (made, _) = db.export(&catalogue, "activity", "7", DataFormat::Json).await.unwrap();
    let names: Vec<_> = made.value()["Orders"].as_array().unwrap().iter().map(|row| row["Name"].clone()).collect();
    assert_eq!(names, [json!("ten"), json!(null), json!("ten"), json!(null), json!("ninety-nine")]);
}

both!(fetched, super::values_are_fetched_and_stand_where_their_column_does);
both!(many, super::many_values_are_right);
both!(strange, super::an_answer_that_was_not_asked_for_fails);
both!(typed, super::types_are_met);
