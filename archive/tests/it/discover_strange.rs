//! What drafts of strangers' databases taught: pairs of people and addresses, heirs of tables, records that a person has one of, names of other scripts.

use serde_json::json;

use crate::discover::{complaints, drafted, quoting, read, rows};
use crate::support::{Db, Engine};
use crate::three;

const CLUB: &str = r#"
create table "Mitglieder" ("Nr" bigint primary key, "Name" varchar(20) not null, joined timestamp null);
create table addresses (id bigint primary key, street varchar(20));
create table contacts (id bigint primary key, phone varchar(20));
create table member_addresses (member bigint not null, address_id bigint not null, kind varchar(8), primary key (member, address_id),
    foreign key (member) references "Mitglieder" ("Nr"), foreign key (address_id) references addresses (id));
create table member_contacts (member bigint not null, contact_id bigint not null, primary key (member, contact_id),
    foreign key (member) references "Mitglieder" ("Nr"), foreign key (contact_id) references contacts (id));
create table cards (member bigint primary key, issued_at timestamp null, foreign key (member) references "Mitglieder" ("Nr"));
create table "Größe" (id bigint primary key, member bigint not null, cm bigint, foreign key (member) references "Mitglieder" ("Nr"));
insert into "Mitglieder" values (1, 'Ada', null), (2, 'Bob', null);
insert into addresses values (10, 'First'), (11, 'Shared'), (12, 'Other'), (13, 'Nobody');
insert into contacts values (20, '555'), (21, '556');
insert into member_addresses values (1, 10, 'home'), (1, 11, 'work'), (2, 11, 'home'), (2, 12, 'work');
insert into member_contacts values (1, 20), (2, 21);
insert into cards values (1, '2024-01-01 00:00:00'), (2, null);
insert into "Größe" values (1, 1, 170), (2, 2, 180);
"#;

async fn addresses_are_found_over_tables_of_pairs(engine: Engine) {
    let db = Db::new(engine, &quoting(engine, CLUB)).await;
    // As a query would name it.
    let text = drafted(&db, "\"Mitglieder\"", None).await;
    let catalogue = read(&text);
    assert_eq!(complaints(&db, &catalogue).await, []);
    let found = rows(&db, &catalogue, "1").await;
    assert_eq!(found["Addresses"], [json!({"id": 10, "street": "First"}), json!({"id": 11, "street": "Shared"})], "{text}");
    // Whose contacts these are nobody knows; that there are some is said.
    assert!(!found.contains_key("Contacts") && text.contains("#   contacts"), "{text}");
    assert!(catalogue.sections().iter().any(|section| section.path.last().unwrap() == "Addresses" && section.shared));
    let card = catalogue.sections().iter().find(|section| section.path.last().unwrap() == "Cards").unwrap();
    assert_eq!(card.query.as_ref().unwrap().time, None, "of what a person has one, no range takes it away");
    assert!(catalogue.categories().iter().any(|category| category.name == "groesse"), "{text}");
}
three!(pairs, super::addresses_are_found_over_tables_of_pairs);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heirs_with_columns_of_their_own_are_tables() {
    if !crate::support::postgres_is_there() {
        return;
    }
    let data = "
        create table persons (id bigint primary key);
        create table notes (id bigint primary key, person_id bigint not null references persons (id), words text);
        create table notes_2024 (check (id < 100)) inherits (notes);
        create table loud_notes (volume int) inherits (notes);
        insert into persons values (1), (2);
        insert into notes_2024 values (1, 1, 'old'), (2, 2, 'his');
        insert into loud_notes values (3, 1, 'loud', 11);";
    let db = Db::new(Engine::Postgres, data).await;
    let text = drafted(&db, "persons", None).await;
    let found = rows(&db, &read(&text), "1").await;
    assert_eq!(found["Notes"].len(), 2, "an heir is read with its table: {text}");
    assert_eq!(found["Loud Notes"], [json!({"id": 3, "words": "loud", "volume": 11})], "{text}");
    assert!(!found.contains_key("Notes 2024"));
}
