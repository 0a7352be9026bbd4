//! Developers' and staff's accounts by their pages: what is told to whom, and what opens what.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{LOCATION, SET_COOKIE};
use testkit::visitor::{Seen, Visitor};
use totp_rs::{Builder, Secret};

use crate::scene::{SECRET, Scene};
use crate::support::{Engine, Plan, Portward};

const ANNA: &str = "anna@clipkeeper.example";
const OTHER: &str = "a lamp in june, twice";

/// An answer as it came: no redirect is followed.
struct Bare {
    status: u16,
    location: String,
    cookies: Vec<String>,
    body: String,
    took: Duration,
}

#[expect(clippy::disallowed_methods, reason = "a test measures what an answer takes")]
async fn bare(visitor: &Visitor, path: &str, fields: Option<&[(&str, &str)]>) -> Bare {
    let begun = std::time::Instant::now();
    let call = match fields {
        Some(fields) => {
            visitor.http().post(visitor.url(path)).header("origin", visitor.url("/").origin().ascii_serialization()).form(fields)
        }
        None => visitor.http().get(visitor.url(path)),
    };
    let answer = call.send().await.expect("an answer");
    let headers = answer.headers().clone();
    let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("text").to_owned();
    Bare {
        status: answer.status().as_u16(),
        location: headers.get(LOCATION).map(text).unwrap_or_default(),
        cookies: headers.get_all(SET_COOKIE).iter().map(text).collect(),
        body: answer.text().await.expect("a body"),
        took: begun.elapsed(),
    }
}

/// What an authenticator app shows now, or some steps from now.
#[expect(clippy::disallowed_methods, reason = "an authenticator app has a clock of its own")]
fn code(secret: &str, steps: u64) -> String {
    let secret = Secret::try_from_base32(secret).expect("a secret in base 32");
    let totp = Builder::new().with_secret(secret).with_account_name("x").build().expect("a second factor");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    totp.generate(now + 30 * steps).to_string()
}

/// The key that a page of setting up shows, and what the page was.
fn secret_on(page: &Seen) -> String {
    let shown = page.html.split("class=\"copy line\" dir=\"ltr\">").nth(1).and_then(|rest| rest.split('<').next());
    shown.unwrap_or_else(|| panic!("no key on the page\n{}", page.text())).replace(' ', "")
}

/// Switches the second factor on; gives its secret, the recovery codes, and the code that confirmed it.
async fn enrol(visitor: &Visitor, entrance: &str) -> (String, Vec<String>, String) {
    let page = visitor.open(&format!("{entrance}/second-factor")).await;
    let secret = secret_on(&page);
    let picture = bare(visitor, &format!("{entrance}/second-factor/qr.svg"), None).await;
    assert_eq!(picture.status, 200);
    assert!(picture.body.contains("<svg"));
    let used = code(&secret, 0);
    let done = visitor.send(page.form("second-factor").set("code", &used)).await;
    done.must_say("Your recovery codes");
    let codes: Vec<String> = done
        .html
        .split("<code class=\"copy\" dir=\"ltr\">")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(codes.len(), 10, "{}", done.text());
    (secret, codes, used)
}

/// Signs in and goes on to a page.
async fn enter(visitor: &Visitor, entrance: &str, next: &str, email: &str) -> Seen {
    let form = visitor.open(&format!("{entrance}?next={next}")).await.form(entrance);
    visitor.send(form.set("email", email).set("password", SECRET)).await
}

/// The cookie's value of an answer.
fn token(answer: &Bare) -> String {
    let cookie = answer.cookies.iter().find(|cookie| cookie.contains("portward-")).expect("a cookie");
    cookie.split(['=', ';']).nth(1).expect("a value").to_owned()
}

