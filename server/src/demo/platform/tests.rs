//! What the generator promises: the same plan, the same bytes; exact numbers; nobody's rows at the wrong person.

use std::collections::HashSet;
use std::path::PathBuf;

use rusqlite::Connection;

use super::people::Size;
use super::schema::{Kind, TABLES};
use super::words::AWKWARD;
use super::*;

const ANNA: i64 = 1001;
const BEN: i64 = 1002;
const CLARA: i64 = 1003;

fn quiet(_: u64, _: u64) {}

fn plan(heavy_rows: u64) -> Plan {
    Plan { heavy_rows, ..Plan::default() }
}

fn made(plan: &Plan) -> (tempfile::TempDir, PathBuf, Report) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clips.db");
    let report = write_sqlite(&path, plan, &quiet).unwrap();
    (dir, path, report)
}

fn open(path: &PathBuf) -> Connection {
    Connection::open(path).unwrap()
}

fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Rows of one person by table, by SQL of its own: not taken from the generator, nor from the catalogue.
fn rows_of(db: &Connection, id: i64) -> i64 {
    let by_user = [
        "watch_history",
        "likes",
        "favorite_videos",
        "favorites",
        "comments",
        "reposts",
        "shares",
        "searches",
        "hashtags",
        "place_reviews",
        "off_platform_events",
        "ad_visits",
        "blocks",
        "profile_views",
        "tako_chats",
        "gifts",
        "coin_purchases",
        "transactions",
        "live_rooms",
        "live_views",
        "shop_messages",
        "shop_orders",
        "shop_views",
        "shop_addresses",
        "shop_cart",
        "shop_favorites",
        "shop_vouchers",
        "devices",
        "logins",
    ];
    let own: i64 = by_user.iter().map(|table| number(db, &format!("select count(*) from {table} where user_id = {id}"))).sum();
    own + number(db, &format!("select count(*) from videos where author_id = {id}"))
        + number(db, &format!("select count(*) from follows where follower_id = {id}"))
        + number(db, &format!("select count(*) from follows where followee_id = {id}"))
        + number(
            db,
            &format!(
                "select count(*) from direct_messages m join chat_members c on c.chat_id = m.chat_id where c.user_id = {id}"
            ),
        )
}

