//! The chain over the audit: what was sealed cannot be altered, taken out, moved or slipped in without being found.

use std::sync::Arc;

use platform::audit::{self, Actor, Entry, Finding, KnownHead, Report};
use platform::people;

use crate::db_test;
use crate::support::{DAY, Engine, MINUTE, World};

/// Writes so many entries with something in every field, one a minute.
async fn write(w: &World, count: i64) {
    for number in 0..count {
        let now = w.platform.now();
        let mut tx = w.platform.db.begin().await.unwrap();
        let entry = Entry {
            app: Some(number),
            person: Some(1_000_000 + number),
            grant: Some(2),
            request: Some(3),
            about: Some(4),
            detail: "a reason",
            personal: Some("mira@app.example"),
            ..Entry::new(Actor::Staff(7), "test.done")
        };
        entry.write(&mut tx, &w.platform.random, now).await.unwrap();
        tx.commit().await.unwrap();
        w.advance(MINUTE);
    }
}

/// A world with twelve sealed entries at places 1 to 12, and no others.
async fn sealed(engine: Engine) -> World {
    let w = World::new(engine).await;
    w.execute("delete from audit_details").await;
    w.execute("delete from audit").await;
    write(&w, 12).await;
    assert_eq!(audit::seal(&w.platform).await.unwrap(), 12);
    w
}

async fn verify_with(w: &World, known: &[KnownHead]) -> (Report, Vec<Finding>) {
    let mut findings = Vec::new();
    let report = audit::verify(&w.platform, known, |finding| findings.push(finding)).await.unwrap();
    assert_eq!(report.findings, findings.len() as u64);
    (report, findings)
}

async fn findings(w: &World) -> Vec<Finding> {
    verify_with(w, &[]).await.1
}

async fn id_at(w: &World, position: i64) -> i64 {
    w.number(format!("select audit_id from audit where position = {position}")).await
}

db_test! {
    async fn a_chain_that_nobody_touched_is_whole(engine) {
        let w = sealed(engine).await;
        write(&w, 3).await;
        let (report, found) = verify_with(&w, &[]).await;
        assert_eq!(found, []);
        assert_eq!((report.anchor, report.sealed, report.unsealed, report.head.position), (0, 12, 3, 12));
        assert_eq!(audit::seal(&w.platform).await.unwrap(), 3);
        assert_eq!(audit::seal(&w.platform).await.unwrap(), 0);
        let (later, found) = verify_with(&w, &[report.head]).await;
        assert_eq!((found, later.sealed, later.unsealed), (vec![], 15, 0));
    }
}

db_test! {
    async fn every_column_is_sealed(engine) {
        let columns = [
            ("at", "at + 1"), ("actor", "'staff 8'"), ("action", "'test.undone'"), ("app_id", "app_id + 1"), ("app_id", "null"), ("person_id", "9"),
            ("grant_id", "null"), ("request_id", "4"), ("about_id", "5"), ("detail", "'a reason '"),
            ("detail_hash", if engine == Engine::Sqlite { "x'00'" } else { "'\\x00'" }),
            ("chain", if engine == Engine::Sqlite { "x'00'" } else { "'\\x00'" }),
        ];
        let w = sealed(engine).await;
        w.execute("delete from audit_details").await;
        for (column, value) in columns {
            let id = id_at(&w, 5).await;
            w.execute("create table kept as select * from audit").await;
            w.execute(format!("update audit set {column} = {value} where position = 5")).await;
            let found = findings(&w).await;
            assert!(found.contains(&Finding::Altered { position: 5, audit_id: id }), "{column}: {found:?}");
            w.execute("delete from audit where position = 5").await;
            w.execute("insert into audit select * from kept where position = 5").await;
            w.execute("drop table kept").await;
            assert_eq!(findings(&w).await, [], "{column} is as it was");
        }
        // The number of an entry is sealed too.
        w.execute("update audit set audit_id = 77 where position = 5").await;
        assert_eq!(findings(&w).await, [Finding::Altered { position: 5, audit_id: 77 }]);
    }
}

db_test! {
    async fn what_was_moved_from_one_field_into_its_neighbour_is_found(engine) {
        let w = sealed(engine).await;
        let id = id_at(&w, 3).await;
        w.execute("update audit set action = 'test.donea', detail = ' reason' where position = 3").await;
        assert_eq!(findings(&w).await, [Finding::Altered { position: 3, audit_id: id }]);
    }
}

