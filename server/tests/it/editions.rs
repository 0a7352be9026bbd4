//! `portward catalog schema` and `portward catalog publish`, as an operator runs them, and what `catalog check` says of editions.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{binary, text};

const DATA: &str = "create table orders (id integer primary key, customer integer, title text, price integer);
    create index orders_customer on orders (customer);
    insert into orders values (1, 7, '=cmd', -5), (2, 7, 'pen', 3), (3, 8, 'his', 1);";

const CATALOGUE: &str = r#"
format   = 1
edition  = "2026-11"
document = "shop.json"
[subject]
type = "integer"
[source.shop]
kind = "sqlite"
url  = "sqlite:shop.db"
[[category]]
name  = "orders"
scope = "portability.orders"
title = { en = "Your orders" }
text  = { en = "What you bought" }
[[section]]
categories = ["orders"]
path   = ["Orders", "List"]
source = "shop"
shape  = "list"
owner  = "customer"
key    = ["id"]
hidden = ["id"]
query  = "select id, customer, title, price from orders where customer = :subject order by id"
[section.fields]
title = { type = "string", meaning = "What it is" }
price = { type = "integer" }
"#;

/// A folder with a shop in it.
struct Shop(tempfile::TempDir);

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shop = rusqlite::Connection::open(folder.path().join("shop.db")).expect("a database");
        shop.execute_batch(DATA).expect("its tables");
        let shop = Self(folder);
        shop.catalogue(|text| text);
        shop
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn catalogue(&self, change: impl FnOnce(String) -> String) {
        std::fs::write(self.path("catalog.toml"), change(CATALOGUE.to_owned())).expect("the catalogue");
    }

    fn run(&self, args: &[&str]) -> Output {
        std::process::Command::new(binary()).current_dir(self.0.path()).arg("catalog").args(args).output().expect("it runs")
    }

    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    fn refuses(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}: {}", text(&output.stdout));
        text(&output.stdout) + &text(&output.stderr)
    }

    fn check(&self) -> String {
        let output = self.run(&["check"]);
        text(&output.stdout) + &text(&output.stderr)
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn schemas_and_dictionaries_are_written() {
    let shop = Shop::new();
    let told = shop.says(&["schema", "--out", "schemas"]);
    assert!(told.contains("1 category") && told.contains("4 files"), "{told}");
    let schema: Value = serde_json::from_str(&read(&shop.path("schemas/orders.schema.json"))).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["$id"], "urn:portward:shop.json:2026-11:orders:document");
    let row = &schema["$defs"]["Orders.List"];
    assert_eq!(row["properties"]["title"]["description"], "What it is.");
    assert_eq!((&row["required"], &row["additionalProperties"]), (&serde_json::json!(["title", "price"]), &Value::Bool(false)));
    let line: Value = serde_json::from_str(&read(&shop.path("schemas/lines/Orders/List.schema.json"))).expect("JSON");
    assert_eq!(line["properties"]["price"]["type"], serde_json::json!(["integer", "null"]));
    let page = read(&shop.path("schemas/orders.md"));
    assert!(
        page.starts_with("# Your orders\n\nWhat you bought\n") && page.contains("| title | string | What it is. |"),
        "{page}"
    );
    let printed: Value = serde_json::from_str(&shop.says(&["schema", "--category", "orders"])).expect("JSON");
    assert_eq!(printed, schema);
    assert!(shop.refuses(&["schema", "--category", "nothing"]).contains("no category nothing"));
    // Where nothing is declared, it is said that there may be more.
    shop.catalogue(|text| text.split("[section.fields]").next().unwrap_or_default().to_owned());
    let open: Value = serde_json::from_str(&shop.says(&["schema", "--category", "orders", "--live"])).expect("JSON");
    let row = &open["$defs"]["Orders.List"];
    assert_eq!(row["additionalProperties"], true);
    assert!(row["description"].as_str().is_some_and(|words| words.contains("does not declare")), "{row}");
}

#[test]
fn an_archive_of_tables_is_previewed() {
    let shop = Shop::new();
    shop.says(&["preview", "--person", "7", "--archive", "a.zip", "--format", "csv"]);
    let file = std::fs::File::open(shop.path("a.zip")).expect("an archive");
    let mut zip = zip::ZipArchive::new(file).expect("a ZIP");
    let mut table = String::new();
    std::io::Read::read_to_string(&mut zip.by_name("Orders/List.csv").expect("a table"), &mut table).expect("text");
    assert_eq!(table, "\"title\",\"price\"\r\n\"'=cmd\",-5\r\n\"pen\",3\r\n");
    assert!(shop.refuses(&["preview", "--person", "7", "--format", "xml"]).contains("ndjson"));
}

