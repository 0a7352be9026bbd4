//! Others' data: kept, told in part, named by a pseudonym, or left out; and what is told of it.

use std::sync::Arc;

use archive::catalogue::{Catalogue, Rule};
use archive::write::{ExportError, Identity, Summary};
use serde_json::json;
use wire::DataFormat;

use crate::both;
use crate::support::{Db, Engine, Made, order};

const DATA: &str = "
    create table messages (user_id bigint, n bigint, author varchar(40), mail varchar(40), tel varchar(40), name varchar(40), words varchar(40));
    insert into messages values
        (7, 1, 'bob', 'bob@example.org', '+49 30 1234567', 'Bob Ross', 'hi'),
        (7, 2, 'eve', null, '12', '', 'yo'),
        (7, 3, 'bob', 'no address', '030-555-99', 'Bob', 'again');
";

fn section(fields: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"Messages\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"user_id\"\n\
         hidden = [\"n\"]\nquery = '''select user_id, n, author, mail, tel, name, words from messages where user_id = :subject order by n'''\n\
         [section.fields]\n{fields}"
    )
}

const FIELDS: &str = r#"
author = { type = "string", whose = "other", rule = "pseudonym", meaning = "Who wrote it", origin = "observed" }
mail = { type = "string", whose = "other", rule = "minimal", format = "email" }
tel = { type = "string", whose = "other", rule = "minimal", format = "phone" }
name = { type = "string", whose = "other", rule = "minimal", format = "name" }
words = { type = "string", whose = "shared", rule = "omit" }
user_id = { type = "string", whose = "self", rule = "open_id" }
"#;

fn identity(grant: u8, archive: u8) -> Identity {
    Identity {
        open_id: Some("open-7".into()),
        grant_secret: Some([grant; 32]),
        archive_secret: Some([archive; 32]),
        ..Identity::default()
    }
}

async fn made(
    db: &Db,
    catalogue: &Arc<Catalogue>,
    identity: Identity,
    format: DataFormat,
) -> Result<(Made, Summary), ExportError> {
    let sources = db.sources(catalogue).await;
    assert_eq!(sources.check(catalogue).await, []);
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut order = order("activity", "7", format);
    order.identity = identity;
    let handle = file.reopen().unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    let summary = archive::write::write(catalogue.clone(), &sources, order, handle, Arc::default(), cancel).await?;
    Ok((Made { file }, summary))
}

async fn values_are_written_by_their_rules(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let catalogue = db.catalogue(&section(FIELDS));
    let (first, summary) = made(&db, &catalogue, identity(1, 1), DataFormat::Json).await.unwrap();
    let value = first.value();
    let rows = value["Messages"].as_array().unwrap();
    let bob = rows[0]["author"].as_str().unwrap();
    assert_eq!(rows[2]["author"], bob);
    assert_ne!(rows[1]["author"], bob);
    assert!(bob.len() == 24 && !first.json().contains("bob") && !first.json().contains("hi"), "{}", first.json());
    assert_eq!(rows[0], json!({"user_id": "open-7", "author": bob, "mail": "b***@example.org", "tel": "***67", "name": "B. R."}));
    assert_eq!(rows[1]["mail"], json!(null));
    assert_eq!(rows[1]["tel"], json!(null), "too short to hide anything");
    assert_eq!(rows[1]["name"], json!(null));
    assert_eq!(rows[2]["mail"], json!(null), "what is no address is not told");
    let ruled: Vec<_> = summary.sections[0].ruled.iter().map(|of| (of.column.as_str(), of.rule, of.left_out)).collect();
    assert_eq!(
        ruled,
        [
            ("user_id", Rule::OpenId, false),
            ("author", Rule::Pseudonym, false),
            ("mail", Rule::Minimal, false),
            ("tel", Rule::Minimal, false),
            ("name", Rule::Minimal, false),
            ("words", Rule::Omit, true),
        ]
    );
    let (text, _) = made(&db, &catalogue, identity(1, 1), DataFormat::Text).await.unwrap();
    let text = text.text("Data/Messages.txt");
    let block = format!("User id: open-7\nAuthor: {bob}\nMail: b***@example.org\nTel: ***67\nName: B. R.\n\n");
    assert!(text.starts_with(&block), "{text}");
    assert!(!text.contains("Words") && !text.contains("bob@"), "{text}");
}