db_test! {
    async fn missing_entries_are_named_in_the_middle_and_at_the_end(engine) {
        let w = sealed(engine).await;
        w.execute("delete from audit_details").await;
        w.execute("delete from audit where position in (4, 5, 8)").await;
        assert_eq!(findings(&w).await, [Finding::Missing { from: 4, to: 5 }, Finding::Missing { from: 8, to: 8 }]);
        w.execute("delete from audit where position > 10").await;
        assert_eq!(findings(&w).await.last(), Some(&Finding::Missing { from: 11, to: 12 }));
        // Also the first ones, which retention did not cut.
        w.execute("delete from audit where position < 3").await;
        assert_eq!(findings(&w).await.first(), Some(&Finding::Missing { from: 1, to: 2 }));
        w.execute("delete from audit").await;
        assert_eq!(findings(&w).await, [Finding::Missing { from: 1, to: 12 }]);
    }
}

db_test! {
    async fn two_entries_that_changed_places_are_both_named(engine) {
        let w = sealed(engine).await;
        let (four, nine) = (id_at(&w, 4).await, id_at(&w, 9).await);
        for chains_too in [false, true] {
            w.execute(format!("update audit set position = 99 where audit_id = {four}")).await;
            w.execute(format!("update audit set position = 4 where audit_id = {nine}")).await;
            w.execute(format!("update audit set position = 9 where audit_id = {four}")).await;
            if chains_too {
                w.execute(format!("create table swapped as select audit_id, chain from audit where audit_id in ({four}, {nine})")).await;
                w.execute(format!("update audit set chain = (select chain from swapped where audit_id = {nine}) where audit_id = {four}")).await;
                w.execute(format!("update audit set chain = (select chain from swapped where audit_id = {four}) where audit_id = {nine}")).await;
            }
            let found = findings(&w).await;
            assert!(found.contains(&Finding::Altered { position: 4, audit_id: nine }), "{found:?}");
            assert!(found.contains(&Finding::Altered { position: 9, audit_id: four }), "{found:?}");
            // And back.
            w.execute(format!("update audit set position = 99 where audit_id = {four}")).await;
            w.execute(format!("update audit set position = 9 where audit_id = {nine}")).await;
            w.execute(format!("update audit set position = 4 where audit_id = {four}")).await;
            if chains_too {
                w.execute(format!("update audit set chain = (select chain from swapped where audit_id = {four}) where audit_id = {four}")).await;
                w.execute(format!("update audit set chain = (select chain from swapped where audit_id = {nine}) where audit_id = {nine}")).await;
            }
            assert_eq!(findings(&w).await, []);
        }
    }
}

db_test! {
    async fn an_entry_slipped_in_between_or_put_behind_the_end_is_found(engine) {
        let w = sealed(engine).await;
        let columns = "at, actor, action, app_id, person_id, grant_id, request_id, about_id, detail, detail_hash";
        w.execute(format!("insert into audit (audit_id, {columns}, position, chain) select 55, {columns}, 13, chain from audit where position = 12")).await;
        assert_eq!(findings(&w).await, [Finding::Beyond { position: 13, audit_id: 55 }]);
        w.execute("delete from audit where audit_id = 55").await;
        // Room is made at place 6: what stood there and later moves on by one.
        for position in (6..=12).rev() {
            w.execute(format!("update audit set position = {} where position = {position}", position + 1)).await;
        }
        w.execute(format!("insert into audit (audit_id, {columns}, position, chain) select 55, {columns}, 6, chain from audit where position = 5")).await;
        w.execute("update audit_head set position = 13").await;
        let found = findings(&w).await;
        assert!(found.contains(&Finding::Altered { position: 6, audit_id: 55 }), "{found:?}");
        // One that nobody sealed is counted as such.
        let w = sealed(engine).await;
        w.execute(format!("insert into audit (audit_id, {columns}) select 55, {columns} from audit where position = 5")).await;
        let (report, found) = verify_with(&w, &[]).await;
        assert_eq!((found, report.unsealed), (vec![], 1));
    }
}

db_test! {
    async fn an_entry_that_was_unsealed_leaves_a_gap_that_sealing_does_not_close(engine) {
        let w = sealed(engine).await;
        w.execute("update audit set position = null, chain = null where position = 6").await;
        assert_eq!(findings(&w).await, [Finding::Missing { from: 6, to: 6 }]);
        audit::seal(&w.platform).await.unwrap();
        assert_eq!(findings(&w).await, [Finding::Missing { from: 6, to: 6 }]);
    }
}

