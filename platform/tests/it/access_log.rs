//! The access log: nothing waits for it, and nothing that it took is lost while the store can be written.

use std::sync::Arc;
use std::time::Duration;

use platform::access_log::{self, Access, Call};
use tokio_util::sync::CancellationToken;

use crate::db_test;
use crate::support::{DAY, World};

fn access(w: &World, call: Call, number: i64) -> Access {
    Access {
        at: w.platform.now(),
        app_id: w.app.app_id,
        person_id: Some(w.anna),
        grant_id: None,
        request_id: Some(number),
        call,
        answer: "ok".into(),
        bytes: number,
    }
}

async fn count(w: &World) -> i64 {
    w.number("select count(*) from access_log").await
}

/// Waits until so many are written.
async fn written(w: &World, wanted: i64) {
    for _ in 0..1000 {
        if count(w).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} of {wanted} are written", count(w).await);
}

db_test! {
    async fn an_entry_says_what_was_called_by_whom_about_what(engine) {
        let w = World::new(engine).await;
        let noted = access(&w, Call::Download, 12_345);
        w.platform.access.note(noted.clone());
        access_log::flush(&w.platform).await.unwrap();
        let mut tx = w.platform.db.read().await.unwrap();
        assert_eq!(access_log::of_app(&mut tx, w.app.app_id, 10).await.unwrap(), [noted]);
        assert_eq!(access_log::of_app(&mut tx, 1, 10).await.unwrap(), []);
    }
}

db_test! {
    async fn ten_thousand_calls_at_once_are_all_written_and_none_waits(engine) {
        let w = Arc::new(World::new(engine).await);
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let w = Arc::clone(&w);
                tokio::spawn(async move {
                    for number in 0..2500 {
                        w.platform.access.note(access(&w, Call::Check, number));
                    }
                })
            })
            .collect();
        for caller in callers {
            tokio::time::timeout(Duration::from_secs(60), caller).await.expect("nobody waits").unwrap();
        }
        // Nothing writes yet: whoever waited for a write would wait for ever.
        assert_eq!(w.platform.access.waiting(), 10_000);
        // What is more than may wait is let go, not held up.
        w.platform.access.note(access(&w, Call::Check, 1));
        assert_eq!(w.platform.access.waiting(), 10_000);
        access_log::flush(&w.platform).await.unwrap();
        assert_eq!((count(&w).await, w.platform.access.waiting()), (10_000, 0));
    }
}

db_test! {
    async fn what_is_noted_is_written_by_itself_and_all_of_it_at_the_stop(engine) {
        let w = Arc::new(World::new(engine).await);
        let stop = CancellationToken::new();
        let writer = { let (w, stop) = (Arc::clone(&w), stop.clone()); tokio::spawn(async move { access_log::run(&w.platform, stop).await }) };
        w.platform.access.note(access(&w, Call::Check, 1));
        w.platform.access.note(access(&w, Call::Add, 2));
        written(&w, 2).await;
        w.platform.access.note(access(&w, Call::Check, 3));
        written(&w, 3).await;
        w.platform.access.note(access(&w, Call::Check, 4));
        stop.cancel();
        writer.await.unwrap();
        assert_eq!(count(&w).await, 4);
    }
}

db_test! {
    async fn what_the_store_refuses_waits_and_is_written_later_in_its_order(engine) {
        let w = World::new(engine).await;
        w.execute("alter table access_log rename to access_gone").await;
        for number in 0..700 {
            w.platform.access.note(access(&w, Call::Check, number));
        }
        assert!(access_log::flush(&w.platform).await.is_err());
        w.platform.access.note(access(&w, Call::Check, 700));
        assert_eq!(w.platform.access.waiting(), 701);
        w.execute("alter table access_gone rename to access_log").await;
        access_log::flush(&w.platform).await.unwrap();
        assert_eq!((count(&w).await, w.number("select count(distinct request_id) from access_log").await), (701, 701));
    }
}

db_test! {
    async fn it_has_its_own_retention(engine) {
        let w = World::new(engine).await;
        w.platform.access.note(access(&w, Call::Check, 1));
        w.advance(DAY * 179);
        w.platform.access.note(access(&w, Call::Check, 2));
        access_log::flush(&w.platform).await.unwrap();
        w.keep("forget").await;
        assert_eq!(count(&w).await, 2);
        w.advance(DAY);
        w.keep("forget").await;
        assert_eq!(w.texts("select cast(request_id as text) from access_log").await, ["2"]);
    }
}