async fn a_pseudonym_lasts_as_long_as_it_says(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let author = async |fields: &str, identity: Identity| {
        let catalogue = db.catalogue(&section(fields));
        let (made, _) = made(&db, &catalogue, identity, DataFormat::Json).await.unwrap();
        made.value()["Messages"][0].get("author").cloned()
    };
    let by_archive = FIELDS.replace("rule = \"pseudonym\"", "rule = \"pseudonym\", stable = \"archive\"");
    let first = author(FIELDS, identity(1, 1)).await.unwrap();
    assert_eq!(author(FIELDS, identity(1, 2)).await.unwrap(), first, "one grant, two archives");
    assert_ne!(author(FIELDS, identity(2, 1)).await.unwrap(), first, "two grants");
    let first = author(&by_archive, identity(1, 1)).await.unwrap();
    assert_eq!(author(&by_archive, identity(2, 1)).await.unwrap(), first);
    assert_ne!(author(&by_archive, identity(1, 2)).await.unwrap(), first, "two archives");
    // Without a secret there is no pseudonym, and no value either.
    assert_eq!(author(FIELDS, Identity::default()).await, None);
}

async fn groups_and_others_under_the_persons_name(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let query = "select user_id, author, words from messages where user_id = :subject order by author, n";
    let groups = format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"Chats\"]\nsource = \"db\"\nshape = \"groups\"\ngroup = \"author\"\n\
         owner = \"user_id\"\nquery = '''{query}'''\n[section.fields]\nauthor = {{ type = \"string\", whose = \"other\", rule = \"pseudonym\" }}\n"
    );
    let (archive, summary) = made(&db, &db.catalogue(&groups), identity(1, 1), DataFormat::Json).await.unwrap();
    let value = archive.value();
    let chats = value["Chats"].as_object().unwrap();
    assert_eq!(chats.len(), 2);
    assert!(chats.keys().all(|name| name.len() == 24), "{value}");
    assert_eq!(summary.sections[0].ruled.len(), 1);
    let (text, _) = made(&db, &db.catalogue(&groups), identity(1, 1), DataFormat::Text).await.unwrap();
    assert!(!text.text("Data/Chats.txt").contains("bob"));
    // A field that is said to be the person's own identifier, and is not.
    let wrong = section("author = { type = \"string\", whose = \"self\", rule = \"open_id\" }\n");
    let error = made(&db, &db.catalogue(&wrong), identity(1, 1), DataFormat::Json).await.err().unwrap();
    assert_eq!(error.reason(), "value_invalid");
    assert!(!error.to_string().contains("bob"), "{error}");
}

#[test]
fn undeclared_columns_are_told() {
    let text = crate::support::head(Engine::Sqlite, "sqlite:data.db", "") + &section(FIELDS);
    let catalogue = crate::support::parse(&text).unwrap();
    let section = &catalogue.sections()[0];
    assert_eq!(section.undeclared(&["user_id", "n", "author", "iban", "mail", "iq"]), ["iban", "iq"]);
    let bare = text.replace("[section.fields]", "").replace(FIELDS, "");
    assert_eq!(crate::support::parse(&bare).unwrap().sections()[0].undeclared(&["anything"]), [""; 0]);
}

async fn the_live_columns_are_compared(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let catalogue = db.catalogue(&section(&FIELDS.replace("mail = {", "#")));
    let sources = db.sources(&catalogue).await;
    let examined = sources.examine(&catalogue).await;
    assert_eq!(examined.faults, []);
    assert_eq!(examined.warnings.len(), 1, "{:?}", examined.warnings);
    assert!(examined.warnings[0].to_string().contains("the column `mail` is not declared"), "{}", examined.warnings[0]);
}

both!(written, super::values_are_written_by_their_rules);
both!(lasting, super::a_pseudonym_lasts_as_long_as_it_says);
both!(groups, super::groups_and_others_under_the_persons_name);
both!(live, super::the_live_columns_are_compared);