db_test! {
    async fn a_head_that_does_not_fit_is_found(engine) {
        let w = sealed(engine).await;
        w.execute("create table kept as select * from audit_head").await;
        let restore = async || {
            w.execute("delete from audit_head").await;
            w.execute("insert into audit_head select * from kept").await;
        };
        w.execute("update audit_head set chain = anchor_chain").await;
        assert_eq!(findings(&w).await, [Finding::Head { position: 12 }]);
        restore().await;
        w.execute("delete from audit_head").await;
        assert_eq!(findings(&w).await, [Finding::Head { position: 1 }]);
        restore().await;
        w.execute("update audit_head set position = 10").await;
        assert_eq!(findings(&w).await.last(), Some(&Finding::Beyond { position: 11, audit_id: id_at(&w, 11).await }));
        restore().await;
        assert_eq!(findings(&w).await, []);
    }
}

db_test! {
    async fn a_chain_made_anew_does_not_fit_a_head_kept_elsewhere(engine) {
        let w = sealed(engine).await;
        let (report, _) = verify_with(&w, &[]).await;
        // Somebody with the store in their hands alters an entry and has everything sealed again.
        w.execute("update audit set detail = 'another reason', position = null, chain = null where position = 5").await;
        w.execute("update audit set position = null, chain = null").await;
        w.execute("delete from audit_head").await;
        audit::seal(&w.platform).await.unwrap();
        assert_eq!(findings(&w).await, [], "by itself the new chain is whole");
        assert_eq!(verify_with(&w, std::slice::from_ref(&report.head)).await.1, [Finding::OtherChain { position: 12 }]);
        // The end cut off, and the head with it.
        w.execute("delete from audit_details").await;
        w.execute("delete from audit where position > 10").await;
        w.execute("update audit_head set position = 10, chain = (select chain from audit where position = 10)").await;
        assert_eq!(verify_with(&w, &[report.head]).await.1, [Finding::Missing { from: 11, to: 12 }]);
    }
}

db_test! {
    async fn retention_cuts_the_beginning_and_the_rest_can_still_be_verified(engine) {
        let w = sealed(engine).await;
        let (before, _) = verify_with(&w, &[]).await;
        write(&w, 2).await;
        // Eight entries are old enough; those that are not sealed stay whatever their age.
        let age = w.platform.now() - MINUTE * 6 - MINUTE / 2;
        assert_eq!(audit::cut(&w.platform, age).await.unwrap(), 8);
        let (report, found) = verify_with(&w, std::slice::from_ref(&before.head)).await;
        assert_eq!(found, []);
        // The cut is on record itself.
        assert_eq!((report.anchor, report.sealed, report.unsealed), (8, 4, 3));
        assert_eq!(w.number("select count(*) from audit_details d where not exists (select 1 from audit a where a.audit_id = d.audit_id)").await, 0);
        assert_eq!(w.texts("select detail from audit where action = 'audit.cut'").await, ["up to place 8"]);
        // What is cut further than that is missing; what is altered is found.
        w.execute("delete from audit_details").await;
        w.execute("delete from audit where position = 9").await;
        assert_eq!(findings(&w).await, [Finding::Missing { from: 9, to: 9 }]);
        // A head from before the cut is told as too old to be compared.
        let old = KnownHead { position: 3, ..before.head };
        assert_eq!(verify_with(&w, &[old]).await.0.too_old, 1);
        // Everything sealed may go in the end, and the chain goes on from there.
        audit::seal(&w.platform).await.unwrap();
        w.advance(DAY);
        assert!(audit::cut(&w.platform, w.platform.now()).await.unwrap() > 0);
        write(&w, 2).await;
        audit::seal(&w.platform).await.unwrap();
        let (report, found) = verify_with(&w, &[]).await;
        assert_eq!((found, report.sealed), (vec![], 3));
    }
}

db_test! {
    async fn an_older_entry_sealed_later_waits_for_those_before_it(engine) {
        let w = sealed(engine).await;
        // Written in a transaction that took long: its time is before the others', its place behind them.
        let columns = "actor, action, detail";
        w.execute(format!("insert into audit (audit_id, at, {columns}) select 55, 5, {columns} from audit where position = 1")).await;
        audit::seal(&w.platform).await.unwrap();
        assert_eq!(audit::cut(&w.platform, platform::Millis(10)).await.unwrap(), 0);
        assert_eq!(w.number("select count(*) from audit where audit_id = 55").await, 1);
        assert_eq!(findings(&w).await, []);
    }
}

