//! Others are named by pseudonyms that a grant's archives share, and no other grant's.

use platform::audit::Actor;

use crate::db_test;
use crate::support::{ACTIVITY_ONGOING, BASIC, World, plain};

const RULE: &str = "\n[section.fields]\nlink = { type = \"string\", whose = \"other\", rule = \"pseudonym\" }\n";
const AFTER: &str = "order by user_id, link\"\n";

db_test! {
    async fn a_grants_archives_share_them_through_a_change_of_keys(engine) {
        let w = World::new(engine).await;
        let file = w.folder.path().join("catalog.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let at = text.find(AFTER).unwrap() + AFTER.len();
        std::fs::write(&file, format!("{}{RULE}{}", &text[..at], &text[at..])).unwrap();
        let server = w.another(|_| {}).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        // The clock stands, so only what the grant decides can differ.
        let made = async |bearer: &platform::grants::Bearer| {
            let id = w.add(bearer, &["activity"]).await;
            platform::jobs::drain(&server).await.unwrap();
            plain(&server, &w.archive(id).await.unwrap()).await.unwrap()
        };
        let first = made(&bearer).await;
        assert_eq!(made(&bearer).await, first, "one grant, two archives");
        assert_eq!(server.rotate_keys(Actor::Operator).await.unwrap(), 4, "a client's secret, two archives, and the grant's secret");
        assert_eq!(made(&bearer).await, first, "the keys changed, and the secret did not");
        let other = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        assert_ne!(made(&other).await, first, "two grants");
        // A catalogue without such a rule needs no secret, and writes the links themselves.
        let id = w.add(&bearer, &["activity"]).await;
        platform::jobs::drain(&w.platform).await.unwrap();
        assert_ne!(plain(&w.platform, &w.archive(id).await.unwrap()).await.unwrap(), first);
        assert_eq!(w.number("select count(*) from grants where pseudonyms_sealed is not null").await, 2);
    }
}