#[test]
fn what_is_published_stays_and_what_breaks_is_told_in_advance() {
    let shop = Shop::new();
    assert!(!shop.check().contains("published"));
    assert!(shop.says(&["publish"]).contains("edition 2026-11 is published in"));
    let first = read(&shop.path("editions/2026-11.json"));
    let log = read(&shop.path("editions/CHANGELOG.md"));
    assert!(log.contains("## 2026-11") && log.contains("Categories: 1; sections: 1."), "{log}");
    // The same again does nothing, whatever became of the changelog.
    std::fs::write(shop.path("editions/CHANGELOG.md"), "gone").expect("a changelog");
    assert!(shop.says(&["publish"]).contains("as it is"));
    assert_eq!((read(&shop.path("editions/2026-11.json")), read(&shop.path("editions/CHANGELOG.md"))), (first.clone(), log));

    // Another meaning is another text, also for the same name.
    let renamed = |text: String| {
        text.replace("title, price from", "title as name, price from").replace("\ntitle = { type", "\nname = { type")
    };
    shop.catalogue(renamed);
    let told = shop.check();
    assert!(told.contains("since edition 2026-11 was published: Orders / List / title: It is gone."), "{told}");
    let told = shop.refuses(&["publish"]);
    assert!(told.contains("stays as it is") && told.contains("breaking: Orders / List / title: It is gone."), "{told}");

    // A new name alone does not mend it.
    let next = |text: String| renamed(text).replace("2026-11", "2027-01");
    shop.catalogue(next);
    let told = shop.refuses(&["publish"]);
    assert!(told.contains("--from DATE") && told.contains("It is gone."), "{told}");
    assert!(shop.refuses(&["publish", "--from", "2020-01-01"]).contains("in the past"));
    assert!(shop.refuses(&["publish", "--from", "soon"]).contains("--from"));
    assert!(shop.check().contains("portward catalog publish --from DATE"));
    assert!(!shop.path("editions/2027-01.json").exists());
    let told = shop.says(&["publish", "--from", "9998-01-01", "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["published"], &told["changes"][0]["breaking"]), (&Value::Bool(true), &Value::Bool(true)), "{told}");
    let log = read(&shop.path("editions/CHANGELOG.md"));
    assert!(log.contains("holds from 9998-01-01") && log.contains("**Breaking.** Orders / List / title: It is gone."), "{log}");
    assert_eq!(read(&shop.path("editions/2026-11.json")), first);
    let told = shop.check();
    assert!(told.contains("edition 2027-01 holds from 9998-01-01"), "{told}");

    // More is welcome without a day; what no field declares is not.
    let more = |text: String| next(text).replace("2027-01", "2027-02").replace("price from", "price, price * 2 as twice from");
    shop.catalogue(more);
    let told = shop.refuses(&["publish"]);
    assert!(told.contains("none of them declares") && told.contains("Orders / List: \"twice\""), "{told}");
    shop.catalogue(|text| more(text) + "twice = { type = \"integer\" }\n");
    assert!(shop.says(&["publish"]).contains("Orders / List / twice: It is new"));

    // A query that reads every column does not let out a new one.
    let all = |text: String| {
        more(text).replace("2027-02", "2027-03").replace(
            "select id, customer, title as name, price, price * 2 as twice",
            "select *, title as name, price * 2 as twice",
        )
    };
    shop.catalogue(|text| {
        all(text).replace("hidden = [\"id\"]", "hidden = [\"id\", \"title\"]") + "twice = { type = \"integer\" }\n"
    });
    assert!(shop.says(&["publish"]).contains("2027-03"));
    let database = rusqlite::Connection::open(shop.path("shop.db")).expect("a database");
    database.execute_batch("alter table orders add column card text").expect("a column");
    assert!(shop.refuses(&["publish"]).contains("\"card\""));

    // Whoever meddles with an edition is told.
    std::fs::remove_file(shop.path("editions/2027-01.json")).expect("gone");
    assert!(shop.refuses(&["publish"]).contains("which is not there") || shop.refuses(&["publish"]).contains("\"card\""));
    assert!(shop.check().contains("which is not there"));
}
