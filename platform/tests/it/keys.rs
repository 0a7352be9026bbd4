//! What is sealed: it outlives a change of keys, and ends with its row.

use platform::apps;
use platform::audit::Actor;
use platform::requests;

use crate::db_test;
use crate::support::{ACTIVITY_ONGOING, BASIC, DAY, World, plain};

async fn secret_holds(w: &World, platform: &platform::Platform) -> bool {
    let mut tx = platform.db.read().await.unwrap();
    apps::holds_secret(platform, &mut tx, w.app.app_id, &w.secret).await.unwrap()
}

db_test! {
    async fn secrets_and_archives_outlive_rotations(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        let before = w.archive(id).await.unwrap();
        let bytes = w.download(id).await.unwrap();
        let server = w.another(|_| {}).await;
        let first_file = std::fs::read_to_string(w.folder.path().join("keys")).unwrap();

        assert_eq!(w.platform.rotate_keys(Actor::Operator).await.unwrap(), 2, "one secret, one archive");
        let after = w.archive(id).await.unwrap();
        assert_ne!(after.sealed_key, before.sealed_key);
        assert_eq!(after.object, before.object, "the archive itself stays as it is");
        for platform in [&w.platform, &server] {
            assert!(secret_holds(&w, platform).await);
            assert_eq!(plain(platform, &after).await.unwrap(), bytes);
            assert_eq!(plain(platform, &before).await.unwrap(), bytes, "a row read just before still opens");
        }
        // What the other process seals from now on, it seals by the new key.
        let made = requests::add(&server, &bearer, &w.asked(&["activity"]), None).await.unwrap();
        platform::jobs::drain(&server).await.unwrap();
        assert!(w.platform.keys.is_current(&w.archive(made).await.unwrap().sealed_key));

        w.advance(2 * DAY);
        w.platform.rotate_keys(Actor::Operator).await.unwrap();
        w.advance(2 * DAY);
        w.platform.rotate_keys(Actor::Operator).await.unwrap();
        assert!(plain(&w.platform, &before).await.is_err(), "the first key is gone for good");
        let last_file = std::fs::read_to_string(w.folder.path().join("keys")).unwrap();
        assert!(first_file.split_whitespace().take(2).all(|word| !last_file.contains(word)));
        for platform in [&w.platform, &server] {
            assert!(secret_holds(&w, platform).await);
            assert_eq!(plain(platform, &w.archive(id).await.unwrap()).await.unwrap(), bytes);
        }
        let fresh = w.another(|_| {}).await;
        assert!(secret_holds(&w, &fresh).await, "and after a restart");
    }
}

db_test! {
    async fn without_its_row_an_archive_is_noise(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let (one, two) = (w.add(&bearer, &["activity"]).await, w.add(&bearer, &["activity"]).await);
        w.drain().await;
        let (kept, stolen) = (w.archive(one).await.unwrap(), w.archive(two).await.unwrap());
        w.execute(format!("delete from archives where request_id = {}", one.get())).await;
        assert_eq!(w.objects().len(), 2, "the bytes lie there yet");
        assert!(w.archive(one).await.is_none());
        // No other key opens them, nor does the own one under another name or in another row.
        let mut moved = stolen.clone();
        moved.object = kept.object.clone();
        assert!(moved.key(&w.platform).is_err(), "a key is sealed for its object");
        let key = stolen.key(&w.platform).unwrap();
        use futures_util::TryStreamExt;
        let read = w.platform.vault.read(&kept.object, &key, kept.len(), 0..kept.len());
        assert!(read.try_collect::<Vec<_>>().await.is_err());
        // Whoever takes the store without the key file has nothing.
        let elsewhere = tempfile::tempdir().unwrap();
        let keys = platform::keys::Keys::open(&elsewhere.path().join("keys"), &platform::Random::seeded(9), w.platform.now()).unwrap();
        assert!(keys.unseal(&format!("archive {}", stolen.object), &stolen.sealed_key).is_err());
    }
}
