//! The keys that sign archives: made once, sealed, rotated, and published for ever.

use std::io::Cursor;

use archive::sign::PublicKey;
use archive::verify::{Signature, Verdict, verify};
use platform::audit::Actor;
use platform::signing;

use crate::db_test;
use crate::support::{ACTIVITY_ONGOING, BASIC, DAY, World, plain};

db_test! {
    async fn archives_are_signed_where_the_operator_wants_it(engine) {
        let w = World::new(engine).await;
        let server = w.another(|settings| settings.requests.documents = true).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let made = async || {
            let id = w.add(&bearer, &["activity"]).await;
            platform::jobs::drain(&server).await.unwrap();
            plain(&server, &w.archive(id).await.unwrap()).await.unwrap()
        };
        assert_eq!(signing::published(&w.platform).await.unwrap().len(), 0, "nobody needed one");
        let first = made().await;
        let keys = async || -> Vec<PublicKey> {
            signing::published(&w.platform).await.unwrap().iter().map(|key| key.key().unwrap()).collect()
        };
        let old = keys().await;
        assert_eq!(old.len(), 1);
        let judge = |bytes: &[u8], keys: &[PublicKey]| verify(Cursor::new(bytes), keys).unwrap();
        let report = judge(&first, &old);
        assert_eq!((report.verdict(), &report.findings[..]), (Verdict::Verified, &[][..]));
        let manifest = report.manifest.unwrap();
        assert_eq!((manifest.app.name.as_str(), manifest.app.client_key.as_deref()), (w.app.name.as_str(), Some(w.app.client_key.as_str())));
        assert!(manifest.person.open_id.is_some() && manifest.operator.keys.unwrap().ends_with(signing::PUBLISHED_AT));

        // The clock stands, and everything else is the same: so are the bytes, but for the request's number.
        let again = made().await;
        assert_eq!(judge(&again, &old).manifest.unwrap().files[0], manifest.files[0]);

        // What seals the secret changes, and the secret does not.
        w.platform.rotate_keys(Actor::Operator).await.unwrap();
        w.advance(2 * DAY);
        w.platform.rotate_keys(Actor::Operator).await.unwrap();
        assert_eq!(keys().await, old);
        assert_eq!(signing::signer(&server).await.unwrap().public(), old[0]);

        // Another key signs; the old one is known for ever, and its secret is gone.
        let kid = signing::rotate(&w.platform, Actor::Operator).await.unwrap();
        let both = keys().await;
        assert_eq!((both.len(), both[0].kid(), both[1]), (2, kid.clone(), old[0]));
        assert_eq!(signing::signer(&server).await.unwrap().public(), both[0]);
        assert_eq!(w.number("select count(*) from signing_keys where sealed is null and until is not null").await, 1);
        let published = signing::published(&w.platform).await.unwrap();
        assert!(published[0].until.is_none() && published[1].until == published[0].from);
        assert_eq!(judge(&first, &both).signature, Signature::Good { kid: old[0].kid() });
        assert_eq!(judge(&first, &both[..1]).verdict(), Verdict::Broken, "a key that is none of the given");
        assert_eq!(w.number("select count(*) from audit where action = 'signing.rotated'").await, 1);

        // The compatible surface stays as it is where nobody asked for more.
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let id = w.add(&bearer, &["activity"]).await;
        platform::jobs::drain(&w.platform).await.unwrap();
        assert_eq!(w.contents(id).await.members.len(), 1);
    }
}

db_test! {
    async fn two_processes_make_one_key(engine) {
        let w = World::new(engine).await;
        w.warm().await;
        let other = w.another(|_| {}).await;
        let signers = (0..8).map(|at| signing::signer(if at % 2 == 0 { &w.platform } else { &other }));
        let signers = futures_util::future::try_join_all(signers).await.unwrap();
        assert!(signers.iter().all(|signer| signer.public() == signers[0].public()));
        assert_eq!(w.number("select count(*) from signing_keys").await, 1);
        // And rotate to one.
        let rotated = futures_util::future::try_join_all([signing::rotate(&w.platform, Actor::Operator), signing::rotate(&other, Actor::Operator)]);
        rotated.await.unwrap();
        assert_eq!(w.number("select count(*) from signing_keys where signs = 1").await, 1);
    }
}
