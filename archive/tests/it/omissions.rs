//! What an archive does not hold, or holds otherwise than its source, is told in its manifest, each with its reason: all kinds that there are.

use std::collections::BTreeSet;

use archive::manifest::{Omission, OmissionKind};
use archive::verify::manifest_of;
use archive::write::{Format, Order};
use tokio_util::sync::CancellationToken;

use crate::documents::{asked, documents};
use crate::support::{Db, Engine, Made, order};

const DATA: &str = "
    create table posts (id bigint, user_id bigint, at bigint, words varchar(40), friend varchar(20), place bigint, picture varchar(40));
    insert into posts values (1, 7, 1000, cast(x'61ff' as text), 'bob', 50, 'gone.png'), (2, 7, 2000, 'b', null, null, '../x.png');
    create table links (user_id bigint, customer varchar(20));
    create table orders (customer varchar(20), id bigint, title varchar(20));
    insert into orders values ('C-1', 1, 'pen');
    create table places (id bigint, name varchar(20));
";

/// Three sections: one with everything that can be missing, one that is whole by a key that the person may lack, one with nested rows by that key.
fn sections(media: &str) -> String {
    format!(
        r#"
[store.pictures]
url = "file:objects"
[subject.key.customer]
source = "db"
type = "text"
missing = "empty"
owner = "user_id"
query = "select user_id, customer from links where user_id = :subject"
[[section]]
categories = ["activity"]
path = ["Posts"]
source = "db"
shape = "list"
owner = "user_id"
time = "at"
hidden = ["id"]
query = "select id, user_id, at, words, friend, friend as own, place, picture from posts where user_id = :subject and at >= :since and at < :until order by id"
[section.fields]
at = {{ type = "timestamp", from = "unix_ms" }}
friend = {{ type = "string", whose = "other", rule = "pseudonym" }}
own = {{ type = "string", whose = "other", rule = "omit" }}
[section.media]
column = "picture"
store = "pictures"
{media}
[[section.lookup]]
column = "place"
source = "db"
key = "id"
fields = {{ name = "Place" }}
query = "select id, name from places where id in (:keys)"
owner = "unchecked"
owner_reason = "places are not people"
[[section]]
categories = ["activity"]
path = ["Orders"]
source = "db"
shape = "list"
owner = "customer"
owner_is = "customer"
query = "select customer, id, title from orders where customer = :customer order by id"
[[section]]
categories = ["activity"]
path = ["Visits"]
source = "db"
shape = "list"
owner = "user_id"
query = "select id, user_id from posts where user_id = :subject order by id"
[[section.nest]]
field = "Bought"
owner = "customer"
owner_is = "customer"
on = ["id"]
query = "select customer, id, title from orders where customer = :customer order by id"
"#
    )
}

async fn told(db: &Db, media: &str, order: Order) -> (Vec<Omission>, String) {
    let catalogue = db.catalogue(&sections(media));
    let sources = db.sources(&catalogue).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let (out, progress) = (file.reopen().unwrap(), Default::default());
    archive::write::write(catalogue, &sources, order, out, progress, CancellationToken::new()).await.unwrap();
    let omissions = manifest_of(file.reopen().unwrap()).unwrap().unwrap().omissions;
    (omissions, Made { file }.members().into_iter().find(|(name, _)| name == "README.txt").unwrap().1)
}

fn short(omissions: &[Omission]) -> Vec<(OmissionKind, String, Option<&str>, Option<u64>)> {
    omissions.iter().map(|one| (one.kind, one.section.join(" / "), one.field.as_deref(), one.values)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_omission_is_told() {
    use OmissionKind::*;
    let db = Db::new(Engine::Sqlite, DATA).await;
    std::fs::create_dir_all(db.folder.path().join("objects")).unwrap();
    let (omissions, readme) = told(&db, "", asked(Format::Ndjson, None)).await;
    // From 2020 on: there are no posts, and what they would lack is not counted.
    assert!(short(&omissions).contains(&(OutOfRange, "Posts".into(), None, None)), "{omissions:?}");
    let reason = |kind| omissions.iter().find(|one| one.kind == kind).unwrap().reason.clone();
    assert_eq!(reason(OutOfRange), "a range was asked for: only what is not before 2020-01-01T00:00:00Z");
    assert_eq!(reason(KeyMissing), "the person has no \"customer\", so there was nothing to ask the source for");
    assert!(
        readme.contains("Only what is from 2020-01-01 00:00:00") && readme.contains("\n  Orders: not here: the person has no")
    );
    assert!(!readme.contains("a range was asked for: only"), "{readme}");
    let mut seen: BTreeSet<String> = omissions.iter().map(|one| format!("{:?}", one.kind)).collect();

    let all = Order { since: None, ..asked(Format::Ndjson, None) };
    let (omissions, _) = told(&db, "", all.clone()).await;
    let mut wanted = vec![
        (FieldAltered, "Posts".to_owned(), Some("friend"), None),
        (FieldLeftOut, "Posts".to_owned(), Some("own"), None),
        (LookupMissing, "Posts".to_owned(), Some("place"), Some(1)),
        (TextsRepaired, "Posts".to_owned(), None, Some(1)),
        (MediaLeftOut, "Posts".to_owned(), None, Some(1)),
        (MediaLeftOut, "Posts".to_owned(), None, Some(1)),
        (KeyMissing, "Orders".to_owned(), None, None),
        (KeyMissing, "Visits".to_owned(), Some("Bought"), None),
    ];
    assert_eq!(short(&omissions), wanted);
    let media: Vec<&str> = omissions.iter().filter(|one| one.kind == MediaLeftOut).map(|one| one.reason.as_str()).collect();
    assert_eq!(
        media,
        ["what the operator has as the names of these files names none", "these files are not where the operator keeps them"]
    );
    seen.extend(omissions.iter().map(|one| format!("{:?}", one.kind)));

    // Links in the place of files, as in the compatible form or by the catalogue.
    wanted.retain(|one| one.0 != MediaLeftOut);
    wanted.insert(4, (MediaLinked, "Posts".to_owned(), Some("picture"), None));
    for (media, format) in [("", Format::Json), ("as = \"links\"", Format::Ndjson), ("as = \"links\"", Format::Text)] {
        let (omissions, _) = told(&db, media, Order { format, ..all.clone() }).await;
        assert_eq!(short(&omissions), wanted, "{format} {media}");
        seen.extend(omissions.iter().map(|one| format!("{:?}", one.kind)));
    }
    let kinds =
        [FieldLeftOut, FieldAltered, LookupMissing, TextsRepaired, OutOfRange, NotRanged, KeyMissing, MediaLeftOut, MediaLinked];
    assert_eq!(seen, kinds.iter().map(|kind| format!("{kind:?}")).collect());

    // Somebody with the key, for whom all is there.
    db.run("insert into links values (9, 'C-1'); insert into posts values (1, 9, 1, 'a', null, null, null)").await;
    let plain = Order { documents: Some(documents(None)), ..order("activity", "9", Format::Csv) };
    let (omissions, _) = told(&db, "", plain).await;
    // Without a secret there is no pseudonym.
    assert_eq!(
        short(&omissions),
        [(FieldLeftOut, "Posts".to_owned(), Some("friend"), None), (FieldLeftOut, "Posts".to_owned(), Some("own"), None)]
    );
}
