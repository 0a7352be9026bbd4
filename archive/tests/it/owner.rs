//! A wrong join must not serve somebody else's rows.

use archive::write::{ExportError, Failure};
use wire::DataFormat;

use crate::support::{Db, Engine};
use crate::three;

const DATA: &str = "
    create table likes (user_id bigint, link text, note text);
    insert into likes values (1, 'hers', 'x'), (1, 'hers too', 'x'), (2, 'his secret', 'y'), (null, 'nobody''s', 'z');
";

fn section(query: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"Likes\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"user_id\"\nquery = '''{query}'''\n"
    )
}

async fn a_planted_or_serves_nothing(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    for query in [
        "select user_id, link from likes where user_id = :subject or 1=1 order by user_id",
        "select l.user_id, o.link from likes l join likes o on o.user_id = l.user_id or 1=1 where o.user_id = :subject order by l.user_id",
        "select user_id, link from likes where user_id = :subject or user_id is null order by link",
    ] {
        let catalogue = db.catalogue(&section(query));
        for format in [DataFormat::Json, DataFormat::Text] {
            let Err(error) = db.export(&catalogue, "activity", "1", format).await else { panic!("served: {query}") };
            assert!(matches!(&error, ExportError::Section { failure: Failure::Owner, .. }), "{error}");
            assert_eq!(error.reason(), "owner_mismatch");
            assert!(!error.retryable());
            assert!(error.to_string().contains("source `db`, section \"Likes\""), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}

/// What would have been the first strange row is not even rendered: the file is given up with what came before it.
async fn nothing_of_the_strange_row_is_on_disk(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let catalogue =
        db.catalogue(&section("select user_id, link from likes where user_id = :subject or user_id = 2 order by user_id"));
    let sources = db.sources(&catalogue).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut order = crate::support::order("activity", "1", DataFormat::Json);
    order.level = 0;
    let result = archive::write::write(
        catalogue,
        &sources,
        order,
        file.reopen().unwrap(),
        std::sync::Arc::default(),
        tokio_util::sync::CancellationToken::new(),
    )
    .await;
    assert_eq!(result.unwrap_err().reason(), "owner_mismatch");
    let bytes = std::fs::read(file.path()).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
}

async fn the_owner_is_written_only_as_a_field(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let text = section("select user_id, link from likes where user_id = :subject and link = 'hers'");
    let (made, _) = db.export(&db.catalogue(&text), "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(made.json(), r#"{"Likes":[{"link":"hers"}]}"#);
    let text = text + "[section.fields]\nuser_id = { type = \"string\" }\n";
    let (made, _) = db.export(&db.catalogue(&text), "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(made.json(), r#"{"Likes":[{"user_id":"1","link":"hers"}]}"#);
}

async fn a_subject_of_another_type_is_refused(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let catalogue = db.catalogue(&section("select user_id, link from likes where user_id = :subject"));
    for subject in ["", "one", "1 or 1=1", "01", "9223372036854775808"] {
        let Err(error) = db.export(&catalogue, "activity", subject, DataFormat::Json).await else { panic!("served: {subject}") };
        assert_eq!(error.reason(), "subject_invalid");
        assert!(!error.retryable());
    }
    let Err(error) = db.export(&catalogue, "gossip", "1", DataFormat::Json).await else { panic!("served") };
    assert_eq!(error.reason(), "category_unknown");
}

three!(planted, super::a_planted_or_serves_nothing);
three!(strange_row, super::nothing_of_the_strange_row_is_on_disk);
three!(field, super::the_owner_is_written_only_as_a_field);
three!(subject, super::a_subject_of_another_type_is_refused);
