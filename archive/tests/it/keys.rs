//! A person's keys in other databases: found once, bound and never pasted, and compared with each row's owner.

use std::sync::Arc;

use archive::catalogue::Catalogue;
use archive::source::Sources;
use serde_json::json;
use wire::DataFormat;

use crate::support::{Db, Engine, export, head, parse};
use crate::three;

const LINKS: &str = "
    create table links (user_id bigint, customer_no varchar(40));
    insert into links values (1, 'C-9'), (1, 'C-10'), (1, 'C-9'), (2, 'C-2'), (3, null), (5, 'x'' or 1=1 --');
";

const ORDERS: &str = "
    create table orders (customer_no varchar(40), n bigint, title varchar(40));
    insert into orders values ('C-9', 1, 'nine'), ('C-9', 2, 'nine too'), ('C-10', 3, 'ten'), ('C-2', 4, 'his secret'), ('C-7', 5, 'nobody');
";

fn key(more: &str) -> String {
    format!(
        "[subject.key.customer]\nsource = \"db\"\ntype = \"text\"\n{more}\
         owner = \"user_id\"\nquery = \"select user_id, customer_no from links where user_id = :subject\"\n"
    )
}

fn section(shape: &str, query: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"Orders\"]\nsource = \"shop\"\n{shape}\n\
         owner = \"customer_no\"\nowner_is = \"customer\"\nhidden = [\"n\"]\nquery = '''{query}'''\n"
    )
}

const BY_KEY: &str = "select customer_no, n, title from orders where customer_no = :customer order by n";

/// Two databases: one knows the person, the other the customer.
struct Two {
    links: Db,
    shop: Db,
}

impl Two {
    async fn new(engine: Engine) -> Self {
        Self { links: Db::new(engine, LINKS).await, shop: Db::new(engine, ORDERS).await }
    }

    fn text(&self, key: &str, section: &str) -> String {
        let (kind, url) = match self.shop.engine {
            Engine::Sqlite => ("sqlite", format!("sqlite:{}", self.shop.folder.path().join("data.db").display())),
            Engine::Postgres => ("postgres", self.shop.url().to_owned()),
            Engine::Mysql => ("mysql", self.shop.url().to_owned()),
        };
        let shop = format!("[source.shop]\nkind = \"{kind}\"\nurl = \"{url}\"\n");
        head(self.links.engine, self.links.url(), "") + &shop + key + section
    }

    async fn open(&self, key: &str, section: &str) -> (Arc<Catalogue>, Sources) {
        let catalogue = match parse(&self.text(key, section)) {
            Ok(catalogue) => Arc::new(catalogue),
            Err(error) => panic!("{error}"),
        };
        let sources = Sources::open(&catalogue, self.links.folder.path()).await.unwrap();
        assert_eq!(sources.check(&catalogue).await, []);
        (catalogue, sources)
    }

    async fn of(&self, key: &str, section: &str, subject: &str) -> Result<serde_json::Value, String> {
        let (catalogue, sources) = self.open(key, section).await;
        match export(&catalogue, &sources, "activity", subject, DataFormat::Json).await {
            Ok((made, _)) => Ok(made.value()),
            Err(error) => {
                assert!(!error.retryable());
                assert!(!error.to_string().contains("secret") && !error.to_string().contains("C-"), "{error}");
                Err(error.reason().to_owned())
            }
        }
    }
}