/// A browser that has only this session.
async fn with_token(portward: &Portward, kind: &str, token: &str, path: &str) -> u16 {
    let call = testkit::person::http().get(portward.url(path)).header("cookie", format!("portward-{kind}={token}"));
    call.send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_learns_who_has_an_account() {
    let scene = Scene::start(Engine::Sqlite);
    scene.developer(ANNA, "Anna").await;
    let stranger = "nobody@clipkeeper.example";
    // Signing up: the same answer, the same page behind it, about the same time.
    let mut answers = Vec::new();
    for email in [ANNA, stranger] {
        let visitor = scene.visitor();
        let fields = [("name", "Mallory"), ("email", email), ("password", OTHER)];
        let answer = bare(&visitor, "/developers/sign-up", Some(&fields)).await;
        let page = bare(&visitor, &answer.location, None).await;
        answers.push((answer.status, answer.location, answer.cookies, answer.body, page.status, page.body));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!((answers[0].0, answers[0].1.as_str()), (303, "/developers/sign-up/sent"));
    scene.mails.wait_for(ANNA, "account").await;
    let to_stranger = scene.mails.wait_for(stranger, "/developers/verify").await;
    assert!(!to_stranger.text.contains("already"));
    let to_anna = scene.mails.to(ANNA).pop().expect("a mail");
    assert!(!to_anna.text.contains("/developers/verify"), "{}", to_anna.text);
    assert!(to_anna.text.contains("Anna") && !to_anna.text.contains("Mallory"), "{}", to_anna.text);

    // A forgotten password.
    scene.staff_named("rita@clips.example", "Rita", &["support"]).await;
    for (root, known) in [("/developers", ANNA), ("/console", "rita@clips.example")] {
        let mut answers = Vec::new();
        // A developer is no member of staff, and the other way round.
        for email in [known, stranger, "rita@clips.example", ANNA] {
            let visitor = scene.visitor();
            let answer = bare(&visitor, &format!("{root}/forgot"), Some(&[("email", email)])).await;
            assert_eq!(answer.location, format!("{root}/forgot/sent"));
            assert!(answer.took >= Duration::from_millis(250), "the time tells: {:?}", answer.took);
            let page = bare(&visitor, &answer.location, None).await;
            answers.push((answer.status, answer.cookies, answer.body, page.body));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }

    // Signing in, in both realms: the page is the same but for what was typed.
    for entrance in ["/developers/login", "/console/login"] {
        let mut answers = Vec::new();
        for email in [ANNA, stranger] {
            let answer = bare(&scene.visitor(), entrance, Some(&[("email", email), ("password", "not the password")])).await;
            assert!(answer.took >= Duration::from_millis(5), "a password was hashed: {:?}", answer.took);
            answers.push((answer.status, answer.cookies, answer.body.replace(email, "")));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].0, 401);
    }

    // Another address for one's account: the same answer for a taken one.
    let ben = scene.developer("ben@clipkeeper.example", "Ben").await;
    let mut answers = Vec::new();
    for email in [ANNA, "free@clipkeeper.example"] {
        let answer = bare(&ben, "/developers/account/email", Some(&[("email", email)])).await;
        let page = bare(&ben, &answer.location, None).await;
        answers.push((answer.status, answer.location, page.body));
    }
    assert_eq!(answers[0], answers[1]);
    // What is in the log names nobody.
    let log = scene.portward.log();
    for word in ["clipkeeper.example", "lnk.", "ses.", SECRET, OTHER] {
        assert!(!log.contains(word), "{word} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_of_mails_work_once_and_for_a_time_and_opening_them_spends_nothing() {
    let scene = Scene::start(Engine::Sqlite);
    let visitor = scene.visitor();
    let form = visitor.open("/developers/sign-up").await.form("sign-up");
    let wrong = visitor.send(form.set("name", " ").set("email", "anna").set("password", "short")).await;
    assert_eq!(wrong.status, 422);
    wrong.must_say("There are 3 problems").must_say("Enter your name.");
    assert_eq!(wrong.form("sign-up").value("email"), Some("anna"), "what was typed stays");
    assert!(!wrong.html.contains("short"), "but not the password");
    visitor
        .send(wrong.form("sign-up").set("name", "Anna").set("email", ANNA).set("password", SECRET))
        .await
        .must_say("Look into your mail");
    let link = scene.mails.wait_for(ANNA, "/developers/verify").await.link("/developers/verify");
    for _ in 0..3 {
        visitor.open(&link).await.must_say("Confirm your address");
    }
    let wrong = visitor.send(visitor.open(&link).await.form("verify").set("password", OTHER)).await;
    assert_eq!(wrong.status, 401);
    let done = visitor.send(wrong.form("verify").set("password", SECRET)).await;
    assert!(done.url.path().starts_with("/developers/apps"), "{} {}", done.url, done.text());
    assert_eq!(visitor.get(&link).await.status, 410);
    let token = link.split_once("token=").expect("a token").1.to_owned();
    assert_eq!(visitor.post("/developers/verify", &[("token", &token), ("password", SECRET)]).await.status, 410);
    for nonsense in ["", "lnk.x", "%00", "lnk.%F0%9F"] {
        let seen = visitor.get(&format!("/developers/verify?token={nonsense}")).await;
        assert_eq!(seen.status, 410, "{nonsense}");
    }

    // A forgotten password: the link ends, and using it ends every session.
    let other = scene.sign_in("/developers/login", ANNA).await;
    visitor
        .send(visitor.open("/developers/forgot").await.form("forgot").set("email", ANNA))
        .await
        .must_say("Look into your mail");
    let link = scene.mails.wait_for(ANNA, "/developers/reset").await.link("/developers/reset");
    scene.portward.execute("update links set expires_at = created_at");
    assert_eq!(visitor.get(&link).await.status, 410);
    visitor.send(visitor.open("/developers/forgot").await.form("forgot").set("email", ANNA)).await;
    let link = crate::support::eventually(20, async || {
        let links = scene
            .mails
            .to(ANNA)
            .into_iter()
            .filter(|mail| mail.text.contains("/developers/reset"))
            .map(|mail| mail.link("/developers/reset"));
        links.collect::<Vec<_>>().pop().filter(|newest| *newest != link)
    });
    let link = link.await.expect("another mail");
    let page = visitor.open(&link).await;
    let weak = visitor.send(page.form("reset").set("password", "anna@clipkeeper")).await;
    assert_eq!(weak.status, 422);
    visitor.send(weak.form("reset").set("password", OTHER)).await.must_say("Your password is set");
    for browser in [&visitor, &other] {
        assert!(browser.get("/developers/account").await.url.path().ends_with("/login"), "the session ended");
    }
    assert_eq!(visitor.get(&link).await.status, 410);
    scene.mails.wait_for(ANNA, "changed").await;
    assert_eq!(scene.sign_in_at(&visitor, "/developers/login", ANNA).await.status, 401, "the old password");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_factor_is_asked_for_and_a_half_session_opens_nothing() {
    let scene = Scene::start(Engine::Postgres);
    let anna = scene.developer(ANNA, "Anna").await;
    let elsewhere = scene.sign_in("/developers/login", ANNA).await;
    let (secret, codes, used) = enrol(&anna, "/developers/login").await;
    anna.open("/developers/account").await.must_say("10 recovery codes left");
    assert!(elsewhere.get("/developers/account").await.url.path().ends_with("/login"), "sessions without it ended");
    let set_up = anna.get("/developers/login/second-factor/qr.svg").await;
    assert_eq!(set_up.status, 404, "the secret is not shown again");

    let visitor = scene.visitor();
    let fields = [("email", ANNA), ("password", SECRET), ("next", "/developers/account")];
    let half = bare(&visitor, "/developers/login", Some(&fields)).await;
    assert_eq!(half.location, "/developers/login/code?next=%2Fdevelopers%2Faccount");
    // Whatever there is in the portal sends a half session to its second factor.
    for act in scene.portward.admin(&["acts"]).as_array().expect("a list") {
        let (method, path) = (act["method"].as_str().unwrap_or_default(), act["path"].as_str().unwrap_or_default());
        if !path.starts_with("/developers") || act["needs"] == "anyone" {
            continue;
        }
        let path: String =
            path.split('/').map(|piece| if piece.starts_with('{') { "1" } else { piece }).collect::<Vec<_>>().join("/");
        let answer = bare(&visitor, &path, (method == "POST").then_some(&[])).await;
        assert_eq!(answer.status, 303, "{method} {path}");
        assert!(answer.location.starts_with("/developers/login/code"), "{method} {path} leads to {}", answer.location);
    }
    for path in ["/developers/login/second-factor", "/developers/login/second-factor/qr.svg"] {
        assert_ne!(bare(&visitor, path, None).await.status, 200, "a half session sets up no other second factor");
    }

    // The code that confirmed it was used, in whatever browser it comes again.
    let page = visitor.open("/developers/login/code?next=/developers/account").await;
    let replayed = visitor.send(page.form("code").set("code", &used)).await;
    assert_eq!(replayed.status, 401);
    let before = token(&half);
    let given =
        bare(&visitor, "/developers/login/code", Some(&[("code", &code(&secret, 1)), ("next", "/developers/account")])).await;
    assert_eq!((given.status, given.location.as_str()), (303, "/developers/account"));
    assert_ne!(token(&given), before, "another token after the second factor");
    assert_ne!(with_token(&scene.portward, "developer", &before, "/developers/account").await, 200);
    assert_eq!(with_token(&scene.portward, "developer", &token(&given), "/developers/account").await, 200);

    // Five wrong codes, and the right one must wait, too; a recovery code as well.
    let guesser = scene.visitor();
    scene.sign_in_at(&guesser, "/developers/login", ANNA).await;
    for at in 0..4 {
        let guess = guesser.post("/developers/login/code", &[("code", "000000")]).await;
        assert_eq!(guess.status, 401, "{at}");
    }
    assert_eq!(guesser.post("/developers/login/code", &[("code", &codes[0])]).await.status, 429);
    let log = scene.portward.log();
    assert!(!log.contains(&secret) && !log.contains(&codes[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_code_opens_once_and_the_second_factor_can_be_changed() {
    let scene = Scene::start(Engine::Sqlite);
    let anna = scene.developer(ANNA, "Anna").await;
    let (secret, codes, _) = enrol(&anna, "/developers/login").await;
    let with = async |code: &str| {
        let visitor = scene.visitor();
        let page = enter(&visitor, "/developers/login", "/developers/account", ANNA).await;
        visitor.send(page.form("code").set("code", code)).await
    };
    assert_eq!(with(&codes[0]).await.status, 200);
    assert_eq!(with(&codes[0]).await.status, 401);
    anna.open("/developers/account").await.must_say("9 recovery codes left");
    let page = anna.open("/developers/account/second-factor").await;
    let wrong = anna.send(page.form("second-factor").set("code", "123").press("what", "off")).await;
    assert_eq!(wrong.status, 401);
    let new = anna.send(page.form("second-factor").set("code", &code(&secret, 1)).press("what", "codes")).await;
    new.must_say("take the place of your earlier codes");
    assert_eq!(with(&codes[1]).await.status, 401, "of the earlier set");
    // What only the holder may do takes the password again after a while.
    scene.portward.execute("update account_sessions set fresh_at = 0");
    let asked = anna.get("/developers/account/password").await;
    asked.must_say("Confirm that it is you");
    let refused = anna.post("/developers/account/second-factor", &[("code", &codes[2]), ("what", "off")]).await;
    refused.must_say("Confirm that it is you");
    let wrong = anna.send(asked.form("login").set("password", OTHER)).await;
    assert_eq!(wrong.status, 401);
    let proved = anna.send(wrong.form("login").set("password", SECRET)).await;
    assert_eq!(proved.url.path(), "/developers/account/password");
    let changed = anna.send(proved.form("password").set("password", OTHER)).await;
    changed.must_say("Your password is changed.");
    scene.mails.wait_for(ANNA, "changed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_another_after_signing_in_and_leads_nowhere_else() {
    let scene = Scene::start(Engine::Sqlite);
    scene.developer(ANNA, "Anna").await;
    // A token that somebody put into the browser is not taken over.
    let planted = "ses.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let http = testkit::person::http();
    let sign_in = |cookie: String, next: &'static str| {
        let form = [("email", ANNA), ("password", SECRET), ("next", next)];
        http.post(scene.portward.url("/developers/login"))
            .header("origin", &scene.portward.base)
            .header("cookie", cookie)
            .form(&form)
            .send()
    };
    let answer = sign_in(format!("portward-developer={planted}"), "/developers/account").await.expect("an answer");
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("text").to_owned();
    assert!(cookie.starts_with("portward-developer=ses.") && !cookie.contains(planted), "{cookie}");
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert_ne!(with_token(&scene.portward, "developer", planted, "/developers/account").await, 200);
    // Signing in again ends the session that was there.
    let first = cookie.split(['=', ';']).nth(1).expect("a value").to_owned();
    assert_eq!(with_token(&scene.portward, "developer", &first, "/developers/account").await, 200);
    sign_in(format!("portward-developer={first}"), "/developers/account").await.expect("an answer");
    assert_ne!(with_token(&scene.portward, "developer", &first, "/developers/account").await, 200);
    // Where to go on is a page of the same realm, or its home.
    for (next, to) in [
        ("/developers/organisations?x=1", "/developers/organisations?x=1"),
        ("https://evil.example/", "/developers/apps"),
        ("//evil.example/developers", "/developers/apps"),
        ("/\\evil.example", "/developers/apps"),
        ("/console", "/developers/apps"),
        ("/developers\r\nX: y", "/developers/apps"),
    ] {
        let answer = sign_in(String::new(), next).await.expect("an answer");
        assert_eq!(answer.headers()[LOCATION], to, "{next:?}");
    }
    // Sessions are listed, ended one by one, and all.
    let (one, two, three) = tokio::join!(
        scene.sign_in("/developers/login", ANNA),
        scene.sign_in("/developers/login", ANNA),
        scene.sign_in("/developers/login", ANNA),
    );
    let page = one.open("/developers/account").await;
    page.must_say("This one");
    let end = page.form("/sessions/end");
    let ended = one.send(end).await;
    ended.must_say("That session is ended.");
    let ben = scene.developer("ben@clipkeeper.example", "Ben").await;
    let own = scene
        .portward
        .number(
            "select max(session_id) from account_sessions s join accounts a on a.account_id = s.account_id where a.name = 'Anna'",
        )
        .await;
    ben.post("/developers/account/sessions/end", &[("session", &own.to_string())]).await;
    let left = scene.portward.number(&format!("select count(*) from account_sessions where session_id = {own}")).await;
    assert_eq!(left, 1, "nobody ends another's session");
    one.send(one.open("/developers/account").await.form("end-others")).await.must_say("signed out everywhere else");
    for other in [&two, &three] {
        assert!(other.get("/developers/account").await.url.path().ends_with("/login"));
    }
    one.open("/developers/account").await;
    // A form from elsewhere does nothing.
    let forged =
        one.http().post(one.url("/developers/logout")).header("origin", "https://evil.example").send().await.expect("an answer");
    assert_eq!(forged.status(), 403);
    one.open("/developers/account").await;
    one.post("/developers/logout", &[]).await;
    assert!(one.get("/developers/account").await.url.path().ends_with("/login"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_are_limited_by_account_and_by_address() {
    let scene =
        Scene::with(Engine::Sqlite, "failures_per_account = 4\nmails_per_address = 5\n[sign_in]\nfailures_per_address = 12\n");
    scene.developer(ANNA, "Anna").await;
    scene.developer("ben@clipkeeper.example", "Ben").await;
    let try_in = async |entrance: &str, email: &str, password: &str| {
        bare(&scene.visitor(), entrance, Some(&[("email", email), ("password", password)])).await.status
    };
    for _ in 0..6 {
        assert_eq!(try_in("/developers/login", ANNA, SECRET).await, 303, "success is not counted");
    }
    for at in 0..4 {
        assert_eq!(try_in("/developers/login", ANNA, OTHER).await, 401, "{at}");
    }
    assert_eq!(try_in("/developers/login", ANNA, SECRET).await, 429);
    assert_eq!(try_in("/developers/login", &format!(" {} ", ANNA.to_uppercase()), SECRET).await, 429, "however it is written");
    assert_eq!(try_in("/console/login", ANNA, OTHER).await, 401, "staff are counted apart");
    assert_eq!(try_in("/developers/login", "ben@clipkeeper.example", SECRET).await, 303, "others are not held up");
    for at in 0..7 {
        assert_eq!(try_in("/developers/login", &format!("guess{at}@clips.example"), OTHER).await, 401, "{at}");
    }
    assert_eq!(try_in("/developers/login", "ben@clipkeeper.example", SECRET).await, 429, "twelve failures of this address");
    // Two sign-ups so far; a form with a flaw sends no mail and is not counted.
    let sign_up = async |email: &str| {
        bare(&scene.visitor(), "/developers/sign-up", Some(&[("name", "A"), ("email", email), ("password", OTHER)])).await.status
    };
    for _ in 0..5 {
        assert_eq!(sign_up("nonsense").await, 422);
    }
    for at in 0..2 {
        assert_eq!(sign_up(&format!("new{at}@clips.example")).await, 303);
    }
    assert_eq!(bare(&scene.visitor(), "/developers/forgot", Some(&[("email", ANNA)])).await.status, 303);
    assert_eq!(bare(&scene.visitor(), "/developers/forgot", Some(&[("email", ANNA)])).await.status, 429);
    assert_eq!(sign_up("new9@clips.example").await, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_come_in_by_a_link_and_must_set_up_a_second_factor() {
    let mut portward = Plan::new(Engine::Sqlite).install();
    portward.serve(&[]);
    let added = portward.admin(&["staff", "add", "--email", "Rita@clips.example", "--name", "Rita", "--role", "administrator"]);
    let link = added["link"].as_str().expect("a link").split_once("/console").expect("a page of the console").1;
    let link = format!("/console{link}");
    let rita = Visitor::new(&portward.base);
    rita.open(&link).await;
    let set = rita.send(rita.open(&link).await.form("welcome").set("password", SECRET)).await;
    set.must_say("Your password is set");
    assert_eq!(rita.get(&link).await.status, 410, "a link works once");
    let page = rita.send(set.form("login").set("email", "rita@clips.example").set("password", SECRET)).await;
    page.must_say("Your account needs a second step");
    // Nothing of the console opens before.
    for path in ["/console/staff", "/console/account", "/console/account/password"] {
        let seen = rita.get(path).await;
        assert_eq!(seen.url.path(), "/console/login/second-factor", "{path}");
    }
    let (secret, _, _) = enrol(&rita, "/console/login").await;
    rita.open("/console/staff").await.must_say("rita@clips.example");
    let again = Visitor::new(&portward.base);
    let form = again.open("/console/login?next=/console/account").await.form("login");
    let page = again.send(form.set("email", "rita@clips.example").set("password", SECRET)).await;
    again.send(page.form("code").set("code", &code(&secret, 1))).await.must_say("Rita");
    // She cannot do without: moving to another app begins anew at once.
    portward.admin(&["staff", "reset-second-factor", "rita@clips.example"]);
    assert_eq!(rita.get("/console/staff").await.url.path(), "/console/login");
    let failed = portward.admin_fails(&["staff", "disable", "rita@clips.example"]);
    assert!(failed.contains("last administrator"), "{failed}");
    portward.admin_fails(&["staff", "add", "--email", "rita@clips.example", "--name", "R", "--role", "support"]);
    portward.admin_fails(&["staff", "add", "--email", "x@clips.example", "--name", "R", "--role", "king"]);
    let weak = portward.admin_fails(&["staff", "roles", "nobody@clips.example", "--role", "support"]);
    assert!(weak.contains("no member of staff"), "{weak}");
    // Developers' pages know nothing of staff.
    let other = Visitor::new(&portward.base);
    let form = other.open("/developers/login").await.form("login");
    assert_eq!(other.send(form.set("email", "rita@clips.example").set("password", SECRET)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_say_who_is_staff_and_one_always_stays() {
    let scene = Scene::start(Engine::Postgres);
    let rita = scene.staff_named("rita@clips.example", "Rita", &["administrator", "reviewer"]).await;
    let form = rita.open("/console/staff/add").await.form("add");
    let wrong = rita.send(form.set("name", "").set("email", "sam")).await;
    wrong.must_say("There are 3 problems");
    let form = wrong.form("add").set("name", "Sam").set("email", "sam@clips.example").tick("roles", "support");
    let page = rita.send(form).await;
    page.must_say("A mail with a link").must_say("Invited");
    let sam_id = page.number_after("/console/staff/");
    let link = scene.mails.wait_for("sam@clips.example", "/console/welcome").await.link("/console/welcome");
    let sam = scene.visitor();
    sam.send(sam.open(&link).await.form("welcome").set("password", SECRET)).await;
    enter(&sam, "/console/login", "/console/account", "sam@clips.example").await.must_say("Sam");
    assert_eq!(sam.get("/console/staff").await.status, 403);
    assert_eq!(sam.post(&format!("/console/staff/{sam_id}/roles"), &[("roles", "administrator")]).await.status, 403);
    // The last administrator cannot step down, go, or raise herself.
    let listed = scene.portward.admin(&["staff", "list"]);
    let of = |email: &str| {
        let found = listed.as_array().expect("a list").iter().find(|row| row["email"] == email).expect("a member");
        found["account_id"].as_str().expect("a number").to_owned()
    };
    let own = format!("/console/staff/{}", of("rita@clips.example"));
    let page = rita.open(&own).await;
    let refused = rita.send(page.form("roles").clear("roles").forge("roles", "reviewer")).await;
    assert_eq!(refused.status, 409);
    refused.must_say("This is the last administrator");
    let refused = rita.send(page.form("disable")).await;
    assert_eq!(refused.status, 409);
    let raised = rita.send(page.form("roles").tick("roles", "compliance")).await;
    assert_eq!(raised.status, 409);
    raised.must_say("Nobody gives themselves a role");
    let none = rita.send(page.form("roles").clear("roles")).await;
    assert_eq!(none.status, 409);
    for nobody in ["/console/staff/12345", "/console/staff/x", "/console/staff/-1"] {
        assert_eq!(rita.get(nobody).await.status, 404, "{nobody}");
        assert_eq!(rita.post(&format!("{nobody}/disable"), &[]).await.status, 404, "{nobody}");
    }
    // Roles hold at once, and a closed account's session dies at once.
    let sams = format!("/console/staff/{sam_id}");
    rita.send(rita.open(&sams).await.form("roles").tick("roles", "administrator")).await.must_say("Their roles are changed");
    assert_eq!(sam.get("/console/staff").await.status, 200);
    // What an administrator does takes a fresh sign-in.
    scene.portward.execute("update account_sessions set fresh_at = 0");
    rita.send(rita.open(&sams).await.form("disable")).await.must_say("Confirm that it is you");
    assert_eq!(sam.get("/console/staff").await.status, 200);
    let proof = rita.get(&format!("/console/login?fresh=1&next={sams}")).await.form("login");
    let page = rita.send(proof.set("password", SECRET)).await;
    rita.send(page.form("disable")).await.must_say("The account is closed.");
    assert_eq!(sam.get("/console/account").await.url.path(), "/console/login");
    assert_eq!(scene.sign_in_at(&sam, "/console/login", "sam@clips.example").await.status, 401);
    rita.send(rita.open(&sams).await.form("enable")).await.must_say("The account is open again.");
    enter(&sam, "/console/login", "/console/account", "sam@clips.example").await.must_say("Sam");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_closed_and_its_sessions_with_it() {
    let scene = Scene::start(Engine::Sqlite);
    let anna = scene.developer(ANNA, "Anna Testperson").await;
    let elsewhere = scene.sign_in("/developers/login", ANNA).await;
    anna.send(anna.open("/developers/account/name").await.form("name").set("name", "Anna B."))
        .await
        .must_say("Your name is changed.");
    anna.post("/developers/account/notify", &[]).await.must_say("Your choice about mail is saved.");
    // The address, by the link in the new mailbox, in the browser that is signed in.
    let new = "anna@new.example";
    anna.send(anna.open("/developers/account/email").await.form("email").set("email", new))
        .await
        .must_say("Look into the mail of the new address");
    let link = scene.mails.wait_for(new, "/developers/account/email/confirm").await.link("/developers/account/email/confirm");
    let stranger = scene.developer("ben@clipkeeper.example", "Ben").await;
    assert_eq!(stranger.get(&link).await.status, 410, "of another account");
    anna.send(anna.open(&link).await.form("confirm")).await.must_say("Your e-mail address is changed.").must_say(new);
    scene.mails.wait_for(ANNA, "address").await;

    let page = anna.open("/developers/account/close").await;
    assert_eq!(anna.send(page.form("close")).await.status, 422, "the box must be ticked");
    anna.send(page.form("close").tick("sure", "yes")).await.must_say("Your account is closed");
    for browser in [&anna, &elsewhere] {
        assert!(browser.get("/developers/account").await.url.path().ends_with("/login"));
    }
    assert_eq!(scene.sign_in_at(&anna, "/developers/login", new).await.status, 401);
    let named = scene.portward.number("select count(*) from accounts where name like 'Anna%' or email like 'anna%'").await;
    assert_eq!(named, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_set_a_forgotten_password_by_mail_and_still_give_their_second_factor() {
    const RITA: &str = "rita@clips.example";
    let scene = Scene::start(Engine::Postgres);
    let rita = scene.staff_named(RITA, "Rita", &["support"]).await;
    let (secret, _, _) = enrol(&rita, "/console/login").await;
    scene.mails.wait_for(RITA, "Two-step sign-in was switched on").await;

    let visitor = scene.visitor();
    let entrance = visitor.open("/console/login").await;
    let page = visitor.open(&entrance.link("/console/forgot")).await;
    page.must_say("The second step stays as it is");
    assert_eq!(visitor.send(page.form("forgot").set("email", "rita")).await.status, 422);
    visitor.send(page.form("forgot").set("email", RITA)).await.must_say("Look into your mail");
    let link = scene.mails.wait_for(RITA, "/console/reset").await.link("/console/reset");
    // On the other side it is no link.
    assert_eq!(visitor.get(&link.replace("/console/", "/developers/")).await.status, 410);
    let page = visitor.open(&link).await;
    let weak = visitor.send(page.form("reset").set("password", "short")).await;
    assert_eq!(weak.status, 422);
    let set = visitor.send(weak.form("reset").set("password", OTHER)).await;
    set.must_say("Your password is set");
    assert_eq!(visitor.get(&link).await.status, 410, "a link works once");
    visitor.get(&link).await.must_say("Ask for a new link");
    assert_eq!(rita.get("/console/account").await.url.path(), "/console/login", "the session ended");
    assert_eq!(scene.sign_in_at(&visitor, "/console/login", RITA).await.status, 401, "the old password");
    // The mailbox alone does not open the console.
    let half = visitor.send(visitor.open("/console/login").await.form("login").set("email", RITA).set("password", OTHER)).await;
    assert_eq!(half.url.path(), "/console/login/code");
    assert_eq!(visitor.get("/console/account").await.url.path(), "/console/login/code");
    visitor.send(half.form("code").set("code", &code(&secret, 1))).await;
    visitor.open("/console/account").await.must_say("Rita");
    let told = scene.mails.wait_for(RITA, "password of your account").await;
    assert_eq!(told.link("/console/forgot"), "/console/forgot");
}
