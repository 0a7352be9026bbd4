//! The brake, rules 6 and 7 of what holds after approval: what is frozen stops within seconds, wherever it is, and two people are needed.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::person::Answer;

use crate::download::{Slow, large, removed};
use crate::kill::FAST;
use crate::scene::Scene;
use crate::support::{Engine, Plan, Portward, both, clips, eventually, within};

const ONE: &str = "one@clips.example";
const OTHER: &str = "other@clips.example";

/// Two members of staff, of whom the first can freeze and the second look at it.
fn staff(portward: &Portward) {
    for (email, role) in [(ONE, "support"), (OTHER, "compliance")] {
        portward.admin(&["staff", "add", "--email", email, "--name", "Staff", "--role", role]);
    }
}

/// Freezes something; gives the number.
fn freeze(portward: &Portward, what: &[&str]) -> String {
    let made = portward.admin(&[&["freeze"], what, &["--reason", "Something is wrong.", "--by", ONE]].concat());
    assert_eq!((made["state"].as_str(), made["made_by"].as_str()), (Some("unconfirmed"), Some(ONE)));
    made["freeze_id"].as_str().expect("a number").to_owned()
}

fn lift(portward: &Portward, freeze: &str) {
    let lifted = portward.admin(&["freeze", "lift", freeze, "--reason", "All is well.", "--by", OTHER]);
    assert_eq!((lifted["state"].as_str(), lifted["lifted_by"].as_str()), (Some("lifted"), Some(OTHER)));
}

async fn own(portward: &Portward, path: &str, token: &str) -> Answer {
    Answer::read(portward.http.get(portward.url(path)).bearer_auth(token).send().await.expect("an answer")).await
}

/// Asks until the answer is so: another process sees an act within a second.
async fn soon(portward: &Portward, token: &str, request_id: i64, status: u16) -> Answer {
    let found = eventually(3, async || {
        Some(portward.data("check", token, &json!({ "request_id": request_id })).await).filter(|answer| answer.status == status)
    });
    found.await.unwrap_or_else(|| panic!("never {status}"))
}

fn waits(answer: &Answer) {
    assert_eq!(answer.headers.get("retry-after").map(String::as_str), Some("300"), "{}", answer.json);
}

/// Rule 6.
async fn the_brake_stops_an_app_and_two_people_end_it(engine: Engine) {
    let portward = Portward::start(engine, FAST);
    staff(&portward);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, id).await, "downloading");
    let body = json!({ "request_id": id });
    let frozen = freeze(&portward, &["app", &portward.client_key.clone()]);
    soon(&portward, &tokens.access, id, 401).await;
    for call in ["check", "cancel", "download"] {
        let answer = portward.data(call, &tokens.access, &body).await;
        assert_eq!((answer.status, answer.code()), (401, "permission_denied"), "{call}");
    }
    let added = portward.add(&tokens.access, &["activity"]).await;
    assert_eq!((added.status, added.code()), (401, "permission_denied"));
    let info = own(&portward, "/v2/user/info/?fields=open_id", &tokens.access).await;
    assert_eq!((info.status, info.code()), (401, "permission_denied"));
    for path in ["/v1/requests".to_owned(), format!("/v1/requests/{id}"), format!("/v1/requests/{id}/archive")] {
        let answer = own(&portward, &path, &tokens.access).await;
        assert_eq!((answer.status, answer.json["code"].as_str()), (403, Some("permission_denied")), "{path}");
    }
    let refreshed = portward.token(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]).await;
    assert_eq!((refreshed.status, refreshed.json["error"].as_str()), (400, Some("unauthorized_client")));
    let authorize = portward.http.get(portward.authorize_url("user.info.basic")).send().await.expect("an answer");
    assert!(authorize.headers()["location"].to_str().unwrap().contains("error=unauthorized_client"));

    // Whoever froze it does not end it; nor does somebody without the role; nor is it frozen twice.
    let refused = portward.admin_fails(&["freeze", "lift", &frozen, "--reason", "Mine.", "--by", ONE]);
    assert!(refused.contains("compliance or administrator"), "{refused}");
    let other = freeze(&portward, &["source", "clips"]);
    let own_freeze = ["freeze", "everything", "--reason", "Why.", "--by", OTHER];
    let by_other = portward.admin(&own_freeze)["freeze_id"].as_str().unwrap().to_owned();
    let refused = portward.admin_fails(&["freeze", "confirm", &by_other, "--by", OTHER]);
    assert!(refused.contains("second person"), "{refused}");
    assert!(portward.admin_fails(&own_freeze).contains(&by_other));
    portward.admin(&["freeze", "lift", &by_other, "--reason", "Lifted by the operator."]);
    lift(&portward, &other);
    let confirmed = portward.admin(&["freeze", "confirm", &frozen, "--by", OTHER]);
    assert_eq!(confirmed["state"], "confirmed");
    assert_eq!(portward.data("check", &tokens.access, &body).await.status, 401, "it goes on");
    lift(&portward, &frozen);
    soon(&portward, &tokens.access, id, 200).await;
    portward.download(&tokens.access, id).await;
    portward.token(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]).await;
}

