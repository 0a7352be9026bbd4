//! From a database to a catalogue that works: hard schemas on all engines, and what a hand-written query says that each person must get.

use std::collections::BTreeMap;
use std::sync::Arc;

use archive::catalogue::Catalogue;
use archive::discover::{Finding, Head, Level, Wish, apart, draft, inspect, preview};
use serde_json::Value;
use wire::DataFormat;

use crate::support::{Db, Engine, export, parse};
use crate::{both, three};

const COMMON: &str = include_str!("samples/shop_common.sql");
const SQLITE: &str = include_str!("samples/shop_sqlite.sql");
const POSTGRES: &str = include_str!("samples/shop_postgres.sql");
const MYSQL: &str = include_str!("samples/shop_mysql.sql");

/// MySQL takes names in double quotes when it is told to.
pub(crate) fn quoting(engine: Engine, statements: &str) -> String {
    match engine {
        Engine::Mysql => format!(
            "set sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+00:00', explicit_defaults_for_timestamp = on;\n{statements}"
        ),
        _ => statements.to_owned(),
    }
}

pub(crate) async fn drafted(db: &Db, table: &str, key: Option<&str>) -> String {
    let wish = Wish {
        url: db.url().to_owned(),
        person_table: table.to_owned(),
        person_key: key.map(str::to_owned),
        head: Head { edition: "test".to_owned(), source: "db".to_owned(), address: ("url".to_owned(), db.url().to_owned()) },
    };
    match draft(&wish, db.folder.path()).await {
        Ok(draft) => draft.text,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn read(text: &str) -> Arc<Catalogue> {
    match parse(text) {
        Ok(catalogue) => Arc::new(catalogue),
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// Everything that is worse than a note.
pub(crate) async fn complaints(db: &Db, catalogue: &Catalogue) -> Vec<Finding> {
    let sources = db.sources(catalogue).await;
    let faults = sources.check(catalogue).await;
    assert!(faults.is_empty(), "{faults:#?}");
    inspect(catalogue, db.folder.path()).await.into_iter().filter(|finding| finding.level != Level::Note).collect()
}

/// A person's rows by the last key of each section's path.
pub(crate) async fn rows(db: &Db, catalogue: &Arc<Catalogue>, person: &str) -> BTreeMap<String, Vec<Value>> {
    let sources = db.sources(catalogue).await;
    let (made, _) = export(catalogue, &sources, "all_data", person, DataFormat::Text).await.unwrap();
    assert!(!made.members().is_empty());
    let (made, _) = export(catalogue, &sources, "all_data", person, DataFormat::Json).await.unwrap();
    let members = made.members();
    let document: Value = serde_json::from_str(&members[0].1).unwrap();
    let mut found = BTreeMap::new();
    for family in document.as_object().unwrap().values() {
        for (name, section) in family.as_object().unwrap() {
            let rows = match section {
                Value::Array(rows) => rows.clone(),
                Value::Object(row) if row.is_empty() => Vec::new(),
                row => vec![row.clone()],
            };
            assert!(found.insert(name.clone(), rows).is_none(), "{name}");
        }
    }
    found
}

/// The values of some keys, as text: `10/1`.
fn keys(rows: &[Value], names: &[&str]) -> String {
    let of = |row: &Value| {
        let values = names.iter().map(|name| match row.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "-".to_owned(),
        });
        values.collect::<Vec<_>>().join("/")
    };
    let mut keys: Vec<String> = rows.iter().map(of).collect();
    keys.sort();
    keys.join(" ")
}

async fn a_hard_shop(engine: Engine) {
    let db = Db::new(engine, &quoting(engine, COMMON)).await;
    let own = match engine {
        Engine::Sqlite => SQLITE,
        Engine::Postgres => POSTGRES,
        Engine::Mysql => MYSQL,
    };
    db.run(&quoting(engine, own)).await;
    let text = drafted(&db, "customers", None).await;
    let catalogue = read(&text);
    assert_eq!(complaints(&db, &catalogue).await, [], "{text}");
    // By hand: which records are whose.
    let mut wanted: Vec<(&str, &[&str], [&str; 4])> = vec![
        ("Customers", &["Customer ID"], ["1", "2", "3", "4"]),
        ("Addresses", &["id"], ["1", "1", "", "3"]),
        ("Orders", &["id"], ["10 11", "12", "13", ""]),
        ("Order Details", &["order_id", "line no"], ["10/1 10/2 11/1", "12/1", "13/1", ""]),
        ("Returned", &["id"], ["1", "2", "", ""]),
        ("Payments", &["id"], ["100", "101", "102", ""]),
        ("Wishlist", &["product_id"], ["2 3", "2", "", "1"]),
        ("Messages by sender", &["id"], ["1 4", "2", "3", ""]),
        ("Messages by receiver", &["id"], ["2", "1", "3", ""]),
        ("Attachments by sender", &["id"], ["1", "2", "3", ""]),
        ("Attachments by receiver", &["id"], ["2", "1", "3", ""]),
        ("Reviews", &["id"], ["1 4", "2", "", ""]),
        ("Customer Profiles", &["bio"], ["I am Ann", "", "null", ""]),
        ("Logins", &["id"], ["1 2", "3", "4", ""]),
    ];
    match engine {
        Engine::Sqlite => wanted.extend([
            ("Notes", &["note"][..], ["prefers mornings prefers mornings", "tall", "", ""]),
            ("Points", &["day", "left_over", "vip"], ["2024-01-01/3/true", "2024-01-01/1/false", "", ""]),
            ("Odd", &["id"], ["1", "", "2", ""]),
        ]),
        Engine::Postgres => wanted.extend([
            ("Notes", &["note"][..], ["prefers mornings prefers mornings", "tall", "", ""]),
            ("Notes of Crm", &["note"], ["", "calls often", "", ""]),
            ("Tickets", &["mood", "tags", "stars", "length"], ["good/[\"a\",\"b\"]/5/2", "null/null/null/0", "", ""]),
            ("Events", &["id"], ["1 3", "2", "", ""]),
        ]),
        Engine::Mysql => wanted.extend([
            ("Notes", &["note"][..], ["prefers mornings prefers mornings", "tall", "", ""]),
            (
                "Points",
                &["day", "left_over", "vip", "level", "mood", "tags", "picture", "taken", "season"],
                ["2024-01-01/3/true/2/good/a,b/AP8=/12:30:00/2024", "2024-01-01/1/false/1/null//null/-100:00:00/null", "", ""],
            ),
            ("Back Slash Tick", &["id", "customer", "order"], ["18446744073709551615/ANN/1", "2/bob/2", "", ""]),
        ]),
    }
    for (at, person) in ["1", "2", "3", "4"].into_iter().enumerate() {
        let mut found = rows(&db, &catalogue, person).await;
        for (section, names, people) in &wanted {
            let rows = found.remove(*section).unwrap_or_else(|| panic!("no section {section} in {text}"));
            assert_eq!(keys(&rows, names), people[at], "{section} of {person}");
        }
        // Titles of the same name in two schemas go to whichever comes first.
        assert!(found.is_empty(), "{:?} besides: {text}", found.keys());
    }
    let ann = rows(&db, &catalogue, "1").await;
    let written = serde_json::to_string(&ann).unwrap();
    for secret in ["x1", "secret-1", "password", "api_token"] {
        assert!(!written.contains(secret), "{secret}: {written}");
    }
    assert_eq!(ann["Customer Profiles"][0]["settings"]["theme"], "dark");
    assert_eq!(ann["Logins"][0]["logged_in_at"], "2024-01-01 00:00:00");
    assert_eq!(ann["Orders"][0]["placed_at"], "2024-01-02 03:04:05");
    // What it was unsure of, it says; what it leaves out, it excuses.
    for said in
        ["CustomerID refers to Customers", "receiver_id may name another person", "table = \"login_tokens\"", "view over tables"]
    {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    assert!(text.contains("#   staff") && text.contains("#   products"), "{text}");
    // Nobody has what is another's; an address may be of two.
    let sources = db.sources(&catalogue).await;
    for people in [["1", "2"], ["2", "3"], ["1", "4"]] {
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        let found = apart(&catalogue, &sources, people, at).await.unwrap();
        assert!(found.iter().all(|finding| finding.level == Level::Note), "{found:#?}");
    }
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    let seen = preview(&catalogue, &sources, "1", 1, at, || 0).await.unwrap();
    let orders = seen.sections.iter().find(|section| section.name.ends_with("/ Orders")).unwrap().read.as_ref().unwrap();
    assert_eq!((orders.rows, orders.first.len(), &orders.first[0]["id"]), (2, 1, &Value::from(10)));
}
three!(hard_shop, super::a_hard_shop);

/// What is nested in a section, or looked up by it, is exported as surely as what a section of its own shows.
async fn what_is_joined_is_exported(engine: Engine) {
    let db = Db::new(
        engine,
        "create table people (id integer primary key, name text);
         create table pets (id integer primary key, person_id integer not null references people (id), kind_id integer);
         create table toys (id integer primary key, pet_id integer not null references pets (id), name text);
         create table kinds (id integer primary key, name text, person_id integer references people (id));
         create index pets_of on pets (person_id);
         create index toys_of on toys (pet_id);
         insert into people values (1, 'Ann');",
    )
    .await;
    let head = crate::support::head(engine, db.url(), "person_table = \"people\"\nperson_key = \"id\"");
    let people = "[[section]]\ncategories = [\"activity\"]\npath = [\"P\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nquery = 'select p.id as o, p.name from people p where p.id = :subject'\n";
    let pets = "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"person_id\"\nquery = 'select id, person_id, kind_id from pets where person_id = :subject order by id'\n";
    let toys = "[[section.nest]]\nfield = \"Toys\"\non = { id = \"pet_id\" }\nowner = \"person_id\"\nquery = 'select t.pet_id, p.person_id, t.name from toys t join pets p on p.id = t.pet_id where p.person_id = :subject order by t.pet_id'\n";
    let kinds = "[[section.lookup]]\ncolumn = \"kind_id\"\nsource = \"db\"\nkey = \"id\"\nfields = { name = \"Kind\" }\nquery = 'select id, name from kinds where id in (:keys)'\nowner = \"unchecked\"\nowner_reason = \"kinds are not people\"\n";
    let forgotten = async |text: String| -> String {
        let found = inspect(&read(&text), db.folder.path()).await;
        found.into_iter().filter(|finding| finding.level != Level::Note).map(|finding| finding.what + "; ").collect()
    };
    let told = forgotten(format!("{head}{people}{pets}")).await;
    assert!(told.contains("the table toys refers") && told.contains("the table kinds refers"), "{told}");
    assert_eq!(forgotten(format!("{head}{people}{pets}{toys}{kinds}")).await, "");
    let told = forgotten(format!("{head}{people}{pets}{kinds}")).await;
    assert!(told.contains("the table toys refers") && !told.contains("kinds"), "{told}");
}
// Nothing on MySQL shows two connections one state of the data, so a section joins only what is of other sources there.
both!(joined_counts, super::what_is_joined_is_exported);

/// A catalogue that is drafted, and then spoiled.
async fn what_check_finds(engine: Engine) {
    let db = Db::new(engine, &quoting(engine, COMMON)).await;
    let text = drafted(&db, "Customers", Some("Customer ID")).await;
    let told = async |text: &str| {
        let catalogue = read(text);
        complaints(&db, &catalogue)
            .await
            .into_iter()
            .map(|finding| format!("{} => {}", finding.what, finding.cure))
            .collect::<Vec<_>>()
    };
    assert!(told(&text).await.is_empty());
    // A section that goes away leaves its table forgotten, though others join it.
    let at = text.find("\n[[section]]\ncategories = [\"orders\"]\npath = [\"Orders\", \"Orders\"]").unwrap();
    let end = at + 1 + text[at + 1..].find("\n# ").unwrap();
    let without = format!("{}{}", &text[..at], &text[end..]);
    let found = told(&without).await;
    assert!(found.len() == 1 && found[0].contains("orders refers to a person"), "{found:#?}");
    let excused = format!("{without}\n[[excuse]]\nsource = \"db\"\ntable = \"orders\"\nreason = \"for a test\"\n");
    assert!(told(&excused).await.is_empty());
    let unknown = format!("{text}\n[[excuse]]\nsource = \"db\"\ntable = \"nowhere\"\nreason = \"for a test\"\n");
    assert!(told(&unknown).await[0].contains("table nowhere"));
    let needless = format!("{text}\n[[excuse]]\nsource = \"db\"\ntable = \"orders\"\nreason = \"for a test\"\n");
    assert!(told(&needless).await[0].contains("excused, and a section exports it"));
    // Nulls among times.
    let strict = text.replace(
        "(m.sent_at is null or (m.sent_at >= :since and m.sent_at < :until))",
        "m.sent_at >= :since and m.sent_at < :until",
    );
    assert_ne!(strict, text);
    let found = told(&strict).await;
    assert!(found.len() == 2 && found[0].contains("messages.sent_at is null"), "{found:#?}");
    // A large table without an index.
    let series = match engine {
        Engine::Sqlite => {
            "insert into logins with recursive n (i) as (select 5 union all select i + 1 from n where i < 30000) select i, 1 + i % 3, 1704067200000 + i from n"
        }
        Engine::Postgres => {
            "insert into logins select i, 1 + i % 3, 1704067200000 + i from generate_series(5, 30000) i; analyze logins"
        }
        // There every reference has an index of its own.
        Engine::Mysql => {
            "insert into logins select seq, 1 + seq % 3, 1704067200000 + seq from seq_5_to_30000;
             alter table logins drop foreign key logins_ibfk_1; alter table logins drop index customer_id; analyze table logins"
        }
    };
    db.run(series).await;
    let found = told(&text).await;
    assert!(
        found.len() == 1 && found[0].contains("whole of logins") && found[0].contains("on logins (customer_id);"),
        "{found:#?}"
    );
    db.run("create index logins_of on logins (customer_id)").await;
    assert!(told(&text).await.is_empty());
    // A join that serves everybody's rows to everybody: the keys tell, where an owner does not.
    let leaky = text.replace(
        "owner = \"customer_id\"\nkey = [\"id\"]\ntime = \"placed_at\"",
        "owner = \"unchecked\"\nowner_reason = \"for a test\"\nkey = [\"id\"]\ntime = \"placed_at\"",
    );
    let leaky = leaky.replace(
        "where o.customer_id = :subject\n    and o.placed_at",
        "where (o.customer_id = :subject or 1 = 1)\n    and o.placed_at",
    );
    assert_ne!(leaky, text);
    let catalogue = read(&leaky);
    let sources = db.sources(&catalogue).await;
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    let found = apart(&catalogue, &sources, ["1", "2"], at).await.unwrap();
    assert!(found[0].level == Level::Fault && found[0].what.contains("4 records are both people's"), "{found:#?}");
    let shared = leaky.replace("owner_reason = \"for a test\"", "owner_reason = \"for a test\"\nshared = true");
    let found = apart(&read(&shared), &sources, ["1", "2"], at).await.unwrap();
    assert!(found.iter().all(|finding| finding.level == Level::Note), "{found:#?}");
}
three!(check_finds, super::what_check_finds);

/// People who are named by a text that is filled up with blanks, a text that folds case, a UUID, a number.
async fn other_keys(engine: Engine) {
    let kinds: &[(&str, &str, &str)] = match engine {
        Engine::Sqlite => &[
            ("text collate nocase", "'Ab'", "Ab"),
            ("nchar(5)", "'AB'", "AB"),
            ("uuid", "'67e55044-10b1-426f-9247-bb680e5fe0c8'", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
            ("numeric", "7", "7"),
            ("", "'ab'", "ab"),
        ],
        Engine::Postgres => &[
            ("char(5)", "'AB'", "AB"),
            ("uuid", "'67e55044-10b1-426f-9247-bb680e5fe0c8'", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
            ("numeric(20)", "7", "7"),
            ("bigint", "7", "7"),
            ("varchar(9)", "'ab'", "ab"),
        ],
        Engine::Mysql => &[
            ("varchar(9) collate utf8mb4_general_ci", "'Ab'", "Ab"),
            ("varchar(9) collate utf8mb4_bin", "'ab'", "ab"),
            ("char(5)", "'AB'", "AB"),
            ("uuid", "'67e55044-10b1-426f-9247-bb680e5fe0c8'", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
            ("decimal(20)", "7", "7"),
            ("bigint unsigned", "7", "7"),
        ],
    };
    for (kind, value, person) in kinds {
        let other = if *value == "7" {
            "8"
        } else if *kind == "uuid" {
            "'77e55044-10b1-426f-9247-bb680e5fe0c8'"
        } else {
            "'zz'"
        };
        let db = Db::new(
            engine,
            &format!(
                "create table people (code {kind} primary key, name text);
                 create table pets (id integer primary key, owner {kind} references people (code));
                 create table toys (id integer primary key, pet_id integer not null references pets (id));
                 insert into people values ({value}, 'A'), ({other}, 'Z');
                 insert into pets values (1, {value}), (2, {other});
                 insert into toys values (1, 1), (2, 2), (3, 1);"
            ),
        )
        .await;
        let text = drafted(&db, "people", None).await;
        let catalogue = read(&text);
        assert_eq!(complaints(&db, &catalogue).await, [], "{text}");
        let found = rows(&db, &catalogue, person).await;
        assert_eq!(keys(&found["Pets"], &["id"]), "1", "{text}");
        assert_eq!(keys(&found["Toys"], &["id"]), "1 3", "{text}");
        assert_eq!(keys(&found["People"], &["name"]), "A", "{text}");
    }
}
three!(keys_of_other_kinds, super::other_keys);

#[tokio::test]
async fn what_cannot_be_drafted_from_says_why() {
    let db = Db::new(Engine::Sqlite, "create table a (x integer, y integer, primary key (x, y)); create table user_accounts (x)")
        .await;
    let told = async |url: &str, table: &str, key: Option<&str>| {
        let wish = Wish {
            url: url.to_owned(),
            person_table: table.to_owned(),
            person_key: key.map(str::to_owned),
            head: Head { edition: "1".to_owned(), source: "db".to_owned(), address: ("url".to_owned(), url.to_owned()) },
        };
        draft(&wish, db.folder.path()).await.unwrap_err().to_string()
    };
    assert!(told(db.url(), "useraccount", None).await.contains("user_accounts"));
    assert!(told(db.url(), "a", None).await.contains("--person-key"));
    assert!(told(db.url(), "a", Some("z")).await.contains("it has: x, y"));
    assert!(told("oracle:x", "a", None).await.contains("sqlite:"));
    assert!(told("mysql://nobody@127.0.0.1:1", "a", None).await.contains("names no database"));
    assert!(told("mysql://nobody@127.0.0.1:1/x", "a", None).await.contains("cannot be read"));
    assert!(told("sqlite:nowhere.db", "a", None).await.contains("nowhere.db"));
    assert!(told("postgres://nobody@127.0.0.1:1/x", "a", None).await.contains("cannot be read"));
}