async fn a_query_runs_for_each_value_in_one_order(engine: Engine) {
    let two = Two::new(engine).await;
    let many = key("many = true\nmissing = \"empty\"\n");
    let list = section("shape = \"list\"", BY_KEY);
    // C-10 is before C-9, and each counts once.
    let wanted = json!({"Orders": [{"title": "ten"}, {"title": "nine"}, {"title": "nine too"}]});
    assert_eq!(two.of(&many, &list, "1").await, Ok(wanted));
    // A value is bound, whatever it looks like.
    assert_eq!(two.of(&many, &list, "5").await, Ok(json!({"Orders": []})));
    // Nobody's, and null.
    assert_eq!(two.of(&many, &list, "4").await, Ok(json!({"Orders": []})));
    assert_eq!(two.of(&many, &list, "3").await, Ok(json!({"Orders": []})));
    let groups = section(
        "shape = \"groups\"\ngroup = \"g\"",
        "select customer_no, n, title, title as g from orders where customer_no = :customer order by n",
    );
    let wanted = json!({"Orders": {"ten": [{"title": "ten"}], "nine": [{"title": "nine"}], "nine too": [{"title": "nine too"}]}});
    assert_eq!(two.of(&many, &groups, "1").await, Ok(wanted));
    // The rows of all values count together.
    let object =
        section("shape = \"object\"", "select customer_no, n, title from orders where customer_no = :customer and n <> 2");
    assert_eq!(two.of(&many, &object, "1").await, Err("shape_mismatch".into()));
    assert_eq!(two.of(&many, &object, "2").await, Ok(json!({"Orders": {"title": "his secret"}})));
}

async fn what_is_missing_is_empty_or_fails(engine: Engine) {
    let two = Two::new(engine).await;
    let list = section("shape = \"list\"", BY_KEY);
    assert_eq!(two.of(&key("missing = \"fail\"\n"), &list, "4").await, Err("key_missing".into()));
    assert_eq!(two.of(&key(""), &list, "3").await, Err("key_missing".into()));
    assert_eq!(two.of(&key("missing = \"empty\"\n"), &list, "4").await, Ok(json!({"Orders": []})));
    // Two values where one is meant.
    assert_eq!(two.of(&key(""), &list, "1").await, Err("key_invalid".into()));
    let integer = key("").replace("type = \"text\"", "type = \"integer\"");
    let cast = section("shape = \"list\"", "select customer_no, n, title from orders where n = :customer");
    assert_eq!(two.of(&integer, &cast, "2").await, Err("key_invalid".into()));
    // A key that nothing needs is not looked for.
    let own = "[[section]]\ncategories = [\"activity\"]\npath = [\"Links\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"user_id\"\n\
               query = \"select user_id, customer_no from links where user_id = :subject\"\n";
    assert_eq!(two.of(&key(""), own, "4").await, Ok(json!({"Links": []})));
}

async fn a_wrong_key_or_a_wrong_join_serves_nothing(engine: Engine) {
    let two = Two::new(engine).await;
    let list = section("shape = \"list\"", BY_KEY);
    // The key's query returns somebody else's number.
    let wrong = key("").replace("where user_id = :subject", "where user_id = :subject or user_id = 2 order by user_id desc");
    assert_eq!(two.of(&wrong, &list, "1").await, Err("owner_mismatch".into()));
    // The section's query returns another customer's rows.
    for query in [
        "select customer_no, n, title from orders where customer_no = :customer or customer_no = 'C-7' order by n",
        // Her other number, but not the one that was bound.
        "select customer_no, n, title from orders where customer_no = :customer or customer_no = 'C-9' order by n",
    ] {
        let many = key("many = true\n");
        assert_eq!(two.of(&many, &section("shape = \"list\"", query), "1").await, Err("owner_mismatch".into()), "{query}");
    }
}

async fn there_are_not_more_values_than_can_be(engine: Engine) {
    let two = Two::new(engine).await;
    let rows = (0..1_001).map(|n| format!("(7, 'D-{n}')")).collect::<Vec<_>>().join(", ");
    two.links.run(&format!("insert into links values {rows}")).await;
    let list = section("shape = \"list\"", BY_KEY);
    assert_eq!(two.of(&key("many = true\n"), &list, "7").await, Err("shape_mismatch".into()));
    two.links.run("delete from links where customer_no = 'D-17'").await;
    assert_eq!(two.of(&key("many = true\n"), &list, "7").await, Ok(json!({"Orders": []})));
}

three!(many, super::a_query_runs_for_each_value_in_one_order);
three!(missing, super::what_is_missing_is_empty_or_fails);
three!(wrong, super::a_wrong_key_or_a_wrong_join_serves_nothing);
three!(limit, super::there_are_not_more_values_than_can_be);