#[test]
fn the_default_moment_is_the_first_of_november_2026() {
    assert_eq!("2026-11-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond(), NOW);
}

#[test]
fn the_same_plan_makes_the_same_file_and_another_seed_another() {
    let (_a, first, _) = made(&plan(2_000));
    let (_b, second, _) = made(&plan(2_000));
    let (_c, other, _) = made(&Plan { seed: 2, ..plan(2_000) });
    let first = std::fs::read(first).unwrap();
    assert!(first == std::fs::read(second).unwrap(), "two runs differ");
    assert!(first != std::fs::read(other).unwrap(), "the seed has no effect");
}

#[test]
fn the_heavy_person_has_exactly_the_rows_that_were_asked_for() {
    for heavy_rows in [0, 1, 100, 5_000, 60_000] {
        let (_dir, path, _) = made(&plan(heavy_rows));
        assert_eq!(rows_of(&open(&path), CLARA), heavy_rows as i64);
    }
}

#[test]
fn a_typical_person_has_the_volumes_of_a_real_account() {
    let (_dir, path, report) = made(&plan(1_000));
    let db = open(&path);
    for (table, column, rows) in [
        ("watch_history", "user_id", 9_339),
        ("likes", "user_id", 3_491),
        ("favorite_videos", "user_id", 1_843),
        ("logins", "user_id", 345),
        ("searches", "user_id", 134),
        ("follows", "follower_id", 147),
        ("comments", "user_id", 95),
    ] {
        assert_eq!(number(&db, &format!("select count(*) from {table} where {column} = {ANNA}")), rows, "{table}");
    }
    for (table, rows) in &report.tables {
        assert_eq!(number(&db, &format!("select count(*) from {table}")), *rows as i64, "{table}");
        assert!(*rows > 0, "{table} is empty");
    }
}

#[test]
fn an_account_that_was_never_used_has_nothing_but_itself() {
    let (_dir, path, _) = made(&plan(5_000));
    let db = open(&path);
    assert_eq!(number(&db, &format!("select count(*) from users where id = {BEN}")), 1);
    for table in TABLES.iter().filter(|table| table.name != "users") {
        for (column, _) in table.columns.iter().filter(|(name, _)| name.ends_with("_id")) {
            assert_eq!(
                number(&db, &format!("select count(*) from {} where {column} = {BEN}", table.name)),
                0,
                "{}.{column}",
                table.name
            );
        }
    }
}

#[test]
fn every_moment_lies_within_three_years_and_the_delicate_ones_are_there() {
    let plan = plan(30_000);
    let (_dir, path, _) = made(&plan);
    let db = open(&path);
    let from = plan.now - 3 * 365 * 86_400_000;
    let (first, last) = db
        .query_row("select min(watched_at), max(watched_at) from watch_history", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .unwrap();
    assert!(first >= from && last < plan.now, "{first} {last}");
    assert!(number(&db, "select max(ended_at) from live_rooms") < plan.now);
    for moment in super::draw::DELICATE {
        let at = moment.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let times = "select watched_at as at from watch_history union all select liked_at from likes union all select saved_at from favorite_videos
            union all select sent_at from direct_messages";
        assert!(number(&db, &format!("select count(*) from ({times}) where at = {at}")) > 0, "{moment}");
    }
    let future =
        number(&db, "select count(*) from watch_history w join videos v on v.id = w.video_id where v.created_at > w.watched_at");
    assert_eq!(future, 0, "videos were watched before they were made");
}

#[test]
fn links_follow_zipf_and_ids_have_nineteen_digits() {
    let (_dir, path, _) = made(&plan(100_000));
    let db = open(&path);
    let top: Vec<i64> = db
        .prepare("select count(*) as n from watch_history group by video_id order by n desc limit 8")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(top[0] > top[7] * 4, "{top:?}");
    assert_eq!(number(&db, "select count(*) from videos where length(id) <> 19"), 0);
    assert_eq!(number(&db, "select count(*) from videos where id >> 32 <> created_at / 1000"), 0);
}

#[test]
fn everything_awkward_is_said_by_the_named_person_in_six_scripts() {
    let (_dir, path, _) = made(&plan(1_000));
    let db = open(&path);
    let said: HashSet<String> = db
        .prepare(&format!("select words from comments where user_id = {ANNA}"))
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for text in AWKWARD {
        assert!(said.contains(*text), "{text:?}");
    }
    let all: String = said.into_iter().collect();
    for (script, range) in [
        ("Latin", 'a'..='z'),
        ("Cyrillic", 'а'..='я'),
        ("Arabic", '\u{621}'..='\u{64a}'),
        ("Devanagari", '\u{904}'..='\u{939}'),
        ("Han", '\u{4e00}'..='\u{9fff}'),
        ("Hangul", '\u{ac00}'..='\u{d7a3}'),
    ] {
        assert!(all.chars().any(|c| range.contains(&c)), "no {script}");
    }
    assert!(!all.contains('\0'), "PostgreSQL has no place for NUL");
}

#[test]
fn the_cast_is_in_order_and_its_numbers_are_those_of_the_tables() {
    let plan = Plan { people: 12, ..plan(20_000) };
    let (_dir, path, _) = made(&plan);
    let db = open(&path);
    let people = people(&plan);
    assert_eq!(people.len(), 12);
    assert_eq!(super::people(&Plan { people: 0, ..plan }).len(), 5);
    let outside: Vec<bool> = people.iter().map(|p| ["US", "BR"].contains(&p.region)).collect();
    assert!(outside.is_sorted(), "those outside come last");
    assert_eq!(outside.iter().filter(|out| **out).count(), 2);
    for size in [Size::Empty, Size::Typical, Size::Heavy] {
        assert!(people.iter().zip(&outside).any(|(p, out)| p.size == size && !out), "{size:?}");
    }
    let names: HashSet<&str> = people.iter().map(|p| p.username.as_str()).collect();
    assert_eq!(names.len(), people.len());
    for p in &people {
        let id = &p.subject;
        assert_eq!(number(&db, &format!("select count(*) from users where id = {id} and username = '{}'", p.username)), 1);
        assert_eq!(
            number(&db, &format!("select count(*) from follows where followee_id = {id}")),
            p.followers as i64,
            "{}",
            p.username
        );
        assert_eq!(
            number(&db, &format!("select count(*) from follows where follower_id = {id}")),
            p.following as i64,
            "{}",
            p.username
        );
        assert_eq!(
            number(&db, &format!("select count(*) from videos where author_id = {id} and deleted_at is null")),
            p.videos as i64
        );
        assert!(avatar_svg(&p.username).starts_with("<svg"));
    }
}

#[test]
fn a_file_that_exists_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clips.db");
    std::fs::write(&path, "mine").unwrap();
    let error = write_sqlite(&path, &plan(10), &quiet).unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    assert!(write_sqlite(&dir.path().join("missing").join("clips.db"), &plan(10), &quiet).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn progress_rises_to_the_end() {
    let seen = std::sync::Mutex::new(Vec::new());
    let dir = tempfile::tempdir().unwrap();
    write_sqlite(&dir.path().join("clips.db"), &plan(50_000), &|done, total| seen.lock().unwrap().push((done, total))).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > 3 && seen.is_sorted());
    assert_eq!(seen.last().unwrap().0, seen.last().unwrap().1);
}

#[tokio::test]
async fn both_engines_hold_the_same_rows() {
    use sqlx::{Connection as _, Row as _};
    let Some(database) = testkit::postgres::database() else {
        return;
    };
    let plan = plan(3_000);
    let (_dir, path, report) = made(&plan);
    let db = open(&path);
    let filled = write_postgres(database.url(), &plan, &quiet).await.unwrap();
    assert_eq!(filled, report);
    let error = write_postgres(database.url(), &plan, &quiet).await.unwrap_err().to_string();
    assert!(error.contains("has a table users already"), "{error}");
    let mut other = sqlx::PgConnection::connect(database.url()).await.unwrap();
    for table in TABLES {
        let list: Vec<String> = table
            .columns
            .iter()
            .map(|(name, kind)| match kind {
                Kind::Flag => format!("case when {name} then 1 else 0 end"),
                _ => (*name).to_owned(),
            })
            .map(|column| format!("coalesce(cast({column} as text), 'nothing')"))
            .collect();
        let sql = format!("select {} as line from {}", list.join(" || '|' || "), table.name);
        let mut here: Vec<String> =
            db.prepare(&sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut there: Vec<String> = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&mut other)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get("line"))
            .collect();
        here.sort_unstable();
        there.sort_unstable();
        assert!(here == there, "{} differs", table.name);
    }
}