/// Rule 6.
async fn the_brake_stops_everything_and_outlives_a_restart(engine: Engine) {
    let mut portward = Plan::new(engine).toml(FAST).install();
    staff(&portward);
    portward.serve(&[]);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, id).await, "downloading");
    let frozen = freeze(&portward, &["everything"]);
    soon(&portward, &tokens.access, id, 503).await;
    portward.kill();
    portward.serve(&[]);
    for call in ["check", "cancel", "download"] {
        let answer = portward.data(call, &tokens.access, &json!({ "request_id": id })).await;
        assert_eq!((answer.status, answer.code()), (503, "service_unavailable"), "{call}");
        waits(&answer);
    }
    let unknown = portward.data("check", "act.nobody", &json!({ "request_id": id })).await;
    assert_eq!(unknown.status, 503, "nobody is asked who they are");
    let added = portward.add(&tokens.access, &["activity"]).await;
    assert_eq!(added.status, 503);
    let answer = own(&portward, "/v1/requests", &tokens.access).await;
    assert_eq!((answer.status, answer.json["code"].as_str()), (503, Some("service_unavailable")));
    waits(&answer);
    assert_eq!(own(&portward, "/v2/user/info/?fields=open_id", &tokens.access).await.status, 503);
    let refreshed = portward.token(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]).await;
    assert_eq!((refreshed.status, refreshed.json["error"].as_str()), (503, Some("temporarily_unavailable")));
    waits(&refreshed);
    let page = portward.http.get(portward.authorize_url("user.info.basic")).send().await.expect("an answer");
    assert_eq!((page.status().as_u16(), page.headers()["retry-after"].to_str().unwrap()), (503, "300"));
    // Ending access goes on: a token is given back.
    let revoked = portward.oauth("/v2/oauth/revoke/", &[("token", &tokens.access)]).await;
    assert_eq!(revoked.status, 200);
    lift(&portward, &frozen);
    let dead = eventually(3, async || {
        Some(portward.data("check", &tokens.access, &json!({ "request_id": id })).await).filter(|answer| answer.status != 503)
    });
    assert_eq!(dead.await.expect("it ends").code(), "access_token_invalid");
}

/// Rule 6.
async fn a_frozen_category_or_source_stops_its_data_and_no_other(engine: Engine) {
    let portward = Portward::start(engine, FAST);
    staff(&portward);
    let scopes = "portability.activity.ongoing,portability.directmessages.ongoing,portability.all.ongoing";
    let tokens = portward.tokens(scopes).await;
    let done = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, done).await, "downloading");
    for (what, message) in [(["category", "activity"], true), (["source", "clips"], false)] {
        let frozen = freeze(&portward, &what);
        let refused =
            eventually(3, async || Some(portward.add(&tokens.access, &["activity"]).await).filter(|answer| answer.status == 503));
        let refused = refused.await.expect("it is refused");
        assert_eq!(refused.code(), "service_unavailable");
        waits(&refused);
        assert_eq!(portward.add(&tokens.access, &["all_data"]).await.status, 503);
        // The alias of another category is not stopped; with the source everything is.
        let other = portward.add(&tokens.access, &["direct_messages"]).await;
        assert_eq!(other.status == 200, message, "{}", other.json);
        let download = portward.data("download", &tokens.access, &json!({ "request_id": done })).await;
        assert_eq!((download.status, download.code()), (503, "service_unavailable"));
        let archive = own(&portward, &format!("/v1/requests/{done}/archive"), &tokens.access).await;
        assert_eq!((archive.status, archive.json["code"].as_str()), (503, Some("service_unavailable")));
        assert_eq!(portward.status(&tokens.access, done).await, "downloading", "the wire has no other word");
        let told = own(&portward, &format!("/v1/requests/{done}"), &tokens.access).await;
        assert_eq!((told.json["state"].as_str(), told.json["held"]["code"].as_str()), (Some("ready"), Some("frozen")));
        lift(&portward, &frozen);
        let free = eventually(3, async || {
            let told = own(&portward, &format!("/v1/requests/{done}"), &tokens.access).await;
            told.json["held"].is_null().then_some(())
        });
        assert!(free.await.is_some());
        portward.download(&tokens.access, done).await;
    }
}