db_test! {
    async fn many_sealers_at_once_make_one_chain(engine) {
        let w = Arc::new(World::new(engine).await);
        write(&w, 40).await;
        let writer = { let w = Arc::clone(&w); tokio::spawn(async move { write(&w, 60).await }) };
        let sealers: Vec<_> = (0..4)
            .map(|_| {
                let w = Arc::clone(&w);
                tokio::spawn(async move {
                    let mut sealed = 0;
                    for _ in 0..20 {
                        sealed += audit::seal(&w.platform).await.unwrap();
                    }
                    sealed
                })
            })
            .collect();
        writer.await.unwrap();
        let mut sealed = 0;
        for sealer in sealers {
            sealed += sealer.await.unwrap();
        }
        sealed += audit::seal(&w.platform).await.unwrap();
        let (report, found) = verify_with(&w, &[]).await;
        assert_eq!(found, []);
        assert_eq!((report.sealed, report.unsealed), (sealed, 0));
        assert_eq!(report.sealed as i64, w.number("select count(*) from audit").await);
    }
}

db_test! {
    async fn the_schedule_seals_and_forgets(engine) {
        let w = World::new(engine).await;
        write(&w, 3).await;
        w.keep("seal").await;
        let (report, found) = verify_with(&w, &[]).await;
        assert_eq!((found, report.unsealed), (vec![], 0));
        w.advance(DAY * (3 * 365 + 1));
        w.keep("forget").await;
        assert_eq!(w.texts("select action from audit where action <> 'audit.cut'").await, Vec::<String>::new());
        assert_eq!(findings(&w).await, []);
    }
}

db_test! {
    async fn personal_detail_can_be_erased_and_the_chain_stays_whole(engine) {
        let w = sealed(engine).await;
        let person = people::by_id(&mut w.platform.db.read().await.unwrap(), w.anna).await.unwrap().unwrap();
        let mut tx = w.platform.db.begin().await.unwrap();
        let entry = Entry { person: Some(w.anna), personal: person.username.as_deref(), ..Entry::new(Actor::Operator, "person.renamed") };
        entry.write(&mut tx, &w.platform.random, w.platform.now()).await.unwrap();
        tx.commit().await.unwrap();
        audit::seal(&w.platform).await.unwrap();
        let kept = format!("select detail from audit_details where subject_id = {}", w.anna);
        assert_eq!(w.texts(kept.clone()).await, ["anna"]);
        let everything = "select actor || action || detail from audit";
        assert!(!w.texts(everything).await.join(" ").contains("anna"), "not in the entry itself");
        // Altered while it is there, it is found.
        w.execute(format!("update audit_details set detail = 'otto' where subject_id = {}", w.anna)).await;
        assert!(matches!(findings(&w).await[..], [Finding::Detail { position: 13, .. }]));
        people::delete(&w.platform, Actor::Operator, w.anna).await.unwrap();
        assert_eq!(w.texts(kept).await, Vec::<String>::new());
        assert_eq!(findings(&w).await, []);
        // The same word gives another hash each time, so that hashes cannot be compared.
        assert_eq!(w.number("select count(distinct detail_hash) from audit where action = 'test.done'").await, 12);
    }
}

db_test! {
    async fn entries_are_listed_by_what_they_are_about(engine) {
        let w = sealed(engine).await;
        let list = async |wanted: audit::Wanted| {
            let mut tx = w.platform.db.read().await.unwrap();
            let listed = audit::list(&mut tx, &audit::Wanted { limit: 5, ..wanted }).await.unwrap();
            listed.into_iter().map(|entry| entry.position.unwrap()).collect::<Vec<_>>()
        };
        let all = audit::Wanted::default;
        assert_eq!(list(all()).await, [12, 11, 10, 9, 8]);
        let before = Some(id_at(&w, 8).await);
        assert_eq!(list(audit::Wanted { before, ..all() }).await, [7, 6, 5, 4, 3]);
        assert_eq!(list(audit::Wanted { app: Some(3), ..all() }).await, [4]);
        assert_eq!(list(audit::Wanted { person: Some(1_000_005), ..all() }).await, [6]);
        assert_eq!(list(audit::Wanted { about: Some(5), ..all() }).await, Vec::<i64>::new());
        assert_eq!(list(audit::Wanted { actor: "staff 7".into(), action: "test.".into(), ..all() }).await.len(), 5);
        assert_eq!(list(audit::Wanted { actor: "staff 8".into(), ..all() }).await.len(), 0);
        assert_eq!(list(audit::Wanted { action: "test.do%".into(), ..all() }).await.len(), 0);
        assert_eq!(list(audit::Wanted { action: "a\0b".into(), ..all() }).await.len(), 0);
        let since = Some(w.platform.now() - MINUTE * 3);
        assert_eq!(list(audit::Wanted { since, ..all() }).await, [12, 11, 10]);
        assert_eq!(list(audit::Wanted { until: since, ..all() }).await, [9, 8, 7, 6, 5]);
    }
}