/// Rules 6 and 7: with an archive in flight, on both surfaces, whatever stops it.
async fn what_is_stopped_ends_a_running_download_within_five_seconds(engine: Engine) {
    let mut portward = Plan::new(engine).clips(large(2400, 3000)).toml(FAST).toml("[requests]\nlevel = 1\n").install();
    staff(&portward);
    portward.serve(&[]);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled_within(&tokens.access, id, 60).await, "downloading");
    let key = portward.client_key.clone();
    let running = async || {
        let (mut slow, mut other) =
            (Slow::start(&portward, &tokens.access, id).await, Slow::start_own(&portward, &tokens.access, id).await);
        for _ in 0..3 {
            assert!(slow.sip().await && other.sip().await, "they run");
        }
        (slow, other)
    };
    let torn = async |(mut slow, mut other): (Slow, Slow)| {
        // One clock for both: they are read side by side.
        tokio::join!(slow.torn_within(5), other.torn_within(5));
    };
    for what in [vec!["app", key.as_str()], vec!["category", "activity"], vec!["source", "clips"], vec!["everything"]] {
        let under_way = running().await;
        let frozen = freeze(&portward, &what);
        torn(under_way).await;
        lift(&portward, &frozen);
        soon(&portward, &tokens.access, id, 200).await;
        within(3, "the end of the freeze", async {
            while portward
                .http
                .head(portward.url(&format!("/v1/requests/{id}/archive")))
                .bearer_auth(&tokens.access)
                .send()
                .await
                .unwrap()
                .status()
                != 200
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
    let under_way = running().await;
    portward.admin(&["app", "set", &key, "--status", "suspended"]);
    torn(under_way).await;
    portward.admin(&["app", "set", &key, "--status", "live"]);
    let under_way = running().await;
    portward.admin(&["app", "set", &key, "--status", "revoked"]);
    torn(under_way).await;
}

/// Rule 5, as far as the status goes.
async fn a_revocation_ends_what_people_allowed(engine: Engine) {
    let mut portward = Plan::new(engine).toml(FAST).install();
    portward.serve(&[]);
    portward.admin(&[
        "person",
        "add",
        "ben",
        "--subject",
        "8",
        "--region",
        "DE",
        "--email",
        "ben@home.example",
        "--password-file",
        "password",
    ]);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let bens = portward.tokens_of(&portward.browser("ben"), "portability.activity.single").await;
    let client = portward.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!(client.status, 200);
    let done = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, done).await, "downloading");
    portward.execute("update jobs set run_at = run_at + 3600000 where lane = 'export'");
    portward.admin(&["app", "set", &portward.client_key.clone(), "--status", "revoked"]);
    for open_id in [&tokens.open_id, &bens.open_id] {
        assert_eq!(removed(&portward, open_id).await, [json!({ "reason": 0 })], "told once");
    }
    for access in [&tokens.access, &bens.access] {
        let answer = portward.data("check", access, &json!({ "request_id": done })).await;
        assert_eq!((answer.status, answer.code()), (401, "access_token_invalid"));
    }
    assert_eq!(portward.rows("select status from requests").await, [json!({ "status": "cancelled" })]);
    assert_eq!(portward.number("select count(*) from archives").await, 0);
    assert_eq!(portward.number("select count(*) from tokens where kind = 'client'").await, 0);
    let gone = eventually(10, async || portward.vault().is_empty().then_some(())).await;
    assert!(gone.is_some(), "the archive is deleted");
    let mails = testkit::mail::Mailbox::new(&portward.path("mail"));
    mails.wait_for("ben@home.example", "/connections").await;
    assert_eq!(portward.number("select count(*) from notices where kind = 'access_ended'").await, 1);
    let refreshed = portward.token(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]).await;
    assert_eq!(refreshed.json["error"].as_str(), Some("unauthorized_client"));
}

/// Rule 6, by the pages: the button, the second person, and what the person sees.
async fn the_brake_by_the_pages(engine: Engine) {
    let scene = Scene::start(engine);
    let portward = &scene.portward;
    let reviewer = scene.staff("reviewer").await;
    let compliance = scene.staff("compliance").await;
    let support = scene.staff("support").await;
    let browser = portward.browser("anna");
    let tokens = portward.tokens_of(&browser, "portability.activity.ongoing").await;

    let form = reviewer.open("/console/freezes/new").await.form("/console/freezes");
    let empty = reviewer.send(form.set("what", "app").set("client_key", "aw0").set("reason", "Odd.")).await;
    assert_eq!(empty.status, 422);
    assert!(empty.text().contains("Enter the client key of an app"), "{}", empty.text());
    let form = reviewer.open("/console/freezes/new").await.form("/console/freezes");
    let made =
        reviewer.send(form.set("what", "app").set("client_key", &portward.client_key).set("reason", "Odd <b>calls</b>.")).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let path = made.url.path().to_owned();
    assert!(made.text().contains("You made this freeze"), "{}", made.text());
    assert!(made.text().contains("Odd <b>calls</b>."), "{}", made.text());
    let mail = scene.mails.wait_for("compliance@clips.example", &path).await;
    drop(mail);
    let answer = portward.data("check", &tokens.access, &json!({ "request_id": 1 })).await;
    assert_eq!((answer.status, answer.code()), (401, "permission_denied"), "at once in the process that made it");
    let page = browser.http().get(portward.url("/connections")).send().await.expect("a page").text().await.expect("a page");
    assert!(page.contains("We have stopped this app for the moment."), "{page}");

    // The maker may not, whatever they send; nor may support.
    for who in [&reviewer, &support] {
        let post = who.http().post(who.url(&format!("{path}/confirm"))).header("origin", &portward.base);
        assert_eq!(post.send().await.expect("an answer").status(), 403);
        assert!(!who.open(&path).await.html.contains(&format!("{path}/lift")), "no button either");
    }
    let confirmed = compliance.send(compliance.open(&path).await.form(&format!("{path}/confirm"))).await;
    assert!(confirmed.text().contains("It goes on until somebody lifts it"), "{}", confirmed.text());
    let again = compliance.http().post(compliance.url(&format!("{path}/confirm"))).header("origin", &portward.base);
    assert_eq!(again.send().await.expect("an answer").status(), 409);
    let unsaid = compliance.send(compliance.open(&path).await.form(&format!("{path}/lift"))).await;
    assert_eq!(unsaid.status, 422);
    let lifted = compliance.send(compliance.open(&path).await.form(&format!("{path}/lift")).set("why", "All is well.")).await;
    assert_eq!(lifted.status, 200, "{}", lifted.text());
    assert!(compliance.open("/console/freezes").await.text().contains("Nothing is frozen"));
    assert!(compliance.open("/console/freezes?view=lifted").await.text().contains("The app Clipkeeper"));
    let answer = portward.data("check", &tokens.access, &json!({ "request_id": 1 })).await;
    assert_eq!((answer.status, answer.code()), (400, "invalid_params"));
    scene.mails.wait_for("reviewer@clips.example", &path).await;
}

both!(
    the_brake_by_the_pages,
    the_brake_stops_an_app_and_two_people_end_it,
    the_brake_stops_everything_and_outlives_a_restart,
    a_frozen_category_or_source_stops_its_data_and_no_other,
    what_is_stopped_ends_a_running_download_within_five_seconds,
    a_revocation_ends_what_people_allowed,
);

/// Rules 6 and 7: a build ends, and the source is left in peace; the request waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stopped_ends_a_running_build_within_five_seconds() {
    use sqlx::Connection;
    let source = testkit::postgres::database().expect("a PostgreSQL for these tests");
    let catalogue = crate::support::CATALOGUE
        .replace("kind = \"sqlite\"\nurl = \"sqlite:clips.db\"", &format!("kind = \"postgres\"\nurl = \"{}\"", source.url()))
        .replace(
            "select id, user_id, link as \"Link\", title as \"Title\" from watched where user_id = :subject order by id",
            "select n as id, 7 as user_id, 'x' || pg_sleep(0.05) as \"Link\" from generate_series(1, 2000) n where :subject > 0",
        );
    let mut portward = Plan::new(Engine::Sqlite).catalogue(catalogue).clips(clips()).toml(FAST).install();
    staff(&portward);
    portward.serve(&[]);
    let tokens = portward.tokens("portability.activity.single").await;
    let id = portward.add(&tokens.access, &["activity"]).await.request_id();
    let running = async || {
        let mut connection = sqlx::PgConnection::connect(source.url()).await.expect("the source");
        let sql = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                   and query like '%pg_sleep%' and state = 'active'";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await.expect("a count")
    };
    let key = portward.client_key.clone();
    for what in [vec!["source", "clips"], vec!["app", key.as_str()]] {
        assert!(eventually(10, async || (running().await == 1).then_some(())).await.is_some(), "the export runs");
        let frozen = freeze(&portward, &what);
        assert!(eventually(5, async || (running().await == 0).then_some(())).await.is_some(), "the query goes on");
        let queued = eventually(3, async || (portward.show(id)["status"] == "queued").then_some(())).await;
        assert!(queued.is_some(), "{:#}", portward.show(id));
        lift(&portward, &frozen);
    }
    assert!(eventually(10, async || (running().await == 1).then_some(())).await.is_some(), "it goes on by itself");
    portward.admin(&["app", "set", &key, "--status", "suspended"]);
    assert!(eventually(5, async || (running().await == 0).then_some(())).await.is_some(), "the query goes on");
    let rows: Vec<Value> = portward.rows("select status, failure from requests").await;
    assert_eq!(rows, [json!({ "status": "queued", "failure": null })]);
    assert!(portward.vault().is_empty());
}
